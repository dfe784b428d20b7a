//! One endpoint of a simulated chain: a port with its own latency, limit, faults, lies and counts, over the chain that all
//! endpoints of the node share.
//!
//! Guarantee: what one endpoint is told to do wrong touches no other; everything can be changed while it runs; how long its n-th
//! request takes follows from the node's seed and the endpoint's name.

mod config;

pub use config::EndpointConfig;

use super::faults::{Fault, Faults};
use super::lies::Tales;
use super::limit::Bucket;
use super::shared::Shared;
use super::socket::Connections;
use super::stats::Stats;
use super::{Client, Counts, Latency, Limit, Refusal, dice};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use schemas::limits::simulator as limits;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, watch};

/// An endpoint of a running node.
pub struct Endpoint {
    name: String,
    addr: SocketAddr,
    path: Option<String>,
    credentials: Option<String>,
    seed: u64,
    manner: Mutex<Manner>,
    /// Requests so far: what a latency is drawn for.
    requests: AtomicU64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) faults: Faults,
    pub(crate) tales: Mutex<Tales>,
    pub(crate) stats: Stats,
    pub(crate) drops: watch::Sender<u64>,
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) changed: Notify,
}

/// What of its manner can be changed while it runs.
struct Manner {
    latency: Option<Latency>,
    bucket: Option<Bucket>,
    websocket: bool,
    client: Client,
}

/// Whom an endpoint lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Free,
    /// 404.
    OtherPath,
    /// 401.
    NoCredentials,
}

impl Endpoint {
    /// `addr`: where it listens.
    pub(crate) fn new(config: EndpointConfig, addr: SocketAddr, shared: Arc<Shared>, seed: u64) -> Self {
        // The first endpoint's faults follow from the node's seed itself, as they did when it was the only one.
        let endpoint = Self {
            seed: dice::seed_of(seed, &config.name),
            addr,
            path: config.path,
            credentials: config.credentials,
            manner: Mutex::new(Manner {
                latency: config.latency,
                bucket: config.limit.map(|limit| Bucket::full(limit, Instant::now())),
                websocket: config.websocket,
                client: config.client,
            }),
            requests: AtomicU64::new(0),
            faults: Faults::new(if config.name == super::MAIN { seed } else { dice::seed_of(seed, &config.name) }),
            name: config.name,
            shared,
            tales: Mutex::default(),
            stats: Stats::default(),
            drops: watch::channel(0).0,
            sockets: Arc::new(Semaphore::new(limits::SOCKETS)),
            connections: Arc::default(),
            changed: Notify::new(),
        };
        config.faults.into_iter().for_each(|fault| endpoint.fault(fault));
        endpoint
    }

    fn manner(&self) -> MutexGuard<'_, Manner> {
        self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn address(&self, scheme: &str) -> String {
        let who = self.credentials.as_ref().map(|who| format!("{who}@")).unwrap_or_default();
        format!("{scheme}://{who}{}{}", self.addr, self.path.as_deref().unwrap_or_default())
    }

    /// JSON-RPC over HTTP, with credentials and path.
    #[must_use]
    pub fn url(&self) -> String {
        self.address("http")
    }

    /// JSON-RPC over a WebSocket, with credentials and path.
    #[must_use]
    pub fn ws_url(&self) -> String {
        self.address("ws")
    }

    /// Adds a fault or a lie.
    pub fn fault(&self, fault: Fault) {
        let head = self.shared.chain().head().height;
        self.faults.add(fault, head);
        self.changed.notify_one();
    }

    /// Removes all faults and lies.
    pub fn clear_faults(&self) {
        self.faults.clear();
        self.tales.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.changed.notify_one();
    }

    /// Each fault as it was written, with how often it hit.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, u64)> {
        self.faults.list()
    }

    /// How long answers take from now on.
    pub fn set_latency(&self, latency: Option<Latency>) {
        self.manner().latency = latency;
    }

    /// How many calls it lets through from now on.
    pub fn set_limit(&self, limit: Option<Limit>) {
        self.manner().bucket = limit.map(|limit| Bucket::full(limit, Instant::now()));
    }

    /// Whether it has a WebSocket from now on; without one those that are open end.
    pub fn set_websocket(&self, websocket: bool) {
        self.manner().websocket = websocket;
        if !websocket {
            self.drop_websockets();
        }
    }

    /// Which client it plays from now on.
    pub fn set_client(&self, client: Client) {
        self.manner().client = client;
    }

    /// Which client it plays.
    #[must_use]
    pub fn client(&self) -> Client {
        self.manner().client
    }

    /// Whether it has a WebSocket.
    #[must_use]
    pub fn websocket(&self) -> bool {
        self.manner().websocket
    }

    /// How long its answers take.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.manner().latency
    }

    /// How many calls it lets through.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.manner().bucket.as_ref().map(|bucket| bucket.limit)
    }

    /// Ends all its WebSockets, without a farewell.
    pub fn drop_websockets(&self) {
        self.drops.send_modify(|n| *n += 1);
    }

    /// What it was asked and what it served.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.stats.snapshot()
    }

    /// How long the next answer takes.
    pub(crate) fn delay(&self) -> Duration {
        let n = self.requests.fetch_add(1, Relaxed);
        self.latency().map_or(Duration::ZERO, |latency| latency.of(self.seed, n))
    }

    /// Lets so many calls through, or says how they are refused and when they would not be.
    pub(crate) fn admit(&self, calls: usize) -> Result<(), (Refusal, Duration)> {
        let mut manner = self.manner();
        let Some(bucket) = &mut manner.bucket else { return Ok(()) };
        let refusal = bucket.limit.refusal;
        bucket.take(calls, Instant::now()).map_err(|wait| {
            self.stats.throttled();
            (refusal, wait)
        })
    }

    /// Whether a request with this path and `Authorization` may come in.
    pub(crate) fn entry(&self, path: &str, authorization: Option<&str>) -> Entry {
        if self.path.as_deref().is_some_and(|wanted| wanted != path) {
            return Entry::OtherPath;
        }
        let wanted = self.credentials.as_ref().map(|who| format!("Basic {}", BASE64_STANDARD.encode(who)));
        if wanted.is_some() && wanted.as_deref() != authorization { Entry::NoCredentials } else { Entry::Free }
    }
}
