//! Which heights are copied by one statement. Pure.
//!
//! Guarantee: ranges go down from the top without a hole or an overlap, never over an edge of partitions, and have at most
//! [`Pace::rows`] rows unless a single height has more. So a statement is bounded in time, and what one takes too long for, or too
//! much memory, is asked for in smaller pieces.

use std::time::Duration;

/// Heights of one partition of the store's tables.
const PARTITION_HEIGHTS: u64 = 1_000_000;
/// Pieces in which rows of the next heights are counted.
pub(super) const PIECES: u64 = 64;
/// Rows of a statement: at first, and at most.
const ROWS: (u64, u64) = (50_000, 400_000);
/// How long a range should take: faster, and the next is larger; slower, and it is smaller.
const TAKES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// Lowest height of the partition of a height.
pub(super) const fn partition_floor(height: u64) -> u64 {
    height - height % PARTITION_HEIGHTS
}

/// Number of the partition of a height.
pub(super) const fn partition_of(height: u64) -> u64 {
    height / PARTITION_HEIGHTS
}

/// Heights whose rows are counted: pieces of `step` heights, the first at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub from: u64,
    pub to: u64,
    pub step: u64,
}

/// Heights that are copied at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub from: u64,
    pub to: u64,
    /// Rows of all tables, as they were counted.
    pub rows: u64,
}

/// How much is taken at once.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// Heights that are looked at.
    width: u64,
    /// Rows of one range.
    rows: u64,
}

impl Pace {
    pub const fn new() -> Self {
        Self { width: PIECES, rows: ROWS.0 }
    }

    /// Which heights to count, from `to` down, none below the partition's first.
    pub fn look(&self, to: u64) -> Look {
        let width = self.width.clamp(1, to - partition_floor(to) + 1);
        Look { from: to - (width - 1), to, step: width.div_ceil(PIECES) }
    }

    /// What of these heights is copied at once, by the rows of each piece (its number from the top, rows). `None`: a single piece has
    /// too many rows, look again.
    pub fn take(&mut self, look: Look, counted: &[(u64, u64)]) -> Option<Range> {
        let (mut rows, mut end) = (0u64, None);
        for (piece, n) in counted {
            if rows > 0 && rows.saturating_add(*n) > self.rows {
                end = Some(*piece);
                break;
            }
            rows = rows.saturating_add(*n);
        }
        if rows > self.rows && look.step > 1 {
            self.width = look.step;
            return None;
        }
        let from = match end {
            Some(piece) => look.to - (piece * look.step - 1),
            None => {
                if rows < self.rows / 4 {
                    self.width = self.width.saturating_mul(4).min(PARTITION_HEIGHTS);
                }
                look.from
            }
        };
        Some(Range { from, to: look.to, rows })
    }

    /// A range took so long.
    pub fn took(&mut self, time: Duration) {
        if time < TAKES.0 {
            self.rows = (self.rows * 2).min(ROWS.1);
        } else if time > TAKES.1 {
            self.smaller();
        }
    }

    /// The store has not the time or the memory for so much. `false` when it is the smallest already.
    pub fn smaller(&mut self) -> bool {
        let before = self.rows;
        self.rows = (self.rows / 2).max(1);
        self.rows < before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts as the store does.
    fn count(look: Look, rows: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut pieces = std::collections::BTreeMap::<u64, u64>::new();
        for (height, n) in rows.iter().filter(|(h, _)| (look.from..=look.to).contains(h)) {
            *pieces.entry((look.to - height) / look.step).or_default() += n;
        }
        pieces.into_iter().collect()
    }

    /// Copies everything, as the upgrade does. Returns the ranges.
    fn all(pace: &mut Pace, rows: &[(u64, u64)]) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        loop {
            let below = |h: u64| ranges.last().is_none_or(|last| h < last.from);
            let Some(top) = rows.iter().map(|(h, _)| *h).filter(|h| below(*h)).max() else { return ranges };
            let range = loop {
                let look = pace.look(top);
                if let Some(range) = pace.take(look, &count(look, rows)) {
                    break range;
                }
            };
            ranges.push(range);
        }
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_range_which_is_small_and_in_one_partition(
            rows in prop::collection::btree_map(
                prop_oneof![0..50u64, 999_900..1_000_100u64, any::<u64>()], 1..120_000u64, 1..200),
            sizes in prop::collection::vec(0..3u8, 0..8),
        ) {
            let rows: Vec<(u64, u64)> = rows.into_iter().collect();
            let mut pace = Pace::new();
            for size in sizes {
                if size == 0 {
                    pace.smaller();
                } else {
                    pace.took(Duration::ZERO);
                }
            }
            let most = pace.rows;
            let ranges = all(&mut pace, &rows);
            for pair in ranges.windows(2) {
                prop_assert!(pair[1].to < pair[0].from);
            }
            let mut seen = 0;
            for r in &ranges {
                prop_assert!(r.from <= r.to && partition_of(r.from) == partition_of(r.to));
                let inside: Vec<u64> = rows.iter().filter(|(h, _)| (r.from..=r.to).contains(h)).map(|(_, n)| *n).collect();
                prop_assert_eq!(inside.iter().sum::<u64>(), r.rows);
                prop_assert!(r.rows <= most || inside.len() == 1, "{} rows of {} heights", r.rows, inside.len());
                seen += inside.len();
            }
            prop_assert_eq!(seen, rows.len());
        }
    }

    #[test]
    fn a_long_chain_of_small_blocks_takes_few_statements() {
        let rows: Vec<(u64, u64)> = (0..200_000).map(|h| (h, 3)).collect();
        let ranges = all(&mut Pace::new(), &rows);
        assert!(ranges.len() < 30, "{} ranges", ranges.len());
    }

    #[test]
    fn what_is_slow_gets_smaller_and_what_is_fast_larger() {
        let mut pace = Pace::new();
        pace.took(Duration::from_secs(1));
        assert_eq!(pace.rows, 2 * ROWS.0);
        (0..9).for_each(|_| pace.took(Duration::from_secs(1)));
        assert_eq!(pace.rows, ROWS.1);
        pace.took(Duration::from_secs(5));
        assert_eq!(pace.rows, ROWS.1);
        pace.took(Duration::from_secs(30));
        assert_eq!(pace.rows, ROWS.1 / 2);
        while pace.smaller() {}
        assert_eq!(pace.rows, 1);
    }
}
