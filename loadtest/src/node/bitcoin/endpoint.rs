//! One endpoint of a simulated chain: a port with its own latency, faults, lies and counts, over the chain that all endpoints share.
//!
//! Guarantee: what one endpoint is told to do wrong touches no other; everything can be changed while it runs; how long its n-th
//! call takes follows from the node's seed and the endpoint's name.

use super::Latency;
use super::block::{Block, Header, median, time_of};
use super::branch::Branch;
use super::chain::Sealed;
use super::config::{EndpointConfig, Kind, Protocol};
use super::faults::{Fault, FaultKind, Faults};
use super::maker::Place;
use super::shared::Shared;
use super::wire::Hash;
use crate::node::dice;
use crate::node::socket::Connections;
use schemas::bitcoin::BitcoinChain;
use schemas::limits::simulator as limits;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// An endpoint of a running node.
pub struct Endpoint {
    pub(crate) config: EndpointConfig,
    addr: SocketAddr,
    zmq: Option<SocketAddr>,
    seed: u64,
    latency: Mutex<Option<Latency>>,
    /// Calls so far: what a latency is drawn for.
    calls: AtomicU64,
    asked: Mutex<BTreeMap<String, u64>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) chain: BitcoinChain,
    pub(crate) faults: Faults,
    branch: Mutex<Branch>,
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) changed: Notify,
}

/// What an endpoint was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls by method, or by the word behind `/rest/`.
    pub calls: BTreeMap<String, u64>,
    /// Connections that are open.
    pub connections: usize,
}

impl Endpoint {
    /// `addr`, `zmq`: where it listens.
    pub(crate) fn new(
        mut config: EndpointConfig,
        (addr, zmq): (SocketAddr, Option<SocketAddr>),
        shared: Arc<Shared>,
        seed: u64,
    ) -> Self {
        let faults = std::mem::take(&mut config.faults);
        let chain = shared.chain().maker.data.chain();
        let endpoint = Self {
            seed: dice::seed_of(seed, &config.name),
            addr,
            zmq,
            latency: Mutex::new(config.latency),
            calls: AtomicU64::new(0),
            asked: Mutex::default(),
            faults: Faults::new(seed, &config.name),
            config,
            shared,
            chain,
            branch: Mutex::default(),
            sockets: Arc::new(Semaphore::new(limits::SOCKETS)),
            connections: Arc::default(),
            changed: Notify::new(),
        };
        faults.into_iter().for_each(|fault| endpoint.fault(fault));
        endpoint
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What speaks there.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.config.kind
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// As a configuration names it: `http://…` with credentials, or `tcp://…`.
    #[must_use]
    pub fn url(&self) -> String {
        let who = self.config.credentials.as_ref().map(|who| format!("{who}@")).unwrap_or_default();
        match self.kind() {
            Kind::Core => format!("http://{who}{}", self.addr),
            Kind::Electrum => format!("tcp://{}", self.addr),
        }
    }

    /// Where it says by ZMQ that there is a new block.
    #[must_use]
    pub fn zmq_url(&self) -> Option<String> {
        self.zmq.map(|addr| format!("tcp://{addr}"))
    }

    /// Adds a fault or a lie.
    pub fn fault(&self, fault: Fault) {
        let head = self.shared.head();
        self.faults.add(fault, head);
        self.changed.notify_one();
    }

    /// Removes all faults and lies.
    pub fn clear_faults(&self) {
        self.faults.clear();
        self.changed.notify_one();
    }

    /// Each fault as it was written, with how often it hit.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, u64)> {
        self.faults.list()
    }

    /// How long answers take from now on.
    pub fn set_latency(&self, latency: Option<Latency>) {
        *self.latency.lock().unwrap_or_else(PoisonError::into_inner) = latency;
    }

    /// Ends all its connections.
    pub fn drop_connections(&self) {
        self.connections.close();
    }

    /// What it was asked.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { calls: self.asked().clone(), connections: self.connections.open() }
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call.
    pub(crate) fn note(&self, method: &str) {
        let mut asked = self.asked();
        if asked.len() < limits::METHODS || asked.contains_key(method) {
            *asked.entry(method.to_owned()).or_default() += 1;
        }
    }

    /// How long the next answer takes.
    pub(crate) fn delay(&self) -> Duration {
        let n = self.calls.fetch_add(1, Relaxed);
        let latency = *self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.map_or(Duration::ZERO, |latency| latency.of(self.seed, n))
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.config.protocol
    }

    /// Its branch as it is now, where it shows one: with the height of the block that it leaves.
    fn branch(&self) -> Option<(u64, MutexGuard<'_, Branch>)> {
        let (kind, from) = self.faults.state(|kind, since| match kind {
            FaultKind::OtherBranch(depth) => Some((kind, since.saturating_sub(depth))),
            FaultKind::Unlinked | FaultKind::NoWork => Some((kind, since)),
            _ => None,
        })?;
        if !self.shared.chain().replays() {
            return None;
        }
        let mut branch = self.branch.lock().unwrap_or_else(PoisonError::into_inner);
        // Above all that forks of the chain come to.
        branch.follow(&self.shared, kind, from, 0x8000_0000 | ((self.seed as u32) >> 1));
        Some((from, branch))
    }

    /// The height of its head.
    pub(crate) fn head(&self) -> u64 {
        let head = self.shared.head();
        let stale = |kind, since: u64| match kind {
            FaultKind::StaleTip(back) => Some(since.saturating_sub(back)),
            _ => None,
        };
        self.faults.state(stale).map_or(head, |stale| head.min(stale))
    }

    /// The header that it shows at a height.
    pub(crate) fn at(&self, height: u64) -> Option<Sealed> {
        if height > self.head() {
            return None;
        }
        if let Some((from, branch)) = self.branch()
            && height > from
        {
            return branch.at(height);
        }
        self.shared.chain().at(height)
    }

    /// Its head.
    pub(crate) fn tip(&self) -> (u64, Sealed) {
        loop {
            let head = self.head();
            // Between both the chain may have been forked.
            if let Some(tip) = self.at(head) {
                return (head, tip);
            }
        }
    }

    /// By how much the heights that it says are too high.
    pub(crate) fn shift(&self) -> u64 {
        let by = |kind, _| if let FaultKind::Shifted(by) = kind { Some(by) } else { None };
        self.faults.state(by).unwrap_or_default()
    }

    /// The header at a height, as it says.
    pub(crate) fn at_said(&self, height: u64) -> Option<Sealed> {
        let shift = self.shift();
        self.at(if height > shift { height - shift } else { height })
    }

    /// Where a block stands, and whether it shows it as canonical.
    pub(crate) fn place(&self, hash: &Hash) -> Option<(Place, Header, bool)> {
        let found = match self.branch() {
            Some((_, branch)) => branch.place(hash),
            None => None,
        };
        let (place, header) = match found {
            Some(found) => found,
            None => self.shared.chain().place(hash)?,
        };
        let canonical = self.at(place.height).is_some_and(|(_, at)| at == *hash);
        (canonical || place.height <= self.head()).then_some((place, header, canonical))
    }

    /// A block, whole.
    pub(crate) fn block(&self, hash: &Hash) -> Option<Arc<Block>> {
        if let Some((_, branch)) = self.branch()
            && let Some(block) = branch.block(&self.shared, hash)
        {
            return Some(block);
        }
        let (place, header, _) = self.place(hash)?;
        self.shared.block(place, &header, hash)
    }

    /// The median time past of the block at a height, seconds since 1970.
    pub(crate) fn median_time(&self, height: u64) -> u32 {
        let last = (0..=height).rev().take(11).filter_map(|height| self.at(height));
        median(last.map(|(header, _)| time_of(&header)))
    }
}
