//! `ingest.checkpoints`, compacted: per network its checkpoint (key `network`) and its ring of recent live blocks (keys
//! `network#slot`, slot = height mod the reorg limit). Written in the same transaction as the events they describe.

use crate::primitives::{BlockHash, Network, TimeMs};

/// A record of `ingest.checkpoints`.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckpointRecord {
    /// Under the key `network`.
    Checkpoint(Checkpoint),
    /// Under the key `network#slot`.
    Ring(RingEntry),
}

/// Where a network's watcher stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The network.
    pub network: Network,
    /// Last sequence that was written; 0 before the first.
    pub sequence: u64,
    /// Height of the live tip as published; `None` when no live block is held.
    pub tip_height: Option<u64>,
    /// Its hash.
    pub tip_hash: Option<BlockHash>,
    /// First live height ever held: a reorg below it starts again there (rule 6).
    pub first_height: Option<u64>,
    /// Highest height ever applied: depth of a reorg is counted from here (rule 7).
    pub highest_height: Option<u64>,
    /// Events of a reorg still to come (rule 4).
    pub reorg_remaining: u32,
    /// Last published safe height.
    pub safe_height: Option<u64>,
    /// Last published finalized height.
    pub finalized_height: Option<u64>,
    /// `chain_id` or its like, as the first endpoint told: a data directory is never continued on another chain.
    pub chain_id: String,
    /// Height ranges that back-fill holds (rule 5).
    pub held: Vec<HeldRange>,
    /// Whether the network stopped with a reorg deeper than the limit (rule 7).
    pub reorg_too_deep: bool,
    /// When the record was written.
    pub updated_at: TimeMs,
    /// Requests under way, in their order, and the last ones that ended (`limits::ENDED_REQUESTS`).
    pub requests: Vec<RequestProgress>,
}

/// What became of a request to the watcher ([`Request`](super::Request)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestProgress {
    /// Id of the request.
    pub id: String,
    /// What was asked.
    pub asks: Asked,
    /// How it stands.
    pub state: RequestState,
    /// What it waits for, or why it failed, in words.
    pub detail: Option<String>,
    /// Block events written for it.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Hash of the highest block that was written for it, where its heights go on directly above: the next block's parent.
    pub last_hash: Option<BlockHash>,
    /// When the state last changed.
    pub changed_at: TimeMs,
}

/// What the watcher was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To fill these heights.
    Backfill {
        /// The heights.
        heights: HeldRange,
        /// Every height of the range below this one is held.
        next: u64,
    },
    /// To accept a reorg.
    AcceptReorg,
}

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestState {
    /// Others come first.
    Queued,
    /// It is being carried out.
    Running,
    /// It is tried again and again; `detail` says what it waits for.
    Waiting,
    /// An operator made it pause.
    Paused,
    /// An operator ended it.
    Cancelled,
    /// All that was asked is done.
    Done,
    /// It can never be done; `detail` says why.
    Failed,
}

impl RequestState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Waiting, Self::Paused, Self::Cancelled, Self::Done, Self::Failed];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Whether it will never change again.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Done | Self::Failed)
    }
}

/// A range of heights, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldRange {
    /// First height.
    pub from: u64,
    /// Last height.
    pub to: u64,
}

/// One block of the ring: what a revert needs to know, so that nothing of an orphaned block is fetched again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingEntry {
    /// The network.
    pub network: Network,
    /// Height. Entries above the tip are ignored; the newest sequence per height wins.
    pub height: u64,
    /// Hash.
    pub block_hash: BlockHash,
    /// Hash of its parent.
    pub parent_hash: BlockHash,
    /// The block's time stamp.
    pub block_time: TimeMs,
    /// Sequence of the event that applied it.
    pub sequence: u64,
    /// Transactions.
    pub tx_count: u32,
    /// Logs.
    pub log_count: u32,
}
