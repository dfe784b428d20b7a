//! The reading half: events from the log, checked, gathered into the next batch.
//!
//! Guarantee: a batch's offsets lie behind its last event and behind everything that was passed over before it, so that
//! committing them after the write loses nothing. Why a network is halted is remembered for as long as the process runs, with the
//! sequence that it lacks: whoever leads its partition back here learns it without reading anything again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use futures::{StreamExt, TryStreamExt, stream};
use runtime::{
    control::Follower,
    log::{
        TopicPartition,
        events::{self, Halt},
    },
};
use schemas::{Envelope, Family, Network, Op, TimeMs, codec::Codec, records::DeadLetter};

use super::{
    SinkConfig,
    batch::Event,
    beat,
    behind::{Behind, Wanted},
    decode,
    error::WriteError,
    family::family_of,
    guard::{Guard, Verdict},
    metrics,
    patience::Patience,
    status::State,
    write::Refused,
};
use crate::{Store, StoreError, rows::StatusRow};

/// What is written at once, with its position (rule: position travels inside the batch).
#[derive(Default)]
pub(super) struct Batch {
    pub events: Vec<Event>,
    /// Partition of each event.
    partitions: Vec<u32>,
    pub offsets: BTreeMap<TopicPartition, u64>,
    pub statuses: Vec<StatusRow>,
    pub dead: Vec<DeadLetter>,
    /// Whether another member may have written since the last batch.
    pub fresh: bool,
    pub rows: usize,
    bytes: usize,
    since: Option<Instant>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.offsets.is_empty() && self.statuses.is_empty()
    }

    /// Whether nothing more should go in.
    pub fn is_full(&self, config: &SinkConfig) -> bool {
        self.rows >= config.batch_rows || self.bytes >= config.batch_bytes
    }

    /// Whether it has waited long enough for more.
    pub fn is_due(&self, config: &SinkConfig) -> bool {
        self.is_full(config) || self.since.is_some_and(|s| s.elapsed() >= config.batch_age)
    }

    fn drop_partitions(&mut self, gone: &[u32]) {
        self.offsets.retain(|at, _| !gone.contains(&at.partition));
        let mut keep = self.partitions.iter().map(|p| !gone.contains(p)).collect::<Vec<_>>().into_iter();
        self.events.retain(|_| keep.next().unwrap_or(false));
        self.partitions.retain(|p| !gone.contains(p));
        self.dead.retain(|letter| !gone.contains(&letter.source_partition));
        self.rows = self.events.iter().map(Event::rows).sum();
    }

    fn drop_network(&mut self, network: &Network) {
        let mut keep = self.events.iter().map(|e| e.network() != network).collect::<Vec<_>>().into_iter();
        self.partitions.retain(|_| keep.next().unwrap_or(false));
        self.events.retain(|e| e.network() != network);
        self.dead.retain(|letter| letter.network.as_ref() != Some(network));
        self.rows = self.events.iter().map(Event::rows).sum();
    }
}

/// Networks that are looked up in the store at the same time.
const MEET_AT_ONCE: usize = 8;

/// Which reading events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The group's.
    Group,
    /// The second reading of a network that is behind.
    Second,
}

/// Why a network is halted.
struct Remembered {
    /// The sequence that its store lacks.
    missing: u64,
    state: State,
    message: String,
    since: Instant,
    /// Whether it is tried again just now: it stays halted in what is told until that went well.
    trying: bool,
    /// The highest sequence that was passed over since; 0: none.
    passed: u64,
}

/// Checks events and gathers them.
pub(super) struct Reader {
    config: SinkConfig,
    store: Store,
    codec: Arc<Codec>,
    patience: Patience,
    /// What operators ask.
    pub requests: Follower,
    guards: HashMap<Network, (u32, Guard)>,
    halts: HashMap<Network, Remembered>,
    pub behind: Behind,
    pub batch: Batch,
}

impl Reader {
    pub fn new(config: SinkConfig, store: Store, codec: Arc<Codec>, patience: Patience, requests: Follower) -> Self {
        Self {
            config,
            store,
            codec,
            patience,
            requests,
            guards: HashMap::new(),
            halts: HashMap::new(),
            behind: Behind::default(),
            batch: Batch::default(),
        }
    }

    /// Forgets everything about these partitions but why their networks were halted.
    pub fn forget(&mut self, partitions: &[u32]) {
        let gone = |network: &Network| self.guards.get(network).is_some_and(|(p, _)| partitions.contains(p));
        let gone: Vec<String> = self.guards.keys().filter(|n| gone(n)).map(|n| n.as_str().to_owned()).collect();
        self.batch.statuses.retain(|s| !gone.contains(&s.network));
        self.guards.retain(|_, (partition, _)| !partitions.contains(partition));
        self.behind.forget(partitions);
        self.batch.drop_partitions(partitions);
        self.batch.fresh = true;
    }

    /// Forgets everything that is not in the store but why networks were halted.
    pub fn forget_all(&mut self) {
        self.guards.clear();
        self.behind = Behind::default();
        self.batch = Batch { fresh: true, ..Batch::default() };
    }

    /// Takes events in.
    pub async fn take(&mut self, assembled: Vec<events::Event>, source: Source) -> Result<(), WriteError> {
        self.meet(&assembled).await?;
        for event in assembled {
            let (partition, next) = (event.partition, event.next.clone());
            let foreign: Vec<DeadLetter> = event.foreign.iter().map(decode::foreign).collect();
            if event.meta.op != Op::Finality {
                self.take_one(event, source).await?;
            }
            self.batch.dead.extend(foreign);
            self.batch.since.get_or_insert_with(Instant::now);
            // Where the second reading stands says nothing of the group's position.
            if source == Source::Group {
                self.batch.offsets.extend(self.behind.reached(partition, next));
            }
        }
        Ok(())
    }

    /// Reads what the store knows of the networks that are new here, or have rested long enough.
    async fn meet(&mut self, assembled: &[events::Event]) -> Result<(), WriteError> {
        for event in assembled {
            let network = &event.meta.network;
            let rested = |r: &&mut Remembered| {
                r.state == State::Refused && !r.trying && r.since.elapsed() >= self.config.refused_rests
            };
            if let Some(remembered) = self.halts.get_mut(network).filter(rested) {
                remembered.trying = true;
                self.guards.remove(network);
            }
        }
        let new: BTreeMap<&Network, u32> = assembled
            .iter()
            .filter(|e| e.meta.op != Op::Finality && !self.guards.contains_key(&e.meta.network))
            .map(|e| (&e.meta.network, e.partition))
            .collect();
        let (store, patience) = (&self.store, &self.patience);
        let load = |(network, partition): (&Network, u32)| {
            let network = network.clone();
            async move {
                let guard = patience.again(|| Guard::load(store, &network)).await?;
                Ok::<_, WriteError>((network, (partition, guard)))
            }
        };
        let loads: Vec<_> = new.into_iter().map(load).collect();
        let met: Vec<_> = stream::iter(loads).buffer_unordered(MEET_AT_ONCE).try_collect().await?;
        self.guards.extend(met);
        Ok(())
    }

    async fn take_one(&mut self, assembled: events::Event, source: Source) -> Result<(), WriteError> {
        let (network, partition, sequence) =
            (assembled.meta.network.clone(), assembled.partition, assembled.meta.sequence);
        let Some((_, guard)) = self.guards.get(&network) else { return Ok(()) };
        if guard.is_halted() {
            metrics::passed_over(network.as_str());
            if let Some(remembered) = self.halts.get_mut(&network) {
                remembered.passed = remembered.passed.max(sequence);
            }
            return Ok(());
        }
        // It comes again by the second reading.
        if source == Source::Group && sequence > guard.next() && self.behind.has(&network) {
            self.behind.pass_over(&network, sequence);
            return Ok(());
        }
        let block = match decode::header(&self.codec, &assembled) {
            Ok(block) => block,
            Err(error) => {
                let message = format!(
                    "the header record of sequence {sequence} (partition {partition}, offset {}) cannot be read: {error}. A newer \
                     version of this program may have written it.",
                    assembled.header.offset
                );
                self.halt(&network, partition, State::Unreadable, message);
                return Ok(());
            }
        };
        if let Some((_, guard)) = self.guards.get_mut(&network) {
            guard.family = Some(family_of(&block.envelope.block_hash));
        }
        let mut verdict = self.check(&block.envelope).await?;
        if let Verdict::Missing(from) = verdict
            && self.give_up(&network, from)
        {
            verdict = self.check(&block.envelope).await?;
        }
        let next = self.guards.get(&network).map_or(0, |(_, guard)| guard.next());
        let goes_on = matches!(verdict, Verdict::Write | Verdict::Held);
        let met = goes_on && (source == Source::Group || self.behind.meets(&network, next));
        let broken = if met { self.no_longer_behind(&network) } else { None };
        match verdict {
            Verdict::Write => {
                self.running(&network);
                let bytes = assembled.bytes();
                let decoded = decode::children(&self.codec, &assembled, block);
                self.batch.bytes += bytes;
                self.batch.rows += decoded.event.rows();
                self.batch.dead.extend(decoded.dead);
                self.batch.partitions.push(partition);
                self.batch.events.push(decoded.event);
            }
            Verdict::Held => {
                if source == Source::Group {
                    self.running(&network);
                }
                metrics::replayed();
            }
            Verdict::Halted => metrics::passed_over(network.as_str()),
            Verdict::Halt(state, message) => self.halt(&network, partition, state, message),
            Verdict::Missing(from) => match self.halts.get(&network).filter(|r| r.missing == from && !r.trying) {
                Some(r) => {
                    let (state, message) = (r.state, r.message.clone());
                    self.halt(&network, partition, state, message);
                }
                None => self.behind.add(Wanted { network: network.clone(), partition, from }, sequence),
            },
        }
        if let Some(why) = broken {
            self.break_off(&network, partition, why);
        }
        Ok(())
    }

    /// Jumps over what operators have given up of a network from exactly this sequence on. False when that is nothing.
    fn give_up(&mut self, network: &Network, from: u64) -> bool {
        let known = self.requests.known();
        let Some((next, id)) = known.behind_gap(network, from) else { return false };
        let Some((_, guard)) = self.guards.get_mut(network) else { return false };
        tracing::warn!(%network, id, from, next, "the network goes on behind what was given up");
        guard.give_up(next - 1);
        true
    }

    /// Networks that are halted since records are gone, and their partitions.
    pub fn overtaken(&self) -> Vec<(Network, u32)> {
        let is_overtaken = |n: &Network| self.halts.get(n).is_some_and(|r| r.state == State::Overtaken);
        let halted = self.guards.iter().filter(|(n, (_, guard))| guard.is_halted() && is_overtaken(n));
        halted.map(|(network, (partition, _))| (network.clone(), *partition)).collect()
    }

    /// The sequence that a network wants next, where the store was asked.
    pub fn wants(&self, network: &Network) -> Option<u64> {
        self.guards.get(network).filter(|(_, guard)| guard.is_met()).map(|(_, guard)| guard.next())
    }

    /// Whether operators have given up what a network wants next.
    pub fn is_given_up(&self, network: &Network) -> bool {
        self.wants(network).is_some_and(|next| self.requests.known().behind_gap(network, next).is_some())
    }

    /// Asks the store, once, where a network stands that was halted before that was known. It stays halted.
    pub async fn look_up(&mut self, network: &Network, partition: u32) -> Result<(), StoreError> {
        let mut guard = Guard::load(&self.store, network).await?;
        guard.halt(State::Overtaken);
        if let Some(remembered) = self.halts.get_mut(network) {
            remembered.missing = guard.next();
        }
        self.guards.insert(network.clone(), (partition, guard));
        Ok(())
    }

    /// A network goes on from where operators have given up what it lacks; `passed`: what the group has passed over of it meanwhile,
    /// which is read again. False when nothing was given up.
    pub fn go_on(&mut self, network: &Network, partition: u32, passed: Option<u64>) -> bool {
        let Some(from) = self.wants(network) else { return false };
        if !self.give_up(network, from) {
            return false;
        }
        let remembered = self.halts.remove(network).map_or(0, |r| r.passed);
        let passed = passed.unwrap_or(0).max(remembered);
        if let Some(next) = self.wants(network).filter(|next| passed >= *next) {
            self.behind.add(Wanted { network: network.clone(), partition, from: next }, passed);
        }
        true
    }

    /// A network that is behind jumps over what operators have given up of it, and is wanted from there on. False when nothing was given up.
    pub fn goes_on_behind(&mut self, network: &Network, partition: u32) -> bool {
        let Some(from) = self.wants(network) else { return false };
        if !self.give_up(network, from) {
            return false;
        }
        if let Some(next) = self.wants(network) {
            self.behind.from(network, next);
            // All that the group passed over was given up, too.
            let broken = if self.behind.meets(network, next) { self.no_longer_behind(network) } else { None };
            if let Some(why) = broken {
                self.break_off(network, partition, why);
            }
        }
        true
    }

    async fn check(&mut self, e: &Envelope) -> Result<Verdict, WriteError> {
        let (store, patience) = (&self.store, &self.patience);
        let Some((_, guard)) = self.guards.get_mut(&e.network) else { return Ok(Verdict::Halted) };
        if let Some(from) = guard.wants_page(e) {
            let page = patience.again(|| Guard::read_page(store, &e.network, from, guard.page_end(from))).await?;
            guard.set_page(from, page);
        }
        Ok(guard.decide(e))
    }

    /// What was tried again and is on disk by now is halted no more.
    pub fn confirm(&mut self) {
        let done = |(n, r): (&Network, &Remembered)| {
            (r.trying && self.config.status.sequence(n) >= r.missing).then(|| n.clone())
        };
        let done: Vec<Network> = self.halts.iter().filter_map(done).collect();
        for network in done {
            self.halts.remove(&network);
            self.running(&network);
        }
    }

    fn running(&mut self, network: &Network) {
        if self.halts.get(network).is_some_and(|r| r.trying) {
            return;
        }
        let Some((partition, guard)) = self.guards.get_mut(network) else { return };
        beat::running(&self.config.board, *partition, network);
        let family = guard.family;
        if guard.recorded.replace(State::Running) != Some(State::Running) {
            self.batch.statuses.push(status(network, family, State::Running, String::new()));
            self.halts.remove(network);
            metrics::halted(network.as_str(), false);
        }
        self.config.status.set(network, State::Running, "");
    }

    /// Returns why the group brings nothing more of it.
    fn no_longer_behind(&mut self, network: &Network) -> Option<Halt> {
        if !self.behind.has(network) {
            return None;
        }
        let (offsets, broken) = self.behind.done(network);
        self.batch.offsets.extend(offsets);
        broken
    }

    /// A network's records break off: nothing more of it comes. `false` when it is behind, and halts when it has caught up.
    pub fn break_off(&mut self, network: &Network, partition: u32, why: Halt) -> bool {
        if self.behind.has(network) {
            self.behind.breaks_off(network, why);
            return false;
        }
        let state = State::of(why);
        self.halt(network, partition, state, format!("{why}. {}", state.advice(network)));
        true
    }

    /// Halts a network: its later events are passed over.
    pub fn halt(&mut self, network: &Network, partition: u32, state: State, message: String) {
        tracing::error!(%network, state = state.as_str(), "the network is halted: {message}");
        metrics::halted(network.as_str(), true);
        self.config.status.set(network, state, &message);
        beat::halted(&self.config.board, partition, network, state, &message);
        let (_, guard) = self.guards.entry(network.clone()).or_insert_with(|| (partition, Guard::default()));
        guard.halt(state);
        let (missing, family) = (guard.next(), guard.family);
        if self.halts.get(network).is_none_or(|r| (r.missing, r.state) != (missing, state)) {
            let remembered = Remembered {
                missing,
                state,
                message: message.clone(),
                since: Instant::now(),
                trying: false,
                passed: 0,
            };
            self.halts.insert(network.clone(), remembered);
        }
        // While it was behind, events were passed over as well.
        if let Some(remembered) = self.halts.get_mut(network) {
            remembered.passed = remembered.passed.max(self.behind.passed(network));
        }
        self.no_longer_behind(network);
        self.batch.statuses.push(status(network, family, state, message));
    }

    /// Halts a network of which the store refused a block, with all that was gathered of it since.
    pub fn refuse(&mut self, refused: Refused) {
        let Refused { network, sequence, height, why } = refused;
        let message = format!(
            "the store takes everything but block {height} (sequence {sequence}) of this network: {why}. {}",
            State::Refused.advice(&network)
        );
        self.batch.drop_network(&network);
        // Somebody else's by now, when it is not known here any more.
        if let Some((partition, guard)) = self.guards.get_mut(&network) {
            guard.refused(sequence);
            let partition = *partition;
            self.halts.remove(&network);
            self.halt(&network, partition, State::Refused, message);
        }
    }
}

/// `family`: where nothing has told it, as all networks were before there was a second family.
fn status(network: &Network, family: Option<Family>, state: State, message: String) -> StatusRow {
    let family = family.unwrap_or(Family::Evm).as_str();
    StatusRow { network: network.as_str().into(), family, state: state.as_str(), message, at: TimeMs::now() }
}
