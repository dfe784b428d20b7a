//! The newest batches of every partition, decoded, so that consumers at the head touch neither disk nor decompressor.
//!
//! Guarantee: bounded by bytes over all partitions; the oldest batch goes first. What is cached of a partition is gapless up to
//! its end, so a hit at some offset can be read on to the end.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{super::Record, state::PartitionId};

/// Records of one commit in one partition, in offset order.
pub struct CachedBatch {
    /// The records; never empty.
    pub records: Vec<Record>,
    bytes: usize,
}

impl CachedBatch {
    /// From records in offset order.
    pub fn new(records: Vec<Record>) -> Self {
        let bytes = records.iter().map(size_in_memory).sum();
        Self { records, bytes }
    }
    fn first(&self) -> u64 {
        self.records.first().map_or(u64::MAX, |r| r.offset)
    }
    fn last(&self) -> u64 {
        self.records.last().map_or(0, |r| r.offset)
    }
}

/// What a record takes in memory, about.
fn size_in_memory(r: &Record) -> usize {
    let headers: usize = r.headers.iter().map(|(_, v)| 64 + v.len()).sum();
    128 + headers + r.key.as_ref().map_or(0, bytes::Bytes::len) + r.value.as_ref().map_or(0, bytes::Bytes::len)
}

/// The cache.
pub struct TailCache {
    limit: usize,
    used: usize,
    partitions: HashMap<PartitionId, VecDeque<Arc<CachedBatch>>>,
    /// Partitions in the order in which their batches came.
    order: VecDeque<PartitionId>,
}

impl TailCache {
    /// A cache of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, partitions: HashMap::new(), order: VecDeque::new() }
    }

    /// Adds the newest batch of a partition.
    pub fn push(&mut self, at: PartitionId, batch: CachedBatch) {
        if batch.records.is_empty() {
            return;
        }
        self.used += batch.bytes;
        self.partitions.entry(at).or_default().push_back(Arc::new(batch));
        self.order.push_back(at);
        while self.used > self.limit {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.partitions.get_mut(&oldest).and_then(VecDeque::pop_front) {
                self.used -= gone.bytes;
            }
        }
    }

    /// The batches from the one that holds `offset` on, until they hold `records` records from there; empty when `offset` is
    /// not cached.
    pub fn from(&self, at: PartitionId, offset: u64, records: usize) -> Vec<Arc<CachedBatch>> {
        let Some(batches) = self.partitions.get(&at) else { return Vec::new() };
        if batches.front().is_none_or(|b| b.first() > offset) {
            return Vec::new();
        }
        let start = batches.partition_point(|b| b.last() < offset);
        let mut out = Vec::new();
        let mut count = 0usize;
        for batch in batches.iter().skip(start) {
            let skipped = if out.is_empty() { offset.saturating_sub(batch.first()) as usize } else { 0 };
            count += batch.records.len().saturating_sub(skipped);
            out.push(batch.clone());
            if count >= records {
                break;
            }
        }
        out
    }

    /// Forgets everything, after the engine was opened anew.
    pub fn clear(&mut self) {
        self.partitions.clear();
        self.order.clear();
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use schemas::TimeMs;

    use super::*;
    use crate::log::TopicPartition;

    fn batch(offsets: std::ops::Range<u64>) -> CachedBatch {
        let from = TopicPartition { topic: "t", partition: 0 };
        CachedBatch::new(
            offsets
                .map(|offset| Record {
                    from,
                    offset,
                    timestamp: TimeMs(0),
                    key: None,
                    value: Some(vec![0; 1000].into()),
                    headers: Vec::new(),
                })
                .collect(),
        )
    }

    #[test]
    fn the_oldest_batches_go_and_the_rest_stays_gapless() {
        let a = PartitionId { topic: 1, partition: 0 };
        let mut cache = TailCache::new(50_000);
        for i in 0..20 {
            cache.push(a, batch(i * 10..i * 10 + 10));
            assert!(cache.used <= 50_000);
        }
        assert!(cache.from(a, 0, 10).is_empty(), "evicted");
        let hit = cache.from(a, 185, 100);
        assert_eq!(hit.iter().map(|b| (b.first(), b.last())).collect::<Vec<_>>(), [(180, 189), (190, 199)]);
        assert_eq!(cache.from(a, 185, 5).len(), 1);
        assert!(cache.from(a, 200, 5).is_empty(), "nothing there yet");
    }
}
