//! What operators ask of the watchers (rules 5, 7, 34): one reader per process follows `control.config`, and gives each network's
//! requests to its watcher.
//!
//! ```text
//! control.config ──reader (one per process)──▶ fold ──watch (the newest counts)──▶ watchers
//! ```
//!
//! Guarantee: no watcher begins before all that was asked until then has been read ([`Requests::up_to_now`]); what is asked later
//! reaches it as it is written. Requests come in the order in which they are carried out: by time, then by id. Other programs' records
//! and kinds that this version does not know are passed over (rule 13); a request of ours that cannot be read holds up its own
//! network's requests and nothing else. Nothing of it ends the stage: a log that does not answer is read again, from the beginning.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use runtime::log::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition, fold, pass_over};
use schemas::{
    Network,
    codec::Codec,
    headers::names,
    limits,
    records::{ControlConfig, Request},
    topics,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::compacted::{Found, Slot, judge, key};

const AT: TopicPartition = TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 };
/// How much one poll brings, and how long it waits.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_millis(500) };
/// Pause before a log that did not answer is read again.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that a partition waits for what was asked before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked of one network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// In the order in which they are carried out.
    pub requests: Vec<Request>,
    /// Why there may be more, in words: nothing that is asked of the network is begun or gone on with meanwhile.
    pub unreadable: Option<String>,
}

impl Wishes {
    /// The request of this id.
    pub fn get(&self, id: &str) -> Option<&Request> {
        self.requests.iter().find(|r| r.id == id)
    }
}

/// The requests of a process's networks, as far as they have been read.
pub struct Requests {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    told: Arc<Told>,
    _reader: AbortOnDropHandle<()>,
}

impl Requests {
    /// Follows what is asked until dropped.
    pub fn follow(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        let told = Arc::<Told>::default();
        let reader = Reading { log: log.clone(), codec: codec.clone(), told: told.clone() };
        let reader = AbortOnDropHandle::new(tokio::spawn(reader.run()));
        Self { log, codec, told, _reader: reader }
    }

    /// Reads all that stands in the log now (rule 34), by a reader of its own: one that follows a cluster cannot tell that it stands at
    /// an end that came later, where the last offset is no record but the end of a transaction.
    ///
    /// # Errors
    /// What the log says; [`LogErrorKind::Unavailable`] when it cannot be read within half a minute.
    pub async fn up_to_now(&self) -> Result<(), LogError> {
        let (mut found, mut next) = (Fold::default(), 0);
        let read = fold(&*self.log, AT, |record| {
            found.take(&self.codec, &record);
            next = record.offset + 1;
            Ok::<(), LogError>(())
        });
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(read) => read?,
            Err(_) => {
                let message = format!(
                    "{} was not read to its end within {} s: what operators asked is not known, and no network is begun without it",
                    AT.topic,
                    PATIENCE.as_secs()
                );
                return Err(LogError::new(LogErrorKind::Unavailable, message));
            }
        }
        self.told.tell(found.wishes(), next);
        Ok(())
    }

    /// What is asked of a network, from now on.
    pub fn of(&self, network: &Network) -> watch::Receiver<Wishes> {
        self.told.of(network)
    }
}

/// What was read of all networks, and who wants to know it of one.
#[derive(Default)]
struct Told(Mutex<Telling>);

#[derive(Default)]
struct Telling {
    all: HashMap<Network, Wishes>,
    /// The offset behind the last record that it follows from.
    next: u64,
    to: HashMap<Network, watch::Sender<Wishes>>,
}

impl Told {
    fn telling(&self) -> MutexGuard<'_, Telling> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on; networks may come while the process runs.
    fn of(&self, network: &Network) -> watch::Receiver<Wishes> {
        let Telling { all, to, .. } = &mut *self.telling();
        let now = || watch::Sender::new(all.get(network).cloned().unwrap_or_default());
        to.entry(network.clone()).or_insert_with(now).subscribe()
    }

    /// What follows from the records below `next`, unless more is known already.
    fn tell(&self, wishes: HashMap<Network, Wishes>, next: u64) {
        let Telling { all, next: known, to } = &mut *self.telling();
        if next < *known {
            return;
        }
        (*all, *known) = (wishes, next);
        for (network, tell) in to {
            let now = all.get(network).cloned().unwrap_or_default();
            tell.send_if_modified(|known| {
                let news = *known != now;
                *known = now;
                news
            });
        }
    }
}

/// The reader's side.
struct Reading {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    told: Arc<Told>,
}

impl Reading {
    async fn run(self) {
        loop {
            match self.read().await {
                Ok(never) => match never {},
                Err(error) => tracing::warn!(%error, "what operators ask cannot be read; trying again"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// From the beginning on, for ever. Nothing is said before the end, as it was then, is reached: half a fold asks for what has been
    /// ended since.
    async fn read(&self) -> Result<Infallible, LogError> {
        let ends = self.log.watermarks(AT).await?;
        let mut reader = self.log.reader(&[(AT, ends.low)]).await?;
        let (mut fold, mut next, mut news) = (Fold::default(), 0, true);
        loop {
            if reader.reached(AT) >= ends.high && std::mem::take(&mut news) {
                self.told.tell(fold.wishes(), next);
            }
            match reader.poll(POLL).await? {
                Polled::Records(records) => {
                    news |= !records.is_empty();
                    next = records.last().map_or(next, |last| last.offset + 1);
                    records.iter().for_each(|record| fold.take(&self.codec, record));
                }
                Polled::OutOfRange { at, oldest, .. } => {
                    // What ended a request may be among what is gone.
                    let message = format!("{} was removed below {oldest} before it was read", at.topic);
                    return Err(LogError::new(LogErrorKind::Unavailable, message));
                }
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }
}

/// What stands under a request's key, and which network it is about as far as that is known.
#[derive(Debug, Default)]
struct Entry {
    slot: Slot<Request>,
    network: Option<Network>,
}

/// The records of `control.config`, one after the other. Holds no more than the newest of each request, of a bounded number.
#[derive(Debug, Default)]
struct Fold(BTreeMap<String, Entry>);

impl Fold {
    fn take(&mut self, codec: &Codec, record: &Record) {
        // Another kind, or no key of ours, which who reads partitions counts.
        let Some(id) = key(record).and_then(Request::id_in) else { return };
        if !Request::is_id(id) {
            return pass_over(record, &"its key names no request");
        }
        let found = judge::<ControlConfig>(codec, record).map(|found| match found {
            ControlConfig::Request(request) => Some(request),
            ControlConfig::NetworkPartition(_) => None,
        });
        if found == Found::Removed {
            self.0.remove(id);
            return;
        }
        if self.0.len() >= limits::REQUESTS && !self.0.contains_key(id) {
            tracing::error!(id, most = limits::REQUESTS, "a request is passed over: there are too many in the log");
            return;
        }
        let entry = self.0.entry(id.to_owned()).or_default();
        let named = || record.header(names::NETWORK).and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
        match &found {
            Found::Ours(request) => entry.network = Some(request.network.clone()),
            Found::Unreadable(why) => {
                entry.network = entry.network.take().or_else(named);
                tracing::error!(
                    id,
                    network = entry.network.as_ref().map(Network::as_str),
                    why,
                    "a request cannot be read"
                );
            }
            Found::Removed | Found::Foreign => {}
        }
        entry.slot.put(record, found);
    }

    fn wishes(&self) -> HashMap<Network, Wishes> {
        let mut wishes: HashMap<Network, Wishes> = HashMap::new();
        for (id, entry) in &self.0 {
            let Some(network) = &entry.network else { continue };
            if let Some(request) = entry.slot.peek() {
                wishes.entry(network.clone()).or_default().requests.push(request.clone());
            } else if let Some(problem) = entry.slot.unreadable() {
                wishes.entry(network.clone()).or_default().unreadable = Some(format!(
                    "request `{id}` cannot be read: {problem}. A newer version of this program may have written it: run that version. \
                     Nothing that was asked of this network is gone on with until then; its blocks are"
                ));
            }
        }
        for wishes in wishes.values_mut() {
            wishes.requests.sort_by(|a, b| (a.asked_at, &a.id).cmp(&(b.asked_at, &b.id)));
        }
        wishes
    }
}

#[cfg(test)]
mod tests;
