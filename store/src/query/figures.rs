//! Figures of a time, of a network or of a contract: sums, and what is told from them. Pure.

use alloy_primitives::U256;
use schemas::{
    TimeMs,
    records::{Mark, Partial},
};

use super::{Metric, Value};

/// What happened in a time. What is not known is `None`, never zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Blocks (of a contract: those that touched it).
    pub blocks: u64,
    /// Transactions, unreadable ones included.
    pub transactions: u64,
    /// With status `failed`.
    pub failed: u64,
    /// With status `unknown`.
    pub unknown: u64,
    /// That could not be read.
    pub unreadable: u64,
    /// Logs.
    pub logs: Option<u64>,
    /// Transfers of tokens.
    pub token_transfers: Option<u64>,
    /// Gas used over receipts.
    pub gas_used: u64,
    /// Gas limits of the blocks (some chains have 2^50 and more); 0 of contracts.
    pub gas_limit: u128,
    /// Sum of base fees over blocks that have one.
    pub base_fee_sum: U256,
    /// Number of blocks in it.
    pub base_fee_count: u64,
    /// The lowest of them.
    pub base_fee_min: Option<U256>,
    /// The highest.
    pub base_fee_max: Option<U256>,
    /// Fees really paid, in the chain's own coin.
    pub fee_total: U256,
    /// Transactions whose fee is not known, so not in `fee_total`.
    pub fee_unknown: u64,
    /// Value moved by transactions that did not fail.
    pub value_total: U256,
    /// Sum of effective gas prices over transactions that paid gas.
    pub gas_price_sum: U256,
    /// Their number.
    pub gas_price_count: u64,
    /// The lowest of these prices.
    pub gas_price_min: Option<U256>,
    /// The highest.
    pub gas_price_max: Option<U256>,
    /// Their median.
    pub gas_price_p50: Option<U256>,
    /// Their 95th percentile.
    pub gas_price_p95: Option<U256>,
    /// Distinct senders, about.
    pub senders: Option<u64>,
    /// Lowest block, and its time.
    pub first: Option<(u64, TimeMs)>,
    /// Highest block, and its time.
    pub last: Option<(u64, TimeMs)>,
}

impl Figures {
    /// Failed transactions by all; `None` without transactions.
    pub fn failure_rate(&self) -> Option<f64> {
        ratio(self.failed, self.transactions)
    }

    /// Mean of effective gas prices, rounded down; `None` where nobody paid gas.
    pub fn gas_price_avg(&self) -> Option<U256> {
        mean(self.gas_price_sum, self.gas_price_count)
    }

    /// Mean of base fees, rounded down; `None` where no block has one.
    pub fn base_fee_avg(&self) -> Option<U256> {
        mean(self.base_fee_sum, self.base_fee_count)
    }

    /// Gas used by gas limits (Bitcoin: virtual bytes by those that there is room for), 0 to 1; `None` of contracts, and where no block has a limit.
    pub fn fullness(&self) -> Option<f64> {
        (self.gas_limit > 0).then(|| (self.gas_used as f64 / self.gas_limit as f64).min(1.0))
    }

    /// Mean time from block to block, milliseconds; `None` with less than two heights, and where times fall.
    pub fn block_interval_ms(&self) -> Option<f64> {
        let [first, last] = [self.first?, self.last?].map(|(height, time)| Mark { height, time });
        first.interval_ms(last)
    }

    /// Transactions a second over a time of so many milliseconds.
    pub fn tps(&self, ms: i64) -> Option<f64> {
        (ms > 0).then(|| self.transactions as f64 * 1_000.0 / ms as f64)
    }

    /// What rules are held against: blocks, transactions, failed ones, gas, base fees, fees and prices as sums, first and last block. Anything
    /// else is zero, and what is distributed is not known.
    pub fn partial(&self) -> Partial {
        let mark = |(height, time)| Mark { height, time };
        Partial {
            blocks: self.blocks,
            transactions: self.transactions,
            failed: self.failed,
            gas_used: self.gas_used,
            gas_limit: U256::from(self.gas_limit),
            base_fee_sum: self.base_fee_sum,
            base_fee_count: self.base_fee_count,
            fee_total: self.fee_total,
            gas_price_sum: self.gas_price_sum,
            gas_price_count: self.gas_price_count,
            first: self.first.map(mark),
            last: self.last.map(mark),
            fees: None,
            bins: None,
            senders: None,
            ..Partial::default()
        }
    }

    /// A figure of a time of so many milliseconds.
    pub fn value(&self, metric: Metric, ms: i64) -> Option<Value> {
        match metric {
            Metric::FailureRate => self.failure_rate().map(Value::Number),
            Metric::Failed => Some(Value::Count(self.failed)),
            Metric::Transactions => Some(Value::Count(self.transactions)),
            Metric::Tps => self.tps(ms).map(Value::Number),
            Metric::GasPriceAvg => self.gas_price_avg().map(Value::Amount),
            Metric::GasPriceP50 => self.gas_price_p50.map(Value::Amount),
            Metric::GasPriceP95 => self.gas_price_p95.map(Value::Amount),
            Metric::FeeTotal => Some(Value::Amount(self.fee_total)),
            Metric::BaseFee => self.base_fee_avg().map(Value::Amount),
            Metric::Fullness => self.fullness().map(Value::Number),
            Metric::Senders => self.senders.map(Value::Count),
            Metric::BlockIntervalMs => self.block_interval_ms().map(Value::Number),
            Metric::GasUsed => Some(Value::Count(self.gas_used)),
            Metric::ValueTotal => Some(Value::Amount(self.value_total)),
            Metric::TokenTransfers => self.token_transfers.map(Value::Count),
        }
    }
}

fn ratio(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

fn mean(sum: U256, count: u64) -> Option<U256> {
    sum.checked_div(U256::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_tells_of_is_none_and_never_zero() {
        let none = Figures::default();
        for metric in Metric::ALL {
            let zero = [
                Metric::Failed,
                Metric::Transactions,
                Metric::Tps,
                Metric::FeeTotal,
                Metric::GasUsed,
                Metric::ValueTotal,
            ];
            assert_eq!(none.value(metric, 60_000).is_some(), zero.contains(&metric), "{metric}");
        }
        let some = Figures {
            transactions: 120,
            failed: 3,
            gas_used: 15,
            gas_limit: 60,
            gas_price_sum: U256::from(7),
            gas_price_count: 2,
            first: Some((10, TimeMs(1_000))),
            last: Some((14, TimeMs(9_000))),
            ..none
        };
        assert_eq!(some.value(Metric::Tps, 60_000), Some(Value::Number(2.0)));
        assert_eq!(some.value(Metric::FailureRate, 60_000), Some(Value::Number(0.025)));
        assert_eq!(some.value(Metric::Fullness, 60_000), Some(Value::Number(0.25)));
        assert_eq!(some.value(Metric::GasPriceAvg, 60_000), Some(Value::Amount(U256::from(3))));
        assert_eq!(some.value(Metric::BlockIntervalMs, 60_000), Some(Value::Number(2_000.0)));
        let falls = Figures { last: Some((14, TimeMs(999))), ..some };
        assert_eq!(falls.value(Metric::BlockIntervalMs, 60_000), None, "as partials and the view say it");
    }
}
