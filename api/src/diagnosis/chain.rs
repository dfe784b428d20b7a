//! By what a chain is judged: its family, and what is held of it.

use store::query::Step;

/// How old the newest block may be at least, milliseconds (rule 23's `lag_ok`).
const AGE_OK: u64 = 30_000;
/// How many block intervals that may be, where they are about equal.
const INTERVALS: f64 = 3.0;
/// The same of a Bitcoin network, of the longest hourly mean that is usual: intervals are spread as chance spreads them, and of twenty hours on
/// end with blocks every ten minutes one has a gap of an hour.
const BITCOIN_INTERVALS: f64 = 5.0;
/// How old a Bitcoin network's newest block may be where nothing is usual yet, milliseconds: nine of its intervals, a gap that chance makes every
/// other month.
const BITCOIN_AGE_OK: u64 = 90 * 60_000;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chain {
    /// By what fails, gas, base fees and intervals, in steps of five minutes.
    #[default]
    Evm,
    /// By weight, fee rates and intervals, in steps of an hour: nothing fails there, and blocks come minutes apart.
    Bitcoin,
    /// A Bitcoin network of which block headers alone are held: by its newest block and its endpoints.
    Headers,
}

impl Chain {
    /// How long the time is that is judged, and each step of the day before.
    pub const fn step(self) -> Step {
        match self {
            Self::Evm => Step::FiveMinutes,
            Self::Bitcoin | Self::Headers => Step::Hour,
        }
    }

    /// The time that is judged, in words behind `the`.
    pub const fn time(self) -> &'static str {
        match self {
            Self::Evm => "last minutes",
            Self::Bitcoin | Self::Headers => "last hour",
        }
    }

    /// What the day before is made of, in words behind a number.
    pub const fn steps(self) -> &'static str {
        match self {
            Self::Evm => "five-minute windows",
            Self::Bitcoin | Self::Headers => "hourly windows",
        }
    }

    /// How old the newest block may be, milliseconds. `interval`: the longest mean time between blocks that is usual, milliseconds.
    pub fn age_ok(self, interval: Option<f64>) -> u64 {
        let intervals = |many: f64| interval.map(|interval| AGE_OK.max((interval * many) as u64));
        match self {
            Self::Evm => intervals(INTERVALS).unwrap_or(AGE_OK),
            Self::Bitcoin | Self::Headers => intervals(BITCOIN_INTERVALS).unwrap_or(BITCOIN_AGE_OK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_may_be_as_old_as_its_chain_lets_it() {
        assert_eq!([None, Some(2_000.0), Some(12_000.0)].map(|i| Chain::Evm.age_ok(i)), [30_000, 30_000, 36_000]);
        let minutes =
            |interval: Option<f64>| Chain::Bitcoin.age_ok(interval.map(|minutes| minutes * 60_000.0)) / 60_000;
        assert_eq!([None, Some(20.0), Some(12.0)].map(minutes), [90, 100, 60]);
    }
}
