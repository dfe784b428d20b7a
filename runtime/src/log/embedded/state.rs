//! What is known in memory of topics and partitions. The writer thread is the only one that moves ends; everyone reads them.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use schemas::topics::{Cleanup, TopicSpec};

use super::super::Watermarks;

/// A partition as it is named on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// The topic's number in this directory.
    pub topic: u32,
    /// The partition.
    pub partition: u32,
}

/// What is stored of a topic.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TopicRow {
    /// Its number in this directory.
    pub id: u32,
    /// Number of partitions.
    pub partitions: u32,
    /// Whether it keeps the newest record per key instead of all for some time.
    pub compacted: bool,
    /// Age after which records may go, milliseconds.
    pub retention_ms: Option<u64>,
    /// Bytes per partition after which the oldest may go.
    pub retention_bytes: Option<u64>,
}

impl TopicRow {
    /// From a specification.
    pub fn new(id: u32, spec: &TopicSpec, chain_partitions: u32) -> Self {
        Self {
            id,
            partitions: if spec.per_network { chain_partitions } else { 1 },
            compacted: spec.cleanup == Cleanup::Compact,
            retention_ms: spec.retention.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            retention_bytes: spec.retention_bytes,
        }
    }
}

/// Ends and size of a partition. `low ≤ next` at all times as readers see it.
#[derive(Debug, Default)]
pub struct Partition {
    low: AtomicU64,
    next: AtomicU64,
    bytes: AtomicU64,
    /// Of a compacted topic: its size is measured again when so many bytes have been written.
    measured_at: AtomicU64,
}

impl Partition {
    /// With these ends.
    pub fn new(row: PartitionRow) -> Self {
        Self { low: row.low.into(), next: row.next.into(), bytes: row.bytes.into(), measured_at: 0.into() }
    }
    /// Oldest and next offset.
    pub fn ends(&self) -> Watermarks {
        // `low` first: it only rises, and never above `next`.
        let low = self.low.load(Ordering::Acquire);
        Watermarks { low, high: self.next.load(Ordering::Acquire).max(low) }
    }
    /// Bytes of its blobs; of a compacted topic all that were ever written, those that were replaced included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }
    /// Whether a compacted topic's size is to be measured.
    pub fn is_to_be_measured(&self) -> bool {
        self.bytes() >= self.measured_at.load(Ordering::Acquire)
    }
    /// It was measured; again after so many bytes more.
    pub fn measured(&self, written: u64, more: u64) {
        self.measured_at.store(written.saturating_add(more), Ordering::Release);
    }
    /// As it is to be stored.
    pub fn row(&self) -> PartitionRow {
        let ends = self.ends();
        PartitionRow { low: ends.low, next: ends.high, bytes: self.bytes() }
    }
    /// Makes committed records visible.
    pub fn publish(&self, row: PartitionRow) {
        self.bytes.store(row.bytes, Ordering::Release);
        self.next.store(row.next, Ordering::Release);
        self.low.fetch_max(row.low, Ordering::AcqRel);
    }
    /// Moves the oldest offset up, before the records below it are removed, so that no reader takes their absence for a hole.
    pub fn raise_low(&self, low: u64) {
        self.low.fetch_max(low, Ordering::AcqRel);
    }
}

/// Ends and size of a partition as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionRow {
    /// Oldest offset.
    pub low: u64,
    /// Next offset.
    pub next: u64,
    /// Bytes of blobs.
    pub bytes: u64,
}

impl PartitionRow {
    /// 24 bytes.
    pub fn encode(self) -> Vec<u8> {
        [self.low, self.next, self.bytes].iter().flat_map(|n| n.to_be_bytes()).collect()
    }
    /// The reverse; `None` when it is not 24 bytes.
    pub fn decode(raw: &[u8]) -> Option<Self> {
        let n = |i: usize| raw.get(i * 8..i * 8 + 8)?.try_into().ok().map(u64::from_be_bytes);
        (raw.len() == 24).then_some(())?;
        Some(Self { low: n(0)?, next: n(1)?, bytes: n(2)? })
    }
}

/// A topic.
#[derive(Debug)]
pub struct TopicState {
    /// Name without prefix.
    pub name: Arc<str>,
    /// Its number in this directory.
    pub id: u32,
    /// Whether it is compacted.
    pub compacted: bool,
    /// Its partitions.
    pub partitions: Vec<Partition>,
    row: RwLock<TopicRow>,
}

impl TopicState {
    /// With partitions as stored.
    pub fn new(name: &str, row: TopicRow, partitions: Vec<Partition>) -> Self {
        Self { name: name.into(), id: row.id, compacted: row.compacted, partitions, row: RwLock::new(row) }
    }
    /// As it is stored.
    pub fn row(&self) -> TopicRow {
        self.row.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
    /// Takes over new retention.
    pub fn set_row(&self, row: TopicRow) {
        *self.row.write().unwrap_or_else(|e| e.into_inner()) = row;
    }
}

/// All topics, by name.
#[derive(Debug, Default)]
pub struct Topics(RwLock<HashMap<Arc<str>, Arc<TopicState>>>);

impl Topics {
    /// One topic.
    pub fn get(&self, name: &str) -> Option<Arc<TopicState>> {
        self.0.read().unwrap_or_else(|e| e.into_inner()).get(name).cloned()
    }
    /// All of them.
    pub fn all(&self) -> Vec<Arc<TopicState>> {
        self.0.read().unwrap_or_else(|e| e.into_inner()).values().cloned().collect()
    }
    /// Adds one.
    pub fn insert(&self, topic: TopicState) {
        self.0.write().unwrap_or_else(|e| e.into_inner()).insert(topic.name.clone(), Arc::new(topic));
    }
}
