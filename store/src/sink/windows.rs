//! `metrics.windows` → `window_rows` (rule 15).
//!
//! Guarantee: what the topic says last of a window is what the store shows of it: its row has the record's sequence as version, so that a
//! replay changes nothing, and a window that a reorg corrects stands whatever is read again later. Positions move only behind what is on
//! disk, and the store says itself up to where it has windows ([`super::position`]): one that was lost, or is another one, gets them again as
//! long as the log has them. Block events never wait for it, nor it for them: it is a group, a batch and a task of its own, and whatever
//! becomes of it does not end the sink; that it fails is said ([`Busy::fails`]). Shown by `tests/sink/windows.rs`.
//!
//! Of a network whose log is not the one that the store was written from (`log_replaced`, rule 11) nothing is written: another log counts its
//! events anew. Its windows are read again when that is over, since the position stays before them. What comes in the moment before the sink
//! finds out is not told apart.
//!
//! What `[store] keep_windows` would remove at once is not written. A record that is not ours, or of a version that this one does not know,
//! is passed over and counted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::Address;
use runtime::log::{Consumer, Log, LogError, LogErrorKind, Offsets, PollLimits, Polled, Record, TopicPartition};
use schemas::{Network, TimeMs, codec::Codec, limits, records::Window, topics};
use tokio::time::sleep;

use super::{
    SinkConfig, SinkStatus, State,
    aside::{Failure, Health, Held, STAND_BY, memberships, serve},
    beat::Busy,
    error::WriteError,
    insert::insert_windows,
    keep::{Keeping, oldest_window},
    metrics,
    patience::Patience,
    position::Positions,
};
use crate::{Store, StoreError};

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
    status: SinkStatus,
    health: Health,
}

/// Network, contract, seconds and beginning of a window.
type Key = (Network, Option<Address>, u32, i64);

/// Where something of each network stands.
type Stuck = BTreeMap<Network, (TopicPartition, u64)>;

/// What is written at once, with its positions.
#[derive(Default)]
struct Batch {
    /// The last word on each: the topic is full of windows that are still open.
    windows: HashMap<Key, Window>,
    bytes: usize,
    offsets: BTreeMap<TopicPartition, u64>,
    /// Where the first window of each network stands.
    first: Stuck,
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
            if !self.first.contains_key(&window.network) {
                self.first.insert(window.network.clone(), (record.from, record.offset));
            }
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
    pub fn new(
        store: Store,
        log: Arc<dyn Log>,
        codec: Arc<Codec>,
        config: &SinkConfig,
        patience: Patience,
        busy: Busy,
    ) -> Self {
        let (keeping, age) = (config.keep.clone(), config.windows_age);
        let (instance, status) = (config.instance.clone(), config.status.clone());
        let health = Health::new("windows", busy, config.windows_patience);
        Self { store, log, codec, instance, patience, keeping, age, status, health }
    }

    /// Until it is dropped, or the stage is told to stop.
    pub async fn run(self) {
        let this = &self;
        let member = move || async move {
            let ended = this.member().await;
            match &ended {
                // Where nobody makes windows there is nothing to be had.
                Err(Failure::Log(error)) if error.kind == LogErrorKind::NoTopic => {}
                Err(failure) => this.fails(failure),
                Ok(()) => {}
            }
            ended
        };
        memberships("windows", member).await;
    }

    /// It did not work, or has not for a while.
    fn fails(&self, why: &dyn Display) {
        if self.health.fails_for_long() {
            let words = format!(
                "windows do not get into the store: {why}. Blocks and transactions do; figures are added up from them meanwhile"
            );
            self.health.say(words);
        }
    }

    /// One membership of the group.
    async fn member(&self) -> Result<(), Failure> {
        let mut consumer = self.log.consumer(GROUP, &self.instance, &TOPICS).await?;
        let mut held = Held::default();
        let mut positions = Positions::of(POSITIONS);
        let mut batch = Batch::default();
        let joined = Instant::now();
        // The first windows that were not written, of networks whose log was replaced.
        let mut stuck = Stuck::new();
        loop {
            let polled = consumer.poll(POLL).await?;
            self.follow(&mut *consumer, &mut held, &mut batch, polled).await?;
            if !held.unplaced.is_empty() {
                self.place(&mut *consumer, &mut held, &positions).await?;
            }
            if !batch.is_due(self.age) {
                if batch.since.is_none() {
                    self.health.idle(joined);
                }
                // What was told too soon after the last time is told now.
                self.tell(&mut positions).await;
                continue;
            }
            let mut next = Batch::default();
            let replaced = {
                let write = self.write(&batch);
                tokio::pin!(write);
                loop {
                    tokio::select! {
                        biased;
                        written = &mut write => break written?,
                        () = sleep(STAND_BY) => {
                            self.fails(&"the store has not taken them yet");
                            let polled = serve(&mut *consumer, &held.all(), POLL).await?;
                            self.follow(&mut *consumer, &mut held, &mut next, polled).await?;
                        }
                    }
                }
            };
            self.health.works();
            consumer.resume(&held.placed())?;
            for (network, first) in batch.first.into_iter().filter(|(network, _)| replaced.contains(network)) {
                stuck.entry(network).or_insert(first);
            }
            stuck.retain(|_, (at, _)| held.placed.contains(at));
            // Positions of what went to others meanwhile are theirs to move; none passes what is to be read again.
            let ours = batch.offsets.into_iter().filter(|(at, _)| held.placed.contains(at));
            let ours: Offsets =
                ours.map(|(at, offset)| (at, before(&stuck, at).map_or(offset, |o| o.min(offset)))).collect();
            if !ours.is_empty() {
                positions.reached(&ours);
                consumer.commit(ours).await?;
            }
            self.tell(&mut positions).await;
            let mended: BTreeSet<TopicPartition> =
                stuck.iter().filter(|(network, _)| !replaced.contains(*network)).map(|(_, (at, _))| *at).collect();
            for at in mended {
                if let Some(offset) = before(&stuck, at) {
                    consumer.seek(at, offset).await?;
                    next.offsets.remove(&at);
                    stuck.retain(|_, (of, _)| *of != at);
                }
            }
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
            Polled::Assigned(assigned) => held.assigned(consumer, assigned)?,
            Polled::Revoked(gone) => {
                held.revoked(&gone);
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

    /// Begins with those that wait for the store's word.
    async fn place(&self, consumer: &mut dyn Consumer, held: &mut Held, positions: &Positions) -> Result<(), Failure> {
        let told = self.patience.again(|| positions.read(&self.store)).await?;
        let of_topic = |partition| TopicPartition { topic: topics::METRICS_WINDOWS.name, partition };
        let told = told.into_iter().map(|(partition, offset)| (of_topic(partition), offset)).collect();
        Ok(held.place(consumer, &told).await?)
    }

    /// Rows of a batch, again until they are on disk, but for those of networks whose log was replaced, which are given.
    async fn write(&self, batch: &Batch) -> Result<HashSet<Network>, WriteError> {
        // In the order of the key, so that a second try writes the same bytes.
        let replaced = self.patience.again(|| self.replaced()).await?;
        let mut windows: Vec<&Window> = batch.windows.values().filter(|w| !replaced.contains(&w.network)).collect();
        metrics::windows("log_replaced", batch.windows.len() - windows.len());
        if windows.is_empty() {
            return Ok(replaced);
        }
        windows.sort_by(|a, b| {
            let key = |w: &'_ Window| (w.contract, w.window_seconds, w.window_start);
            a.network.as_str().cmp(b.network.as_str()).then_with(|| key(a).cmp(&key(b)))
        });
        self.patience.again(|| insert_windows(&self.store, &windows)).await?;
        metrics::windows("written", windows.len());
        Ok(replaced)
    }

    /// Networks whose log is not the one that the store was written from, by this process's word and by the store's.
    async fn replaced(&self) -> Result<HashSet<Network>, StoreError> {
        let sql = "SELECT network FROM sink_status_rows FINAL WHERE state = 'log_replaced'";
        let told = self.store.within("reading which logs were replaced", self.store.read(sql).fetch_all::<String>());
        let ours = self.status.networks().into_iter().filter(|(_, status)| status.state == State::LogReplaced);
        let told = told.await?.into_iter().filter_map(|slug| slug.parse().ok());
        Ok(told.chain(ours.map(|(network, _)| network)).collect())
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

/// The lowest of these places in a partition.
fn before(stuck: &Stuck, at: TopicPartition) -> Option<u64> {
    stuck.values().filter(|(of, _)| *of == at).map(|(_, offset)| *offset).min()
}
