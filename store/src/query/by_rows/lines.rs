//! What is read of a step: its blocks, and its transactions one by one.

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::TimeMs;
use serde::Deserialize;

use super::super::{Figures, wire};

/// Blocks of a step.
#[derive(Debug, Clone, Row, Deserialize)]
pub(super) struct Blocks {
    pub(super) step: u64,
    pub(super) s_blocks: u64,
    pub(super) s_first: u64,
    pub(super) s_last: u64,
    pub(super) s_first_time: TimeMs,
    pub(super) s_last_time: TimeMs,
    pub(super) s_sequence: u64,
    pub(super) s_transactions: u64,
    pub(super) s_failed: u64,
    pub(super) s_unknown: u64,
    pub(super) s_unreadable: u64,
    pub(super) s_logs: u64,
    pub(super) s_transfers: u64,
    pub(super) s_gas_used: u64,
    #[serde(with = "wire::u256")]
    pub(super) s_gas_limit: U256,
    #[serde(with = "wire::u256")]
    pub(super) s_base_fee: U256,
    pub(super) s_base_fees: u64,
    #[serde(with = "wire::u256_option")]
    pub(super) s_base_fee_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub(super) s_base_fee_max: Option<U256>,
    #[serde(with = "wire::u256")]
    pub(super) s_fee: U256,
    pub(super) s_fee_unknown: u64,
    #[serde(with = "wire::u256")]
    pub(super) s_value: U256,
    #[serde(with = "wire::u256")]
    pub(super) s_price: U256,
    pub(super) s_prices: u64,
    #[serde(with = "wire::u256_option")]
    pub(super) s_price_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub(super) s_price_max: Option<U256>,
}

// A Bitcoin block, which alone has a weight, has room for a million virtual bytes (`limits::bitcoin::BLOCK_VIRTUAL_BYTES`).
pub(super) const BLOCKS: &str = "SELECT toUInt64(intDiv(toUnixTimestamp64Milli(b.block_time) - {base:Int64}, {width:Int64})) AS step, \
    count() AS s_blocks, min(b.height) AS s_first, max(b.height) AS s_last, argMin(b.block_time, b.height) AS s_first_time, \
    argMax(b.block_time, b.height) AS s_last_time, max(intDiv(b.version, 256)) AS s_sequence, \
    sum(b.transaction_count) AS s_transactions, sum(b.failed_count) AS s_failed, sum(b.unknown_count) AS s_unknown, \
    sum(b.unreadable_count) AS s_unreadable, sum(b.log_count) AS s_logs, sum(b.token_transfer_count) AS s_transfers, \
    sum(b.receipt_gas_used) AS s_gas_used, sum(toUInt256(if(isNull(b.weight), b.gas_limit, 1000000))) AS s_gas_limit, \
    sum(ifNull(b.base_fee_per_gas, toUInt256(0))) AS s_base_fee, countIf(isNotNull(b.base_fee_per_gas)) AS s_base_fees, \
    min(b.base_fee_per_gas) AS s_base_fee_min, max(b.base_fee_per_gas) AS s_base_fee_max, sum(b.fee_total) AS s_fee, \
    sum(b.fee_unknown_count) AS s_fee_unknown, sum(b.value_total) AS s_value, sum(b.gas_price_sum) AS s_price, \
    sum(b.gas_price_count) AS s_prices, min(b.gas_price_min) AS s_price_min, max(b.gas_price_max) AS s_price_max \
    FROM block_rows AS b FINAL WHERE b.network = {network:String} \
    AND b.block_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND b.block_time < fromUnixTimestamp64Milli({to:Int64}, 'UTC') \
    GROUP BY step ORDER BY step DESC";

/// Transactions of a step, one by one.
#[derive(Debug, Clone, Row, Deserialize)]
pub(super) struct Transactions {
    pub(super) step: u64,
    pub(super) s_blocks: u64,
    pub(super) s_first: u64,
    pub(super) s_last: u64,
    pub(super) s_first_time: TimeMs,
    pub(super) s_last_time: TimeMs,
    pub(super) s_sequence: u64,
    pub(super) s_transactions: u64,
    pub(super) s_failed: u64,
    pub(super) s_unknown: u64,
    pub(super) s_gas_used: u64,
    #[serde(with = "wire::u256")]
    pub(super) s_fee: U256,
    pub(super) s_fee_unknown: u64,
    #[serde(with = "wire::u256")]
    pub(super) s_value: U256,
    #[serde(with = "wire::u256")]
    pub(super) s_price: U256,
    pub(super) s_prices: u64,
    #[serde(with = "wire::u256_option")]
    pub(super) s_price_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub(super) s_price_max: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub(super) s_price_p50: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub(super) s_price_p95: Option<U256>,
    pub(super) s_senders: Option<u64>,
}

/// The statement over transactions. As block summaries count: the value of what did not fail; prices of what paid gas (rule 20).
pub(super) fn of_transactions(contract: bool, sketches: bool) -> String {
    let touched = if contract { " AND has(t.contracts, {contract:String})" } else { "" };
    let sketches = match sketches {
        // Ranks as those of sketches: ⌈n × q⌉.
        true => {
            "if(s_prices = 0, NULL, sorted[intDiv(s_prices * 500 + 999, 1000)]) AS s_price_p50, \
             if(s_prices = 0, NULL, sorted[intDiv(s_prices * 950 + 999, 1000)]) AS s_price_p95, \
             CAST(uniqExact(sender), 'Nullable(UInt64)') AS s_senders, arraySort(groupArrayIf(assumeNotNull(price), paid)) AS sorted"
        }
        false => {
            "CAST(NULL, 'Nullable(UInt256)') AS s_price_p50, CAST(NULL, 'Nullable(UInt256)') AS s_price_p95, \
             CAST(NULL, 'Nullable(UInt64)') AS s_senders"
        }
    };
    format!(
        "SELECT step, s_blocks, s_first, s_last, s_first_time, s_last_time, s_sequence, s_transactions, s_failed, s_unknown, s_gas_used, \
            s_fee, s_fee_unknown, s_value, s_price, s_prices, s_price_min, s_price_max, s_price_p50, s_price_p95, s_senders FROM \
         (SELECT step, uniqExact(number) AS s_blocks, min(number) AS s_first, max(number) AS s_last, argMin(time, number) AS s_first_time, \
            argMax(time, number) AS s_last_time, max(event) AS s_sequence, count() AS s_transactions, countIf(outcome = 'failed') AS s_failed, \
            countIf(outcome = 'unknown') AS s_unknown, sum(gas) AS s_gas_used, sum(ifNull(cost, toUInt256(0))) AS s_fee, \
            countIf(isNull(cost)) AS s_fee_unknown, sumIf(moved, outcome != 'failed') AS s_value, \
            sumIf(assumeNotNull(price), paid) AS s_price, countIf(paid) AS s_prices, \
            minOrNullIf(assumeNotNull(price), paid) AS s_price_min, maxOrNullIf(assumeNotNull(price), paid) AS s_price_max, {sketches} \
          FROM (SELECT toUInt64(intDiv(toUnixTimestamp64Milli(t.block_timestamp) - {{base:Int64}}, {{width:Int64}})) AS step, \
                t.block_number AS number, t.block_timestamp AS time, t.sequence AS event, t.status AS outcome, t.receipt_gas_used AS gas, \
                t.fee AS cost, t.value AS moved, t.from_address AS sender, \
                coalesce(t.receipt_effective_gas_price, if(isNull(t.max_fee_per_gas), t.gas_price, NULL)) AS price, \
                ifNull(t.execution_fee > 0, 0) AND isNotNull(price) AS paid \
            FROM evm_transactions AS t WHERE t.network = {{network:String}} \
            AND t.block_timestamp >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
            AND t.block_timestamp < fromUnixTimestamp64Milli({{to:Int64}}, 'UTC'){touched}) \
          GROUP BY step) ORDER BY step DESC"
    )
}

/// What Bitcoin's transactions of a step paid, and whose scripts they spend.
#[derive(Debug, Clone, Row, Deserialize)]
pub(super) struct Spending {
    pub(super) step: u64,
    #[serde(with = "wire::u256_option")]
    pub(super) s_price_p50: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub(super) s_price_p95: Option<U256>,
    pub(super) s_senders: u64,
}

/// The statement over them, as block summaries count: rates of what left a fee, and each script that is spent once. Ranks as those of sketches.
pub(super) const SPENDING: &str = "SELECT step, \
    if(prices = 0, NULL, sorted[intDiv(prices * 500 + 999, 1000)]) AS s_price_p50, \
    if(prices = 0, NULL, sorted[intDiv(prices * 950 + 999, 1000)]) AS s_price_p95, senders AS s_senders FROM \
    (SELECT step, countIf(isNotNull(rate)) AS prices, arraySort(groupArrayIf(toUInt256(assumeNotNull(rate)), isNotNull(rate))) AS sorted, \
        uniqExactIf(assumeNotNull(script), isNotNull(script)) AS senders FROM \
     (SELECT toUInt64(intDiv(toUnixTimestamp64Milli(t.block_timestamp) - {base:Int64}, {width:Int64})) AS step, \
        if(ifNull(t.fee > 0, 0), t.fee_rate, NULL) AS rate, CAST(NULL, 'Nullable(String)') AS script \
      FROM bitcoin_transactions AS t WHERE t.network = {network:String} \
      AND t.block_timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND t.block_timestamp < fromUnixTimestamp64Milli({to:Int64}, 'UTC') \
      UNION ALL \
      SELECT toUInt64(intDiv(toUnixTimestamp64Milli(i.block_timestamp) - {base:Int64}, {width:Int64})) AS step, \
        CAST(NULL, 'Nullable(UInt64)') AS rate, i.spent_script_hex AS script \
      FROM bitcoin_inputs AS i WHERE i.network = {network:String} \
      AND i.block_timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND i.block_timestamp < fromUnixTimestamp64Milli({to:Int64}, 'UTC')) \
     GROUP BY step) ORDER BY step DESC";

impl Blocks {
    pub(super) fn figures(&self) -> Figures {
        Figures {
            blocks: self.s_blocks,
            transactions: self.s_transactions,
            failed: self.s_failed,
            unknown: self.s_unknown,
            unreadable: self.s_unreadable,
            logs: Some(self.s_logs),
            token_transfers: Some(self.s_transfers),
            gas_used: self.s_gas_used,
            gas_limit: u128::try_from(self.s_gas_limit).unwrap_or(u128::MAX),
            base_fee_sum: self.s_base_fee,
            base_fee_count: self.s_base_fees,
            base_fee_min: self.s_base_fee_min,
            base_fee_max: self.s_base_fee_max,
            fee_total: self.s_fee,
            fee_unknown: self.s_fee_unknown,
            value_total: self.s_value,
            gas_price_sum: self.s_price,
            gas_price_count: self.s_prices,
            gas_price_min: self.s_price_min,
            gas_price_max: self.s_price_max,
            first: Some((self.s_first, self.s_first_time)),
            last: Some((self.s_last, self.s_last_time)),
            ..Figures::default()
        }
    }
}

impl Transactions {
    pub(super) fn figures(&self) -> Figures {
        Figures {
            blocks: self.s_blocks,
            transactions: self.s_transactions,
            failed: self.s_failed,
            unknown: self.s_unknown,
            gas_used: self.s_gas_used,
            fee_total: self.s_fee,
            fee_unknown: self.s_fee_unknown,
            value_total: self.s_value,
            gas_price_sum: self.s_price,
            gas_price_count: self.s_prices,
            gas_price_min: self.s_price_min,
            gas_price_max: self.s_price_max,
            gas_price_p50: self.s_price_p50,
            gas_price_p95: self.s_price_p95,
            senders: self.s_senders,
            first: Some((self.s_first, self.s_first_time)),
            last: Some((self.s_last, self.s_last_time)),
            ..Figures::default()
        }
    }
}

/// A line of a step.
pub(super) trait Step {
    fn step(&self) -> u64;
}

impl Step for Blocks {
    fn step(&self) -> u64 {
        self.step
    }
}

impl Step for Spending {
    fn step(&self) -> u64 {
        self.step
    }
}

impl Step for Transactions {
    fn step(&self) -> u64 {
        self.step
    }
}
