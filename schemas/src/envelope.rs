//! What every chain record carries: where it stands in its network's order, and what it does to the chain (rule 3).

use crate::primitives::{BlockHash, Network, Op, Origin, TimeMs};

/// The envelope of a header record (`raw.blocks`, `enriched.blocks`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The network; also the record's key.
    pub network: Network,
    /// The network's total order: 1, 2, 3 … without a gap, one number per block event.
    pub sequence: u64,
    /// What the event does.
    pub op: Op,
    /// Live or back-fill.
    pub origin: Origin,
    /// Block height (number, ledger sequence).
    pub height: u64,
    /// The block's hash.
    pub block_hash: BlockHash,
    /// Its parent's hash.
    pub parent_hash: BlockHash,
    /// The block's own time stamp.
    pub block_time: TimeMs,
    /// When we first saw the block.
    pub observed_at: TimeMs,
    /// Highest height that the chain calls safe, when it says so.
    pub safe_height: Option<u64>,
    /// Highest final height, when the chain says so.
    pub finalized_height: Option<u64>,
    /// Number of transaction records under this sequence. 0 on reverts and finality.
    pub tx_count: u32,
    /// Number of logs in these transactions. 0 on reverts and finality.
    pub log_count: u32,
    /// On a revert: the sequence of the event that it undoes.
    pub reverts_sequence: Option<u64>,
    /// Events of the present reorg that are still to come; 0 outside one. It may rise within a reorg.
    pub reorg_remaining: u32,
}

impl Envelope {
    /// The part that the records of the block's transactions carry.
    pub fn child(&self) -> ChildEnvelope {
        ChildEnvelope {
            network: self.network.clone(),
            sequence: self.sequence,
            op: self.op,
            height: self.height,
            block_hash: self.block_hash.clone(),
            block_time: self.block_time,
            observed_at: self.observed_at,
        }
    }

    /// Whether this header is a block event (applies and reverts are, finality is not).
    pub fn is_event(&self) -> bool {
        self.op != Op::Finality
    }

    /// Number of records that topics of children hold for this event: `tx_count` on an apply, one on a revert.
    pub fn child_records(&self) -> u32 {
        match self.op {
            Op::Apply => self.tx_count,
            Op::Revert => 1,
            Op::Finality => 0,
        }
    }
}

/// The envelope of a child record (`raw.transactions`, `enriched.transactions`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildEnvelope {
    /// The network; also the record's key.
    pub network: Network,
    /// The sequence of the block event that this record belongs to.
    pub sequence: u64,
    /// Apply, or revert (then the record has no payload).
    pub op: Op,
    /// Height of the block.
    pub height: u64,
    /// Hash of the block.
    pub block_hash: BlockHash,
    /// The block's time stamp.
    pub block_time: TimeMs,
    /// When we first saw the block.
    pub observed_at: TimeMs,
}
