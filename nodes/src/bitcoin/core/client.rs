//! Calls to one node, with deadline and back-off. Each request passes the fleet's [`Meter`], where the client is part of one.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use schemas::{BitcoinChain, limits, records::provider::Link};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http::{Http, Rest};
use crate::{
    bitcoin::Endpoint,
    error::{NodeError, NodeErrorKind},
    fleet::{Clock, Done, Meter, Metered, Scope, capability::Capabilities},
    http::Exchanged,
    mask::masked_url,
    metrics,
    tries::Waits,
};

/// REST's way to a block's bytes.
pub(super) const REST_BLOCK: &str = "rest/block";
/// REST's way to what a block spends (Core 30).
pub(super) const REST_SPENT: &str = "rest/spenttxouts";
/// A node's name of itself is cut at this, bytes.
const SOFTWARE_BYTES: usize = 100;

/// Deadlines and retries.
#[derive(Debug, Clone)]
pub struct CoreTuning {
    /// Connecting, TLS included.
    pub connect_timeout: Duration,
    /// One try of one call.
    pub call_timeout: Duration,
    /// One try of one that brings a block, or what it spends.
    pub body_timeout: Duration,
    /// Tries of one call where nobody else can be asked, the first included.
    pub tries: usize,
    /// First wait between tries; grows twofold, with jitter.
    pub backoff_min: Duration,
    /// Longest wait between tries.
    pub backoff_max: Duration,
}

impl Default for CoreTuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(30),
            tries: 4,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
        }
    }
}

/// A client of one node. Cheap to clone.
#[derive(Clone)]
pub struct CoreClient {
    inner: Arc<Inner>,
    meter: Metered,
    chain: BitcoinChain,
    /// Whether somebody else can be asked: then one try is enough.
    pub(super) others: bool,
}

/// What a client holds.
struct Inner {
    name: Arc<str>,
    endpoint: Endpoint,
    tuning: CoreTuning,
    http: Http,
    /// What of REST it has shown not to offer.
    capabilities: Mutex<Capabilities>,
    /// What it calls itself, once it was asked; empty where it does not say.
    software: Mutex<Option<String>>,
    clock: Clock,
}

/// A question, for people and metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The method.
    pub method: &'static str,
    /// The height that it is about.
    pub height: Option<u64>,
}

impl fmt::Debug for CoreClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CoreClient({}, {})", self.inner.name, masked_url(&self.inner.endpoint.url))
    }
}

impl CoreClient {
    /// A client; nothing is connected yet. Fails on header names, values and passwords that HTTP does not allow.
    pub fn new(endpoint: Endpoint, chain: BitcoinChain, tuning: CoreTuning) -> Result<Self, String> {
        let http = Http::new(&endpoint, tuning.connect_timeout)?;
        let inner = Inner {
            name: endpoint.name.as_str().into(),
            endpoint,
            tuning,
            http,
            capabilities: Mutex::default(),
            software: Mutex::default(),
            clock: Clock::system(),
        };
        Ok(Self { inner: Arc::new(inner), meter: Metered::default(), chain, others: false })
    }

    /// The same client through a meter, where `others` can be asked or not.
    #[must_use]
    pub fn through(&self, meter: Arc<dyn Meter>, others: bool) -> Self {
        Self { meter: Metered::through(meter), others, ..self.clone() }
    }

    /// The same client, asked for another chain: with the same connections and all that was found out.
    #[must_use]
    pub fn on(&self, chain: BitcoinChain) -> Self {
        Self { chain, ..self.clone() }
    }

    /// The endpoint's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The endpoint as configured.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// The chain that it is asked for.
    pub fn chain(&self) -> BitcoinChain {
        self.chain
    }

    /// The way to it, as it is held now.
    pub fn link(&self) -> Link {
        let rest = !self.lacks(REST_BLOCK);
        Link {
            protocol: if rest { "core rest" } else { "core rpc" }.to_owned(),
            software: self.software().clone().filter(|software| !software.is_empty()),
            sockets: None,
            in_flight: Some(self.inner.http.under_way()),
        }
    }

    /// Tells the meter of the way to it.
    pub(super) fn tell_link(&self) {
        self.meter.linked(|| self.link());
    }

    fn software(&self) -> MutexGuard<'_, Option<String>> {
        self.inner.software.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was asked what it calls itself.
    pub(super) fn is_named(&self) -> bool {
        self.software().is_some()
    }

    /// What it calls itself.
    pub(super) fn named(&self, software: String) {
        let cut = software.floor_char_boundary(SOFTWARE_BYTES);
        *self.software() = software.get(..cut).map(|text| text.trim_matches('/').to_owned());
    }

    fn capabilities(&self) -> MutexGuard<'_, Capabilities> {
        self.inner.capabilities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is known not to offer something of REST.
    pub(super) fn lacks(&self, what: &'static str) -> bool {
        let now = self.inner.clock.now();
        self.capabilities().cannot(what, None, now).is_some()
    }

    /// It does not offer it, for some time.
    fn does_not_offer(&self, what: &'static str, said: &str) {
        let now = self.inner.clock.now();
        if self.capabilities().failed(what, "missing", Scope::All, now) {
            tracing::info!(
                endpoint = self.name(),
                resource = what,
                said,
                "the node does not offer it; RPC is used instead"
            );
        }
    }

    /// An error of a call to this endpoint.
    pub fn error(&self, method: &str, height: Option<u64>, kind: NodeErrorKind) -> NodeError {
        NodeError::of(&self.inner.name, method, height, kind)
    }

    /// One call of RPC.
    pub(super) async fn call<T: DeserializeOwned>(&self, asked: Asked, params: Value) -> Result<T, NodeError> {
        self.call_telling(asked, params, |_| None).await
    }

    /// The same, of which the answer may tell the node's newest height.
    pub(super) async fn call_telling<T: DeserializeOwned>(
        &self,
        asked: Asked,
        params: Value,
        tells: fn(&T) -> Option<u64>,
    ) -> Result<T, NodeError> {
        let within = (self.inner.tuning.call_timeout, limits::NODE_ANSWER_BYTES);
        let attempt = || self.inner.http.call(asked.method, &params, within);
        self.retried(asked, 1, tells, attempt).await
    }

    /// One call of RPC that brings much.
    pub(super) async fn call_for_body<T: DeserializeOwned>(&self, asked: Asked, params: Value) -> Result<T, NodeError> {
        let within = (self.inner.tuning.body_timeout, limits::NODE_ANSWER_BYTES);
        let attempt = || self.inner.http.call(asked.method, &params, within);
        self.retried(asked, 1, |_| None, attempt).await
    }

    /// One batch, whose answers are each for itself.
    pub(super) async fn batch<T: DeserializeOwned>(
        &self,
        asked: Asked,
        params: Vec<Value>,
    ) -> Result<Vec<Result<T, NodeErrorKind>>, NodeError> {
        let calls = u32::try_from(params.len()).unwrap_or(u32::MAX);
        let deadline = self.inner.tuning.call_timeout + Duration::from_millis(10) * calls;
        let attempt = || self.inner.http.batch(asked.method, &params, deadline);
        self.retried(asked, calls, |_| None, attempt).await
    }

    /// A resource of REST, up to so many bytes; `None` where it is not offered, which is remembered.
    pub(super) async fn rest(
        &self,
        asked: Asked,
        hash: &str,
        most: usize,
    ) -> Result<Option<alloy_primitives::Bytes>, NodeError> {
        if self.lacks(asked.method) {
            return Ok(None);
        }
        let path = format!("{}/{hash}.bin", asked.method);
        let attempt = || self.inner.http.rest(&path, (self.inner.tuning.body_timeout, most));
        match self.retried(asked, 1, |_| None, attempt).await? {
            Rest::Body(bytes) => Ok(Some(bytes)),
            Rest::NotOffered(said) => {
                self.does_not_offer(asked.method, &said);
                Ok(None)
            }
        }
    }

    async fn retried<T, F, Fut>(
        &self,
        asked: Asked,
        calls: u32,
        tells: fn(&T) -> Option<u64>,
        attempt: F,
    ) -> Result<T, NodeError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Exchanged<T>>,
    {
        let tuning = &self.inner.tuning;
        let tries = if self.others { 1 } else { tuning.tries };
        let mut waits = Waits::new(tries, (tuning.backoff_min, tuning.backoff_max));
        loop {
            let admitted = self.meter.admit(calls).await?;
            let started = Instant::now();
            let Exchanged { outcome, bytes } = attempt().await;
            let outcome = outcome.map_err(|kind| self.error(asked.method, asked.height, kind));
            let took = started.elapsed();
            let height = outcome.as_ref().ok().and_then(tells);
            let error = outcome.as_ref().err();
            self.meter.done(admitted, Done { method: asked.method, took, bytes, height, error });
            metrics::call_done(&self.inner.name, asked.method, took, outcome.as_ref().map(drop));
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(e) if !e.worth_another_try() => return Err(e),
                Err(e) => e,
            };
            let Some(wait) = waits.after(&error) else { return Err(error) };
            tracing::debug!(%error, ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }
}
