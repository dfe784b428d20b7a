//! What the writer is asked to do.

use std::sync::Arc;

use schemas::{TimeMs, topics::TopicSpec};
use tokio::sync::oneshot;

use super::{
    engine::BlobKey,
    groups::MemberId,
    stage::Part,
    state::{PartitionId, TopicState},
};
use crate::log::{LogError, TopicPartition};

/// Answer to a job.
pub type Reply<T> = oneshot::Sender<Result<T, LogError>>;

/// Positions that a member wants to store.
pub struct GroupOffsets {
    /// The group.
    pub group: Arc<str>,
    /// The member.
    pub member: MemberId,
    /// The generation in which it read what it worked up.
    pub generation: u64,
    /// Next offsets.
    pub offsets: Vec<(TopicPartition, PartitionId, u64)>,
}

/// A transaction, encoded.
pub struct Commit {
    /// Transactional id and epoch; `None` for positions alone.
    pub producer: Option<(Arc<str>, u64)>,
    /// Records.
    pub parts: Vec<Part>,
    /// Positions.
    pub offsets: Option<GroupOffsets>,
}

/// Which records of a compacted partition go; offsets rise with time.
#[derive(Debug, Clone, Copy)]
pub enum Older {
    /// Those that were written before this.
    Than(TimeMs),
    /// Those below this offset.
    Below(u64),
}

/// What the writer does.
pub enum Job {
    /// Writes a transaction.
    Commit(Commit, Reply<()>),
    /// Raises a transactional id's epoch; the answer is the new one, given when all that came before is decided.
    Fence(Arc<str>, Reply<u64>),
    /// A group's positions, when all that came before is decided.
    Positions(Arc<str>, Vec<PartitionId>, Reply<Vec<Option<u64>>>),
    /// Makes topics.
    EnsureTopics(Vec<TopicSpec>, u32, Reply<()>),
    /// Removes the oldest blobs of a partition.
    RemoveBlobs(Arc<TopicState>, Vec<BlobKey>, Reply<()>),
    /// Removes tombstones of a partition that are older than this.
    RemoveTombstones(Arc<TopicState>, u32, TimeMs, Reply<()>),
    /// Removes some of the records of a partition of a compacted topic that are older than this, the oldest first. Whether there may be more.
    RemoveAged(Arc<TopicState>, u32, Older, Reply<bool>),
    /// Writes a batch of nothing but its number.
    Mark(Reply<()>),
    /// Stops.
    Close(Reply<()>),
}

impl Job {
    /// Bytes of blobs that it adds.
    pub fn size(&self) -> u64 {
        match self {
            Self::Commit(commit, _) => commit.parts.iter().map(|p| p.blob.len() as u64).sum(),
            _ => 0,
        }
    }
}
