//! Which figures can be asked for over time, in which steps, and how their values are told.

use std::{fmt, str::FromStr};

use alloy_primitives::U256;

/// A figure over time. The words are those of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Failed transactions by all: 0 to 1; none without transactions.
    FailureRate,
    /// Failed transactions.
    Failed,
    /// Transactions, unreadable ones included.
    Transactions,
    /// Transactions a second.
    Tps,
    /// Mean of effective gas prices over transactions that paid gas (rule 20).
    GasPriceAvg,
    /// Their median.
    GasPriceP50,
    /// Their 95th percentile.
    GasPriceP95,
    /// Fees really paid, in the chain's own coin.
    FeeTotal,
    /// Mean of the blocks' base fees.
    BaseFee,
    /// Gas used by the blocks' gas limits: 0 to 1. Of networks, not of contracts.
    Fullness,
    /// Distinct senders.
    Senders,
    /// Mean time from block to block. Of networks, not of contracts.
    BlockIntervalMs,
    /// Gas used.
    GasUsed,
    /// Value moved by transactions that did not fail.
    ValueTotal,
    /// Transfers of tokens.
    TokenTransfers,
}

impl Metric {
    /// All, in the order of their words' documentation.
    pub const ALL: [Self; 15] = [
        Self::FailureRate,
        Self::Failed,
        Self::Transactions,
        Self::Tps,
        Self::GasPriceAvg,
        Self::GasPriceP50,
        Self::GasPriceP95,
        Self::FeeTotal,
        Self::BaseFee,
        Self::Fullness,
        Self::Senders,
        Self::BlockIntervalMs,
        Self::GasUsed,
        Self::ValueTotal,
        Self::TokenTransfers,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailureRate => "failure_rate",
            Self::Failed => "failed",
            Self::Transactions => "transactions",
            Self::Tps => "tps",
            Self::GasPriceAvg => "gas_price_avg",
            Self::GasPriceP50 => "gas_price_p50",
            Self::GasPriceP95 => "gas_price_p95",
            Self::FeeTotal => "fee_total",
            Self::BaseFee => "base_fee",
            Self::Fullness => "fullness",
            Self::Senders => "senders",
            Self::BlockIntervalMs => "block_interval_ms",
            Self::GasUsed => "gas_used",
            Self::ValueTotal => "value_total",
            Self::TokenTransfers => "token_transfers",
        }
    }

    /// What its values are counted in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::FailureRate | Self::Fullness => Unit::Ratio,
            Self::Failed | Self::Transactions | Self::Senders | Self::TokenTransfers => Unit::Count,
            Self::Tps => Unit::PerSecond,
            Self::GasPriceAvg | Self::GasPriceP50 | Self::GasPriceP95 | Self::BaseFee => Unit::Price,
            Self::FeeTotal | Self::ValueTotal => Unit::Amount,
            Self::BlockIntervalMs => Unit::Milliseconds,
            Self::GasUsed => Unit::Gas,
        }
    }

    /// Whether it needs more than sums: quantiles and distinct senders, which rows tell only by being read one by one.
    pub const fn is_of_sketches(self) -> bool {
        matches!(self, Self::GasPriceP50 | Self::GasPriceP95 | Self::Senders)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No such word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is none of {known}")]
pub struct UnknownWord {
    word: String,
    known: String,
}

impl FromStr for Metric {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == word).ok_or_else(|| UnknownWord {
            word: word.chars().take(64).collect(),
            known: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

/// What values are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 0 to 1.
    Ratio,
    /// Things.
    Count,
    /// Things a second.
    PerSecond,
    /// The chain's price unit: wei per gas on EVM.
    Price,
    /// The chain's smallest unit: wei on EVM.
    Amount,
    /// Milliseconds.
    Milliseconds,
    /// Gas.
    Gas,
}

impl Unit {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Count => "count",
            Self::PerSecond => "per_second",
            Self::Price => "price",
            Self::Amount => "amount",
            Self::Milliseconds => "ms",
            Self::Gas => "gas",
        }
    }
}

/// The length of a window, and of a step of a series. All begin at multiples of it since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// `1m`
    Minute,
    /// `5m`
    FiveMinutes,
    /// `1h`
    Hour,
    /// `1d`
    Day,
}

impl Step {
    /// All, the shortest first.
    pub const ALL: [Self; 4] = [Self::Minute, Self::FiveMinutes, Self::Hour, Self::Day];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The step of so many seconds.
    pub fn of_seconds(seconds: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.seconds() == seconds)
    }

    /// Its length in milliseconds.
    pub const fn ms(self) -> i64 {
        self.seconds() as i64 * 1_000
    }

    /// The beginning of the step that this time lies in, milliseconds since 1970.
    pub const fn start(self, ms: i64) -> i64 {
        ms.saturating_sub(ms.rem_euclid(self.ms()))
    }

    /// The first beginning of a step that is not before this time.
    pub const fn ceil(self, ms: i64) -> i64 {
        self.start(ms.saturating_add(self.ms() - 1))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Step {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|step| step.as_str() == word).ok_or_else(|| UnknownWord {
            word: word.chars().take(64).collect(),
            known: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

/// A value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Things, or gas.
    Count(u64),
    /// Ratios, rates, milliseconds.
    Number(f64),
    /// Amounts and prices: exact, told as decimal text.
    Amount(U256),
}

/// Where a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Source {
    /// From windows alone, or from nothing.
    #[default]
    Windows,
    /// At least a part was computed from rows.
    Rows,
}

impl Source {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Rows => "rows",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_others_are_refused_with_what_there_is() {
        for metric in Metric::ALL {
            assert_eq!(metric.as_str().parse(), Ok(metric));
        }
        for step in Step::ALL {
            assert_eq!(step.as_str().parse(), Ok(step));
        }
        let error = "2m".parse::<Step>().expect_err("none").to_string();
        assert_eq!(error, "`2m` is none of 1m, 5m, 1h, 1d");
        assert!("tip".parse::<Metric>().expect_err("none").to_string().contains("failure_rate, failed"));
    }

    #[test]
    fn steps_begin_at_multiples_of_their_length() {
        let step = Step::FiveMinutes;
        assert_eq!((step.start(300_000), step.start(599_999), step.ceil(300_001)), (300_000, 300_000, 600_000));
        assert_eq!((step.start(-1), step.ceil(300_000)), (-300_000, 300_000));
    }
}
