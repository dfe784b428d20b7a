//! What can go wrong with a node, classified once: whose fault, and whether asking again can help.
//!
//! Guarantee: five things that must never be mixed up have a word each ([`Outcome`]): *empty* (the node says that there is nothing
//! yet), *missing* (the node cannot give it: pruned, no receipts, unknown method), *failing* (no usable answer came), *stale* (the
//! node is behind what others have shown) and *wrong* (the answer contradicts itself, the question, its hashes or the others).
//! What follows from them for whoever follows a chain is the coarser [`Class`].

use std::{fmt, sync::Arc, time::Duration};

use schemas::records::Outcome;

/// An error's words, with those of its causes.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(c) = cause {
        text.push_str(": ");
        text.push_str(&c.to_string());
        cause = c.source();
    }
    text
}

/// What the node cannot give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The method is not there (JSON-RPC -32601 and its many spellings).
    Method,
    /// The data was pruned.
    Pruned,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeErrorKind {
    /// `null`: not there yet.
    Empty,
    /// The chain has no block at this height and never will (Filecoin's null rounds).
    NoBlock(String),
    /// The node cannot give it.
    Missing(Missing, String),
    /// No connection, or it broke.
    Unreachable(String),
    /// No answer in time.
    Timeout(Duration),
    /// 429 or its JSON-RPC likes, with the wait that the node asked for.
    Throttled(Option<Duration>, String),
    /// 401, 403 and other 4xx: the node does not want us.
    Refused(u16, String),
    /// 5xx.
    Server(u16, Option<Duration>, String),
    /// The body ended early, or is no JSON-RPC answer, or a field does not fit.
    Malformed(String),
    /// The answer is over the limit, in bytes.
    TooLarge(usize),
    /// A JSON-RPC error that is none of the above.
    Rpc(i64, String),
    /// The endpoint is on another chain than the configuration says: a mistake of whoever wrote that, and no lie.
    OtherChain(String),
    /// The node is behind what others have shown: what it says is old, not false.
    Stale(String),
    /// The answer contradicts itself, the question, its own hashes or what the others say.
    Lying(String),
}

/// What follows for whoever follows the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing there yet.
    Empty,
    /// No block there, ever.
    NoBlock,
    /// The node cannot give it.
    Missing,
    /// No usable answer.
    Failing,
}

/// Whether to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// With the usual back-off.
    Soon,
    /// Not before this.
    After(Duration),
    /// Only an operator can mend it: seldom.
    Seldom,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The node's, or of the network between.
    Node,
    /// Of the endpoint's configuration or plan (credentials, quota, archive, methods).
    Endpoint,
    /// Nobody's.
    Nobody,
}

/// An error of a call to a node. Its text names the endpoint and the call, and no credential.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{endpoint}: {call}: {kind}")]
pub struct NodeError {
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// Method, and what was asked for.
    pub call: String,
    /// What happened.
    pub kind: NodeErrorKind,
}

impl fmt::Display for NodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the node has nothing there yet"),
            Self::NoBlock(m) => write!(f, "the chain has no block there ({m})"),
            Self::Missing(Missing::Method, m) => write!(f, "the node does not offer this method ({m})"),
            Self::Missing(Missing::Pruned, m) => write!(f, "the node no longer has this data ({m})"),
            Self::Unreachable(m) => write!(f, "cannot be reached ({m})"),
            Self::Timeout(d) => write!(f, "no answer within {:.1} s", d.as_secs_f64()),
            Self::Throttled(Some(d), m) => write!(f, "too many requests, retry after {} s ({m})", d.as_secs()),
            Self::Throttled(None, m) => write!(f, "too many requests ({m})"),
            Self::Refused(status, m) => write!(f, "refused with HTTP {status} ({m}); check URL, key and plan"),
            Self::Server(status, _, m) => write!(f, "HTTP {status} ({m})"),
            Self::Malformed(m) => write!(f, "unusable answer ({m})"),
            Self::TooLarge(limit) => write!(f, "the answer is over the limit of {limit} bytes"),
            Self::Rpc(code, m) => write!(f, "JSON-RPC error {code} ({m})"),
            Self::OtherChain(m) => f.write_str(m),
            Self::Stale(m) => write!(f, "the node is behind the others ({m})"),
            Self::Lying(m) => write!(f, "the answer is not to be believed: {m}"),
        }
    }
}

impl NodeError {
    /// Of a call to an endpoint, about a block at a height or about none.
    pub fn of(endpoint: &Arc<str>, method: &str, height: Option<u64>, kind: NodeErrorKind) -> Self {
        let call = height.map_or_else(|| method.to_owned(), |height| format!("{method} of block {height}"));
        Self { endpoint: endpoint.clone(), call, kind }
    }

    /// The word that samples, metrics and people are told; never [`Outcome::Ok`].
    pub fn outcome(&self) -> Outcome {
        match self.kind {
            NodeErrorKind::Empty | NodeErrorKind::NoBlock(_) => Outcome::Empty,
            NodeErrorKind::Missing(..) => Outcome::Missing,
            NodeErrorKind::Stale(_) => Outcome::Stale,
            NodeErrorKind::Lying(_) => Outcome::Wrong,
            _ => Outcome::Failing,
        }
    }

    /// Which class.
    pub fn class(&self) -> Class {
        match self.kind {
            NodeErrorKind::Empty => Class::Empty,
            NodeErrorKind::NoBlock(_) => Class::NoBlock,
            NodeErrorKind::Missing(..) => Class::Missing,
            _ => Class::Failing,
        }
    }

    /// The wait that the endpoint asked for.
    pub fn asked_wait(&self) -> Option<Duration> {
        match self.retry() {
            Retry::After(wait) => Some(wait),
            Retry::Soon | Retry::Seldom => None,
        }
    }

    /// Whether asking again can help.
    pub fn retry(&self) -> Retry {
        use NodeErrorKind::*;
        match &self.kind {
            Missing(..) | TooLarge(_) => Retry::Seldom,
            Throttled(Some(d), _) | Server(_, Some(d), _) => Retry::After(*d),
            _ => Retry::Soon,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        use NodeErrorKind::*;
        match &self.kind {
            Empty | NoBlock(_) => Fault::Nobody,
            Missing(..) | Throttled(..) | Refused(..) | OtherChain(_) => Fault::Endpoint,
            _ => Fault::Node,
        }
    }

    /// A word for metrics.
    pub fn label(&self) -> &'static str {
        use NodeErrorKind::*;
        match &self.kind {
            Empty => "empty",
            NoBlock(_) => "no_block",
            Missing(..) => "missing",
            Unreachable(_) => "unreachable",
            Timeout(_) => "timeout",
            Throttled(..) => "throttled",
            Refused(..) => "refused",
            Server(..) => "server",
            Malformed(_) => "malformed",
            TooLarge(_) => "too_large",
            Rpc(..) => "rpc",
            OtherChain(_) => "other_chain",
            Stale(_) => "stale",
            Lying(_) => "lying",
        }
    }

    /// Whether nobody answered, so that the same question may be asked again where there is another way to ask.
    pub(crate) fn was_not_answered(&self) -> bool {
        matches!(self.kind, NodeErrorKind::Unreachable(_) | NodeErrorKind::Throttled(..) | NodeErrorKind::Server(..))
    }

    /// Whether a try within the same call may help: not for what only time or an operator changes.
    pub(crate) fn worth_another_try(&self) -> bool {
        use NodeErrorKind::*;
        matches!(
            self.kind,
            Unreachable(_) | Timeout(_) | Throttled(..) | Server(..) | Malformed(_) | Rpc(..) | Lying(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: NodeErrorKind) -> NodeError {
        NodeError { endpoint: "a".into(), call: "eth_x".into(), kind }
    }

    #[test]
    fn the_classes_are_different_things() {
        assert_eq!(of(NodeErrorKind::Empty).class(), Class::Empty);
        assert_eq!(of(NodeErrorKind::Missing(Missing::Method, "no".into())).class(), Class::Missing);
        assert_eq!(of(NodeErrorKind::NoBlock("null round".into())).class(), Class::NoBlock);
        assert_eq!(of(NodeErrorKind::Rpc(-32000, "boom".into())).class(), Class::Failing);
        let words = [
            (NodeErrorKind::Empty, "empty"),
            (NodeErrorKind::NoBlock("null round".into()), "empty"),
            (NodeErrorKind::Missing(Missing::Pruned, "old".into()), "missing"),
            (NodeErrorKind::Throttled(None, "slow down".into()), "failing"),
            (NodeErrorKind::Malformed("half".into()), "failing"),
            (NodeErrorKind::OtherChain("on chain 1, not 5".into()), "failing"),
            (NodeErrorKind::Stale("at 7, others at 9".into()), "stale"),
            (NodeErrorKind::Lying("another root".into()), "wrong"),
        ];
        for (kind, word) in words {
            assert_eq!(of(kind).outcome().as_str(), word);
        }
        let wait = Duration::from_secs(7);
        assert_eq!(of(NodeErrorKind::Throttled(Some(wait), String::new())).retry(), Retry::After(wait));
        assert_eq!(of(NodeErrorKind::Refused(403, String::new())).fault(), Fault::Endpoint);
    }
}
