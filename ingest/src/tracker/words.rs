//! What the tracker is told, what it asks for, and what it answers.

use schemas::{BlockHash, TimeMs, records::RingEntry};

use super::position::Position;

/// A block as the node tells of it. Of a header alone, the counts are 0 and not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Height.
    pub height: u64,
    /// Hash.
    pub hash: BlockHash,
    /// Parent's hash.
    pub parent: BlockHash,
    /// The block's time.
    pub time: TimeMs,
    /// Transactions.
    pub tx_count: u32,
    /// Logs.
    pub log_count: u32,
}

/// What happens to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The tip leaves; the entry says what it was.
    Revert(RingEntry),
    /// The block joins.
    Apply(Link),
}

/// A block event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happens.
    pub action: Action,
    /// Where the network stands after it, its own sequence and `reorg_remaining` included.
    pub after: Position,
}

/// Why a branch is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It leaves the held chain more than the limit below the highest height ever applied.
    TooDeep,
    /// It would revert blocks up to this height, which was published as final: an endpoint's lie until another confirms it.
    BelowFinal(u64),
}

/// What the machine waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A new head ([`super::Tracker::head`]).
    Head,
    /// The header at this height ([`super::Tracker::header`], [`super::Tracker::no_block`] or [`super::Tracker::absent`]).
    Header(u64),
    /// Blocks in order from the first on, one or more at a time ([`super::Tracker::blocks`] or [`super::Tracker::no_block`]).
    Blocks {
        /// First height.
        from: u64,
        /// Last height that the node is said to have.
        to: u64,
    },
    /// The first blocks of a new branch, all of them at once ([`super::Tracker::blocks`]), at these heights.
    Branch(Vec<u64>),
    /// Time: the node's chain is not followed ([`super::Tracker::reconsider`]).
    Refused(Refusal),
}
