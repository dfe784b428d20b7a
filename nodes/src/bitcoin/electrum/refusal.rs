//! What a server's refusal means. Pure.
//!
//! Guarantee: the same thing has the same meaning from every server. The codes are ElectrumX' and aiorpcX', the texts those of ElectrumX,
//! electrs, Fulcrum and older forks, which are held against words without regard to their case.

use std::time::Duration;

use super::message::Refusal;
use crate::error::{Missing, NodeErrorKind};

/// How long a server that called our use excessive is left alone.
const EXCESSIVE: Duration = Duration::from_secs(60);

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// This script has more history than the server gives: the script's matter, and nobody's fault.
    HistoryTooLarge,
    /// The server is behind its chain, or its index is not made yet: it comes right by itself.
    Syncing,
    /// Its chain changed while it looked: ask again.
    Reorganizing,
    /// It is busy.
    Busy,
    /// It calls our use excessive, and is to be left alone for a while.
    Excessive,
    /// It does not know the method.
    NoMethod,
    /// It has no such block or transaction.
    NotThere,
    /// It and we have no version of the protocol in common.
    Version,
    /// Anything else.
    Other,
}

const TOO_LARGE: &[&str] =
    &["history too large", "history is too large", "query limit", "history too long", "too many history"];
const SYNCING: &[&str] = &[
    "unavailable index",
    "daemon is not ready",
    "not ready",
    "still syncing",
    "is syncing",
    "warming up",
    "initial sync",
    "initial block download",
    "loading block index",
    "verifying blocks",
    "chain-sync-error",
    "chain sync error",
];
const REORGANIZING: &[&str] = &["reorg while processing"];
const EXCESSIVE_USE: &[&str] = &["excessive"];
const BUSY: &[&str] = &["server busy", "request timed out", "too many requests", "rate limit"];
const NO_METHOD: &[&str] = &["unknown method", "method not found", "unsupported method"];
const NOT_THERE: &[&str] = &[
    "no such mempool or blockchain transaction",
    "no such transaction",
    "transaction not found",
    "missing transaction",
    "out of range",
    "no header at",
    "missing header",
    "invalid height",
    "no block at",
    "unknown block",
    "not in block at height",
];
const VERSION: &[&str] = &["unsupported protocol version", "use server.version", "unsupported client"];

impl Trouble {
    /// What a refusal means.
    pub fn of(refusal: &Refusal) -> Self {
        let text = refusal.text.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        // electrs' `index_lookup_limit`.
        let looked_up = refusal.code == 1 && text.contains("too many");
        match refusal.code {
            10001 => Self::HistoryTooLarge,
            -101 => Self::Excessive,
            -102 => Self::Busy,
            -32601 => Self::NoMethod,
            _ if says(TOO_LARGE) => Self::HistoryTooLarge,
            _ if says(SYNCING) => Self::Syncing,
            _ if says(REORGANIZING) => Self::Reorganizing,
            _ if says(EXCESSIVE_USE) => Self::Excessive,
            _ if says(BUSY) => Self::Busy,
            _ if looked_up => Self::HistoryTooLarge,
            _ if says(NO_METHOD) => Self::NoMethod,
            _ if says(VERSION) => Self::Version,
            _ if says(NOT_THERE) => Self::NotThere,
            _ => Self::Other,
        }
    }

    /// A word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HistoryTooLarge => "history_too_large",
            Self::Syncing => "syncing",
            Self::Reorganizing => "reorganizing",
            Self::Busy => "busy",
            Self::Excessive => "excessive",
            Self::NoMethod => "no_method",
            Self::NotThere => "not_there",
            Self::Version => "version",
            Self::Other => "other",
        }
    }

    /// What follows, for a refusal with this text. That a history is too large says nothing about the server; whoever asked for it is told
    /// by its code.
    pub fn kind(self, code: i64, text: String) -> NodeErrorKind {
        match self {
            Self::HistoryTooLarge => NodeErrorKind::Rpc(TOO_LARGE_CODE, text),
            Self::Syncing => NodeErrorKind::Stale(format!("it is syncing: {text}")),
            Self::Busy => NodeErrorKind::Throttled(None, text),
            Self::Excessive => NodeErrorKind::Throttled(Some(EXCESSIVE), text),
            Self::NoMethod => NodeErrorKind::Missing(Missing::Method, text),
            Self::NotThere => NodeErrorKind::Empty,
            Self::Reorganizing | Self::Version | Self::Other => NodeErrorKind::Rpc(code, text),
        }
    }
}

/// ElectrumX' code of a history that is too large; errors that mean it have it, whatever a server wrote.
pub const TOO_LARGE_CODE: i64 = 10_001;

/// Whether an error means that a script's history is too large for this server, which is not the server's fault.
pub fn is_history_too_large(kind: &NodeErrorKind) -> bool {
    matches!(kind, NodeErrorKind::Rpc(TOO_LARGE_CODE, _))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, NodeError, Retry};

    fn of(code: i64, text: &str) -> Trouble {
        Trouble::of(&Refusal { code, text: text.into() })
    }

    #[test]
    fn one_thing_has_one_meaning_whoever_says_it() {
        use Trouble::*;
        for (code, text, trouble) in [
            (10001, "history too large", HistoryTooLarge),
            (1, "History too large", HistoryTooLarge),
            (1, ">1000 transactions, query limit reached", HistoryTooLarge),
            (1, "too many blocks: index_lookup_limit", HistoryTooLarge),
            (-101, "excessive resource usage", Excessive),
            (0, "Excessive flood", Excessive),
            (-102, "server busy - request timed out", Busy),
            (-32601, "unknown method \"blockchain.scripthash.get_mempool\"", NoMethod),
            (-32603, "unavailable index", Syncing),
            (1, "chain-sync-error", Syncing),
            (0, "daemon is not ready", Syncing),
            (1, "reorg while processing request", Reorganizing),
            (
                2,
                "daemon error: DaemonError({'code': -5, 'message': 'No such mempool or blockchain transaction. Use gettransaction for wallet transactions.'})",
                NotThere,
            ),
            (1, "height 900,001 out of range", NotThere),
            (1, "use server.version to identify client", Version),
            (1, "unsupported protocol version: 1.9", Version),
            (2, "daemon error: DaemonError({'code': -8})", Other),
            (1, "the transaction was rejected by network rules.\n\nbad-txns-inputs-missingorspent\n[00]", Other),
        ] {
            assert_eq!(of(code, text), trouble, "{code} {text}");
        }
    }

    #[test]
    fn what_follows_is_whose_fault_it_is() {
        let error = |trouble: Trouble| NodeError {
            endpoint: "a".into(),
            call: "x".into(),
            kind: trouble.kind(7, "words".into()),
        };
        assert_eq!(error(Trouble::NotThere).class(), Class::Empty);
        assert_eq!(error(Trouble::NoMethod).class(), Class::Missing);
        assert_eq!(error(Trouble::Syncing).outcome().as_str(), "stale");
        assert_eq!(error(Trouble::Excessive).retry(), Retry::After(EXCESSIVE));
        assert!(is_history_too_large(&error(Trouble::HistoryTooLarge).kind));
        assert!(!is_history_too_large(&error(Trouble::Other).kind));
    }
}
