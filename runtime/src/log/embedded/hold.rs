//! What retention leaves alone: records that a group of ours has still to read (rule 12).
//!
//! Guarantee: of a topic that such a group reads, nothing at or above its stored position goes, and everything stays while it has
//! none. Only the groups that the log was opened for count ([`super::EmbeddedConfig::readers`]): a stage that does not run here,
//! and whoever looks on from outside, holds nothing. Records that a member passed over, since their network is halted, go
//! like those that it has worked off; its position stays before them, so that a later version may read them while they are there.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use schemas::topics::ReadingGroup;

use super::{
    Shared,
    state::{Partition, PartitionId, TopicState},
};

/// Positions that are staged: group, partition, next offset, in their order.
pub type Staged = [(String, PartitionId, u64)];

/// Who holds what.
#[derive(Default)]
pub struct Holds {
    readers: Vec<ReadingGroup>,
    /// By group and partition: from which position on up to which offset all was passed over.
    passed: Mutex<HashMap<(String, PartitionId), (u64, u64)>>,
}

impl Holds {
    /// For these groups.
    pub fn new(readers: Vec<ReadingGroup>) -> Self {
        Self { readers, passed: Mutex::default() }
    }

    /// Whether a group of ours reads the topic.
    pub fn is_read(&self, topic: &str) -> bool {
        self.readers_of(topic).next().is_some()
    }

    /// Whether the group is one of ours.
    pub fn is_reader(&self, group: &str) -> bool {
        self.readers.iter().any(|r| r.group == group)
    }

    /// Whether there is any such group.
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    fn readers_of(&self, topic: &str) -> impl Iterator<Item = &ReadingGroup> {
        self.readers.iter().filter(move |r| r.topics.iter().any(|t| t.name == topic))
    }

    /// A member passed over everything from `from` up to `to`: it will never ask for it again in this membership.
    pub fn passed_over(&self, group: &str, at: PartitionId, from: u64, to: u64) {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).insert((group.to_owned(), at), (from, to));
    }

    /// A new member begins at its stored position: nothing is passed over any more.
    pub fn begins(&self, group: &str, at: &[PartitionId]) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.retain(|(g, p), _| g != group || !at.contains(p));
    }

    /// Where a group really stands, its stored position being this.
    fn reached(&self, group: &str, at: PartitionId, position: u64) -> u64 {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        match passed.get(&(group.to_owned(), at)) {
            // What was handed out before may not be worked off yet.
            Some((from, to)) if position >= *from => position.max(*to),
            _ => position,
        }
    }
}

impl Shared {
    /// The offset from which on a partition is held; `u64::MAX` when nobody holds anything. Positions that are about to be
    /// written count too: one may go back.
    pub fn held_from(&self, topic: &TopicState, at: PartitionId, staged: &Staged) -> u64 {
        let stands = |reader: &ReadingGroup| {
            let last = staged.iter().rev().find(|(group, p, _)| group == reader.group && *p == at).map(|s| s.2);
            let position = last.or_else(|| self.positions_of(reader.group, &[at])[0]).unwrap_or(0);
            self.holds.reached(reader.group, at, position)
        };
        self.holds.readers_of(&topic.name).map(stands).min().unwrap_or(u64::MAX)
    }

    /// Bytes of all blobs of all partitions.
    pub fn bytes(&self) -> u64 {
        self.topics.all().iter().map(|t| t.partitions.iter().map(Partition::bytes).sum::<u64>()).sum()
    }

    /// Which group keeps the log from getting smaller, in words; `None` when none does.
    pub fn waits_for(&self) -> Option<String> {
        let behind = |reader: &ReadingGroup| {
            let (mut records, mut bytes) = (0, 0);
            for topic in reader.topics.iter().filter_map(|t| self.topics.get(t.name)) {
                for (partition, n) in topic.partitions.iter().zip(0..) {
                    let at = PartitionId { topic: topic.id, partition: n };
                    let position = self.positions_of(reader.group, &[at])[0].unwrap_or(0);
                    let ends = partition.ends();
                    let unread = ends.high.saturating_sub(self.holds.reached(reader.group, at, position).max(ends.low));
                    records += unread;
                    // Its share of the partition, by number.
                    bytes += (u128::from(partition.bytes()) * u128::from(unread)
                        / u128::from((ends.high - ends.low).max(1))) as u64;
                }
            }
            (bytes, records, *reader)
        };
        let (bytes, records, reader) = self.holds.readers.iter().map(behind).max_by_key(|(bytes, ..)| *bytes)?;
        // A group that reads along is always a little behind.
        (records > 0 && bytes >= self.bytes() / 8).then(|| {
            let (group, cause) = (reader.group, reader.usual_cause);
            format!(
                "waiting for {group}, which has {records} records, about {} MiB, still to read: {cause}",
                bytes >> 20
            )
        })
    }
}
