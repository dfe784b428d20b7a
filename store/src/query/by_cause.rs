//! Failed transactions over time, by why they failed.

use std::collections::BTreeMap;

use clickhouse::Row;
use schemas::{Network, TimeMs, limits::windows::CAUSE_LINES};
use serde::Deserialize;

use super::{
    Sort, Step,
    steps::steps_of,
    told::check_contract,
    windows::{End, Looked, Windows, look},
};
use crate::{Store, StoreError};

/// Of whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CausesFilter {
    /// The network.
    pub network: Network,
    /// What touched this contract (rule 20): `0x` and 40 lower-case hex digits on EVM. `None`: all.
    pub contract: Option<String>,
    /// In these steps.
    pub step: Step,
    /// From the step on that this time lies in.
    pub from: TimeMs,
    /// To this time: a step that begins at it or later is not in it.
    pub to: TimeMs,
}

/// Failed transactions of a time, by step and cause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CausesOverTime {
    /// The oldest step first; of a step the most frequent first. Steps without failures have none.
    pub counts: Vec<CauseCount>,
    /// From when on they were counted: later than was asked where the time did not suffice for more.
    pub from: TimeMs,
    /// The last event of the network that is in it; 0 before the first.
    pub sequence: u64,
}

/// Failed transactions of a step with one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseCount {
    /// Where the step begins.
    pub at: TimeMs,
    /// Why, one word; `None` where nothing is known.
    pub cause: Option<String>,
    /// How many.
    pub count: u64,
}

const ASKING: &str = "counting failures by cause";
/// Width of the first window of times, in milliseconds.
const FIRST_MS: u64 = 600_000;

#[derive(Row, Deserialize)]
struct Line {
    step: u64,
    cause: Option<String>,
    failures: u64,
    newest: u64,
}

impl Store {
    /// Failed transactions of a network or a contract over time, by cause: the newest are counted first, as far as the time suffices.
    ///
    /// # Errors
    /// The time is empty or has too many steps, or the store is away.
    pub async fn failures_by_cause(&self, filter: &CausesFilter) -> Result<CausesOverTime, StoreError> {
        check_contract(filter.contract.as_deref(), ASKING)?;
        let (from, to) = steps_of(filter.step, filter.from, filter.to, ASKING)?;
        let touched = match filter.contract {
            Some(_) => "AND has(t.contracts, {contract:String}) ",
            None => "",
        };
        let sql = format!(
            "SELECT toUInt64(intDiv(toUnixTimestamp64Milli(t.block_timestamp) - {{base:Int64}}, {{width:Int64}})) AS step, \
             t.failure_cause AS cause, count() AS failures, max(t.sequence) AS newest FROM transactions AS t \
             WHERE t.network = {{network:String}} AND t.status = 'failed' {touched}\
             AND t.block_timestamp BETWEEN fromUnixTimestamp64Milli({{w_from:Int64}}, 'UTC') \
             AND fromUnixTimestamp64Milli({{w_to:Int64}}, 'UTC') GROUP BY step, cause ORDER BY step DESC LIMIT {CAUSE_LINES}"
        );
        // Windows of whole times: of a step that two of them count the counts are added up.
        let time = |ms: i64| u64::try_from(ms).unwrap_or_default();
        let windows = Windows::new(time(from), time(to - 1), FIRST_MS, Sort::Newest);
        let looked = look(windows, u32::MAX, self.list_time(), |(w_from, w_to), _| {
            let query = self.read_window(&sql).param("network", filter.network.as_str()).param("base", from);
            let query = query.param("width", filter.step.ms()).param("w_from", w_from).param("w_to", w_to);
            let query = match &filter.contract {
                Some(contract) => query.param("contract", contract.as_str()),
                None => query,
            };
            self.within(ASKING, query.fetch_all::<Line>())
        });
        let Looked { items, end } = looked.await?;
        let counted_from = match end {
            End::OutOfTime((read_from, _)) => TimeMs(i64::try_from(read_from).unwrap_or(from)),
            End::Full | End::Over => TimeMs(from),
        };
        let sequence = items.iter().map(|line| line.newest).max().unwrap_or(0);
        Ok(CausesOverTime { counts: added_up(items, from, filter.step), from: counted_from, sequence })
    }
}

/// Lines of all windows as one. Pure.
fn added_up(lines: Vec<Line>, base: i64, step: Step) -> Vec<CauseCount> {
    let mut counts = BTreeMap::<(u64, Option<String>), u64>::new();
    for line in lines {
        *counts.entry((line.step, line.cause)).or_default() += line.failures;
    }
    let start = |index: u64| base.saturating_add(step.ms().saturating_mul(i64::try_from(index).unwrap_or_default()));
    let one = |((index, cause), count)| CauseCount { at: TimeMs(start(index)), cause, count };
    let mut counts: Vec<CauseCount> = counts.into_iter().map(one).collect();
    counts.sort_by(|a, b| a.at.0.cmp(&b.at.0).then(b.count.cmp(&a.count)).then_with(|| a.cause.cmp(&b.cause)));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_added_up_and_the_most_frequent_of_a_step_comes_first() {
        let line =
            |step, cause: Option<&str>, failures| Line { step, cause: cause.map(str::to_owned), failures, newest: 1 };
        let lines =
            vec![line(1, Some("slippage"), 2), line(0, None, 1), line(1, None, 3), line(1, Some("slippage"), 4)];
        let counts = added_up(lines, 600_000, Step::Minute);
        let seen: Vec<_> = counts.iter().map(|c| (c.at.0, c.cause.as_deref(), c.count)).collect();
        assert_eq!(seen, [(600_000, None, 1), (660_000, Some("slippage"), 6), (660_000, None, 3)]);
    }
}
