//! A window, in JSON, as the WebSocket's topic `windows` gives it.

use schemas::records::Window;
use serde::Serialize;
use utoipa::ToSchema;

use super::series::rounded;

/// What happened within a window of a network, or of one of its contracts. What is not known is null. A window that comes again, by a
/// higher `sequence`, takes the place of what came before.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Window)]
pub struct WindowItem {
    /// The contract; null: all of the network.
    pub contract: Option<String>,
    /// Its length: 60, 300, 3,600 or 86,400.
    pub window_seconds: u32,
    /// Its beginning; it ends before this and its length.
    #[schema(format = DateTime)]
    pub window_start: String,
    /// Blocks.
    pub blocks: u64,
    /// Transactions.
    pub transactions: u64,
    /// Those with status `failed`.
    pub failed: u64,
    /// `failed` by `transactions`, 0 to 1; null without transactions.
    pub failure_rate: Option<f64>,
    /// Transactions per second of its length.
    pub tps: f64,
    /// Mean of the gas prices that transactions really paid, rounded down, in the chain's price unit.
    #[schema(pattern = "^[0-9]+$")]
    pub gas_price_avg: Option<String>,
    /// Their median, within 1/64.
    #[schema(pattern = "^[0-9]+$")]
    pub gas_price_p50: Option<String>,
    /// Their 95th percentile, within 1/64.
    #[schema(pattern = "^[0-9]+$")]
    pub gas_price_p95: Option<String>,
    /// Sum of the fees really paid, in the chain's smallest unit.
    #[schema(pattern = "^[0-9]+$")]
    pub fee_total: String,
    /// Mean of the blocks' base fees, rounded down.
    #[schema(pattern = "^[0-9]+$")]
    pub base_fee_avg: Option<String>,
    /// Gas used by the blocks' gas limits, 0 to 1; of a network only. Bitcoin: virtual bytes by the 1,000,000 of each block.
    pub fullness: Option<f64>,
    /// Different senders, within some 2.3 %.
    pub senders: Option<u64>,
    /// Mean time between two blocks, milliseconds; of a network only.
    pub block_interval_ms: Option<u64>,
    /// Gas used by transactions.
    pub gas_used: u64,
    /// Sum of what transactions moved of the chain's own coin, in its smallest unit.
    #[schema(pattern = "^[0-9]+$")]
    pub value_total: String,
    /// It is over, and nothing is missing in it.
    pub complete: bool,
    /// Why it is not complete, where something is missing.
    pub reason: Option<String>,
    /// The network's last event that it was made at.
    pub sequence: u64,
}

impl WindowItem {
    /// From the live record.
    pub fn of(window: &Window) -> Self {
        let (partial, told) = (&window.partial, &window.told);
        let rate = (partial.transactions > 0).then(|| partial.failed as f64 / partial.transactions as f64);
        Self {
            contract: window.contract.map(const_hex::encode_prefixed),
            window_seconds: window.window_seconds,
            window_start: window.window_start.rfc3339(),
            blocks: partial.blocks,
            transactions: partial.transactions,
            failed: partial.failed,
            failure_rate: rate.map(rounded),
            tps: rounded(partial.transactions as f64 / f64::from(window.window_seconds.max(1))),
            gas_price_avg: told.gas_price_avg.map(|price| price.to_string()),
            gas_price_p50: told.gas_price_p50.map(|price| price.to_string()),
            gas_price_p95: told.gas_price_p95.map(|price| price.to_string()),
            fee_total: partial.fee_total.to_string(),
            base_fee_avg: partial.base_fee_avg().map(|fee| fee.to_string()),
            fullness: partial.fullness().map(rounded),
            senders: told.senders,
            block_interval_ms: partial
                .block_interval_ms()
                .filter(|_| window.contract.is_none())
                .map(|ms| ms.round() as u64),
            gas_used: partial.gas_used,
            value_total: partial.value_total.to_string(),
            complete: window.complete,
            reason: window.reason.clone(),
            sequence: window.sequence,
        }
    }
}
