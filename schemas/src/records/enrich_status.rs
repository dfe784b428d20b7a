//! `enrich.status`, compacted, keyed by network: networks that enrich halted, and that they go on again.

use crate::primitives::{Network, ParseError, TimeMs};

/// A record of `enrich.status`. Written when the state changes; a network that was never halted has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrichStatus {
    /// The network.
    pub network: Network,
    /// Whether its events are passed on.
    pub state: EnrichState,
    /// When it is halted: what is wrong and what to do.
    pub detail: Option<String>,
    /// When this was written.
    pub at: TimeMs,
}

/// Whether enrich passes a network's events on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnrichState {
    /// It does.
    Running,
    /// What comes next is no longer in the log (rule 12). Halted.
    Overtaken,
    /// The log has an event a second time: it is not the one that was read before (rule 11). Halted.
    LogReplaced,
    /// A record that its whole block depends on cannot be read. Halted.
    Unreadable,
}

impl EnrichState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Running, Self::Overtaken, Self::LogReplaced, Self::Unreadable];

    /// The word for it on the wire and in REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Overtaken => "overtaken",
            Self::LogReplaced => "log_replaced",
            Self::Unreadable => "unreadable",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == word)
            .ok_or_else(|| ParseError::new(word, "state of enrich", "one of the words of EnrichState"))
    }
}
