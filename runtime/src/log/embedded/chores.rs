//! Changes of the log that are no commits: topics that are made, and what retention removes.

use std::sync::Arc;

use schemas::{TimeMs, topics::TopicSpec};

use super::{
    Shared, blob,
    engine::{self, BlobKey, offset_key, partition_key},
    job::Older,
    stage::Stage,
    state::{PartitionId, TopicRow, TopicState},
};
use crate::log::{LogError, LogErrorKind, TopicPartition};

/// Records of one partition that go by age in one step, at most.
const AGED: usize = 512;

/// Stages them, one after the other, into a batch of the writer's.
pub struct Chores<'a> {
    /// What everyone shares.
    pub shared: &'a Shared,
}

impl Chores<'_> {
    /// Makes topics, or changes their retention.
    pub fn topics(&self, specs: &[TopicSpec], chain_partitions: u32, stage: &mut Stage) -> Result<(), LogError> {
        let known = self.shared.topics.all();
        let mut next_id =
            known.iter().map(|t| t.id).chain(stage.topics.iter().map(|(_, r)| r.id)).max().unwrap_or(0) + 1;
        for spec in specs {
            if stage.topics.iter().any(|(name, _)| name == spec.name) {
                continue;
            }
            let mut row = TopicRow::new(next_id, spec, chain_partitions.max(1));
            if let Some(topic) = self.shared.topics.get(spec.name) {
                if topic.compacted != row.compacted {
                    return Err(LogError::new(
                        LogErrorKind::Invalid,
                        format!("topic {} exists with another cleanup policy, which cannot be changed", spec.name),
                    ));
                }
                let present = topic.row();
                (row.id, row.partitions) = (present.id, present.partitions);
                if row == present {
                    continue;
                }
            } else {
                next_id += 1;
            }
            let json = serde_json::to_vec(&row)
                .map_err(|e| LogError::new(LogErrorKind::Invalid, format!("topic {}: {e}", spec.name)))?;
            stage.meta.insert([b"t", spec.name.as_bytes()].concat(), json);
            stage.topics.push((spec.name.to_owned(), row));
        }
        Ok(())
    }

    /// Removes tombstones that are older than this, and what they stand for.
    pub fn tombstones(
        &self,
        topic: &Arc<TopicState>,
        partition: u32,
        before: TimeMs,
        stage: &mut Stage,
    ) -> Result<(), LogError> {
        let at = PartitionId { topic: topic.id, partition };
        let guard = self.shared.engine.read().unwrap_or_else(|e| e.into_inner());
        let engine = guard.as_ref().ok_or_else(|| self.shared.closed_error())?;
        let damaged = |e: engine::EngineReadError| e.into_log(&self.shared.dir);
        for guard in engine.compact.prefix(partition_key(b"d", at)) {
            let (key, value) = guard.into_inner().map_err(|e| damaged(e.into()))?;
            let written = value.as_ref().try_into().map(i64::from_be_bytes).unwrap_or(i64::MIN);
            let offset = key.get(9..17).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes);
            let Some(offset) = offset.filter(|_| written < before.0) else { continue };
            let record = engine
                .compact
                .get(offset_key(b"r", at, offset))
                .map_err(|e| damaged(e.into()))?
                .map(|raw| blob::decode(&raw, TopicPartition { topic: "", partition }, offset));
            if stage.compact.contains_key(key.as_ref()) {
                continue; // replaced within this very batch
            }
            if let Some(Ok(records)) = record
                && let Some(name) = records.into_iter().next().and_then(|r| r.key)
            {
                let mut index = partition_key(b"k", at);
                index.extend_from_slice(&name);
                if stage.compact.contains_key(&index) {
                    continue;
                }
                stage.compact.insert(index, None);
            }
            stage.compact.insert(offset_key(b"r", at, offset), None);
            stage.compact.insert(key.to_vec(), None);
        }
        Ok(())
    }

    /// Removes records of a compacted topic that are older than this, [`AGED`] at most: the newest of their keys, since the others are gone.
    /// Offsets rise with time, so that it ends at the first younger one. Whether there may be more.
    pub fn aged(
        &self,
        topic: &Arc<TopicState>,
        partition: u32,
        older: Older,
        stage: &mut Stage,
    ) -> Result<bool, LogError> {
        let at = PartitionId { topic: topic.id, partition };
        let guard = self.shared.engine.read().unwrap_or_else(|e| e.into_inner());
        let engine = guard.as_ref().ok_or_else(|| self.shared.closed_error())?;
        let damaged = |e: engine::EngineReadError| e.into_log(&self.shared.dir);
        let mut looked = 0;
        for guard in engine.compact.prefix(partition_key(b"r", at)).take(AGED) {
            looked += 1;
            let (key, raw) = guard.into_inner().map_err(|e| damaged(e.into()))?;
            let offset = key.get(9..17).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes);
            let Some(offset) = offset else { continue };
            if matches!(older, Older::Below(first) if offset >= first) {
                return Ok(false);
            }
            // What cannot be read is told by whoever reads it, and stays.
            let Ok(records) = blob::decode(&raw, TopicPartition { topic: "", partition }, offset) else { continue };
            let Some(record) = records.into_iter().next() else { continue };
            if matches!(older, Older::Than(before) if record.timestamp.0 >= before.0) {
                return Ok(false);
            }
            let mut index = partition_key(b"k", at);
            index.extend_from_slice(&record.key.unwrap_or_default());
            // Replaced within this very batch, which removes the record itself.
            if stage.compact.contains_key(&index) {
                continue;
            }
            stage.compact.insert(index, None);
            stage.compact.insert(key.to_vec(), None);
            stage.compact.insert(offset_key(b"d", at, offset), None);
        }
        Ok(looked == AGED)
    }

    /// Removes the oldest blobs of a partition, as far as nobody holds them: since they were chosen, a group may have gone back.
    pub fn removal(&self, topic: &Arc<TopicState>, keys: &[BlobKey], stage: &mut Stage) {
        for key in keys {
            if key.end() > self.shared.held_from(topic, key.at, &stage.positions) {
                return;
            }
            let Some(ends) = stage.ends(topic, key.at) else { continue };
            ends.low = ends.low.max(key.end());
            ends.bytes = ends.bytes.saturating_sub(u64::from(key.bytes));
            let low = ends.low;
            if let Some(partition) = topic.partitions.get(key.at.partition as usize) {
                partition.raise_low(low);
            }
            stage.removed_blobs.push(key.encode());
        }
    }
}
