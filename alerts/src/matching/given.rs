//! Matches as `alerts.ring` keeps them: enough to take each back exactly as it was given, whatever was edited since.

use std::collections::BTreeMap;

use schemas::{
    Network, TimeMs,
    records::{AlertMatch, AlertSource, Found, FoundKind, MatchOp},
};
use serde::{Deserialize, Serialize};

/// For how long a match waits before it is given (`wait` of its monitor).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Until its block is final.
    Finalized,
    /// Until the tip is so many blocks above its block.
    Blocks(u64),
}

/// What `given` of a record of `alerts.ring` says.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Said {
    /// Matches that were given with this event, and stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Kept>,
    /// Matches of this event that wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// Matches that were taken back with this event, and are not included again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_back: Vec<Kept>,
    /// Rules that were said to hold no longer with this event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Kept>,
    /// Rules that were said to hold, and not to be over: tenant and id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<(String, String)>,
    /// Those of them whose end was taken back in a reorg that is not over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<(String, String)>,
    /// Tenants that were told something in a reorg that is not over …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// … and since when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

/// A match that waits.
#[derive(Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// For how long.
    pub wait: Wait,
    /// The match.
    #[serde(flatten)]
    pub kept: Kept,
}

/// A match, but for what stands in its record of `alerts.ring` itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    tenant: String,
    source: AlertSource,
    at: i64,
    observed_at: i64,
    height: u64,
    block: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    group: BTreeMap<String, String>,
    /// `None` of a rule's figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<KeptFound>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptFound {
    hash: alloy_primitives::B256,
    kind: FoundKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    condition: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    arguments: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

/// Stands for arguments that a record had no room for, or that are told already.
pub const NO_ARGUMENTS: &str = "{}";

/// Bytes that a match may take in a record of `alerts.ring` once it goes without its arguments: with a comma, with what it waits for, and with
/// why its transaction failed, where that is found out later.
pub fn room_of(of: &AlertMatch) -> usize {
    let kept = Kept::of(of, false).and_then(|kept| serde_json::to_string(&kept).ok());
    kept.map_or(0, |kept| kept.len()) + BESIDE
}

/// What [`room_of`] adds, in bytes.
const BESIDE: usize = 104;

impl Kept {
    /// Of a match, or of a figure that crossed its threshold; `None` of what is of no block. `whole`: with its arguments.
    pub fn of(from: &AlertMatch, whole: bool) -> Option<Self> {
        let found = from.found.as_ref().map(|found| KeptFound {
            hash: found.transaction_hash,
            kind: found.kind,
            position: found.position,
            condition: found.condition,
            signature: found.signature.clone(),
            arguments: if whole { found.arguments.clone() } else { NO_ARGUMENTS.to_owned() },
            cause: found.cause.clone(),
        });
        Some(Self {
            tenant: from.tenant.clone(),
            source: from.source.clone(),
            at: from.at.0,
            observed_at: from.observed_at.0,
            height: from.height,
            block: from.block_hash.as_ref()?.as_str().to_owned(),
            contract: from.contract.clone(),
            group: from.group.clone(),
            found,
        })
    }

    /// The match again; `None` where its block's hash is none.
    pub fn into_match(self, network: &Network, sequence: u64) -> Option<AlertMatch> {
        Some(AlertMatch {
            tenant: self.tenant,
            source: self.source,
            op: MatchOp::Match,
            network: network.clone(),
            sequence,
            height: self.height,
            block_hash: Some(self.block.parse().ok()?),
            at: TimeMs(self.at),
            observed_at: TimeMs(self.observed_at),
            contract: self.contract,
            group: self.group,
            found: self.found.map(|found| Found {
                transaction_hash: found.hash,
                kind: found.kind,
                position: found.position,
                condition: found.condition,
                signature: found.signature,
                arguments: found.arguments,
                cause: found.cause,
            }),
            figure: None,
        })
    }
}
