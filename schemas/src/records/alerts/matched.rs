//! `alerts.matches`, keyed by tenant: what a tenant's rules and monitors found, in the order in which they found it. Written by the group
//! `alerts.match`.
//!
//! A match is (tenant, source, network, transaction hash, condition and position inside the transaction): never a height, a block hash or a
//! log's index in its block, which a reorg changes (rule 29).

use std::collections::BTreeMap;

use alloy_primitives::B256;

use crate::primitives::{BitcoinHash, BlockHash, Family, Network, TimeMs, word_enum};

word_enum! {
    /// What can raise an alert.
    SourceKind, "source of alerts", "rule or monitor" {
        /// A figure over or under a threshold.
        Rule = "rule",
        /// Transactions, events or calls that fit conditions.
        Monitor = "monitor",
    }
}

/// The rule or monitor behind an alert, as it was when it found something.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AlertSource {
    /// Rule or monitor.
    pub kind: SourceKind,
    /// Its id.
    pub id: String,
    /// Its name then.
    pub name: String,
    /// Its version then, from 1.
    pub version: u64,
}

impl AlertSource {
    /// The source of what is of no rule and no monitor: [`MatchOp::Settled`].
    pub fn nobody() -> Self {
        Self { kind: SourceKind::Monitor, id: String::new(), name: String::new(), version: 0 }
    }
}

word_enum! {
    /// What a record of `alerts.matches` says.
    MatchOp, "word of alerts.matches", "match, retract, included_again, amend, figure, settled or left_out" {
        /// A monitor's condition fits.
        Match = "match",
        /// The block of a match was reverted: the match is taken back, as it was given.
        Retract = "retract",
        /// A match that was taken back stands in the new branch.
        IncludedAgain = "included_again",
        /// Why the transaction of a match failed was found out, late: the match stands as it was given, but for its cause. Without arguments.
        Amend = "amend",
        /// A rule's figure crossed its threshold, or its evidence changed while it holds.
        Figure = "figure",
        /// A reorg in which this tenant was told something is over; `source` is [`AlertSource::nobody`].
        Settled = "settled",
        /// A monitor found more in a block than it may give, or a tenant's monitors cost more than they may; `figure` says how much was left
        /// out.
        LeftOut = "left_out",
    }
}

word_enum! {
    /// What fits a monitor's condition.
    FoundKind, "kind of match", "event, function or transaction" {
        /// A log.
        Event = "event",
        /// The transaction's own call.
        Function = "function",
        /// The transaction.
        Transaction = "transaction",
    }
}

word_enum! {
    /// What is left out, as the evidence of [`MatchOp::LeftOut`] names it.
    LeftOutKind, "kind of what is left out", "left_out or not_looked_at" {
        /// Matches of a monitor for which there is no room.
        Matches = "left_out",
        /// Transactions that no monitor of the tenant was put to.
        Transactions = "not_looked_at",
    }
}

/// What fits a monitor's condition, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The transaction; Bitcoin's in the order in which it is printed.
    pub transaction_hash: B256,
    /// Event, function or transaction.
    pub kind: FoundKind,
    /// Event: the log's place inside its transaction, from 0.
    pub position: Option<u32>,
    /// Which of the monitor's conditions of this kind, from 0 in the order of its definition.
    pub condition: u32,
    /// Canonical signature, no blanks; `None` for a transaction.
    pub signature: Option<String>,
    /// JSON object of the arguments by name; for a transaction `{}`, on Bitcoin its amounts in satoshi.
    pub arguments: String,
    /// Why the transaction failed, one word, as far as that is known by then.
    pub cause: Option<String>,
}

impl Found {
    /// The transaction, as explorers of the chain print it that writes a block's hash so (rule 20).
    pub fn transaction_in(&self, block: &BlockHash) -> String {
        match Family::of_hash(block.as_str()) {
            Family::Bitcoin => BitcoinHash(self.transaction_hash.0).to_string(),
            Family::Evm | Family::Stellar => self.transaction_hash.to_string(),
        }
    }
}

/// What a rule's figure says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figured {
    /// Whether the condition holds.
    pub over: bool,
    /// JSON: the rule's evidence, as REST shows it.
    pub evidence: String,
}

/// A record of `alerts.matches`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertMatch {
    /// Whose.
    pub tenant: String,
    /// Which rule or monitor.
    pub source: AlertSource,
    /// What is said.
    pub op: MatchOp,
    /// The network.
    pub network: Network,
    /// The block event by which this is said; 0 where a clock says it.
    pub sequence: u64,
    /// Height of the block; 0 where there is none.
    pub height: u64,
    /// The block; `None` where a clock says it.
    pub block_hash: Option<BlockHash>,
    /// The block's time, or the stored clock by which a rule was looked at.
    pub at: TimeMs,
    /// When the block was first seen, or the stored clock.
    pub observed_at: TimeMs,
    /// The contract that the alert is about, lower case; on Bitcoin the address.
    pub contract: Option<String>,
    /// The group: values by the names in `group_by`.
    pub group: BTreeMap<String, String>,
    /// What fits a monitor's condition: with match, retract, included_again and amend.
    pub found: Option<Found>,
    /// What a rule's figure says: with figure. With left_out its evidence is
    /// `{"left_out": MATCHES}` or `{"not_looked_at": TRANSACTIONS}`.
    pub figure: Option<Figured>,
}

impl AlertMatch {
    /// What was left out, and how much of it; `None` where it says something else ([`MatchOp::LeftOut`]).
    pub fn left_out(&self) -> Option<(LeftOutKind, u64)> {
        let figure = self.figure.as_ref().filter(|_| self.op == MatchOp::LeftOut)?;
        let evidence: serde_json::Value = serde_json::from_str(&figure.evidence).ok()?;
        LeftOutKind::ALL.iter().rev().find_map(|kind| Some((*kind, evidence.get(kind.as_str())?.as_u64()?)))
    }

    /// The transaction of what fits, as explorers of its chain print it (rule 20); `None` for what is no match.
    pub fn transaction(&self) -> Option<String> {
        let found = self.found.as_ref()?;
        Some(match &self.block_hash {
            Some(block) => found.transaction_in(block),
            None => found.transaction_hash.to_string(),
        })
    }

    /// What tells a match from every other of the same tenant and source, whatever block it stands in; `None` for what is no match.
    pub fn identity(&self) -> Option<String> {
        let found = self.found.as_ref()?;
        let position = found.position.map(|p| p.to_string()).unwrap_or_default();
        let (hash, kind) = (found.transaction_hash, found.kind);
        Some(format!("{}/{hash}/{kind}/{}/{position}", self.network, found.condition))
    }
}
