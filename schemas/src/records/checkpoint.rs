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
