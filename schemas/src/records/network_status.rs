//! `ingest.status`, compacted, keyed by network: what the network's watcher says of itself, for health and status screens.

use crate::primitives::{Family, Network, ParseError, TimeMs};

/// A record of `ingest.status`. Written when something changed, at most once a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkStatus {
    /// The network.
    pub network: Network,
    /// Its family.
    pub family: Family,
    /// What the watcher is doing.
    pub state: NetworkState,
    /// The node's tip as last seen.
    pub tip_height: Option<u64>,
    /// Name of the endpoint in use.
    pub endpoint: Option<String>,
    /// When the state is not a good one: what is wrong and what to do.
    pub detail: Option<String>,
    /// When this was written.
    pub at: TimeMs,
}

/// What a network's watcher is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkState {
    /// Not yet heard from its node.
    Starting,
    /// Behind the node's tip and catching up.
    Syncing,
    /// At the tip.
    Live,
    /// The node cannot be reached, answers with errors or does not move; retried.
    Stalled,
    /// The node is on another chain than the configuration or the data directory says. Stopped.
    WrongChain,
    /// The node cannot give receipts. Retried seldom; nothing is inferred.
    NoReceipts,
    /// A reorg deeper than the limit (rule 7). Stopped.
    ReorgTooDeep,
    /// No second operator has shown the newest blocks in time (rule 24): they are published, below the finalized height they wait.
    Unconfirmed,
    /// Operators show different blocks at one height: nothing is published until that is settled.
    Diverged,
}

impl NetworkState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Starting,
        Self::Syncing,
        Self::Live,
        Self::Stalled,
        Self::WrongChain,
        Self::NoReceipts,
        Self::ReorgTooDeep,
        Self::Unconfirmed,
        Self::Diverged,
    ];

    /// The word for it on the wire and in REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Syncing => "syncing",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::WrongChain => "wrong_chain",
            Self::NoReceipts => "no_receipts",
            Self::ReorgTooDeep => "reorg_too_deep",
            Self::Unconfirmed => "unconfirmed",
            Self::Diverged => "diverged",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == word)
            .ok_or_else(|| ParseError::new(word, "network state", "one of the words of NetworkState"))
    }
}
