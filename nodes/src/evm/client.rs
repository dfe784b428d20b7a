//! Calls to one endpoint, with deadline, retry budget and back-off. Each request passes the client's [`Route`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{B256, U256};
use serde::Serialize;

use super::{
    endpoint::{Endpoint, Tuning},
    http::Http,
    route::{Alone, BLOCK_BY_HASH, Route},
    types::EvmHead,
    verify::Checks,
    wire::{self, Wire},
};
use crate::{
    error::{NodeError, NodeErrorKind},
    fleet::Done,
    http::{self, Exchanged},
    mask::{Mask, masked_url},
    metrics,
    tries::Waits,
};

/// Retries that an endpoint has left: each call earns a tenth, up to [`RetryBudget::MAX`]; so a node that is down costs at
/// most a tenth more calls.
#[derive(Debug)]
pub(super) struct RetryBudget(AtomicI64);

impl RetryBudget {
    const RETRY: i64 = 10;
    const MAX: i64 = 50 * Self::RETRY;

    pub(super) fn earn(&self) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < Self::MAX).then_some(n + 1));
    }
    pub(super) fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n >= Self::RETRY).then_some(n - Self::RETRY))
            .is_ok()
    }
}

/// A client of one endpoint. Cheap to clone.
#[derive(Clone)]
pub struct EvmClient {
    inner: Arc<Inner>,
    pub(super) route: Arc<dyn Route>,
    /// Whether somebody else can be asked: then one try is enough, and what is odd is not patched up.
    pub(super) others: bool,
    /// Bytes of answers that were read on this route.
    pub(super) read: Arc<AtomicU64>,
}

/// What a client holds.
pub struct Inner {
    pub(super) name: Arc<str>,
    pub(super) http: Http,
    pub(super) checks: Checks,
    pub(super) endpoint: Endpoint,
    pub(super) tuning: Tuning,
    pub(super) mask: Mask,
    pub(super) budget: RetryBudget,
}

impl std::ops::Deref for EvmClient {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl std::fmt::Debug for EvmClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EvmClient({}, {})", self.name, masked_url(&self.endpoint.url))
    }
}

impl EvmClient {
    /// A client; nothing is connected yet. Fails on header names or values that HTTP does not allow.
    pub fn new(endpoint: Endpoint, checks: Checks, tuning: Tuning) -> Result<Self, String> {
        let mask = Mask::new(
            [Some(&endpoint.url), endpoint.ws.as_ref()].into_iter().flatten(),
            endpoint.headers.iter().map(|(_, v)| v.as_str()),
        );
        let headers = http::headers(&endpoint.name, &endpoint.headers)?;
        let name: Arc<str> = endpoint.name.as_str().into();
        let http = Http::new(name.clone(), endpoint.url.clone(), headers, mask.clone(), tuning.connect_timeout)?;
        let budget = RetryBudget(AtomicI64::new(RetryBudget::MAX));
        let inner = Arc::new(Inner { name, http, checks, endpoint, tuning, mask, budget });
        Ok(Self { inner, route: Arc::new(Alone::default()), others: false, read: Arc::default() })
    }

    /// The same client on another route, where `others` can be asked or not.
    #[must_use]
    pub(super) fn through(&self, route: Arc<dyn Route>, others: bool) -> Self {
        Self { inner: self.inner.clone(), route, others, read: Arc::default() }
    }

    /// The same, treated as if nobody else could be asked.
    #[must_use]
    pub(super) fn as_the_only_one(&self) -> Self {
        Self { others: false, ..self.clone() }
    }

    /// The endpoint's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn error(&self, method: &str, height: Option<u64>, kind: NodeErrorKind) -> NodeError {
        NodeError::of(&self.name, method, height, kind)
    }

    /// One call, tried again within its budget where that may help.
    pub(super) async fn call<T: Wire>(
        &self,
        method: &'static str,
        params: impl Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin,
        height: Option<u64>,
    ) -> Result<T, NodeError> {
        let attempt = || self.http.call(method, params.clone(), self.tuning.call_timeout);
        self.retried(method, 1, height, NodeError::worth_another_try, attempt).await
    }

    /// One call for which there is another way: tried again only where the node was not to be had.
    pub(super) async fn call_or_else<T: Wire>(
        &self,
        method: &'static str,
        params: impl Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin,
        height: Option<u64>,
    ) -> Result<T, NodeError> {
        let attempt = || self.http.call(method, params.clone(), self.tuning.call_timeout);
        self.retried(method, 1, height, NodeError::was_not_answered, attempt).await
    }

    /// One batch, likewise.
    pub(super) async fn batch<T: Wire>(
        &self,
        method: &'static str,
        params: &[impl Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin],
        height: u64,
    ) -> Result<Vec<T>, NodeError> {
        let deadline = batch_deadline(self.tuning.call_timeout, params.len());
        let attempt = || self.http.batch(method, params, deadline);
        self.retried(method, params.len() as u32, Some(height), NodeError::was_not_answered, attempt).await
    }

    pub(super) async fn retried<T, F, Fut>(
        &self,
        method: &'static str,
        calls: u32,
        height: Option<u64>,
        again: fn(&NodeError) -> bool,
        attempt: F,
    ) -> Result<T, NodeError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Exchanged<T>>,
    {
        let tries = if self.others { 1 } else { self.tuning.tries };
        let mut waits = Waits::new(tries, (self.tuning.backoff_min, self.tuning.backoff_max));
        self.budget.earn();
        loop {
            let admitted = self.route.admit(calls).await?;
            let started = Instant::now();
            let Exchanged { outcome, bytes } = attempt().await;
            let outcome = outcome.map_err(|kind| self.error(method, height, kind));
            let took = started.elapsed();
            self.read.fetch_add(bytes as u64, Ordering::Relaxed);
            self.route.done(admitted, Done { method, took, bytes, height: None, error: outcome.as_ref().err() });
            metrics::call_done(&self.name, method, took, outcome.as_ref().map(drop));
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(e) if !again(&e) => return Err(e),
                Err(e) => e,
            };
            let Some(wait) = waits.after(&error) else { return Err(error) };
            if !self.budget.spend() {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    /// The header at a height or tag.
    pub(super) async fn header_at(&self, at: String, height: Option<u64>) -> Result<EvmHead, NodeError> {
        self.header_from("eth_getBlockByNumber", at, height).await
    }

    /// The header with this hash, which is said to be at a height.
    pub(super) async fn header_with(&self, hash: B256, height: u64) -> Result<EvmHead, NodeError> {
        let head = self.header_from(BLOCK_BY_HASH, hash.to_string(), Some(height)).await?;
        if head.hash == hash {
            return Ok(head);
        }
        let lie = format!("asked for the block {hash}, got {}", head.hash);
        Err(self.error(BLOCK_BY_HASH, Some(height), NodeErrorKind::Lying(lie)))
    }

    async fn header_from(&self, method: &'static str, at: String, height: Option<u64>) -> Result<EvmHead, NodeError> {
        let head: wire::Head = self.call(method, (at, false), height).await?;
        let head =
            EvmHead::try_from(head).map_err(|e| self.error(method, height, NodeErrorKind::Malformed(e.to_string())))?;
        match height {
            Some(asked) if asked != head.number => {
                let lie = format!("asked for block {asked}, got {}", head.number);
                Err(self.error(method, height, NodeErrorKind::Lying(lie)))
            }
            _ => Ok(head),
        }
    }

    /// `eth_chainId`.
    pub(super) async fn chain(&self) -> Result<U256, NodeError> {
        self.call("eth_chainId", (), None).await
    }
}

/// Deadline of a batch: that of a call and some more per item.
pub(super) fn batch_deadline(call: Duration, items: usize) -> Duration {
    call + Duration::from_millis(50) * items as u32
}
