//! The edge between a network's watcher and its partition's publisher: what belongs together and must not be torn.

use std::sync::Arc;

use runtime::log::NewRecord;
use schemas::{
    limits,
    records::{Checkpoint, RingEntry},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// One block event (or a finality record, or a mere checkpoint) with the checkpoint that follows from it. Position travels
/// with the data: whoever commits the records commits the checkpoint with them.
pub struct Unit {
    /// Records in order: header, then children.
    pub records: Vec<NewRecord>,
    /// Where the network stands afterwards.
    pub checkpoint: Checkpoint,
    /// The ring's new entry, on an apply.
    pub ring: Option<RingEntry>,
    /// Operation, for metrics; `None` when it is no block event.
    pub op: Option<&'static str>,
    /// Transactions of the event.
    pub transactions: u32,
    /// Whether more follows at once, so that waiting for it is worth while.
    pub more: bool,
}

impl Unit {
    /// Bytes of values.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(|r| r.value.as_ref().map_or(0, |v| v.len())).sum()
    }
}

/// A unit on its way, with its share of the queue's memory.
pub struct Queued {
    /// The unit.
    pub unit: Unit,
    /// Its bytes.
    pub bytes: usize,
    _share: OwnedSemaphorePermit,
}

/// The watcher's end: bounded in units and in bytes, so that a slow log holds watchers back.
#[derive(Clone)]
pub struct Outlet {
    queue: mpsc::Sender<Queued>,
    memory: Arc<Semaphore>,
}

/// The publisher has gone: the watcher stops too.
#[derive(Debug)]
pub struct Gone;

impl Outlet {
    /// A bounded queue.
    pub fn channel() -> (Self, mpsc::Receiver<Queued>) {
        let (queue, units) = mpsc::channel(limits::INGEST_QUEUE_EVENTS);
        (Self { queue, memory: Arc::new(Semaphore::new(limits::INGEST_QUEUE_KIB)) }, units)
    }

    /// Hands a unit over, waiting for room.
    pub async fn send(&self, unit: Unit) -> Result<(), Gone> {
        let bytes = unit.bytes();
        let share = (bytes >> 10).clamp(1, limits::INGEST_QUEUE_KIB) as u32;
        let _share = self.memory.clone().acquire_many_owned(share).await.map_err(|_| Gone)?;
        self.queue.send(Queued { unit, bytes, _share }).await.map_err(|_| Gone)
    }
}
