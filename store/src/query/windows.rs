//! Windows: the pieces, growing eightfold, in which a list looks through a range of heights or times from its near end.

use super::Sort;

/// A range of positions, both ends included, cut into growing windows from the end where the list begins.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    low: u64,
    high: u64,
    width: u64,
    sort: Sort,
    done: bool,
}

impl Windows {
    /// Over `low..=high`; the first window is `first` wide.
    pub fn new(low: u64, high: u64, first: u64, sort: Sort) -> Self {
        Self { low, high, width: first.max(1), sort, done: low > high }
    }
}

impl Iterator for Windows {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        if self.done {
            return None;
        }
        let step = self.width - 1;
        self.width = self.width.saturating_mul(8);
        let window = match self.sort {
            Sort::Newest => (self.high.saturating_sub(step).max(self.low), self.high),
            Sort::Oldest => (self.low, self.low.saturating_add(step).min(self.high)),
        };
        if window == (self.low, self.high) {
            self.done = true;
        } else {
            match self.sort {
                Sort::Newest => self.high = window.0 - 1,
                Sort::Oldest => self.low = window.1 + 1,
            }
        }
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_cover_the_range_once_in_order(low in 0u64..5_000, len in 0u64..5_000, first in 0u64..40, newest: bool) {
            let sort = if newest { Sort::Newest } else { Sort::Oldest };
            let mut seen: Vec<u64> = Vec::new();
            for (a, b) in Windows::new(low, low + len, first, sort) {
                prop_assert!(a <= b);
                if newest { seen.extend((a..=b).rev()) } else { seen.extend(a..=b) }
            }
            let mut wanted: Vec<u64> = (low..=low + len).collect();
            if newest { wanted.reverse() }
            prop_assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn an_empty_range_and_the_largest_have_windows_too() {
        assert_eq!(Windows::new(5, 4, 8, Sort::Newest).next(), None);
        assert!(Windows::new(0, u64::MAX, 8, Sort::Newest).count() < 30);
        assert!(Windows::new(0, u64::MAX, 8, Sort::Oldest).count() < 30);
    }
}
