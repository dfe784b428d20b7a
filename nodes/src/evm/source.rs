//! EVM as a source of blocks.

use alloy_primitives::B256;
use schemas::BlockHash;

use super::types::{EvmBlock, EvmHead};
use crate::source::{Head, SourceBlock};

impl From<EvmHead> for Head {
    fn from(head: EvmHead) -> Self {
        Self { height: head.number, hash: head.hash.into(), parent: head.parent_hash.into(), time: head.time }
    }
}

impl SourceBlock for EvmBlock {
    fn head(&self) -> Head {
        self.head.into()
    }
    fn tx_count(&self) -> u32 {
        self.transactions.len() as u32
    }
    fn log_count(&self) -> u32 {
        self.log_count
    }
}

/// A hash as this family's nodes take it; `None` for what is none of theirs.
pub(super) fn hash_of(hash: &BlockHash) -> Option<B256> {
    hash.as_str().parse().ok()
}
