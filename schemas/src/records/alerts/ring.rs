//! `alerts.ring`, compacted, keyed `network/sequence`: what each block event that is not final gave, so that a revert takes back exactly
//! that, whatever was edited since (rule 29). Written by the group `alerts.match`, in the transaction of what it gave.

use crate::primitives::{BlockHash, Network};

/// A record of `alerts.ring`. A tombstone says that the event is final or reverted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRing {
    /// The network.
    pub network: Network,
    /// The block event.
    pub sequence: u64,
    /// Its height.
    pub height: u64,
    /// Its block.
    pub block_hash: BlockHash,
    /// JSON: the matches as they were given, enough to take them back.
    pub given: String,
}

impl AlertRing {
    /// The key of an event.
    pub fn key_of(network: &Network, sequence: u64) -> String {
        format!("{network}/{sequence}")
    }
}
