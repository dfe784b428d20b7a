//! The seam between nodes and the watcher: a network is one source of blocks, whatever its family and however many endpoints
//! stand behind it (rule 26).
//!
//! Guarantee that whoever implements it gives: a block that [`ChainSource::fetch`] returns is whole and checked against itself;
//! *empty*, *no block*, *missing* and *failing* are told apart ([`crate::Class`]); heads are hints and no more. What the trait does
//! not promise is that two answers are of the same view of the chain: only hashes decide.

use async_trait::async_trait;
use schemas::{BlockHash, TimeMs};
use tokio::sync::watch;

use crate::error::NodeError;

/// As much of a header as following a chain takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Height.
    pub height: u64,
    /// Hash.
    pub hash: BlockHash,
    /// Parent's hash.
    pub parent: BlockHash,
    /// Its time stamp.
    pub time: TimeMs,
}

/// Heights that the chain calls safe and final; `None` where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Finality {
    /// Safe.
    pub safe: Option<u64>,
    /// Final.
    pub finalized: Option<u64>,
}

/// What is known of the source's head.
#[derive(Debug, Clone, Default)]
pub struct HeadView {
    /// The newest hint.
    pub head: Option<Head>,
    /// The highest hint, so that a lower one that comes before anybody has looked hides nothing.
    pub highest: Option<Head>,
    /// Why the last poll brought none; cleared by the next head.
    pub error: Option<NodeError>,
    /// Why the source's endpoints are of different minds about the chain, for people, while they are; whatever is published meanwhile is on
    /// the word of those that can give it.
    pub diverged: Option<String>,
    /// Rises with every connection, and when another endpoint is used: whoever cares checks the chain again.
    pub connection: u64,
}

impl HeadView {
    /// Takes a hint in. True when that is news.
    pub fn saw(&mut self, head: Head) -> bool {
        let news = self.head.as_ref() != Some(&head) || self.error.is_some();
        if self.highest.as_ref().is_none_or(|highest| highest.height <= head.height) {
            self.highest = Some(head.clone());
        }
        self.head = Some(head);
        self.error = None;
        news
    }

    /// A connection was made, perhaps to another node: what the former one called its highest head counts no more.
    pub fn connected(&mut self) {
        self.connection += 1;
        self.highest = None;
    }
}

/// What others than the operator that gave a block say of it (rule 24). Endpoints of one operator are one voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// There is nobody else to be asked: one operator only, or `confirm = "never"`.
    Alone,
    /// As many operators as are wanted, whoever gave the block included, have shown the same hash at this height.
    Agrees,
    /// No other answered in time, or none has the height yet.
    Silent,
    /// Another operator has another block at this height.
    Contradicts {
        /// Name of its endpoint, for people.
        by: String,
        /// The hash that it has there.
        says: String,
    },
}

/// A block as a source gives it.
pub trait SourceBlock: Send + Sync + 'static {
    /// Its place in the chain.
    fn head(&self) -> Head;
    /// Number of its transactions.
    fn tx_count(&self) -> u32;
    /// Number of its logs, or of what the family has in their place; those of no transaction included.
    fn log_count(&self) -> u32;
}

/// Where a network's blocks come from. No question has an answer of its own here: what stands before a source ([`crate::Changing`])
/// passes each on, or does not compile.
#[async_trait]
pub trait ChainSource: Send + Sync + 'static {
    /// Its blocks.
    type Block: SourceBlock;

    /// Name of the endpoint in use, for people.
    fn endpoint(&self) -> String;

    /// Names of all endpoints behind the source, for people.
    fn endpoints(&self) -> Vec<String>;

    /// Which chain the source is on, as the checkpoint keeps it: EIP-155 chain id in decimal for EVM.
    async fn chain_id(&self) -> Result<String, NodeError>;

    /// The newest header.
    async fn head(&self) -> Result<Head, NodeError>;

    /// The header at a height. Class `Empty` when the source's chain does not reach it, `NoBlock` when it says that there is none.
    async fn header(&self, height: u64) -> Result<Head, NodeError>;

    /// The block at a height with all that belongs to it, checked. Class `Empty` when it, or a part of it, is not there yet.
    ///
    /// `hash` is the hash expected there, where one was told: a hint by which the block may be asked for, so that all parts are of
    /// one view. The caller looks at what it gets; a source that does not have that hash answers with the block that it has.
    async fn fetch(&self, height: u64, hash: Option<&BlockHash>) -> Result<Self::Block, NodeError>;

    /// The same of a final height that is fetched beside the stream, which always goes first: it is shared among all endpoints, waits
    /// longer for their limits, and is asked of each before it is said not to be there.
    async fn fetch_history(&self, height: u64) -> Result<Self::Block, NodeError>;

    /// How many heights one question may be about now, where blocks are far below the head: 1 is each by itself. It changes with what
    /// endpoints take.
    fn at_once(&self) -> usize;

    /// The blocks of so many heights from one on, checked as those that come by themselves: those before the first that is not to be
    /// had, at least one, or why there is none at the first. `history`: as [`fetch_history`](Self::fetch_history), else as
    /// [`fetch`](Self::fetch).
    async fn fetch_together(&self, from: u64, count: usize, history: bool) -> Result<Vec<Self::Block>, NodeError>;

    /// Safe and final heights.
    async fn finality(&self) -> Result<Finality, NodeError>;

    /// Hints of new heads from now on. They may be late, doubled, stale or wrong: fetch by height, check the parent.
    /// The following ends when all receivers are dropped.
    fn heads(&self) -> watch::Receiver<HeadView>;

    /// Whether enough operators have shown this hash, whoever gave it included: who that was may have changed since. Answers within `confirm_within`, sooner where a
    /// subscription has shown it or where nobody can be asked. The watcher asks for the last of some blocks that are linked: whoever
    /// agrees to it agrees to its ancestors.
    async fn second_word(&self, head: &Head) -> Word;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(height: u64, byte: u8) -> Head {
        let hash = |b: u8| BlockHash::from(alloy_primitives::B256::repeat_byte(b));
        Head { height, hash: hash(byte), parent: hash(0), time: TimeMs(0) }
    }

    #[test]
    fn a_lower_head_hides_no_higher_one() {
        let mut view = HeadView::default();
        assert!(view.saw(head(7, 1)));
        assert!(!view.saw(head(7, 1)), "no news");
        assert!(view.saw(head(5, 2)));
        assert_eq!((view.head.clone().map(|h| h.height), view.highest.clone().map(|h| h.height)), (Some(5), Some(7)));
        assert!(view.saw(head(7, 3)));
        assert_eq!(view.highest, Some(head(7, 3)), "of two at one height the newer");
    }
}
