//! Where a network stands.

use schemas::BlockHash;

/// Where the network stands: what the checkpoint keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// Last sequence given; 0 before the first.
    pub sequence: u64,
    /// Tip, as published.
    pub tip: Option<(u64, BlockHash)>,
    /// First height ever held.
    pub first: Option<u64>,
    /// Highest height ever applied.
    pub highest: Option<u64>,
    /// Events of a reorg still to come.
    pub reorg_remaining: u32,
    /// Stopped by a reorg deeper than the limit.
    pub too_deep: bool,
}
