//! An alert and a match as people see them: the JSON of REST, of messages, and of what the records carry.

use std::collections::BTreeMap;

use super::{AlertMatch, AlertSource, FoundKind};
use crate::primitives::{BlockHash, Network, TimeMs, word_enum};

word_enum! {
    /// How bad it is. The order is that of badness.
    Severity, "severity", "critical, warning or info" {
        /// Good to know.
        Info = "info",
        /// Somebody should look.
        Warning = "warning",
        /// Somebody must look now.
        Critical = "critical",
    }
}

word_enum! {
    /// Where an alert stands in its life.
    AlertPhase, "state of an alert", "pending, firing, acknowledged, resolved or retracted" {
        /// The condition holds, not long enough yet.
        Pending = "pending",
        /// It holds.
        Firing = "firing",
        /// It holds, and somebody has taken it on.
        Acknowledged = "acknowledged",
        /// It is over.
        Resolved = "resolved",
        /// The chain has taken back what it rests on.
        Retracted = "retracted",
    }
}

impl AlertPhase {
    /// Whether nobody needs to do anything any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Resolved | Self::Retracted)
    }
}

word_enum! {
    /// Whether a match stands.
    MatchState, "state of a match", "live or retracted" {
        /// Its block is in the chain.
        Live = "live",
        /// Its block was reverted.
        Retracted = "retracted",
    }
}

/// An alert as REST and messages show it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Alert {
    /// A ULID: the thread of its messages.
    pub id: String,
    /// The rule or monitor, as it was when the alert last changed by it.
    pub source: AlertSource,
    /// The network.
    pub network: Network,
    /// The contract, lower case, where it is about one.
    pub contract: Option<String>,
    /// The group: values by the names in `group_by`.
    pub group: BTreeMap<String, String>,
    /// Where it stands.
    pub state: AlertPhase,
    /// How bad it is.
    pub severity: Severity,
    /// When its cause began, by the chain's or a stored clock.
    #[serde(with = "rfc3339")]
    pub started_at: TimeMs,
    /// When it fired.
    #[serde(with = "rfc3339::option")]
    pub fired_at: Option<TimeMs>,
    /// When it was over.
    #[serde(with = "rfc3339::option")]
    pub ended_at: Option<TimeMs>,
    /// Whether a silence keeps its messages back.
    pub silenced: bool,
    /// Rule: its figures. Monitor: `{"matches": [...], "count": n}`.
    pub evidence: serde_json::Value,
    /// Where to look and what to press; made when it is shown or sent, never kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub links: Option<AlertLinks>,
}

/// Where to look, and what to press.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AlertLinks {
    /// The alert's page.
    pub dashboard: String,
    /// Takes it on, once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acknowledge: Option<String>,
}

/// A match as REST shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MatchSeen {
    /// Its network.
    pub network: Network,
    /// The transaction, as explorers of its chain print it.
    pub transaction_hash: String,
    /// Event, function or transaction.
    pub kind: FoundKind,
    /// Event: the log's place inside its transaction, from 0.
    pub position: Option<u32>,
    /// Canonical signature.
    pub signature: Option<String>,
    /// The arguments by name.
    pub arguments: serde_json::Value,
    /// Why the transaction failed, one word, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Height of its block.
    pub height: u64,
    /// Its block.
    pub block_hash: Option<BlockHash>,
    /// Version of the monitor that found it.
    pub monitor_version: u64,
    /// Whether it stands.
    pub state: MatchState,
    /// The block's time.
    #[serde(with = "rfc3339")]
    pub at: TimeMs,
}

impl MatchSeen {
    /// What a record says; `None` where it is of no match.
    pub fn of(record: &AlertMatch, state: MatchState) -> Option<Self> {
        let found = record.found.as_ref()?;
        Some(Self {
            network: record.network.clone(),
            transaction_hash: record.transaction()?,
            kind: found.kind,
            position: found.position,
            signature: found.signature.clone(),
            arguments: serde_json::from_str(&found.arguments).unwrap_or(serde_json::Value::Null),
            cause: found.cause.clone(),
            height: record.height,
            block_hash: record.block_hash.clone(),
            monitor_version: record.source.version,
            state,
            at: record.at,
        })
    }
}

/// Times as REST prints them, for `#[serde(with = …)]`.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::primitives::TimeMs;

    /// RFC 3339, milliseconds, UTC.
    pub fn serialize<S: Serializer>(at: &TimeMs, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&at.rfc3339())
    }

    /// Any RFC 3339 time.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TimeMs, D::Error> {
        let text = String::deserialize(from)?;
        let at = chrono::DateTime::parse_from_rfc3339(&text);
        at.map(|at| TimeMs(at.timestamp_millis()))
            .map_err(|e| D::Error::custom(format!("`{text}` is no RFC 3339 time: {e}")))
    }

    /// The same for what may be missing, which is null.
    pub mod option {
        use super::{Deserialize, Deserializer, Error, Serializer, TimeMs};

        /// Null or RFC 3339.
        pub fn serialize<S: Serializer>(at: &Option<TimeMs>, to: S) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, to),
                None => to.serialize_none(),
            }
        }

        /// Null or any RFC 3339 time.
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TimeMs>, D::Error> {
            let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
            let at = chrono::DateTime::parse_from_rfc3339(&text);
            at.map(|at| Some(TimeMs(at.timestamp_millis())))
                .map_err(|e| D::Error::custom(format!("`{text}` is no RFC 3339 time: {e}")))
        }
    }
}
