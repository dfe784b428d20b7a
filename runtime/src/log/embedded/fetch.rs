//! Reading a partition from a place on: from the tail cache when it holds the place, else from disk.
//!
//! Guarantee: never beyond the high watermark, never over a hole: one that retention made is out of range, any other is damage.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Shared,
    engine::ReadRange,
    state::{PartitionId, TopicState},
};
use crate::log::{LogError, PollLimits, Polled, Record, TopicPartition};

/// A place in a partition.
pub struct Cursor {
    /// The partition.
    pub at: TopicPartition,
    /// The next offset to be delivered.
    pub position: u64,
    /// Whether nothing is to be delivered for now.
    pub paused: bool,
    /// Whether the position was found to be out of range; cleared by a seek.
    lost: bool,
    topic: Arc<TopicState>,
    /// Decoded beyond what was asked for: at most a blob.
    ahead: VecDeque<Record>,
}

impl Cursor {
    /// At a place of a partition that exists.
    pub fn new(at: TopicPartition, topic: Arc<TopicState>, position: u64) -> Self {
        Self { at, position, paused: false, lost: false, topic, ahead: VecDeque::new() }
    }

    /// Moves the place.
    pub fn seek(&mut self, offset: u64) {
        self.position = offset;
        self.lost = false;
        self.ahead.clear();
    }

    fn id(&self) -> PartitionId {
        PartitionId { topic: self.topic.id, partition: self.at.partition }
    }

    fn ends(&self) -> crate::log::Watermarks {
        self.topic
            .partitions
            .get(self.at.partition as usize)
            .map(|p| p.ends())
            .unwrap_or(crate::log::Watermarks { low: 0, high: 0 })
    }

    fn is_ready(&self) -> bool {
        let ends = self.ends();
        !self.paused && !self.lost && (self.position != ends.high || !self.ahead.is_empty())
    }
}

/// Places in several partitions, served in turn.
#[derive(Default)]
pub struct Cursors {
    cursors: Vec<Cursor>,
    turn: usize,
}

impl Cursors {
    /// Over these places.
    pub fn new(cursors: Vec<Cursor>) -> Self {
        Self { cursors, turn: 0 }
    }

    /// One more.
    pub fn add(&mut self, cursor: Cursor) {
        self.cursors.push(cursor);
    }

    /// One of them, to look at.
    pub fn get(&self, at: TopicPartition) -> Option<&Cursor> {
        self.cursors.iter().find(|c| c.at == at)
    }

    /// One of them.
    pub fn get_mut(&mut self, at: TopicPartition) -> Option<&mut Cursor> {
        self.cursors.iter_mut().find(|c| c.at == at)
    }

    /// What there is now, without waiting; `None` when there is nothing. Cancel-safe: no place moves before the records are
    /// handed out.
    pub async fn take(&mut self, shared: &Arc<Shared>, limits: PollLimits) -> Result<Option<Polled>, LogError> {
        let count = self.cursors.len();
        let mut out = Vec::new();
        let mut budget = Budget { records: limits.records.max(1), bytes: limits.bytes };
        for i in 0..count {
            let index = (self.turn + i) % count;
            let cursor = &mut self.cursors[index];
            if !cursor.is_ready() {
                continue;
            }
            let ends = cursor.ends();
            if cursor.position < ends.low || cursor.position > ends.high {
                if !out.is_empty() {
                    break; // told next time, after what was taken
                }
                cursor.lost = true;
                return Ok(Some(Polled::OutOfRange { at: cursor.at, wanted: cursor.position, oldest: ends.low }));
            }
            // Waiting for the disk while holding records of other partitions would lose them if we were cancelled.
            // The cache may hold what is committed but not yet published: it ends at `ends.high` for us.
            let cached = cursor.fill_from_memory(shared, ends.high, budget.records);
            if !cached {
                if !out.is_empty() {
                    break;
                }
                let filled = cursor.fill_from_disk(shared, ends.high, budget).await;
                // What retention removed meanwhile is no damage.
                if cursor.ends().low > cursor.position {
                    cursor.ahead.clear();
                    cursor.lost = true;
                    return Ok(Some(Polled::OutOfRange {
                        at: cursor.at,
                        wanted: cursor.position,
                        oldest: cursor.ends().low,
                    }));
                }
                filled?;
            }
            cursor.drain(&mut out, &mut budget, ends.high);
            if budget.is_spent() {
                self.turn = index + 1;
                break;
            }
        }
        if out.is_empty() { Ok(None) } else { Ok(Some(Polled::Records(out))) }
    }
}

#[derive(Clone, Copy)]
struct Budget {
    records: usize,
    bytes: usize,
}

impl Budget {
    fn is_spent(self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

impl Cursor {
    /// Whether `ahead` holds something to deliver without the disk.
    fn fill_from_memory(&mut self, shared: &Shared, high: u64, records: usize) -> bool {
        if self.ahead.front().is_some_and(|r| r.offset < high) {
            return true;
        }
        self.ahead.clear();
        if self.topic.compacted {
            return false;
        }
        let batches = shared.cache.lock().unwrap_or_else(|e| e.into_inner()).from(self.id(), self.position, records);
        for batch in &batches {
            let start = batch.records.partition_point(|r| r.offset < self.position);
            let end = batch.records.partition_point(|r| r.offset < high).max(start);
            let room = records.saturating_sub(self.ahead.len());
            self.ahead
                .extend(batch.records[start..end].iter().take(room).map(|r| Record { from: self.at, ..r.clone() }));
        }
        !self.ahead.is_empty()
    }

    async fn fill_from_disk(&mut self, shared: &Arc<Shared>, high: u64, budget: Budget) -> Result<(), LogError> {
        let (id, at, compacted) = (self.id(), self.at, self.topic.compacted);
        let range = ReadRange { from: self.position, high, records: budget.records, bytes: budget.bytes };
        let shared = shared.clone();
        let read = tokio::task::spawn_blocking(move || {
            let guard = shared.engine.read().unwrap_or_else(|e| e.into_inner());
            let engine = guard.as_ref().ok_or_else(|| shared.closed_error())?;
            let read = if compacted { engine.read_compacted(id, at, range) } else { engine.read_blobs(id, at, range) };
            read.map_err(|e| e.into_log(&shared.dir))
        });
        self.ahead = read
            .await
            .map_err(|_| LogError::new(crate::log::LogErrorKind::Closed, "the runtime is shutting down"))??
            .into();
        Ok(())
    }

    /// Hands out what is decoded, as far as the budget goes, and moves the place.
    fn drain(&mut self, out: &mut Vec<Record>, budget: &mut Budget, high: u64) {
        if self.ahead.is_empty() {
            self.position = high; // of a compacted topic, which may have nothing left up to its end
            return;
        }
        while budget.records > 0 {
            let Some(bytes) = self.ahead.front().map(|r| r.value.as_ref().map_or(0, bytes::Bytes::len)) else { break };
            if bytes > budget.bytes && !out.is_empty() {
                budget.bytes = 0;
                break;
            }
            let Some(record) = self.ahead.pop_front() else { break };
            budget.records -= 1;
            budget.bytes = budget.bytes.saturating_sub(bytes);
            self.position = record.offset + 1;
            out.push(record);
            if budget.is_spent() {
                break;
            }
        }
    }
}
