//! `metrics.windows` → `window_rows` (rule 15).
//!
//! Guarantee: what the topic says last of a window is what the store shows of it: its row has the record's sequence as version, so that a
//! replay changes nothing, and a window that a reorg corrects stands whatever is read again later. Positions move only behind what is on
//! disk, and the store says itself up to where it has windows ([`super::position`]): one that was lost, or is another one, gets them again as
//! long as the log has them. Block events never wait for it, nor it for them: it is a group, a batch and a task of its own, and whatever
//! becomes of it does not end the sink. Shown by `tests/sink/windows.rs`.
//!
//! What `[store] keep_windows` would remove at once is not written. A record that is not ours, or of a version that this one does not know,
//! is passed over and counted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::Address;
use runtime::log::{Consumer, Log, LogError, Offsets, PollLimits, Polled, Record, TopicPartition};
use schemas::{Network, TimeMs, codec::Codec, limits, records::Window, topics};
use tokio::time::sleep;

use super::{
    SinkConfig,
    aside::{Failure, LOOK, STAND_BY, memberships},
    error::WriteError,
    insert::insert_windows,
    keep::{Keeping, oldest_window},
    metrics,
    patience::Patience,
    position::Positions,
};
use crate::Store;

/// The consumer group.
pub const GROUP: &str = "sink.windows";
/// Its topic.
pub const TOPICS: [&str; 1] = [topics::METRICS_WINDOWS.name];

/// Where the store says how far it has them.
const POSITIONS: &str = "window_position_rows";
/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 4_096, bytes: 8 << 20, wait: Duration::from_millis(100) };
/// Windows of one batch, at most, and bytes of their records; a poll's more.
const BATCH: (usize, usize) = (20_000, 16 << 20);

/// Brings windows to the store.
pub(super) struct Windows {
    store: Store,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    instance: String,
    patience: Patience,
    keeping: Keeping,
    age: Duration,
}

/// Network, contract, seconds and beginning of a window.
type Key = (Network, Option<Address>, u32, i64);

/// What is written at once, with its positions.
#[derive(Default)]
struct Batch {
    /// The last word on each: the topic is full of windows that are still open.
    windows: HashMap<Key, Window>,
    bytes: usize,
    offsets: BTreeMap<TopicPartition, u64>,
    since: Option<Instant>,
}

impl Batch {
    fn is_due(&self, age: Duration) -> bool {
        self.windows.len() >= BATCH.0 || self.bytes >= BATCH.1 || self.since.is_some_and(|since| since.elapsed() >= age)
    }

    fn take(&mut self, codec: &Codec, records: &[Record], oldest: TimeMs) {
        for record in records {
            self.since.get_or_insert_with(Instant::now);
            self.offsets.insert(record.from, record.offset + 1);
            // What compaction or retention took away is no loss.
            let Some(value) = &record.value else { continue };
            let window = match codec.decode::<Window>(value) {
                Ok(window) if is_ours(&window) => window,
                Ok(_) => {
                    metrics::windows("unreadable", 1);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, at = ?record.from, offset = record.offset, "a window cannot be read");
                    metrics::windows("unreadable", 1);
                    continue;
                }
            };
            if window.window_start < oldest {
                metrics::windows("not_kept", 1);
                continue;
            }
            self.bytes += value.len();
            let key = (window.network.clone(), window.contract, window.window_seconds, window.window_start.0);
            let newer = |held: &Window| held.sequence > window.sequence;
            if !self.windows.get(&key).is_some_and(newer) {
                self.windows.insert(key, window);
            }
        }
    }
}

/// Whether the table can have it.
fn is_ours(window: &Window) -> bool {
    limits::windows::SECONDS.contains(&window.window_seconds)
        && (0..limits::BLOCK_TIME_END_MS).contains(&window.window_start.0)
}

impl Windows {
    pub fn new(store: Store, log: Arc<dyn Log>, codec: Arc<Codec>, config: &SinkConfig, patience: Patience) -> Self {
        let (keeping, age) = (config.keep.clone(), config.windows_age);
        Self { store, log, codec, instance: config.instance.clone(), patience, keeping, age }
    }

    /// Until it is dropped, or the stage is told to stop.
    pub async fn run(self) {
        memberships("windows", || self.member()).await;
    }

    /// One membership of the group.
    async fn member(&self) -> Result<(), Failure> {
        let mut consumer = self.log.consumer(GROUP, &self.instance, &TOPICS).await?;
        let mut held = Held::default();
        let mut positions = Positions::of(POSITIONS);
        let mut batch = Batch::default();
        loop {
            let polled = consumer.poll(POLL).await?;
            self.follow(&mut *consumer, &mut held, &mut batch, polled).await?;
            if !held.unplaced.is_empty() {
                self.place(&mut *consumer, &mut held, &positions).await?;
            }
            if !batch.is_due(self.age) {
                // What was told too soon after the last time is told now.
                self.tell(&mut positions).await;
                continue;
            }
            let mut next = Batch::default();
            {
                let write = self.write(&batch);
                tokio::pin!(write);
                loop {
                    tokio::select! {
                        biased;
                        written = &mut write => break written?,
                        () = sleep(STAND_BY) => {
                            // The group is served, and brings nothing more.
                            consumer.pause(&held.all())?;
                            let polled = consumer.poll(PollLimits { wait: LOOK, ..POLL }).await?;
                            self.follow(&mut *consumer, &mut held, &mut next, polled).await?;
                        }
                    }
                }
            }
            consumer.resume(&held.placed())?;
            // Positions of what went to others meanwhile are theirs to move.
            let ours: Offsets = batch.offsets.into_iter().filter(|(at, _)| held.placed.contains(at)).collect();
            if !ours.is_empty() {
                positions.reached(&ours);
                consumer.commit(ours).await?;
            }
            self.tell(&mut positions).await;
            batch = next;
        }
    }

    async fn follow(
        &self,
        consumer: &mut dyn Consumer,
        held: &mut Held,
        batch: &mut Batch,
        polled: Polled,
    ) -> Result<(), LogError> {
        match polled {
            Polled::Records(records) => batch.take(&self.codec, &records, self.oldest()),
            Polled::Assigned(assigned) => {
                // Nothing is read before it is known from where.
                let new: Vec<TopicPartition> = assigned.iter().map(|(at, _)| *at).collect();
                consumer.pause(&new)?;
                held.unplaced.extend(assigned);
            }
            Polled::Revoked(gone) => {
                held.placed.retain(|at| !gone.contains(at));
                held.unplaced.retain(|at, _| !gone.contains(at));
                batch.offsets.retain(|at, _| !gone.contains(at));
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                // From the beginning is asked for where the store says nothing.
                metrics::windows("overtaken", if wanted == 0 { 0 } else { oldest.saturating_sub(wanted) as usize });
                consumer.seek(at, oldest).await?;
            }
        }
        Ok(())
    }

    /// Goes to where both the group and the store have everything before: what lies behind is not in the store, or may not be.
    async fn place(&self, consumer: &mut dyn Consumer, held: &mut Held, positions: &Positions) -> Result<(), Failure> {
        let told = self.patience.again(|| positions.read(&self.store)).await?;
        for (at, group) in std::mem::take(&mut held.unplaced) {
            let offset = told.get(&at.partition).copied().unwrap_or(0).min(group.unwrap_or(0));
            consumer.seek(at, offset).await?;
            consumer.resume(&[at])?;
            held.placed.insert(at);
        }
        Ok(())
    }

    /// Rows of a batch, again until they are on disk.
    async fn write(&self, batch: &Batch) -> Result<(), WriteError> {
        // In the order of the key, so that a second try writes the same bytes.
        let mut windows: Vec<&Window> = batch.windows.values().collect();
        windows.sort_by(|a, b| {
            let key = |w: &'_ Window| (w.contract, w.window_seconds, w.window_start);
            a.network.as_str().cmp(b.network.as_str()).then_with(|| key(a).cmp(&key(b)))
        });
        self.patience.again(|| insert_windows(&self.store, &windows)).await?;
        metrics::windows("written", windows.len());
        Ok(())
    }

    async fn tell(&self, positions: &mut Positions) {
        // One of them is enough, and the next may take it along: a lower one than is true only has some read twice.
        if let Err(error) = positions.tell(&self.store, &self.instance).await {
            tracing::debug!(%error, "the store is not told now where its windows stand");
        }
    }

    fn oldest(&self) -> TimeMs {
        self.keeping.now().windows.map_or(TimeMs(i64::MIN), |keep| oldest_window(TimeMs::now(), keep))
    }
}

/// Partitions that are ours.
#[derive(Default)]
struct Held {
    /// That are read.
    placed: BTreeSet<TopicPartition>,
    /// That wait for the store's word on where, with the group's.
    unplaced: BTreeMap<TopicPartition, Option<u64>>,
}

impl Held {
    fn placed(&self) -> Vec<TopicPartition> {
        self.placed.iter().copied().collect()
    }

    fn all(&self) -> Vec<TopicPartition> {
        self.placed.iter().chain(self.unplaced.keys()).copied().collect()
    }
}
