//! Windows: the pieces in which a list looks through a range of heights or times from its near end.
//!
//! Guarantee: a page comes in time, with what was found and a cursor, however little the filter matches and however large the
//! table is. A window that would read more than [`limits::STORE_LIST_ROWS`] is refused by the store before it reads, by its indexes
//! (`max_rows_to_read`), and is looked through in smaller ones.

use std::time::{Duration, Instant};

use clickhouse::query::Query;
use schemas::limits;

use super::Sort;
use crate::{Store, StoreError, StoreErrorKind};

/// How much wider the next window is; less once one was too wide.
const GROWTH: u64 = 8;
const CAREFUL_GROWTH: u64 = 2;

/// A range of positions, both ends included, cut into growing windows from the end where the list begins.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    low: u64,
    high: u64,
    width: u64,
    growth: u64,
    sort: Sort,
    done: bool,
}

impl Windows {
    /// Over `low..=high`; the first window is `first` wide.
    pub fn new(low: u64, high: u64, first: u64, sort: Sort) -> Self {
        Self { low, high, width: first.max(1), growth: GROWTH, sort, done: low > high }
    }

    /// The window at hand; `None` at the range's end.
    pub fn current(&self) -> Option<(u64, u64)> {
        let step = self.width - 1;
        (!self.done).then(|| match self.sort {
            Sort::Newest => (self.high.saturating_sub(step).max(self.low), self.high),
            Sort::Oldest => (self.low, self.low.saturating_add(step).min(self.high)),
        })
    }

    /// The window at hand was looked through: on to the next.
    pub fn passed(&mut self) {
        let Some(window) = self.current() else { return };
        self.width = self.width.saturating_mul(self.growth);
        if window == (self.low, self.high) {
            self.done = true;
        } else {
            match self.sort {
                Sort::Newest => self.high = window.0 - 1,
                Sort::Oldest => self.low = window.1 + 1,
            }
        }
    }

    /// The window at hand is too much at once: a narrower one takes its place. `false` when it cannot be narrower.
    pub fn narrow(&mut self) -> bool {
        let Some((from, to)) = self.current() else { return false };
        let narrower = (to - from) / GROWTH + 1;
        self.growth = CAREFUL_GROWTH;
        self.width = narrower;
        to > from
    }
}

/// What a list found.
#[derive(Debug)]
pub(super) struct Looked<T> {
    /// In order.
    pub items: Vec<T>,
    /// Why no more.
    pub end: End,
}

/// Why a list found no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The page is full.
    Full,
    /// There is no more.
    Over,
    /// The time was up after this window.
    OutOfTime((u64, u64)),
}

/// Looks through windows until so many items are found, or the budget is spent. `step` reads a window, at most so many items.
///
/// # Errors
/// The step's, unless it asks for less ([`StoreErrorKind::TooLarge`], [`StoreErrorKind::Timeout`]) and that can be given.
pub(super) async fn look<T, F>(
    mut windows: Windows,
    limit: u32,
    (budget, most): (Duration, Duration),
    step: impl Fn((u64, u64), u32) -> F,
) -> Result<Looked<T>, StoreError>
where
    F: Future<Output = Result<Vec<T>, StoreError>>,
{
    let started = Instant::now();
    let mut items: Vec<T> = Vec::new();
    let mut last = None;
    while let Some(window) = windows.current() {
        if let Some(last) = last.filter(|_| started.elapsed() > budget) {
            return Ok(Looked { items, end: End::OutOfTime(last) });
        }
        match step(window, limit - items.len() as u32).await {
            Ok(found) => {
                items.extend(found);
                if items.len() as u32 >= limit {
                    return Ok(Looked { items, end: End::Full });
                }
                last = Some(window);
                windows.passed();
            }
            Err(error) => {
                let less = matches!(error.kind, StoreErrorKind::TooLarge | StoreErrorKind::Timeout);
                if !less || started.elapsed() > most || !windows.narrow() {
                    return match last.filter(|_| less) {
                        Some(last) => Ok(Looked { items, end: End::OutOfTime(last) }),
                        None => Err(error),
                    };
                }
            }
        }
    }
    Ok(Looked { items, end: End::Over })
}

impl Store {
    /// A statement for one window: bounded in rows and time, so that it fails rather than takes long.
    pub(super) fn read_window(&self, sql: &str) -> Query {
        self.read(sql)
            .with_setting("max_rows_to_read", limits::STORE_LIST_ROWS.to_string())
            .with_setting("max_execution_time", limits::STORE_LIST_BUDGET.as_secs().to_string())
    }

    /// The budget of a list, and how long it goes on looking for a window that fits.
    pub(super) fn list_time(&self) -> (Duration, Duration) {
        (limits::STORE_LIST_BUDGET, self.config().read_deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    fn error(kind: StoreErrorKind) -> StoreError {
        StoreError::new(kind, "t", "x")
    }

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    const LONG: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(600));

    proptest! {
        #[test]
        fn windows_cover_the_range_once_in_order(
            low in 0u64..5_000, len in 0u64..5_000, first in 0u64..40, fits in 1u64..6_000, newest: bool,
        ) {
            let sort = if newest { Sort::Newest } else { Sort::Oldest };
            let widest = Mutex::new(0);
            let looked = run(look(Windows::new(low, low + len, first, sort), u32::MAX, LONG, |(a, b), _| {
                let width = b - a + 1;
                let answer = match width > fits {
                    true => Err(error(StoreErrorKind::TooLarge)),
                    false => Ok(if newest { (a..=b).rev().collect::<Vec<_>>() } else { (a..=b).collect() }),
                };
                let mut widest = widest.lock().expect("no panic");
                *widest = width.min(fits).max(*widest);
                async move { answer }
            })).expect("a width of one fits");
            let mut wanted: Vec<u64> = (low..=low + len).collect();
            if newest { wanted.reverse() }
            prop_assert_eq!(looked.items, wanted);
            prop_assert_eq!(looked.end, End::Over);
        }
    }

    #[test]
    fn an_empty_range_and_the_largest_have_windows_too() {
        assert_eq!(Windows::new(5, 4, 8, Sort::Newest).current(), None);
        for sort in [Sort::Newest, Sort::Oldest] {
            let mut windows = Windows::new(0, u64::MAX, 8, sort);
            let mut count = 0;
            while windows.current().is_some() {
                windows.passed();
                count += 1;
            }
            assert!(count < 30, "{count}");
        }
    }

    #[test]
    fn a_page_ends_when_it_is_full_and_when_its_time_is_up() {
        let ten = |_, most: u32| async move { Ok(vec![0u8; 10.min(most) as usize]) };
        let full = run(look(Windows::new(0, 10_000, 1, Sort::Newest), 25, LONG, ten)).expect("found");
        assert_eq!((full.items.len(), full.end), (25, End::Full));
        let none = (Duration::ZERO, Duration::from_secs(600));
        let short = run(look(Windows::new(0, 10_000, 1, Sort::Newest), 25, none, ten)).expect("found");
        assert_eq!((short.items.len(), short.end), (10, End::OutOfTime((10_000, 10_000))));
        let short = run(look(Windows::new(0, 10_000, 4, Sort::Oldest), 25, none, ten)).expect("found");
        assert_eq!(short.end, End::OutOfTime((0, 3)));
    }

    #[test]
    fn what_cannot_be_had_in_time_ends_the_page_and_what_cannot_be_had_at_all_is_an_error() {
        // The second window never answers, however narrow.
        let stuck = |(_, to): (u64, u64), _| async move {
            if to == 10_000 { Ok(vec![1u8]) } else { Err(error(StoreErrorKind::Timeout)) }
        };
        let looked = run(look(Windows::new(0, 10_000, 100, Sort::Newest), 25, LONG, stuck)).expect("a short page");
        assert_eq!((looked.items.len(), looked.end), (1, End::OutOfTime((9_901, 10_000))));
        for kind in [StoreErrorKind::Timeout, StoreErrorKind::TooLarge, StoreErrorKind::Unreachable] {
            let never = |_, _| async move { Err::<Vec<u8>, _>(error(kind)) };
            let failed = run(look(Windows::new(0, 10_000, 100, Sort::Newest), 25, LONG, never)).expect_err("nothing");
            assert_eq!(failed.kind, kind);
        }
    }
}
