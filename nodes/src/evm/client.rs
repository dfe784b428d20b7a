//! One EVM endpoint: calls with deadline, retry budget and back-off; blocks that were checked before anybody sees them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{B256, U256};
use async_trait::async_trait;
use backon::BackoffBuilder;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tokio::sync::watch;
use url::Url;

use super::{
    EvmBlock, EvmHead, EvmSource, Finality, HeadView, assemble, heads,
    http::Http,
    receipts::{Remembered, Way, batch_deadline},
    verify::{Checks, Weight, senders, verify},
    wire::{self, Wire},
};
use crate::{
    error::{Class, NodeError, NodeErrorKind},
    mask::{Mask, masked_url},
    metrics,
};

/// Senders that are recovered in one go: a few milliseconds.
const SENDERS_AT_ONCE: usize = 16;

/// An endpoint as configured.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Name for people and metrics.
    pub name: String,
    /// `http` or `https`.
    pub url: Url,
    /// `ws` or `wss`, for new heads.
    pub ws: Option<Url>,
    /// Sent with every HTTP request; of a WebSocket's handshake only `authorization`.
    pub headers: Vec<(String, String)>,
}

/// Deadlines and retries of an endpoint.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// Connecting, TLS included.
    pub connect_timeout: Duration,
    /// One try of one call.
    pub call_timeout: Duration,
    /// Tries of one call, the first included.
    pub tries: usize,
    /// First wait between tries; grows twofold, with jitter.
    pub backoff_min: Duration,
    /// Longest wait between tries.
    pub backoff_max: Duration,
    /// Shortest period of polling for heads.
    pub poll_min: Duration,
    /// Longest period of polling for heads.
    pub poll_max: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(15),
            tries: 4,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            poll_min: Duration::from_millis(100),
            poll_max: Duration::from_secs(5),
        }
    }
}

/// Retries that an endpoint has left: each call earns a tenth, up to [`RetryBudget::MAX`]; so a node that is down costs at
/// most a tenth more calls.
#[derive(Debug)]
struct RetryBudget(AtomicI64);

impl RetryBudget {
    const RETRY: i64 = 10;
    const MAX: i64 = 50 * Self::RETRY;

    fn earn(&self) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < Self::MAX).then_some(n + 1));
    }
    fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n >= Self::RETRY).then_some(n - Self::RETRY))
            .is_ok()
    }
}

/// A client of one endpoint. Cheap to clone.
#[derive(Clone)]
pub struct EvmClient(Arc<Inner>);

/// What a client holds.
pub struct Inner {
    name: Arc<str>,
    http: Http,
    checks: Checks,
    pub(super) endpoint: Endpoint,
    pub(super) tuning: Tuning,
    pub(super) mask: Mask,
    pub(super) way: Remembered,
    budget: RetryBudget,
}

impl std::ops::Deref for EvmClient {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
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
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let bad =
                |what| format!("endpoint `{}`: header `{name}` has a {what} that HTTP does not allow", endpoint.name);
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("name"))?;
            let mut value = HeaderValue::from_str(value).map_err(|_| bad("value"))?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let name: Arc<str> = endpoint.name.as_str().into();
        let http = Http::new(name.clone(), endpoint.url.clone(), headers, mask.clone(), tuning.connect_timeout)?;
        let budget = RetryBudget(AtomicI64::new(RetryBudget::MAX));
        let way = Remembered::default();
        Ok(Self(Arc::new(Inner { name, http, checks, endpoint, tuning, mask, way, budget })))
    }

    /// The endpoint's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn error(&self, method: &str, height: Option<u64>, kind: NodeErrorKind) -> NodeError {
        let call = height.map_or_else(|| method.to_owned(), |h| format!("{method} of block {h}"));
        NodeError { endpoint: self.name.clone(), call, kind }
    }

    /// One call, tried again within its budget where that may help.
    pub(super) async fn call<T: Wire>(
        &self,
        method: &'static str,
        params: impl Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin,
        height: Option<u64>,
    ) -> Result<T, NodeError> {
        self.retried(method, height, || self.http.call(method, params.clone(), self.tuning.call_timeout)).await
    }

    /// One batch, likewise.
    pub(super) async fn batch<T: Wire>(
        &self,
        method: &'static str,
        params: &[impl Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin],
        height: u64,
    ) -> Result<Vec<T>, NodeError> {
        let deadline = batch_deadline(self.tuning.call_timeout, params.len());
        self.retried(method, Some(height), || self.http.batch(method, params, deadline)).await
    }

    async fn retried<T, F, Fut>(&self, method: &'static str, height: Option<u64>, attempt: F) -> Result<T, NodeError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, NodeErrorKind>>,
    {
        let mut waits = backon::ExponentialBuilder::new()
            .with_min_delay(self.tuning.backoff_min)
            .with_max_delay(self.tuning.backoff_max)
            .with_max_times(self.tuning.tries.saturating_sub(1))
            .with_jitter()
            .build();
        self.budget.earn();
        loop {
            let started = Instant::now();
            let outcome = attempt().await.map_err(|kind| self.error(method, height, kind));
            metrics::call_done(&self.name, method, started.elapsed(), outcome.as_ref().map(drop));
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(e) if !e.worth_another_try() => return Err(e),
                Err(e) => e,
            };
            let Some(wait) = waits.next() else { return Err(error) };
            let wait = match error.retry() {
                // A long wait is the caller's to plan.
                crate::Retry::After(asked) if asked > self.tuning.backoff_max => return Err(error),
                crate::Retry::After(asked) => wait.max(asked),
                _ => wait,
            };
            if !self.budget.spend() {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn header_at(&self, at: String, height: Option<u64>) -> Result<EvmHead, NodeError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let head: wire::Head = self.call(METHOD, (at, false), height).await?;
        let head =
            EvmHead::try_from(head).map_err(|e| self.error(METHOD, height, NodeErrorKind::Malformed(e.to_string())))?;
        match height {
            Some(asked) if asked != head.number => {
                let lie = format!("asked for block {asked}, got {}", head.number);
                Err(self.error(METHOD, height, NodeErrorKind::Lying(lie)))
            }
            _ => Ok(head),
        }
    }

    /// Block and receipts, once. The two calls run at the same time where the endpoint has `eth_getBlockReceipts`.
    async fn fetch_once(&self, number: u64) -> Result<EvmBlock, NodeError> {
        let block = self.call::<wire::Block>("eth_getBlockByNumber", (format!("0x{number:x}"), true), Some(number));
        let (block, receipts) = if self.way.get() == Way::Block {
            let (block, receipts) = tokio::join!(block, self.block_receipts(number));
            (block?, Some(receipts))
        } else {
            (block.await?, None)
        };
        let transactions = block.transactions.as_deref().unwrap_or_default();
        let receipts = match receipts {
            Some(Ok(receipts)) => receipts,
            // Some nodes have no receipts for a block without transactions.
            _ if transactions.is_empty() => Vec::new(),
            Some(Err(e)) if self.way.get() == Way::Block || e.class() != Class::Missing => return Err(e),
            _ => {
                let hashes: Option<Vec<B256>> = transactions.iter().map(|t| t.hash).collect();
                let lie = || NodeErrorKind::Malformed("a transaction has no hash".into());
                let hashes = hashes.ok_or_else(|| self.error("eth_getBlockByNumber", Some(number), lie()))?;
                // What was remembered may be outdated: after a failure the whole block's receipts are asked for again.
                self.single_receipts(number, &hashes).await.inspect_err(|_| self.way.forget())?
            }
        };
        let lying = |lie| {
            self.way.forget();
            self.error("block and receipts", Some(number), NodeErrorKind::Lying(lie))
        };
        verify(&block, &receipts, number, &self.checks).map_err(lying)?;
        if self.checks.senders != Weight::Off {
            // Between two pieces others of this thread have their turn.
            for (i, piece) in block.transactions.as_deref().unwrap_or_default().chunks(SENDERS_AT_ONCE).enumerate() {
                senders(i * SENDERS_AT_ONCE, piece, &self.checks).map_err(lying)?;
                tokio::task::yield_now().await;
            }
        }
        assemble(block, receipts)
            .map_err(|e| self.error("block and receipts", Some(number), NodeErrorKind::Malformed(e.to_string())))
    }
}

#[async_trait]
impl EvmSource for EvmClient {
    fn endpoint(&self) -> String {
        self.name.to_string()
    }

    async fn chain_id(&self) -> Result<u64, NodeError> {
        let id: U256 = self.call("eth_chainId", (), None).await?;
        u64::try_from(id).map_err(|_| {
            self.error(
                "eth_chainId",
                None,
                NodeErrorKind::Malformed(format!("chain id {id} does not fit into 64 bits")),
            )
        })
    }

    async fn head(&self) -> Result<EvmHead, NodeError> {
        self.header_at("latest".into(), None).await
    }

    async fn header(&self, number: u64) -> Result<EvmHead, NodeError> {
        self.header_at(format!("0x{number:x}"), Some(number)).await
    }

    async fn fetch(&self, number: u64) -> Result<EvmBlock, NodeError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.fetch_once(number).await {
                // Block and receipts were of different chains, perhaps since one was just replaced: ask for both again.
                Err(e)
                    if matches!(e.kind, NodeErrorKind::Lying(_))
                        && tries < self.tuning.tries
                        && self.budget.spend() =>
                {
                    metrics::call_done(&self.name, "verify", Duration::ZERO, Err(&e));
                    tracing::warn!(error = %e, "fetching the block again");
                    tokio::time::sleep(self.tuning.backoff_min * tries as u32).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn finality(&self) -> Result<Finality, NodeError> {
        let (safe, finalized) =
            tokio::join!(self.header_at("safe".into(), None), self.header_at("finalized".into(), None));
        // A chain without these tags answers null or with an error of its own; only a failing node is an error here.
        let height = |outcome: Result<EvmHead, NodeError>| match outcome {
            Ok(head) => Ok(Some(head.number)),
            Err(e) if e.class() != Class::Failing || matches!(e.kind, NodeErrorKind::Rpc(..)) => Ok(None),
            Err(e) => Err(e),
        };
        Ok(Finality { safe: height(safe)?, finalized: height(finalized)? })
    }

    fn heads(&self) -> watch::Receiver<HeadView> {
        heads::follow(self.clone())
    }
}
