//! What a node gives, once it is believed.

use alloy_primitives::B256;
use schemas::{
    TimeMs,
    records::{EvmHeader, EvmTransaction},
};

/// A head: as much of a header as following the chain takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvmHead {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Parent's hash.
    pub parent_hash: B256,
    /// Its time stamp.
    pub time: TimeMs,
}

/// A block with its transactions and receipts, believed.
#[derive(Debug, Clone, PartialEq)]
pub struct EvmBlock {
    /// Place in the chain.
    pub head: EvmHead,
    /// The rest of the header.
    pub header: EvmHeader,
    /// Transactions with receipts and logs, in order.
    pub transactions: Vec<EvmTransaction>,
    /// Number of logs, those of no transaction included: more than the transactions have is a gap that the ledger shows.
    pub log_count: u32,
}
