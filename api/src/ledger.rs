//! Which heights of each network are held whole, as the store counts them, kept for a moment, so that many readers ask the store
//! once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use runtime::requests::Known;
use schemas::Network;
use serde::Serialize;
use store::{Store, query};
use utoipa::ToSchema;

use crate::{
    error::ApiError,
    given_up::{self, GivenUpItem},
};

/// What is held of a network.
#[derive(Debug, Serialize, ToSchema)]
pub struct Completeness {
    /// The network's slug.
    pub network: String,
    /// Ranges of heights, from the lowest.
    pub ranges: Vec<RangeItem>,
    /// Heights between the ranges: not held.
    pub gaps: Vec<GapItem>,
    /// Heights that hold blocks and were not counted yet: neither whole nor a gap so far as is known. The store's sink counts them
    /// in its own time after an upgrade, or after something in them changed.
    pub uncounted: Vec<GapItem>,
    /// Sequences that operators gave up, since retention had removed them before they were read.
    pub given_up: Vec<GivenUpItem>,
}

/// Consecutive heights that are all complete, or all not.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompletenessRange)]
pub struct RangeItem {
    /// First height.
    pub from_height: u64,
    /// Last height.
    pub to_height: u64,
    /// Blocks held. Fewer than heights where the chain made no block for some.
    pub blocks: u64,
    /// Transactions that the headers count.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions_stored: u64,
    /// Whether everything that the headers count has its row; not of what was removed.
    pub complete: bool,
    /// `full`: blocks with their transactions. `header`: blocks of which no transaction was to be had. `pruned`: removed by
    /// `[store] keep` or `max_bytes`; nothing is held of it, and that is no gap.
    pub coverage: String,
}

/// A range of heights.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompletenessGap)]
pub struct GapItem {
    /// First height.
    pub from_height: u64,
    /// Last height.
    pub to_height: u64,
    /// `not_held`: no block of these heights has come, and a back-fill would bring them. `given_up`: events of these heights were given
    /// up, `given_up` says by which request. `not_counted`: what is held of them is not known yet.
    pub reason: &'static str,
}

const NOT_HELD: &str = "not_held";
const GIVEN_UP: &str = "given_up";
const NOT_COUNTED: &str = "not_counted";

/// How long an answer is given again, and a failure: who waits for a store in trouble does not ask it one after the other.
const KEPT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

/// A network's last answer and when it came. Held while the store is asked: one request asks, others wait for it.
type Last = Arc<tokio::sync::Mutex<Option<(Instant, Result<Arc<Completeness>, ApiError>)>>>;

/// The last answers, so that many readers ask the store once. One for each network that is known.
#[derive(Default)]
pub struct Counts(Mutex<HashMap<Network, Last>>);

impl Counts {
    /// The answer, at most [`KEPT`] old.
    pub async fn of(&self, store: &Store, network: &Network, asked: &Known) -> Result<Arc<Completeness>, ApiError> {
        let last = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(network.clone()).or_default())
        };
        let mut last = last.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < if answer.is_ok() { KEPT.0 } else { KEPT.1 }
        {
            return answer.clone();
        }
        let held = futures::future::try_join(store.completeness(network), given_up::of(store, network, asked)).await;
        let answer = match held {
            Ok((held, given_up)) => Ok(Arc::new(of(network.as_str(), &held, given_up))),
            Err(error) => Err(ApiError::from_store(&error)),
        };
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

fn of(network: &str, held: &query::Completeness, given_up: Vec<GivenUpItem>) -> Completeness {
    let item = |r: &query::CompletenessRange| RangeItem {
        from_height: r.from_number,
        to_height: r.to_number,
        blocks: r.blocks,
        transactions_expected: r.transactions_expected,
        transactions_stored: r.transactions_stored,
        complete: r.complete,
        coverage: r.coverage.as_str().to_owned(),
    };
    let mut known: Vec<(u64, u64)> = held.ranges.iter().map(|r| (r.from_number, r.to_number)).collect();
    known.extend(&held.uncounted);
    known.sort_unstable();
    let reason = |from: u64, to: u64| {
        let overlaps =
            |g: &GivenUpItem| g.from_height.zip(g.to_height).is_some_and(|(low, high)| low <= to && from <= high);
        if given_up.iter().any(overlaps) { GIVEN_UP } else { NOT_HELD }
    };
    let gap = |pair: &[(u64, u64)]| {
        let (from_height, to_height) = (pair[0].1.saturating_add(1), pair[1].0.saturating_sub(1));
        (from_height <= to_height).then_some(GapItem { from_height, to_height, reason: reason(from_height, to_height) })
    };
    let heights = |&(from_height, to_height): &(u64, u64)| GapItem { from_height, to_height, reason: NOT_COUNTED };
    let gaps = known.windows(2).filter_map(gap).collect();
    Completeness {
        network: network.to_owned(),
        ranges: held.ranges.iter().map(item).collect(),
        gaps,
        uncounted: held.uncounted.iter().map(heights).collect(),
        given_up,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_ranges_is_a_gap_unless_it_was_not_counted() {
        let range = |from_number, to_number| query::CompletenessRange {
            from_number,
            to_number,
            blocks: to_number - from_number + 1,
            transactions_expected: 0,
            transactions_stored: 0,
            complete: true,
            coverage: query::Coverage::Full,
        };
        let held = query::Completeness {
            ranges: vec![range(5, 9), range(10, 10), range(13, 20), range(40, 50)],
            uncounted: vec![(21, 30), (51, 60)],
        };
        let given_up = GivenUpItem {
            request: "a-1".into(),
            first_sequence: 7,
            last_sequence: 9,
            from_height: Some(35),
            to_height: Some(36),
            reason: String::new(),
        };
        let told = of("a", &held, vec![given_up]);
        let heights = |from_height, to_height, reason| GapItem { from_height, to_height, reason };
        assert_eq!(told.gaps, [heights(11, 12, NOT_HELD), heights(31, 39, GIVEN_UP)]);
        assert_eq!(told.uncounted, [heights(21, 30, NOT_COUNTED), heights(51, 60, NOT_COUNTED)]);
        assert!(of("a", &query::Completeness::default(), Vec::new()).gaps.is_empty());
    }
}
