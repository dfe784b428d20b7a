//! Calls to one Electrum server. Each request passes the client's [`Meter`], where it has one.
//!
//! Guarantee: every answer is of the chain that is wanted, by the server's first block; every header proves its work. A call ends within
//! its deadline.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64},
    },
    time::Instant,
};

use schemas::{BitcoinHash, bitcoin::BitcoinChain, limits::bitcoin as limits, records::Link};

use super::{
    answers::{self, HEADERS_AT_MOST, HistoryItem},
    connect::Connector,
    metrics as told,
    notice::HEADS,
    pool::{Pool, check_chain},
    refusal::{Trouble, is_history_too_large},
    status::ScriptHash,
    tuning::{CALL_WAITS, ElectrumTuning},
};
use crate::{
    bitcoin::{Endpoint, header::Header},
    error::{NodeError, NodeErrorKind},
    fleet::{Done, Meter, Metered},
    mask::masked_url,
    metrics,
    tries::Waits,
};

/// Tries of one call where nobody else can be asked, the first included.
const TRIES_ALONE: usize = 3;

/// A client of one Electrum server. Clones share connections.
#[derive(Clone)]
pub struct ElectrumClient {
    pub(super) inner: Arc<Inner>,
    chain: BitcoinChain,
    meter: Metered,
    /// Whether somebody else can be asked: then one try is enough.
    others: bool,
}

/// What clones share.
pub(super) struct Inner {
    pub name: Arc<str>,
    pub endpoint: Endpoint,
    pub tuning: ElectrumTuning,
    pub pool: Pool,
    /// Whether it was ever subscribed to, and how many subscriptions there are.
    pub subscribed: AtomicBool,
    pub active: Arc<AtomicI64>,
}

impl fmt::Debug for ElectrumClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ElectrumClient({}, {})", self.inner.name, masked_url(&self.inner.endpoint.url))
    }
}

impl ElectrumClient {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// The URL is none of an Electrum server.
    pub fn new(endpoint: Endpoint, chain: BitcoinChain, tuning: ElectrumTuning) -> Result<Self, String> {
        let name: Arc<str> = endpoint.name.as_str().into();
        let pool = Pool::new(name.clone(), Connector::new(&endpoint, &tuning)?, &tuning);
        let inner = Arc::new(Inner {
            name,
            endpoint,
            tuning,
            pool,
            subscribed: AtomicBool::new(false),
            active: Arc::default(),
        });
        Ok(Self { inner, chain, meter: Metered::default(), others: false })
    }

    /// The same client, whose requests pass a meter, where `others` can be asked or not.
    #[must_use]
    pub fn through(&self, meter: Arc<dyn Meter>, others: bool) -> Self {
        Self { meter: Metered::through(meter), others, ..self.clone() }
    }

    /// The same client of a server that must be on this chain.
    #[must_use]
    pub fn on(&self, chain: BitcoinChain) -> Self {
        Self { chain, ..self.clone() }
    }

    /// The endpoint's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// The chain that the server must be on.
    pub fn chain(&self) -> BitcoinChain {
        self.chain
    }

    /// The way to it, for people.
    pub fn link(&self) -> Link {
        let pool = &self.inner.pool;
        Link {
            protocol: pool.connector.protocol().to_owned(),
            software: pool.software(),
            sockets: Some(pool.connector.open()),
            in_flight: Some(u32::try_from(pool.under_way()).unwrap_or(u32::MAX)),
        }
    }

    /// An error of this endpoint.
    pub fn error(&self, method: &str, height: Option<u64>, kind: NodeErrorKind) -> NodeError {
        NodeError::of(&self.inner.name, method, height, kind)
    }

    /// The server's first block, whatever chain it should be on. It is asked with each connection.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or does not say it.
    pub async fn genesis(&self) -> Result<BitcoinHash, NodeError> {
        const METHOD: &str = "server.features";
        let admitted = self.meter.admit(1).await?;
        let began = Instant::now();
        let session = self.inner.pool.session().await;
        let genesis = session.and_then(|(session, _)| {
            let greeting = session.greeting().map(|greeting| greeting.genesis);
            greeting.ok_or_else(|| NodeErrorKind::Malformed("it did not say its first block".into()))
        });
        let genesis = genesis.map_err(|kind| self.error(METHOD, None, kind));
        let done =
            Done { method: METHOD, took: began.elapsed(), bytes: 0, height: None, error: genesis.as_ref().err() };
        self.meter.done(admitted, done);
        genesis
    }

    /// Whether it answers and is on the chain that it should be on.
    ///
    /// # Errors
    ///
    /// Kind [`NodeErrorKind::OtherChain`], or why it cannot be asked.
    pub async fn check(&self) -> Result<(), NodeError> {
        let outcome = match self.inner.pool.session().await {
            Ok((session, _)) => check_chain(&session, Some(self.chain.genesis())),
            Err(kind) => Err(kind),
        };
        outcome.map_err(|kind| self.error("server.version", None, kind))
    }

    /// Height and header of its newest block. Tells the meter how the way to the server is, but not the height: a header does not prove it.
    ///
    /// # Errors
    ///
    /// Those of a call.
    pub async fn tip(&self) -> Result<(u64, Header), NodeError> {
        let chain = self.chain;
        let outcome = self.call(HEADS, "[]", None, |json: &str| answers::tip(json, chain)).await;
        told::sockets(&self.inner.name, self.inner.pool.connector.open());
        self.meter.linked(|| self.link());
        outcome.map(|tip| (tip.height, tip.header))
    }

    /// The header at a height. Nothing proves that it belongs there but its parents and successors.
    ///
    /// # Errors
    ///
    /// Class `Empty` above the server's tip, and those of a call.
    pub async fn header_at(&self, height: u64) -> Result<Header, NodeError> {
        let (params, chain) = (format!("[{height}]"), self.chain);
        let read = |json: &str| answers::header(json, chain);
        self.call("blockchain.block.header", &params, Some(height), read).await
    }

    /// Headers from a height on, linked with one another: as many as were asked for, at most 2016, or fewer where the server has no more.
    ///
    /// # Errors
    ///
    /// Those of a call.
    pub async fn headers(&self, from: u64, count: usize) -> Result<Vec<Header>, NodeError> {
        let count = count.min(HEADERS_AT_MOST);
        let (params, chain) = (format!("[{from},{count}]"), self.chain);
        let read = |json: &str| answers::headers(json, count, chain);
        self.call("blockchain.block.headers", &params, Some(from), read).await
    }

    /// A script's history, confirmed transactions first.
    ///
    /// # Errors
    ///
    /// Kind `Rpc` with [`super::TOO_LARGE_CODE`] where it is too large for this server, which another may give; those of a call.
    pub async fn history(&self, script: ScriptHash) -> Result<Vec<HistoryItem>, NodeError> {
        let params = format!("[\"{script}\"]");
        let read = |json: &str| answers::history(json, limits::ELECTRUM_HISTORY);
        self.call("blockchain.scripthash.get_history", &params, None, read).await
    }

    /// One call, tried again where nobody else can be asked and that may help.
    async fn call<T>(
        &self,
        method: &'static str,
        params: &str,
        height: Option<u64>,
        read: impl Fn(&str) -> Result<T, NodeErrorKind> + Send + Sync,
    ) -> Result<T, NodeError> {
        let mut waits = Waits::new(if self.others { 1 } else { TRIES_ALONE }, CALL_WAITS);
        loop {
            let error = match self.once(method, params, height, &read).await {
                Err(e) if worth_another_try(&e) => e,
                outcome => return outcome,
            };
            let Some(wait) = waits.after(&error) else { return Err(error) };
            tracing::debug!(%error, ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once<T>(
        &self,
        method: &'static str,
        params: &str,
        height: Option<u64>,
        read: &(impl Fn(&str) -> Result<T, NodeErrorKind> + Send + Sync),
    ) -> Result<T, NodeError> {
        let admitted = self.meter.admit(1).await?;
        let (inner, began) = (&self.inner, Instant::now());
        let genesis = Some(self.chain.genesis());
        let (outcome, bytes) = match inner.pool.call(method, params, inner.tuning.call_timeout, genesis).await {
            Ok(answered) => (read(&answered.result), answered.bytes),
            Err(failure) => (Err(failure.kind()), 0),
        };
        let took = began.elapsed();
        let outcome = outcome.map_err(|kind| self.error(method, height, kind));
        told::call(&inner.name, method, took);
        metrics::call_done(&inner.name, method, took, outcome.as_ref().map(drop));
        let mut error = outcome.as_ref().err();
        if let Some(e) = error {
            let too_large = is_history_too_large(&e.kind);
            told::error(&inner.name, if too_large { Trouble::HistoryTooLarge.as_str() } else { e.label() });
            // That is the script's matter, and the server answered well.
            error = error.filter(|_| !too_large);
        }
        self.meter.done(admitted, Done { method, took, bytes, height: None, error });
        outcome
    }
}

/// Whether the same server may answer better in a moment: not where it asked for a longer wait, nor where only an operator can help.
fn worth_another_try(e: &NodeError) -> bool {
    e.worth_another_try() && e.asked_wait().is_none() && !is_history_too_large(&e.kind)
}
