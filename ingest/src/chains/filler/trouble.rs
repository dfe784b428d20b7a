//! What keeps a request of the past from being filled, in words for people.

use nodes::{Head, Missing, NodeError, NodeErrorKind, Retry};

use super::super::family::Family;
use crate::fill::chain::Problem;

/// Why a run cannot be handed over.
#[derive(Debug)]
pub enum Trouble {
    Node(u64, NodeError),
    Chain(Problem),
    /// It is another than the one that the ring holds.
    Held {
        height: u64,
    },
    /// Nobody else shows it.
    Unconfirmed {
        height: u64,
    },
    Contradicted {
        head: Head,
        by: String,
        says: String,
    },
    NoFinality(NodeError),
    /// Who keeps the rows does not answer.
    NoStore(String),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Chain(problem)
    }
}

impl Trouble {
    /// Whether trying soon again cannot help.
    pub fn is_for_long(&self) -> bool {
        match self {
            Self::Node(_, e) => e.retry() == Retry::Seldom,
            Self::Chain(Problem::Lacking { .. }) => true,
            _ => false,
        }
    }

    /// What is wrong and what to do.
    pub fn words<F: Family>(&self, family: &F) -> String {
        match self {
            Self::Node(height, e) => match &e.kind {
                NodeErrorKind::Missing(Missing::Pruned, _) if family.lacks_a_part(e) => format!(
                    "the receipts of block {height} are gone, though the block is there: {e}. Nothing is written without them; add an \
                     endpoint that keeps the receipts of these heights"
                ),
                NodeErrorKind::Missing(Missing::Pruned, _) => format!(
                    "below what the nodes have: block {height} was pruned: {e}. No endpoint has the depth; add an archive endpoint of this \
                     network"
                ),
                NodeErrorKind::Missing(..) => family.incomplete(e),
                NodeErrorKind::Empty if family.lacks_a_part(e) => {
                    format!("block {height} is there and its receipts are not: {}", family.incomplete(e))
                }
                NodeErrorKind::Throttled(..) => format!(
                    "the endpoints' limits leave no room for block {height}: {e}. It goes on by itself; raise `limit` or `per_day`, or add an \
                     endpoint"
                ),
                _ => format!("block {height}: {e}; tried again"),
            },
            Self::Chain(Problem::Lacking { from, to }) => format!(
                "no endpoint has blocks {from} to {to}, and nothing shows that the chain has none there: archive depth is missing. Add an \
                 archive endpoint of this network"
            ),
            Self::Chain(Problem::NotLinked { height, parent, below }) => format!(
                "block {height} as an endpoint has it stands on {parent}, the one that was written below it is {below}: that endpoint tells \
                 another chain below the finalized height, which is not followed; another is asked"
            ),
            Self::Held { height } => format!(
                "what the endpoints have does not fit to the block held at {height}: they tell another chain below the finalized height, \
                 which is not followed; asked again"
            ),
            Self::Unconfirmed { height } => format!(
                "block {height} is below the finalized height and no second operator shows it: nothing is written on one operator's word; \
                 asked again. Mend or add an endpoint of another operator, or set `confirm = \"never\"` for this network"
            ),
            Self::Contradicted { head, by, says } => format!(
                "endpoint `{by}` has block {} as {says}, another has {}: nothing is written until they agree; asked again. With endpoints of \
                 a third operator the majority decides",
                head.height, head.hash
            ),
            Self::NoFinality(e) => format!("the finalized height is not known: {e}; asked again"),
            Self::NoStore(e) => format!("the store does not say which rows are kept no longer: {e}; asked again"),
        }
    }
}
