//! The only writer of a partition: groups units into transactions of the log.
//!
//! Guarantee: a unit's records, its checkpoint and its ring entry are in the same transaction, in the order of the queue; a
//! commit that did not certainly succeed ends the publisher, whose owner then reads the state again (rule 10). At the head
//! nothing waits; while catching up, a transaction takes what comes within the linger time, up to its limits. When the log
//! is full the same transaction is tried again until there is room: nothing is lost, nothing fetched anew.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use runtime::log::{LogError, LogErrorKind, NewRecord, Producer, Transaction};
use schemas::{
    Network, TimeMs,
    records::{Checkpoint, NetworkState, NetworkStatus, RingEntry},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{config::BatchLimits, metrics, records::Scribe, unit::Queued};

/// A network's status is written no more often than this.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How often changed statuses are looked for when nothing else is written.
const STATUS_TICK: Duration = Duration::from_millis(250);
/// Waits while the log is full.
const FULL_WAIT: Duration = Duration::from_secs(2);

/// What the publisher works with.
pub struct Publisher {
    /// Its partition.
    pub partition: u32,
    /// The partition's only producer.
    pub producer: Box<dyn Producer>,
    /// Writes records.
    pub scribe: Scribe,
    /// From the watchers.
    pub units: mpsc::Receiver<Queued>,
    /// From the watchers.
    pub statuses: Vec<StatusFeed>,
    /// When a transaction is full.
    pub limits: BatchLimits,
}

/// One network's status and when it was last written.
pub struct StatusFeed {
    /// What the watcher says.
    pub status: watch::Receiver<NetworkStatus>,
    /// What was last written.
    pub written: Option<NetworkStatus>,
    /// When.
    pub at: Option<Instant>,
}

#[derive(Default)]
struct Batch {
    records: Vec<NewRecord>,
    checkpoints: HashMap<Network, Checkpoint>,
    ring: HashMap<(Network, u64), RingEntry>,
    events: Vec<(Network, &'static str, u32)>,
    bytes: usize,
    units: usize,
    more: bool,
    queued: Vec<Queued>,
}

impl Batch {
    fn push(&mut self, mut queued: Queued) {
        let unit = &mut queued.unit;
        let network = unit.checkpoint.network.clone();
        self.records.append(&mut unit.records);
        self.events.extend(unit.op.map(|op| (network.clone(), op, unit.transactions)));
        self.more = unit.more && (self.more || self.units == 0);
        if let Some(entry) = unit.ring.take() {
            self.ring.insert((network.clone(), entry.height % schemas::limits::REORG_LIMIT_BLOCKS), entry);
        }
        self.checkpoints.insert(network, unit.checkpoint.clone());
        self.bytes += queued.bytes;
        self.units += 1;
        // Kept for its share of the queue's memory, which is free again after the commit.
        self.queued.push(queued);
    }

    fn is_full(&self, limits: &BatchLimits) -> bool {
        self.bytes >= limits.bytes || self.units >= limits.events
    }
}

impl Publisher {
    /// Publishes until cancelled, or until a commit fails.
    pub async fn run(&mut self, cancel: &CancellationToken) -> Result<(), LogError> {
        let mut tick = tokio::time::interval(STATUS_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => {
                    self.commit(Batch::default(), cancel).await?;
                    return Ok(());
                }
                unit = self.units.recv() => match unit {
                    Some(unit) => {
                        let batch = self.gather(unit).await;
                        self.commit(batch, cancel).await?;
                    }
                    None => {
                        // All watchers have stopped; their last words are still to be written.
                        tick.tick().await;
                        self.commit(Batch::default(), cancel).await?;
                    }
                },
                _ = tick.tick() => self.commit(Batch::default(), cancel).await?,
            }
        }
    }

    /// What goes into one transaction, beginning with this unit.
    async fn gather(&mut self, first: Queued) -> Batch {
        let deadline = tokio::time::Instant::now() + self.limits.linger;
        let mut batch = Batch::default();
        batch.push(first);
        while !batch.is_full(&self.limits) {
            let next = match self.units.try_recv() {
                Ok(unit) => Some(unit),
                Err(_) if batch.more => tokio::time::timeout_at(deadline, self.units.recv()).await.ok().flatten(),
                Err(_) => None,
            };
            match next {
                Some(unit) => batch.push(unit),
                None => break,
            }
        }
        batch
    }

    async fn commit(&mut self, mut batch: Batch, cancel: &CancellationToken) -> Result<(), LogError> {
        let own = |e: schemas::codec::EncodeError| LogError::new(LogErrorKind::Invalid, e.to_string());
        for checkpoint in std::mem::take(&mut batch.checkpoints).into_values() {
            batch.records.push(self.scribe.checkpoint(checkpoint).map_err(own)?);
        }
        for entry in std::mem::take(&mut batch.ring).into_values() {
            batch.records.push(self.scribe.ring(entry).map_err(own)?);
        }
        for status in due(&mut self.statuses) {
            batch.records.push(self.scribe.status(&status).map_err(own)?);
        }
        if batch.records.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.write(std::mem::take(&mut batch.records), cancel).await?;
        if !batch.events.is_empty() {
            metrics::commit(self.partition, batch.events.len(), batch.bytes, started.elapsed());
        }
        for (network, op, transactions) in &batch.events {
            metrics::event(network, op, *transactions);
        }
        Ok(())
    }

    /// Commits; waits for room when the log is full.
    async fn write(&mut self, records: Vec<NewRecord>, cancel: &CancellationToken) -> Result<(), LogError> {
        loop {
            let transaction = Transaction { records: records.clone(), offsets: None };
            match self.producer.commit(transaction).await {
                Ok(()) => return Ok(()),
                Err(e) if e.kind == LogErrorKind::Full => {
                    metrics::commit_failed(self.partition, "full");
                    tracing::error!(partition = self.partition, error = %e, "the log is full; ingest waits for room");
                    self.say_full(&e).await;
                    tokio::select! {
                        () = tokio::time::sleep(FULL_WAIT) => {}
                        () = cancel.cancelled() => return Err(e),
                    }
                }
                Err(e) => {
                    metrics::commit_failed(self.partition, "other");
                    return Err(e);
                }
            }
        }
    }

    /// Says so in the statuses, which are small and may still find room.
    async fn say_full(&mut self, error: &LogError) {
        let mut records = Vec::new();
        for feed in &mut self.statuses {
            let now = feed.status.borrow().clone();
            let detail = Some(format!("nothing can be written: {error}"));
            let status = NetworkStatus { state: NetworkState::Stalled, detail, at: TimeMs::now(), ..now };
            metrics::state(&status.network, status.state);
            records.extend(self.scribe.status(&status).ok());
            // What the watcher says is written again when there is room.
            feed.written = None;
        }
        if let Err(e) = self.producer.commit(Transaction { records, offsets: None }).await {
            tracing::debug!(error = %e, "nor can the statuses be written");
        }
    }
}

/// Statuses that changed and may be written now. A watcher that stopped leaves its last word behind.
fn due(feeds: &mut [StatusFeed]) -> Vec<NetworkStatus> {
    let mut statuses = Vec::new();
    for feed in feeds {
        let rested = feed.at.is_none_or(|at| at.elapsed() >= STATUS_EVERY);
        let now = feed.status.borrow_and_update().clone();
        if rested && feed.written.as_ref() != Some(&now) {
            feed.at = Some(Instant::now());
            feed.written = Some(now.clone());
            statuses.push(NetworkStatus { at: TimeMs::now(), ..now });
        }
    }
    statuses
}
