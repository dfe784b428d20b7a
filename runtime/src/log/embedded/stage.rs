//! One batch in the making: what several commits write, with offsets given out, not yet on disk and not yet visible.

use std::{collections::HashMap, sync::Arc};

use schemas::TimeMs;

use super::{
    super::{LogError, NewRecord, Record, TopicPartition},
    blob,
    cache::CachedBatch,
    engine::{BlobKey, Engine, EngineReadError, offset_key, partition_key, position_key},
    state::{PartitionId, PartitionRow, TopicRow, TopicState},
};

/// Records of one transaction for one partition, encoded by the caller before it queued up.
pub struct Part {
    /// The topic.
    pub topic: Arc<TopicState>,
    /// The partition.
    pub at: TopicPartition,
    /// The blob, without its time.
    pub blob: Vec<u8>,
    /// The same records, for the tail cache; on compacted topics exactly one.
    pub records: Vec<NewRecord>,
}

impl Part {
    fn id(&self) -> PartitionId {
        PartitionId { topic: self.topic.id, partition: self.at.partition }
    }
}

/// A batch in the making. Every key stands in it once: the engine gives all of a batch the same sequence number.
#[derive(Default)]
pub struct Stage {
    /// Blobs to add.
    pub blobs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Blob keys to remove.
    pub removed_blobs: Vec<Vec<u8>>,
    /// Rows of `compact` to set or remove.
    pub compact: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// Rows of `meta` to set.
    pub meta: HashMap<Vec<u8>, Vec<u8>>,
    /// Ends to publish.
    pub ends: HashMap<PartitionId, (Arc<TopicState>, PartitionRow)>,
    /// Batches for the tail cache, in commit order.
    pub cached: Vec<(PartitionId, CachedBatch)>,
    /// Group positions to publish.
    pub positions: Vec<(String, PartitionId, u64)>,
    /// Topics to make or change.
    pub topics: Vec<(String, TopicRow)>,
    /// Bytes of blobs to add.
    pub bytes: u64,
    /// Whether the batch is written although there is nothing in it.
    pub mark: bool,
    /// Why nothing of this batch may be written.
    pub failed: Option<LogError>,
}

impl Stage {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let lists = self.blobs.is_empty() && self.removed_blobs.is_empty();
        lists && self.compact.is_empty() && self.meta.is_empty() && !self.mark
    }

    /// The present ends of a partition within this batch, to be changed.
    pub fn ends(&mut self, topic: &Arc<TopicState>, at: PartitionId) -> Option<&mut PartitionRow> {
        let row = topic.partitions.get(at.partition as usize)?.row();
        Some(&mut self.ends.entry(at).or_insert_with(|| (topic.clone(), row)).1)
    }

    /// Adds the records of one transaction for one partition.
    pub fn add(&mut self, mut part: Part, now: TimeMs, engine: &Engine) -> Result<(), EngineReadError> {
        let id = part.id();
        let count = part.records.len() as u64;
        let bytes = part.blob.len() as u64;
        let Some(ends) = self.ends(&part.topic, id) else { return Ok(()) };
        let base = ends.next;
        ends.next += count;
        ends.bytes += bytes;
        self.bytes += bytes;
        blob::stamp(&mut part.blob, now);
        if part.topic.compacted {
            return self.add_keyed(part, base, now, engine);
        }
        let key = BlobKey { at: id, base, written_at: now, bytes: bytes as u32, records: count as u32 };
        self.blobs.push((key.encode(), part.blob));
        let records = part.records.into_iter().enumerate().map(|(i, r)| Record {
            from: r.to,
            offset: base + i as u64,
            timestamp: now,
            key: r.key,
            value: r.value,
            headers: r.headers,
        });
        self.cached.push((id, CachedBatch::new(records.collect())));
        Ok(())
    }

    /// A record of a compacted topic takes the place of the older one with its key.
    fn add_keyed(&mut self, part: Part, offset: u64, now: TimeMs, engine: &Engine) -> Result<(), EngineReadError> {
        let id = part.id();
        for record in part.records {
            let mut index = partition_key(b"k", id);
            index.extend_from_slice(record.key.as_deref().unwrap_or_default());
            let older = match self.compact.get(&index) {
                Some(Some(raw)) => raw.as_slice().try_into().ok().map(u64::from_be_bytes),
                Some(None) => None,
                None => engine.newest_of_key(&index)?,
            };
            if let Some(older) = older {
                self.compact.insert(offset_key(b"r", id, older), None);
                self.compact.insert(offset_key(b"d", id, older), None);
            }
            self.compact.insert(index, Some(offset.to_be_bytes().to_vec()));
            if record.value.is_none() {
                self.compact.insert(offset_key(b"d", id, offset), Some(now.0.to_be_bytes().to_vec()));
            }
        }
        self.compact.insert(offset_key(b"r", id, offset), Some(part.blob));
        Ok(())
    }

    /// Adds a group's position.
    pub fn position(&mut self, group: &str, at: PartitionId, offset: u64) {
        self.meta.insert(position_key(group, at), offset.to_be_bytes().to_vec());
        self.positions.push((group.to_owned(), at, offset));
    }

    /// Writes the batch into the engine's, with its number.
    pub fn fill(&mut self, engine: &Engine, batch: &mut fjall::OwnedWriteBatch, number: u64) {
        for (at, (_, row)) in &self.ends {
            self.meta.insert(partition_key(b"p", *at), row.encode());
        }
        self.meta.insert(b"n".to_vec(), number.to_be_bytes().to_vec());
        for (key, blob) in std::mem::take(&mut self.blobs) {
            batch.insert(&engine.blobs, key, blob);
        }
        for key in std::mem::take(&mut self.removed_blobs) {
            batch.remove(&engine.blobs, key);
        }
        for (key, value) in std::mem::take(&mut self.compact) {
            match value {
                Some(value) => batch.insert(&engine.compact, key, value),
                None => batch.remove(&engine.compact, key),
            }
        }
        for (key, value) in std::mem::take(&mut self.meta) {
            batch.insert(&engine.meta, key, value);
        }
    }
}
