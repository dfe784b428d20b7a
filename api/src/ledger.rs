//! Which heights of each network are held whole, as the store counts them, kept for a moment, so that many readers ask the store
//! once.
//!
//! Guarantee: an answer says when it was counted, and comes within 50 ms also where a network has 100 million rows (`make completeness`
//! measures it). It is at most [`KEPT`] old as long as the store is quick; where a newer one takes longer than [`PATIENCE`], the last one is given
//! once more, up to [`OLDEST`]. What came is counted while nobody asks, so that whoever does waits for a little of it only, the
//! first time too.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use runtime::control::Known;
use schemas::{Network, TimeMs, limits};
use serde::Serialize;
use store::{
    Store,
    query::{self, Remembered},
};
use tokio::sync::OwnedMutexGuard;
use utoipa::ToSchema;

use crate::{
    app::App,
    error::ApiError,
    given_up::{self, GivenUpItem},
};

/// What is held of a network.
#[derive(Debug, Serialize, ToSchema)]
pub struct Completeness {
    /// The network's slug.
    pub network: String,
    /// When it was counted: a few seconds ago at most, half a minute while the store is slow.
    pub counted_at: String,
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

impl Completeness {
    /// From this height to the highest block everything is held whole, as it was counted last (rule 31: only there may somebody say that
    /// something is not, or is unspent); `None` where that is not known.
    pub fn full_from(&self) -> Option<u64> {
        let last = self.ranges.last()?;
        let above = self.uncounted.last().is_some_and(|uncounted| uncounted.to_height >= last.from_height);
        let whole = last.complete && last.coverage == query::Coverage::Full.as_str() && !above;
        whole.then_some(last.from_height)
    }
}

/// How long an answer is given again without a question to the store, and a failure: who waits for a store in trouble does not ask it one
/// after the other.
const KEPT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));
/// How long whoever asks later than that waits for a newer answer, when there is one …
const PATIENCE: Duration = Duration::from_millis(35);
/// … that is not older than this. The newer one is there for whoever comes next.
const OLDEST: Duration = Duration::from_secs(30);

/// Events of a network that came since it was last counted, from which on it is counted before anybody asks.
const AHEAD: u64 = 64;
/// Times as long as a count took that is rested after one that nobody asked for, and the bounds of that rest.
const REST: (u32, Duration, Duration) = (9, Duration::from_millis(20), Duration::from_secs(10));

type Answer = Result<Arc<Completeness>, ApiError>;

/// What is kept of a network.
#[derive(Default)]
struct Kept {
    /// The last answer and when it came.
    answer: Mutex<Option<(Instant, Answer)>>,
    /// Held while the store is asked: one asks, others wait for it.
    asking: Arc<tokio::sync::Mutex<Asking>>,
}

/// What the next question begins with.
#[derive(Default)]
struct Asking {
    remembered: Remembered,
    /// The newest event in the log when it was last counted ahead; `None` when nothing of it is remembered.
    ahead: Option<u64>,
}

/// When somebody last wanted it, and what is kept.
type Entry = (Instant, Arc<Kept>);

/// The last answers, so that many readers ask the store once, and what they were made from, so that only what changed is counted again. Of
/// at most [`limits::COMPLETENESS_NETWORKS`] networks; of more, those that were wanted last.
#[derive(Default)]
pub struct Counts(Mutex<HashMap<Network, Entry>>);

impl Counts {
    fn kept(&self, network: &Network) -> Arc<Kept> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::COMPLETENESS_NETWORKS && !all.contains_key(network) {
            let oldest = all.iter().min_by_key(|(_, (wanted, _))| *wanted).map(|(network, _)| network.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        let (wanted, kept) = all.entry(network.clone()).or_insert_with(|| (Instant::now(), Arc::default()));
        *wanted = Instant::now();
        Arc::clone(kept)
    }

    /// The answer: at most [`KEPT`] old, or, where a newer one takes longer than [`PATIENCE`], at most [`OLDEST`].
    pub async fn of(&self, store: &Store, network: &Network, asked: Arc<Known>) -> Answer {
        let kept = self.kept(network);
        if let Some(answer) = kept.young() {
            return answer;
        }
        let newer = kept.newer(store, network, asked);
        match kept.last() {
            Some(last) => tokio::time::timeout(PATIENCE, newer).await.unwrap_or(Ok(last)),
            None => newer.await,
        }
    }

    /// Counts what comes while nobody asks, so that whoever does waits for a little of it only: each network once after the start, and
    /// again when the log has brought [`AHEAD`] events more. Of more networks than are remembered none. A network that stands still costs nothing,
    /// and all of it at most a tenth of the store's time. For ever.
    pub async fn count_ahead(&self, app: &App) {
        loop {
            tokio::time::sleep(app.config.count_every).await;
            let networks = app.configured();
            if networks.len() > limits::COMPLETENESS_NETWORKS {
                continue;
            }
            for network in &networks {
                let newest = app.rings.span(network).map_or(0, |span| span.newest);
                let kept = self.kept(network);
                let began = Instant::now();
                {
                    let mut asking = kept.asking.lock().await;
                    if asking.ahead.is_some_and(|ahead| newest < ahead.saturating_add(AHEAD)) {
                        continue;
                    }
                    // The answer is not kept: whoever asks is told what is then.
                    if app.store.completeness_again(network, &mut asking.remembered).await.is_err() {
                        break;
                    }
                    asking.ahead = Some(newest.max(asking.remembered.sequence()));
                }
                tokio::time::sleep((began.elapsed() * REST.0).clamp(REST.1, REST.2)).await;
            }
        }
    }
}

impl Kept {
    fn answer(&self) -> MutexGuard<'_, Option<(Instant, Answer)>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last answer, where the store need not be asked again yet.
    fn young(&self) -> Option<Answer> {
        let last = self.answer();
        let (at, answer) = last.as_ref()?;
        (at.elapsed() < if answer.is_ok() { KEPT.0 } else { KEPT.1 }).then(|| answer.clone())
    }

    /// The last answer, where it will do while a newer one is made.
    fn last(&self) -> Option<Arc<Completeness>> {
        let last = self.answer();
        let (at, answer) = last.as_ref()?;
        answer.as_ref().ok().filter(|_| at.elapsed() < OLDEST).cloned()
    }

    /// A newer answer. One task asks at a time, and goes on where nobody waits for it any more.
    async fn newer(self: &Arc<Self>, store: &Store, network: &Network, asked: Arc<Known>) -> Answer {
        loop {
            let Ok(asking) = Arc::clone(&self.asking).try_lock_owned() else {
                drop(self.asking.lock().await);
                match self.young() {
                    Some(answer) => return answer,
                    // It was counted ahead of questions, and there is no answer.
                    None => continue,
                }
            };
            let (kept, store, network) = (Arc::clone(self), store.clone(), network.clone());
            let asks = tokio::spawn(async move { kept.ask(asking, &store, &network, &asked).await });
            return asks.await.unwrap_or(Err(ApiError::Internal));
        }
    }

    async fn ask(
        &self,
        mut asking: OwnedMutexGuard<Asking>,
        store: &Store,
        network: &Network,
        asked: &Known,
    ) -> Answer {
        let Asking { remembered, ahead } = &mut *asking;
        let counting = store.completeness_again(network, remembered);
        let answer = match futures::future::try_join(counting, given_up::of(store, network, asked)).await {
            Ok((held, given_up)) => Ok(Arc::new(of(network.as_str(), &held, given_up))),
            Err(error) => {
                // Nothing may be remembered.
                *ahead = None;
                Err(ApiError::from_store(&error))
            }
        };
        *self.answer() = Some((Instant::now(), answer.clone()));
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
        counted_at: TimeMs::now().rfc3339(),
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
