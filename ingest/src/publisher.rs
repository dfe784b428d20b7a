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

use runtime::{
    beat::Board,
    log::{LogError, LogErrorKind, NewRecord, Producer, Transaction},
};
use schemas::{
    Network,
    records::{Checkpoint, NetworkState, RingEntry},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    config::BatchLimits,
    metrics,
    records::Scribe,
    status::{Published, published},
    unit::Queued,
};

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
    /// Where it says how far it is, and why it does not get on.
    pub board: Board,
    /// When a transaction is full.
    pub limits: BatchLimits,
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
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                unit = self.units.recv() => match unit {
                    Some(unit) => {
                        let batch = self.gather(unit).await;
                        self.commit(batch, cancel).await?;
                    }
                    // All watchers have stopped, and said why.
                    None => {
                        cancel.cancelled().await;
                        return Ok(());
                    }
                },
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
        let mut ends = Vec::with_capacity(batch.checkpoints.len());
        for (network, checkpoint) in std::mem::take(&mut batch.checkpoints) {
            let tip = checkpoint.tip_height;
            let entry =
                tip.and_then(|tip| batch.ring.get(&(network.clone(), tip % schemas::limits::REORG_LIMIT_BLOCKS)));
            let block_time = entry.filter(|e| Some(e.height) == tip).map(|e| e.block_time);
            ends.push((network, Published { sequence: checkpoint.sequence, height: tip, block_time }));
            batch.records.push(self.scribe.checkpoint(checkpoint).map_err(own)?);
        }
        for entry in std::mem::take(&mut batch.ring).into_values() {
            batch.records.push(self.scribe.ring(entry).map_err(own)?);
        }
        let started = Instant::now();
        self.write(std::mem::take(&mut batch.records), cancel).await?;
        if !batch.events.is_empty() {
            metrics::commit(self.partition, batch.events.len(), batch.bytes, started.elapsed());
        }
        for (network, op, transactions) in &batch.events {
            metrics::event(network, op, *transactions);
        }
        ends.into_iter().for_each(|(network, at)| published(&self.board, self.partition, &network, at));
        Ok(())
    }

    /// Commits; waits for room when the log is full.
    async fn write(&mut self, records: Vec<NewRecord>, cancel: &CancellationToken) -> Result<(), LogError> {
        loop {
            let transaction = Transaction { records: records.clone(), offsets: None };
            match self.producer.commit(transaction).await {
                Ok(()) => {
                    self.board.blocked(self.partition, None);
                    return Ok(());
                }
                Err(e) if e.kind == LogErrorKind::Full => {
                    metrics::commit_failed(self.partition, "full");
                    tracing::error!(partition = self.partition, error = %e, "the log is full; ingest waits for room");
                    for (network, partition) in self.board.networks() {
                        if partition == self.partition {
                            metrics::state(&network, NetworkState::Stalled);
                        }
                    }
                    self.board.blocked(self.partition, Some(format!("nothing can be written: {e}")));
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
}
