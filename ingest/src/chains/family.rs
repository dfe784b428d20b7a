//! What a family adds to following a chain. Everything else about heads, forks, checkpoint, statuses and finality is the
//! watcher's and knows no family.

use std::time::Duration;

use nodes::{NodeError, SourceBlock};
use runtime::log::NewRecord;
use schemas::{codec::EncodeError, records::RingEntry};

use crate::{
    records::{Circumstances, Scribe},
    tracker::Position,
};

/// What is known of how a chain grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// A block is final when it is there: finality is not asked for.
    pub instant_finality: bool,
    /// Heights may carry no block, ever (null rounds): one that seems to lack is passed on the proof of the next block's parent.
    pub heights_without_block: bool,
    /// Usual time between blocks; `None` when it varies.
    pub block_time: Option<Duration>,
}

/// A network's chain, as its family knows it.
pub trait Family: Send + Sync + 'static {
    /// What a source gives.
    type Block: SourceBlock;

    /// Which chain the network is, in the words in which a source says it and the checkpoint keeps it.
    fn chain_id(&self) -> String;

    /// Whether a chain that a source says, or that is held, is the network's. A family whose configuration leaves that open takes the
    /// first one for it.
    fn is_ours(&self, said: &str) -> bool {
        said == self.chain_id()
    }

    /// How the chain grows.
    fn traits(&self) -> Traits;

    /// Whether a source that says this chain id is on no chain at all, as nodes say while they start.
    fn is_no_chain(&self, said: &str) -> bool;

    /// What is wrong and what to do when the endpoint says another chain id, or all of several say the same other one.
    fn wrong_chain(&self, endpoints: &[String], said: &str) -> String;

    /// The same when the data directory holds another chain under this slug.
    fn held_chain(&self, held: &str) -> String;

    /// Whether an answer of "nothing there" is about a part of a block that itself is there.
    fn lacks_a_part(&self, error: &NodeError) -> bool;

    /// What to do about an endpoint that cannot give all that belongs to a block.
    fn incomplete(&self, error: &NodeError) -> String;

    /// The records of an applied block: header first, then exactly `entry.tx_count` children (rule 2).
    ///
    /// # Errors
    /// A header that the log can never take.
    fn apply(
        &self,
        scribe: &Scribe,
        entry: &RingEntry,
        after: &Position,
        block: Self::Block,
        at: Circumstances,
    ) -> Result<Vec<NewRecord>, EncodeError>;
}
