//! The edge between a network's watcher and its partition's publisher: what belongs together and must not be torn.

use std::{convert::Infallible, sync::Arc};

use runtime::log::NewRecord;
use schemas::{
    limits,
    records::{Checkpoint, RingEntry},
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc};

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
    /// A place of what is fetched beside the stream, free again after the commit.
    pub place: Option<OwnedSemaphorePermit>,
}

impl Unit {
    /// A mere checkpoint.
    pub fn of(checkpoint: Checkpoint) -> Self {
        Self { records: Vec::new(), checkpoint, ring: None, op: None, transactions: 0, more: false, place: None }
    }

    /// Bytes of values.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(|r| r.value.as_ref().map_or(0, |v| v.len())).sum()
    }
}

/// A unit on its way, with its share of the queues' memory.
pub struct Queued {
    /// The unit.
    pub unit: Unit,
    /// Its bytes.
    pub bytes: usize,
    _share: Share,
    _on_its_way: Option<mpsc::Sender<Infallible>>,
}

/// Tells when nothing is on its way any more.
pub struct Drained(mpsc::Receiver<Infallible>);

impl Drained {
    /// Waits until whoever sends has gone, and all that was sent is committed, or was dropped.
    pub async fn wait(&mut self) {
        let None = self.0.recv().await;
    }
}

/// What the queues of all partitions of a process hold together, beyond a little that is each one's own: many networks that catch up
/// at once share it, and one that stands still keeps no other from going on.
#[derive(Clone)]
pub struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(limits::INGEST_SHARED_KIB)))
    }
}

/// The watcher's end: bounded in units and in bytes, so that a slow log holds watchers back.
#[derive(Clone)]
pub struct Outlet {
    queue: mpsc::Sender<Queued>,
    own: Arc<Semaphore>,
    of_partition: Arc<Semaphore>,
    of_process: Arc<Semaphore>,
    /// Goes with each unit, where somebody wants to know when the last has arrived.
    on_its_way: Option<mpsc::Sender<Infallible>>,
}

/// The publisher has gone: the watcher stops too.
#[derive(Debug)]
pub struct Gone;

impl Outlet {
    /// A bounded queue that shares memory with those of other partitions.
    pub fn channel(memory: &Memory) -> (Self, mpsc::Receiver<Queued>) {
        let (queue, units) = mpsc::channel(limits::INGEST_QUEUE_EVENTS);
        let kib = |n| Arc::new(Semaphore::new(n));
        let (own, of_partition) = (kib(limits::INGEST_QUEUE_OWN_KIB), kib(limits::INGEST_QUEUE_KIB));
        (Self { queue, own, of_partition, of_process: memory.0.clone(), on_its_way: None }, units)
    }

    /// An end of the same queue for one of several, and how to know when all that came by it has arrived.
    pub fn of_one(&self) -> (Self, Drained) {
        let (on_its_way, drained) = mpsc::channel(1);
        (Self { on_its_way: Some(on_its_way), ..self.clone() }, Drained(drained))
    }

    /// Hands a unit over, waiting for room.
    pub async fn send(&self, unit: Unit) -> Result<(), Gone> {
        let bytes = unit.bytes();
        let _share = self.share(bytes >> 10).await.map_err(|_| Gone)?;
        let _on_its_way = self.on_its_way.clone();
        self.queue.send(Queued { unit, bytes, _share, _on_its_way }).await.map_err(|_| Gone)
    }

    /// Room of the partition's own, which a unit of any size may have to itself, or of what all share: whichever is free first.
    async fn share(&self, kib: usize) -> Result<Share, AcquireError> {
        let share = |most: usize| kib.clamp(1, most) as u32;
        let shared = async {
            let here = self.of_partition.clone().acquire_many_owned(share(limits::INGEST_QUEUE_KIB)).await?;
            let there = self.of_process.clone().acquire_many_owned(share(limits::INGEST_QUEUE_KIB)).await?;
            Ok(Share { _first: here, _second: Some(there) })
        };
        tokio::select! {
            biased;
            own = self.own.clone().acquire_many_owned(share(limits::INGEST_QUEUE_OWN_KIB)) => {
                Ok(Share { _first: own?, _second: None })
            }
            shared = shared => shared,
        }
    }
}

/// Room that is taken, free again when it is dropped.
struct Share {
    _first: OwnedSemaphorePermit,
    _second: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use runtime::log::{NewRecord, TopicPartition};

    use super::*;

    static ZEROS: [u8; 5 << 20] = [0; 5 << 20];

    fn unit(bytes: usize) -> Unit {
        let to = TopicPartition { topic: schemas::topics::RAW_BLOCKS.name, partition: 0 };
        let value = bytes::Bytes::from_static(&ZEROS[..bytes]);
        let record = NewRecord { to, key: None, value: Some(value), headers: Vec::new() };
        let checkpoint = Checkpoint {
            network: "n".parse().expect("a slug"),
            sequence: 1,
            tip_height: None,
            tip_hash: None,
            first_height: None,
            highest_height: None,
            reorg_remaining: 0,
            safe_height: None,
            finalized_height: None,
            chain_id: "1".into(),
            held: Vec::new(),
            reorg_too_deep: false,
            updated_at: schemas::TimeMs(0),
            requests: Vec::new(),
        };
        Unit { records: vec![record], ..Unit::of(checkpoint) }
    }

    /// Sends until there is no room.
    async fn fill(outlet: &Outlet, bytes: usize) -> usize {
        let mut sent = 0;
        while let Ok(done) = at_once(outlet.send(unit(bytes))).await {
            done.expect("open");
            sent += bytes;
        }
        sent
    }

    /// What a future gives without waiting.
    async fn at_once<T>(future: impl Future<Output = T>) -> Result<T, ()> {
        tokio::select! { biased; done = future => Ok(done), () = std::future::ready(()) => Err(()) }
    }

    #[tokio::test]
    async fn one_of_several_is_drained_when_its_last_unit_is_done_with() {
        let (outlet, mut units) = Outlet::channel(&Memory::default());
        let (one, mut drained) = outlet.of_one();
        one.send(unit(10)).await.expect("open");
        outlet.send(unit(10)).await.expect("open");
        drop(one);
        let first = units.recv().await.expect("it came");
        assert!(at_once(drained.wait()).await.is_err(), "it is not committed yet");
        drop(first);
        drained.wait().await;
        assert!(units.recv().await.is_some(), "others' are their own");
    }

    #[tokio::test]
    async fn queues_are_bounded_together_and_none_starves() {
        const EACH: usize = 1 << 20;
        let memory = Memory::default();
        let queues: Vec<_> = (0..50).map(|_| Outlet::channel(&memory)).collect();
        let mut held = 0;
        for (outlet, _) in &queues {
            held += fill(outlet, EACH).await;
        }
        let most = (limits::INGEST_SHARED_KIB + 50 * limits::INGEST_QUEUE_OWN_KIB) << 10;
        assert!(held <= most && held > most - 50 * EACH, "{} MiB", held >> 20);
        // A partition that comes late, while others stand still, goes on all the same, a large block included.
        let (late, mut units) = Outlet::channel(&memory);
        for _ in 0..3 {
            late.send(unit(5 << 20)).await.expect("open");
            units.recv().await.expect("it came");
        }
        assert!(at_once(queues[0].0.send(unit(EACH))).await.is_err(), "the others wait");
    }
}
