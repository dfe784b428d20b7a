//! Figures that rules are about, exactly.
//!
//! Guarantee: a figure of a window is a function of its partial and length alone (rule 30), an exact fraction. What there is none of (a rate
//! without transactions, a price that nobody paid) is no figure: nothing is over it or under it.

use alloy_primitives::U256;
use schemas::records::Partial;
use serde_json::{Value, json};

use crate::{
    number::{Number, Relation},
    rule::{Limit, Rule},
};

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Failed by all transactions of the window, 0–1.
    FailureRate,
    /// Failed transactions in the window.
    Failed,
    /// Transactions in the window.
    Transactions,
    /// Transactions in the window by its seconds.
    Tps,
    /// The plain mean of effective gas prices over the window (rule 20), the chain's price unit (EVM: wei per gas).
    GasPriceAvg,
    /// Sum of fees in the window, the chain's coin's smallest unit.
    FeeTotal,
    /// The plain mean of the blocks' base fees, wei per gas; of a network only.
    BaseFee,
    /// Gas used by the blocks' gas limits, 0–1; of a network only.
    Fullness,
    /// An endpoint's score, 0–100 (rule 23).
    ProviderScore,
    /// How many blocks an endpoint is behind the best.
    ProviderLagBlocks,
    /// Failed by all requests to an endpoint of the last ten minutes, 0–1.
    ProviderErrorRate,
    /// Endpoints of the network that were found to contradict the others.
    EndpointsDisagree,
    /// 1 while the network's sources are on different branches (its state is `diverged`), else 0.
    Diverged,
    /// Reconnections to an endpoint in the window.
    Reconnects,
    /// Seconds since a block of the network was first seen.
    NoBlockSeconds,
    /// Blocks between what the endpoints show and what is published.
    LagBlocks,
    /// Seconds that the stages are behind.
    StageLag,
    /// Blocks of the window that are stored with something missing.
    IncompleteBlocks,
}

/// What a figure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What blocks did in a trailing window, of a network or a contract: looked at after each block event.
    Window,
    /// What samples say of an endpoint, or of all of a network's.
    Endpoint,
    /// What stored clocks and statuses say of a network.
    Clock,
}

impl Metric {
    /// All, by their words.
    pub const WORDS: [(&'static str, Self); 18] = [
        ("failure_rate", Self::FailureRate),
        ("failed", Self::Failed),
        ("transactions", Self::Transactions),
        ("tps", Self::Tps),
        ("gas_price_avg", Self::GasPriceAvg),
        ("fee_total", Self::FeeTotal),
        ("base_fee", Self::BaseFee),
        ("fullness", Self::Fullness),
        ("provider_score", Self::ProviderScore),
        ("provider_lag_blocks", Self::ProviderLagBlocks),
        ("provider_error_rate", Self::ProviderErrorRate),
        ("endpoints_disagree", Self::EndpointsDisagree),
        ("diverged", Self::Diverged),
        ("reconnects", Self::Reconnects),
        ("no_block_seconds", Self::NoBlockSeconds),
        ("lag_blocks", Self::LagBlocks),
        ("stage_lag", Self::StageLag),
        ("incomplete_blocks", Self::IncompleteBlocks),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.into_iter().find(|(_, metric)| *metric == self).map_or("", |(word, _)| word)
    }

    /// What it is of.
    pub const fn kind(self) -> Kind {
        match self {
            Self::FailureRate
            | Self::Failed
            | Self::Transactions
            | Self::Tps
            | Self::GasPriceAvg
            | Self::FeeTotal
            | Self::BaseFee
            | Self::Fullness => Kind::Window,
            Self::ProviderScore
            | Self::ProviderLagBlocks
            | Self::ProviderErrorRate
            | Self::EndpointsDisagree
            | Self::Reconnects => Kind::Endpoint,
            Self::Diverged | Self::NoBlockSeconds | Self::LagBlocks | Self::StageLag | Self::IncompleteBlocks => {
                Kind::Clock
            }
        }
    }

    /// Whether it is a sum over its window: a part of the window tells at least so much.
    pub const fn is_sum(self) -> bool {
        matches!(self, Self::Failed | Self::Transactions | Self::Tps | Self::FeeTotal)
    }

    /// Whether it can be asked of one contract.
    pub const fn is_of_contracts(self) -> bool {
        matches!(self.kind(), Kind::Window) && !matches!(self, Self::BaseFee | Self::Fullness)
    }

    /// The highest value that it can have, where there is one: a threshold beyond it is a mistake.
    pub const fn most(self) -> Option<u64> {
        match self {
            Self::FailureRate | Self::Fullness | Self::ProviderErrorRate | Self::Diverged => Some(1),
            Self::ProviderScore => Some(100),
            _ => None,
        }
    }

    /// The highest value that it can have, where a threshold lies beyond it: so that nothing is told by it.
    pub fn beyond(self, operator: Relation, threshold: Number) -> Option<u64> {
        // Of two values none is more than the higher.
        let is_all = |most: Number| self == Self::Diverged && operator == Relation::More && threshold == most;
        self.most().filter(|most| threshold > Number::from(*most) || is_all(Number::from(*most)))
    }
}

/// A figure of a window and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Its value; `None`: there is none.
    pub value: Option<Number>,
    /// Transactions that it is of.
    pub transactions: u64,
    /// Failed ones among them.
    pub failed: u64,
}

impl Figure {
    /// That of a window of so many milliseconds. Metrics that are no window's have none.
    pub fn of(metric: Metric, partial: &Partial, window_ms: u64) -> Self {
        let whole = |number: u64| Some(Number::from(number));
        let value = match metric {
            Metric::FailureRate => Number::ratio(partial.failed, partial.transactions),
            Metric::Failed => whole(partial.failed),
            Metric::Transactions => whole(partial.transactions),
            Metric::Tps => Number::from(partial.transactions)
                .times(Number::from(1_000u64))
                .and_then(|thousandfold| thousandfold.by(Number::from(window_ms))),
            Metric::GasPriceAvg => partial.gas_price_avg().map(Number::from),
            Metric::FeeTotal => Some(Number::from(partial.fee_total)),
            Metric::BaseFee => partial.base_fee_avg().map(Number::from),
            // Virtual bytes are rounded up, and never more than there is room for.
            Metric::Fullness => {
                Number::from(partial.gas_limit.min(U256::from(partial.gas_used))).by(Number::from(partial.gas_limit))
            }
            _ => None,
        };
        Self { value, transactions: partial.transactions, failed: partial.failed }
    }

    /// One that was found elsewhere: a score, a lag, seconds. It is of no transactions.
    pub fn told(value: Option<Number>) -> Self {
        Self { value, transactions: 0, failed: 0 }
    }
}

/// What a rule says of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Whether its condition holds.
    pub over: bool,
    /// What the figure was compared with: the threshold, or what follows from the baseline; `None` where there is no baseline yet.
    pub threshold: Option<Number>,
}

impl Rule {
    /// Whether its condition holds. `usual`: of a rule with a baseline, the same metric over the complete hours that ended before the figure's
    /// window does, within [`Limit::Baseline`]'s time; `None` where there are none.
    pub fn judge(&self, figure: &Figure, usual: Option<&Number>) -> Judged {
        let threshold = match &self.limit {
            Limit::Threshold(threshold) => Some(threshold.number),
            Limit::Baseline { percent, .. } => usual.and_then(|usual| {
                let hundred = Number::from(100u64);
                let of_hundred = match self.operator {
                    Relation::Less | Relation::AtMost => hundred.minus(percent.number),
                    _ => hundred.plus(percent.number),
                };
                usual.times(of_hundred?)?.by(hundred)
            }),
        };
        let is_enough = self.metric.kind() != Kind::Window || figure.transactions >= self.min_count;
        let over = match (&figure.value, &threshold) {
            (Some(value), Some(threshold)) if is_enough => self.operator.holds(value.cmp(threshold)),
            _ => false,
        };
        Judged { over, threshold }
    }

    /// Whether what is said of a part of a window is told: a sum that is too much already is; a share or a mean where `enough` is held, but
    /// not that it is too little.
    pub fn tells_of_part(&self, judged: Judged, enough: impl FnOnce() -> bool) -> bool {
        let is_upward = self.operator.is_upward();
        if self.metric.is_sum() {
            return judged.over && is_upward;
        }
        (!judged.over || is_upward) && enough()
    }
}

/// What is usual of a metric, of complete hours of `total_ms` milliseconds together, for a window of `window_ms` milliseconds: a sum is what
/// so long a window has of it.
pub fn usual(metric: Metric, hours: &Partial, total_ms: u64, window_ms: u64) -> Option<Number> {
    if total_ms == 0 {
        return None;
    }
    let value = Figure::of(metric, hours, total_ms).value?;
    match metric {
        Metric::Failed | Metric::Transactions | Metric::FeeTotal => {
            value.times(Number::from(window_ms))?.by(Number::from(total_ms))
        }
        _ => Some(value),
    }
}

/// A number as JSON has it: a whole one exactly where JSON's readers do, any other as the nearest that they know.
pub fn shown(number: &Number) -> Value {
    let text = number.to_string();
    match text.parse::<u64>() {
        Ok(whole) if whole <= 1 << 53 => json!(whole),
        _ => json!(number.approximate()),
    }
}
