//! The reading half: events from the log, checked, gathered into the next batch.
//!
//! Guarantee: a batch's offsets lie behind its last event and behind everything that was passed over before it, so that
//! committing them after the write loses nothing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use futures::{StreamExt, TryStreamExt, stream};
use runtime::log::{TopicPartition, events};
use schemas::{Envelope, Network, Op, TimeMs, codec::Codec, records::DeadLetter};

use super::{
    SinkConfig,
    batch::Event,
    beat,
    decode::{self, decode},
    guard::{Guard, Verdict},
    metrics,
    patience::Patience,
    status::{State, StatusRow},
    write::WriteError,
};
use crate::Store;

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
        self.rows = self.events.iter().map(Event::rows).sum();
    }
}

/// Networks that are looked up in the store at the same time.
const MEET_AT_ONCE: usize = 8;

/// Checks events and gathers them.
pub(super) struct Reader {
    config: SinkConfig,
    store: Store,
    codec: Arc<Codec>,
    patience: Patience,
    guards: HashMap<Network, (u32, Guard)>,
    /// Partitions that were read again from their beginning.
    pub rewound: HashSet<u32>,
    pub batch: Batch,
}

impl Reader {
    pub fn new(config: SinkConfig, store: Store, codec: Arc<Codec>, patience: Patience) -> Self {
        let (guards, rewound) = (HashMap::new(), HashSet::new());
        Self { config, store, codec, patience, guards, rewound, batch: Batch::default() }
    }

    /// Forgets everything about these partitions.
    pub fn forget(&mut self, partitions: &[u32]) {
        self.guards.retain(|_, (partition, _)| !partitions.contains(partition));
        self.batch.drop_partitions(partitions);
        self.batch.fresh = true;
    }

    /// Forgets everything that is not in the store.
    pub fn forget_all(&mut self) {
        self.guards.clear();
        self.batch = Batch { fresh: true, ..Batch::default() };
    }

    /// Takes events in. Returns the partition that has to be read from its beginning first, if there is one: then nothing
    /// from the event in question on was taken in.
    pub async fn take(&mut self, assembled: Vec<events::Event>) -> Result<Option<u32>, WriteError> {
        self.meet(&assembled).await?;
        for event in assembled {
            let (partition, next, bytes) = (event.partition, event.next.clone(), event.bytes());
            let foreign: Vec<DeadLetter> = event.foreign.iter().map(decode::foreign).collect();
            if event.meta.op != Op::Finality && !self.take_one(event, bytes).await? {
                return Ok(Some(partition));
            }
            self.batch.dead.extend(foreign);
            self.batch.since.get_or_insert_with(Instant::now);
            self.batch.offsets.extend(next);
        }
        Ok(None)
    }

    /// Reads what the store knows of the networks that are new here.
    async fn meet(&mut self, assembled: &[events::Event]) -> Result<(), WriteError> {
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

    /// `false` when the event's partition has to be read from its beginning first.
    async fn take_one(&mut self, assembled: events::Event, bytes: usize) -> Result<bool, WriteError> {
        let (network, partition) = (assembled.meta.network.clone(), assembled.partition);
        let decoded = match decode(&self.codec, &assembled) {
            Ok(decoded) => decoded,
            Err(error) => {
                let message = format!(
                    "the header record of sequence {} (partition {partition}, offset {}) cannot be read: {error}. A newer \
                     version of this program may have written it.",
                    assembled.meta.sequence, assembled.header.offset
                );
                self.halt(&network, partition, State::Unreadable, message);
                return Ok(true);
            }
        };
        let envelope = &decoded.event.block.envelope;
        match self.check(partition, envelope).await? {
            Verdict::Write => {
                self.running(&network);
                self.batch.bytes += bytes;
                self.batch.rows += decoded.event.rows();
                self.batch.dead.extend(decoded.dead);
                self.batch.partitions.push(partition);
                self.batch.events.push(decoded.event);
            }
            Verdict::Held => {
                self.running(&network);
                metrics::replayed();
            }
            Verdict::Halted => metrics::passed_over(network.as_str()),
            Verdict::Halt(state, message) => self.halt(&network, partition, state, message),
            Verdict::Rewind => return Ok(false),
        }
        Ok(true)
    }

    async fn check(&mut self, partition: u32, e: &Envelope) -> Result<Verdict, WriteError> {
        let rewound = self.rewound.contains(&partition);
        let (store, patience) = (&self.store, &self.patience);
        let Some((_, guard)) = self.guards.get_mut(&e.network) else { return Ok(Verdict::Halted) };
        if let Some(from) = guard.wants_page(e) {
            let page = patience.again(|| Guard::read_page(store, &e.network, from, guard.page_end(from))).await?;
            guard.set_page(from, page);
        }
        Ok(guard.decide(e, rewound))
    }

    fn running(&mut self, network: &Network) {
        let Some((partition, guard)) = self.guards.get_mut(network) else { return };
        beat::running(&self.config.board, *partition, network);
        if guard.recorded.replace(State::Running) != Some(State::Running) {
            self.batch.statuses.push(status(network, State::Running, String::new()));
        }
        self.config.status.set(network, State::Running, "");
    }

    /// Halts a network: its later events are passed over.
    pub fn halt(&mut self, network: &Network, partition: u32, state: State, message: String) {
        tracing::error!(%network, state = state.as_str(), "the network is halted: {message}");
        metrics::halted(network.as_str(), true);
        self.config.status.set(network, state, &message);
        beat::halted(&self.config.board, partition, network, state, &message);
        let (_, guard) = self.guards.entry(network.clone()).or_insert_with(|| (partition, Guard::default()));
        guard.halt(state);
        self.batch.statuses.push(status(network, state, message));
    }
}

fn status(network: &Network, state: State, message: String) -> StatusRow {
    StatusRow { network: network.as_str().into(), family: "evm", state: state.as_str(), message, at: TimeMs::now() }
}
