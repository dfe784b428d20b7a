//! What happened within a time, in JSON, as `/metrics/overview` gives it.

use schemas::TimeMs;
use serde::Serialize;
use store::query::Overview;
use utoipa::ToSchema;

use super::series::rounded;

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
    /// Median of these prices, within 1/64; null where it is not known.
    #[schema(pattern = "^[0-9]+$")]
    pub gas_price_p50: Option<String>,
    /// Their 95th percentile, within 1/64; null where it is not known.
    #[schema(pattern = "^[0-9]+$")]
    pub gas_price_p95: Option<String>,
    /// Mean of the blocks' base fees, rounded down; null where they have none.
    #[schema(pattern = "^[0-9]+$")]
    pub base_fee_avg: Option<String>,
    /// Gas used by the blocks' gas limits, 0 to 1; null of contracts, and where blocks have no limit. Bitcoin: virtual bytes by the 1,000,000 of each block.
    pub fullness: Option<f64>,
    /// Different senders, within some 2.3 %; null where it is not known.
    pub senders: Option<u64>,
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

impl OverviewItem {
    /// From the store's answer about a time.
    pub fn of(
        network: &str,
        contract: Option<&str>,
        window: &str,
        (from, to): (TimeMs, TimeMs),
        found: &Overview,
    ) -> Self {
        let figures = &found.figures;
        Self {
            network: network.to_owned(),
            contract: contract.map(str::to_owned),
            window: window.to_owned(),
            from: from.rfc3339(),
            to: to.rfc3339(),
            blocks: figures.blocks,
            transactions: figures.transactions,
            failed: figures.failed,
            unknown: figures.unknown,
            failure_rate: figures.failure_rate().map(rounded),
            tps: figures.tps(to.0.saturating_sub(from.0)).map_or(0.0, rounded),
            gas_price_avg: figures.gas_price_avg().map(|price| price.to_string()),
            gas_price_p50: figures.gas_price_p50.map(|price| price.to_string()),
            gas_price_p95: figures.gas_price_p95.map(|price| price.to_string()),
            base_fee_avg: figures.base_fee_avg().map(|fee| fee.to_string()),
            fullness: figures.fullness().map(rounded),
            senders: figures.senders,
            gas_used: figures.gas_used,
            fee_total: figures.fee_total.to_string(),
            value_total: figures.value_total.to_string(),
            block_interval_ms: figures.block_interval_ms().map(|ms| ms.round() as u64),
            last_height: figures.last.map(|(height, _)| height),
            last_block_at: figures.last.map(|(_, time)| time.rfc3339()),
            complete: found.complete,
            reason: found.reason.clone(),
            source: found.source.as_str().to_owned(),
        }
    }
}

/// A network whose figures could not be had, among others that stand.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = OverviewMissing)]
pub struct MissingItem {
    /// The network's slug.
    pub network: String,
    /// The time that was asked about: `1m`, `5m`, `1h` or `24h`.
    #[schema(pattern = "^(1m|5m|1h|24h)$")]
    pub window: String,
    /// Always false.
    pub complete: bool,
    /// Why there are none, in a sentence.
    pub reason: String,
}

/// What is told of a network in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OverviewOfOne {
    /// Its figures.
    Figures(Box<OverviewItem>),
    /// Why there are none.
    Missing(MissingItem),
}

/// The same of each network that whoever asks reaches.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Overviews {
    /// By network. Of one that fails it is said why; the others stand.
    pub items: Vec<OverviewOfOne>,
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
