//! `providers.samples`, read into memory: what every observer last said of every endpoint, and the one item per endpoint that is made
//! of it for REST and the WebSocket.
//!
//! Guarantee: nobody who asks waits for the log or the store; of several observers the same one speaks until another has better reason
//! to ([`first`]); and who has said nothing of an endpoint for three of its periods knows it no longer, from that moment on
//! `unknown`; an endpoint that its last observer has taken out of its configuration is gone, and those who watch are told. Silence is measured from when a word was heard, by this machine's monotonic clock; only for what was there before this
//! process listened the observer's own clock counts. An endpoint that nobody has spoken of for a day is forgotten.
//!
//! Every change of an item has a number, so that a WebSocket connection that knows the number of the last one it sent gets what changed
//! since, each endpoint once: who is slow misses states in between, never the last one. That an endpoint is gone is such a change; it is
//! remembered for a day, of a bounded number of them.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use runtime::log::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition};
use schemas::{
    Network, Op, TimeMs,
    codec::Codec,
    limits,
    records::{EndpointState, ProviderSample, ProviderState, Seen},
    topics,
};
use tokio::{sync::watch, time::Instant};

use crate::{
    items::ProviderItem,
    live::{Rings, event::DataFrame},
};

/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_secs(1) };
/// Pause before a log that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Rest after records came, so that many of them are one change.
const REST: Duration = Duration::from_millis(200);
/// Who has said nothing for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);

/// An endpoint: its network and its name.
pub type Endpoint = (Network, String);

/// What is known of endpoints.
pub struct Providers {
    state: Mutex<State>,
    rings: Arc<Rings>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// By observer.
    words: BTreeMap<Endpoint, BTreeMap<String, Word>>,
    count: usize,
    shown: BTreeMap<Endpoint, Shown>,
    /// What was shown and is no more.
    gone: BTreeMap<Endpoint, Gone>,
}

/// What an observer said last.
struct Word {
    at: TimeMs,
    state: EndpointState,
    heard: Instant,
}

struct Shown {
    item: ProviderItem,
    frame: Utf8Bytes,
    change: u64,
}

/// The last change of an endpoint that is not there any more.
struct Gone {
    frame: Utf8Bytes,
    change: u64,
    at: Instant,
}

impl State {
    fn forget(&mut self, endpoint: &Endpoint, observer: &str) {
        let Some(by) = self.words.get_mut(endpoint) else { return };
        self.count -= usize::from(by.remove(observer).is_some());
        // Where nobody else speaks of it, the next look takes it away.
    }
}

impl Word {
    fn is_heard(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) <= self.state.patience()
    }

    /// When it fell silent, by its own clock.
    fn silent_since(&self) -> TimeMs {
        TimeMs(self.at.0.saturating_add(self.state.patience().as_millis().min(i64::MAX as u128) as i64))
    }
}

/// Whose word counts: first of who is heard, then of who holds the endpoint in quarantine, then of who uses it, then the newest.
fn first(words: &BTreeMap<String, Word>, now: Instant) -> Option<(&String, &Word)> {
    let rank = |word: &Word| {
        let lies = word.state.state == ProviderState::Quarantined;
        (word.is_heard(now), lies, word.state.in_use, word.at)
    };
    words.iter().max_by_key(|(_, word)| rank(word))
}

impl Providers {
    /// Nothing known yet. `rings` tell the sequence that stands in frames.
    pub fn new(rings: Arc<Rings>) -> Self {
        Self { state: Mutex::default(), rings, changes: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an endpoint of the network was ever heard of.
    pub fn knows(&self, network: &Network) -> bool {
        self.state().shown.keys().any(|(n, _)| n == network)
    }

    /// The endpoints of a network, or of all, by network and name, behind this one, and whether there are more than `limit` of them.
    pub fn items(
        &self,
        network: Option<&Network>,
        after: Option<&Endpoint>,
        limit: usize,
    ) -> (Vec<ProviderItem>, bool) {
        let state = self.state();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = state.shown.range::<Endpoint, _>((from, Bound::Unbounded));
        let mut wanted = all.filter(|((n, _), _)| network.is_none_or(|wanted| wanted == n));
        let items = wanted.by_ref().take(limit).map(|(_, shown)| shown.item.clone()).collect();
        (items, wanted.next().is_some())
    }

    /// One endpoint.
    pub fn item(&self, network: &Network, name: &str) -> Option<ProviderItem> {
        self.state().shown.get(&(network.clone(), name.to_owned())).map(|shown| shown.item.clone())
    }

    /// Tells of changes, by their number.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Frames of the endpoints that there are, where their network is wanted, and the number of the last change.
    pub fn present(&self, wanted: impl Fn(&Network) -> bool) -> (Vec<Utf8Bytes>, u64) {
        let state = self.state();
        let present = state.shown.iter().filter(|((n, _), _)| wanted(n));
        (present.map(|(_, shown)| shown.frame.clone()).collect(), *self.changes.borrow())
    }

    /// Frames of the endpoints that changed or went after this number, in that order, where their network is wanted, and the number of
    /// the last change.
    pub fn changed(&self, after: u64, wanted: impl Fn(&Network) -> bool) -> (Vec<Utf8Bytes>, u64) {
        let state = self.state();
        let shown = state.shown.iter().map(|(endpoint, shown)| (endpoint, shown.change, &shown.frame));
        let gone = state.gone.iter().map(|(endpoint, gone)| (endpoint, gone.change, &gone.frame));
        let mut changed: Vec<_> =
            shown.chain(gone).filter(|((n, _), change, _)| *change > after && wanted(n)).collect();
        changed.sort_unstable_by_key(|(_, change, _)| *change);
        (changed.into_iter().map(|(.., frame)| frame.clone()).collect(), *self.changes.borrow())
    }

    /// Takes a record in. `old`: it was there before we were.
    fn take(&self, codec: &Codec, record: &Record, old: bool) {
        let Some(value) = &record.value else { return };
        match codec.decode::<ProviderSample>(value) {
            Ok(ProviderSample { network, endpoint, at, observer, seen: Seen::State(said) }) => {
                let now = Instant::now();
                let age = Duration::from_millis(TimeMs::now().0.saturating_sub(at.0).max(0) as u64);
                let heard = if old { now.checked_sub(age).unwrap_or(now) } else { now };
                self.hear((network, endpoint), observer, Word { at, state: *said, heard });
            }
            Ok(_) => {}
            // Another program's, or of a version that this one does not know (rule 13).
            Err(error) => tracing::debug!(%error, at = ?record.from, "a sample was passed by"),
        }
    }

    fn hear(&self, endpoint: Endpoint, observer: String, word: Word) {
        let mut state = self.state();
        let known = state.words.get(&endpoint).and_then(|words| words.get(&observer));
        match known {
            // Records of one observer come in order, unless they are read again.
            Some(before) if before.at > word.at => return,
            // It was taken out of that observer's configuration.
            Some(_) if word.state.is_gone() => return state.forget(&endpoint, &observer),
            None if word.state.is_gone() => return,
            Some(_) => {}
            None if state.count >= limits::PROVIDER_STATES => {
                tracing::warn!(network = %endpoint.0, endpoint = endpoint.1, "more endpoints are told of than are remembered");
                return;
            }
            None => state.count += 1,
        }
        state.words.entry(endpoint).or_default().insert(observer, word);
    }

    /// Makes the items anew and tells of those that changed.
    fn show(&self, now: Instant) {
        let mut state = self.state();
        let State { words, count, shown, gone } = &mut *state;
        let mut change = *self.changes.borrow();
        let before = change;
        words.retain(|endpoint, by| {
            by.retain(|_, word| now.saturating_duration_since(word.heard) <= FORGOTTEN);
            let Some((observer, word)) = first(by, now) else {
                if let Some(last) = shown.remove(endpoint) {
                    change += 1;
                    let frame = self.frame(&endpoint.0, Op::Revert, &last.item);
                    gone.insert(endpoint.clone(), Gone { frame, change, at: now });
                }
                return false;
            };
            let silent_since = (!word.is_heard(now)).then(|| word.silent_since());
            let item = ProviderItem::of((&endpoint.0, &endpoint.1), (observer, word.at), &word.state, silent_since);
            if shown.get(endpoint).is_none_or(|shown| shown.item != item) {
                change += 1;
                let frame = self.frame(&endpoint.0, Op::Apply, &item);
                gone.remove(endpoint);
                shown.insert(endpoint.clone(), Shown { item, frame, change });
            }
            true
        });
        *count = words.values().map(BTreeMap::len).sum();
        gone.retain(|_, gone| now.saturating_duration_since(gone.at) <= FORGOTTEN);
        while gone.len() > limits::PROVIDER_STATES {
            let Some(oldest) = gone.iter().min_by_key(|(_, gone)| gone.change).map(|(endpoint, _)| endpoint.clone())
            else {
                break;
            };
            gone.remove(&oldest);
        }
        if change > before {
            self.changes.send_replace(change);
        }
    }

    fn frame(&self, network: &Network, op: Op, item: &ProviderItem) -> Utf8Bytes {
        let sequence = self.rings.span(network).map_or(0, |span| span.newest);
        let frame = DataFrame { r#type: "provider", network: network.as_str(), sequence, op, data: item };
        frame.text()
    }

    /// Follows the topic for ever. Whatever becomes of it ends nothing else: states grow old, and are told to be unknown.
    pub async fn follow(&self, log: &dyn Log, codec: &Codec) {
        loop {
            let ended = tokio::select! {
                ended = self.read(log, codec) => ended,
                () = self.keep_time() => Ok(()),
            };
            match ended {
                Err(error) if error.kind == LogErrorKind::Denied => {
                    tracing::warn!(%error, "samples of endpoints may not be read; trying again");
                }
                Err(error) => tracing::debug!(%error, "samples of endpoints cannot be read; trying again"),
                Ok(()) => {}
            }
            tokio::time::sleep(PAUSE).await;
            self.show(Instant::now());
        }
    }

    /// Notices silence while nothing comes, for ever.
    async fn keep_time(&self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            self.show(Instant::now());
        }
    }

    /// Reads from a little before the end of every partition on.
    async fn read(&self, log: &dyn Log, codec: &Codec) -> Result<(), LogError> {
        let topic = topics::PROVIDERS_SAMPLES.name;
        let all: Vec<_> =
            (0..log.partitions(topic).await?).map(|partition| TopicPartition { topic, partition }).collect();
        let (places, ends) = runtime::log::last(log, &all, limits::SAMPLES_READ_BACK).await?;
        let mut reader = log.reader(&places).await?;
        loop {
            match reader.poll(POLL).await? {
                Polled::Records(records) if records.is_empty() => {}
                Polled::Records(records) => {
                    for record in &records {
                        self.take(codec, record, ends.get(&record.from).is_some_and(|end| record.offset < *end));
                    }
                    self.show(Instant::now());
                    tokio::time::sleep(REST).await;
                }
                Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
