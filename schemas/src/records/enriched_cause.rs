//! `enriched.causes`, keyed `network/block_hash/transaction_index`: why a transaction failed, found by a second look (rule 14). Written by
//! the stage `causes` only, one final record for every failed transaction of an applied block; a block that is applied again gets its own.

use alloy_primitives::{Address, B256, Bytes, FixedBytes};

use crate::primitives::{BlockHash, Network, TimeMs};

/// Why a transaction failed, and by what that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrichedCause {
    /// Its network.
    pub network: Network,
    /// The block event that applied its block.
    pub sequence: u64,
    /// The block's height.
    pub height: u64,
    /// The block: all evidence is of it, never of another one.
    pub block_hash: BlockHash,
    /// The time in its header.
    pub block_time: TimeMs,
    /// Position in the block.
    pub transaction_index: u32,
    /// The transaction.
    pub transaction_hash: B256,
    /// 1 to 254: of two records of the same event and transaction the higher one stands.
    pub revision: u8,
    /// Its class, one word.
    pub cause: String,
    /// A sentence for people, at most [`crate::limits::causes::REASON_BYTES`].
    pub reason: String,
    /// Which row of the table of causes matched.
    pub rule: Option<String>,
    /// The best evidence that there was.
    pub found_by: CauseEvidence,
    /// Whether the evidence is not of the very transaction: a call at the parent's state, or another one of its group.
    pub approximate: bool,
    /// The transaction's sender.
    pub from_address: Option<Address>,
    /// The transaction's receiver; `None` when it creates a contract.
    pub contract: Option<Address>,
    /// Selector of the called function.
    pub method: Option<FixedBytes<4>>,
    /// Whose code the outermost frame ran.
    pub entry: Option<Address>,
    /// Whose code the deepest frame ran that failed for this.
    pub frame_address: Option<Address>,
    /// Calls above that frame; 0 is the transaction itself.
    pub frame_depth: Option<u16>,
    /// The node's own words of that frame, cleaned.
    pub error: Option<String>,
    /// The first four bytes that it gave back.
    pub error_selector: Option<FixedBytes<4>>,
    /// Signature of the error with names, where it is known.
    pub error_signature: Option<String>,
    /// JSON object of its arguments by name.
    pub error_arguments: Option<String>,
    /// The first [`crate::limits::causes::OUTPUT_BYTES`] that it gave back.
    pub output: Bytes,
    /// JSON of the calls on the way to that frame and beside it, at most [`crate::limits::causes::CALLS_BYTES`].
    pub calls: Option<String>,
    /// What it was counted with, where many failed the same way.
    pub group: Option<String>,
    /// When it was decided, by the stage's clock.
    pub found_at: TimeMs,
}

impl EnrichedCause {
    /// The key of a transaction's cause.
    pub fn key_of(network: &Network, block_hash: &BlockHash, transaction_index: u32) -> String {
        format!("{network}/{block_hash}/{transaction_index}")
    }
}

words! {
    /// What a cause was found by, the best evidence that there was.
    CauseEvidence, "evidence of a cause" {
        /// The receipt alone.
        Receipt = "receipt",
        /// A trace of this transaction in this block.
        Trace = "trace",
        /// `eth_call` at the state of the block's parent.
        Call = "call",
        /// Nothing was asked for: others that failed the same way were looked at.
        Budget = "budget",
    }
}

#[expect(clippy::derivable_impls, reason = "the words are made by a macro")]
impl Default for CauseEvidence {
    fn default() -> Self {
        Self::Receipt
    }
}
