//! What happened within a time, in JSON, as `/metrics/overview` gives it.

use serde::Serialize;
use utoipa::ToSchema;

/// What happened on a network, or at one of its contracts, in the trailing complete minutes and the current one (rule 20).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Overview)]
pub struct OverviewItem {
    /// The network's slug.
    pub network: String,
    /// The contract; null: all of the network.
    pub contract: Option<String>,
    /// The time that was asked about: `1m`, `5m`, `1h` or `24h`.
    #[schema(pattern = "^(1m|5m|1h|24h)$")]
    pub window: String,
    /// Its beginning, included: a whole minute.
    #[schema(format = DateTime)]
    pub from: String,
    /// Its end, not included: now.
    #[schema(format = DateTime)]
    pub to: String,
    /// Blocks.
    pub blocks: u64,
    /// Transactions.
    pub transactions: u64,
    /// Those with status `failed`.
    pub failed: u64,
    /// Those with status `unknown`: receipts that say no status.
    pub unknown: u64,
    /// `failed` by `transactions`, 0 to 1; null without transactions.
    pub failure_rate: Option<f64>,
    /// Transactions per second.
    pub tps: f64,
    /// Mean of the gas prices that transactions really paid, rounded down, in the chain's price unit; null where none paid gas.
    #[schema(pattern = "^[0-9]+$")]
    pub gas_price_avg: Option<String>,
    /// Gas used by transactions.
    pub gas_used: u64,
    /// Sum of the fees really paid, in the chain's smallest unit; without those that are not known or were paid in tokens.
    #[schema(pattern = "^[0-9]+$")]
    pub fee_total: String,
    /// Sum of what transactions moved of the chain's own coin, in its smallest unit.
    #[schema(pattern = "^[0-9]+$")]
    pub value_total: String,
    /// Mean time between two blocks, milliseconds; null where there were fewer than two.
    pub block_interval_ms: Option<u64>,
    /// The highest block; null without blocks.
    pub last_height: Option<u64>,
    /// Time of that block.
    #[schema(format = DateTime)]
    pub last_block_at: Option<String>,
    /// Nothing is missing from `from` up to the newest block.
    pub complete: bool,
    /// Why not, in a sentence.
    pub reason: Option<String>,
    /// What it was added up from: `windows`, or `rows` where there were none.
    #[schema(pattern = "^(windows|rows)$")]
    pub source: String,
}

/// The same of each network that whoever asks reaches.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Overviews {
    /// By network.
    pub items: Vec<OverviewItem>,
}

/// One network's figures where `network` is named, else a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OverviewAnswer {
    /// Of the network that was named.
    One(Box<OverviewItem>),
    /// Of each.
    All(Overviews),
}
