//! Connections of one endpoint for calls.
//!
//! Guarantee: no more connections than are configured, each with no more requests under way than it may have; a further one is made only
//! when all others are full. After one that could not be made the next attempt waits a little, longer each time and with jitter. A
//! connection that the server had closed meanwhile costs no call: it is made again, once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use schemas::BitcoinHash;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    connect::Connector,
    metrics,
    session::{Answered, Failure, Session},
    tuning::{CALL_WAITS, ElectrumTuning},
};
use crate::{error::NodeErrorKind, tries::endless};

/// See the module.
pub(super) struct Pool {
    pub connector: Connector,
    endpoint: Arc<str>,
    slots: Vec<Slot>,
}

/// A place for a connection.
#[derive(Default)]
struct Slot {
    present: Mutex<Option<Arc<Session>>>,
    /// Held while it is made.
    making: tokio::sync::Mutex<Making>,
}

#[derive(Default)]
struct Making {
    waits: Option<backon::ExponentialBackoff>,
    rests_until: Option<Instant>,
    made_before: bool,
}

impl Slot {
    fn present(&self) -> Option<Arc<Session>> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.as_ref().is_some_and(|session| !session.is_open()) {
            *present = None;
        }
        present.clone()
    }

    fn put(&self, session: Arc<Session>) {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }
}

impl Pool {
    /// Without connections yet.
    pub fn new(endpoint: Arc<str>, connector: Connector, tuning: &ElectrumTuning) -> Self {
        let slots = (0..tuning.sockets.max(1)).map(|_| Slot::default()).collect();
        Self { connector, endpoint, slots }
    }

    /// Requests that are under way.
    pub fn under_way(&self) -> usize {
        self.slots.iter().filter_map(Slot::present).map(|session| session.under_way()).sum()
    }

    /// What the server said that it is, as far as a connection is there.
    pub fn software(&self) -> Option<String> {
        self.slots.iter().filter_map(Slot::present).find_map(|s| s.greeting().map(|g| g.software.clone()))
    }

    /// Calls a method; `params` is a JSON list. With `genesis` nothing is asked of a server of another chain.
    pub async fn call(
        &self,
        method: &'static str,
        params: &str,
        within: Duration,
        genesis: Option<BitcoinHash>,
    ) -> Result<Answered, Failure> {
        let ends = Instant::now() + within;
        let mut again = false;
        loop {
            let (session, fresh) = match timeout_at(ends, self.session()).await {
                Ok(session) => session.map_err(Failure::None)?,
                Err(_) => return Err(Failure::None(NodeErrorKind::Timeout(within))),
            };
            check_chain(&session, genesis).map_err(Failure::None)?;
            let outcome = session.call(method, params, ends.saturating_duration_since(Instant::now())).await;
            let lost = matches!(outcome, Err(Failure::Stale(_) | Failure::None(NodeErrorKind::Unreachable(_))));
            if !lost || fresh || again {
                return outcome;
            }
            again = true;
        }
    }

    /// A connection with a free place, and whether it was made for this: one that is there, else a new one, else the one where least
    /// is under way.
    pub async fn session(&self) -> Result<(Arc<Session>, bool), NodeErrorKind> {
        let present: Vec<Option<Arc<Session>>> = self.slots.iter().map(Slot::present).collect();
        let freest = present.iter().flatten().max_by_key(|session| session.free());
        if let Some(session) = freest.filter(|session| session.free() > 0) {
            return Ok((session.clone(), false));
        }
        let empty = self.slots.iter().zip(&present).find(|(_, present)| present.is_none());
        match (empty, freest) {
            (Some((slot, _)), _) => self.make(slot).await,
            (None, Some(session)) => Ok((session.clone(), false)),
            (None, None) => Err(NodeErrorKind::Unreachable("it may have no connection".into())),
        }
    }

    async fn make(&self, slot: &Slot) -> Result<(Arc<Session>, bool), NodeErrorKind> {
        let mut making = slot.making.lock().await;
        // Somebody else has made it meanwhile.
        if let Some(session) = slot.present() {
            return Ok((session, false));
        }
        if let Some(until) = making.rests_until.take() {
            sleep_until(until).await;
        }
        match self.connector.connect(None).await {
            Ok(session) => {
                let session = Arc::new(session);
                slot.put(session.clone());
                making.waits = None;
                if std::mem::replace(&mut making.made_before, true) {
                    metrics::reconnected(&self.endpoint);
                }
                Ok((session, true))
            }
            Err(kind) => {
                let (first, longest) = CALL_WAITS;
                let waits = making.waits.get_or_insert_with(|| endless(first, longest));
                let wait = waits.next().unwrap_or_default();
                making.rests_until = Some(Instant::now() + wait);
                Err(kind)
            }
        }
    }
}

/// Whether a session is of the chain that is wanted.
pub(super) fn check_chain(session: &Session, genesis: Option<BitcoinHash>) -> Result<(), NodeErrorKind> {
    match (session.greeting().map(|greeting| greeting.genesis), genesis) {
        (Some(its), Some(wanted)) if its != wanted => Err(NodeErrorKind::OtherChain(format!(
            "the server's chain begins with block {its}, and not with {wanted}: check its URL, and the network's `chain`"
        ))),
        _ => Ok(()),
    }
}
