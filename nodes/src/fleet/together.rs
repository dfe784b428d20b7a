//! How many heights one request may ask an endpoint for: found out.
//!
//! Guarantee: it begins with [`FIRST`] and doubles with each batch that came whole and in time, up to [`NODE_HEIGHTS_PER_BATCH`]; one that
//! did not halves it. How it failed, and for how many, is remembered per kind of failure for a time that doubles each time it fails so
//! again, so that what is mended is found out; a refusal for being too many is soon forgotten, since it may have been about the rate. 1 is
//! no batch. Pure: no clock, no I/O.

use std::{collections::BTreeMap, time::Duration};

use schemas::limits::NODE_HEIGHTS_PER_BATCH;

use super::clock::Moment;

/// Heights of the first batch.
pub const FIRST: usize = 2;
/// How long a failure is remembered at first, and at the longest.
const MEMORY: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(6 * 3_600));
/// The same at first of [`THROTTLED`].
const SOON: Duration = Duration::from_secs(10);
/// The word for too many requests.
const THROTTLED: &str = "throttled";
/// A batch that takes longer is too large for whoever waits for its first block.
pub const SLOW: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Clone)]
pub struct Together {
    grown: usize,
    failures: BTreeMap<&'static str, Failure>,
}

#[derive(Debug, Clone, Default)]
struct Failure {
    size: usize,
    until: Moment,
    times: u32,
}

impl Default for Together {
    fn default() -> Self {
        Self { grown: FIRST, failures: BTreeMap::new() }
    }
}

impl Together {
    /// How many heights a request may ask for; 1 is no batch.
    pub fn most(&self, now: Moment) -> usize {
        let failed = self.failures.values().filter(|f| now < f.until).map(|f| f.size / 2).min();
        failed.map_or(self.grown, |most| most.min(self.grown)).max(1)
    }

    /// A batch of so many came whole, after so long.
    pub fn worked(&mut self, size: usize, took: Duration) {
        self.failures.retain(|_, f| f.size > size);
        if took > SLOW {
            self.grown = (size / 2).clamp(FIRST, NODE_HEIGHTS_PER_BATCH);
        } else if size >= self.grown {
            self.grown = (size * 2).min(NODE_HEIGHTS_PER_BATCH);
        }
    }

    /// A batch of so many failed, where single calls work. `how` in a word. True when fewer are asked for from now on.
    pub fn failed(&mut self, how: &'static str, size: usize, now: Moment) -> bool {
        let before = self.most(now);
        let f = self.failures.entry(how).or_default();
        if now >= f.until {
            let first = if how == THROTTLED { SOON } else { MEMORY.0 };
            f.until = now + (first * 2u32.saturating_pow(f.times.min(16))).min(MEMORY.1);
            (f.times, f.size) = (f.times + 1, size);
        } else {
            f.size = f.size.min(size);
        }
        self.grown = (size / 2).clamp(FIRST, NODE_HEIGHTS_PER_BATCH);
        self.most(now) < before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUICK: Duration = Duration::from_millis(50);

    fn s(secs: u64) -> Moment {
        Duration::from_secs(secs)
    }

    /// What is asked for, batch by batch, of an endpoint that takes so many.
    fn asked(t: &mut Together, takes: usize, how: &'static str, batches: usize, now: Moment) -> Vec<usize> {
        let one = |_| {
            let size = t.most(now);
            match size {
                1 => {}
                size if size <= takes => t.worked(size, QUICK),
                size => drop(t.failed(how, size, now)),
            }
            size
        };
        (0..batches).map(one).collect()
    }

    #[test]
    fn it_grows_while_batches_come_and_stays_below_what_was_refused() {
        let mut t = Together::default();
        assert_eq!(asked(&mut t, 100, "rpc", 5, s(0)), [2, 4, 8, 16, NODE_HEIGHTS_PER_BATCH]);
        let mut t = Together::default();
        assert_eq!(asked(&mut t, 5, "rpc", 7, s(0)), [2, 4, 8, 4, 4, 4, 4]);
        assert_eq!(asked(&mut t, 5, "rpc", 3, s(299)), [4, 4, 4]);
        assert_eq!(asked(&mut t, 5, "rpc", 3, s(300)), [8, 4, 4], "tried again");
        assert_eq!(asked(&mut t, 5, "rpc", 1, s(899)), [4], "remembered twice as long");
        assert_eq!(asked(&mut t, 100, "rpc", 3, s(900)), [8, 16, 16], "mended");
    }

    #[test]
    fn who_takes_none_is_asked_for_each_by_itself() {
        let mut t = Together::default();
        assert_eq!(asked(&mut t, 1, "malformed", 4, s(0)), [2, 1, 1, 1]);
        assert_eq!(asked(&mut t, 1, "malformed", 2, s(300)), [2, 1]);
        assert_eq!(t.most(s(899)), 1);
    }

    #[test]
    fn each_kind_of_failure_is_remembered_by_itself() {
        let mut t = Together { grown: 16, ..Together::default() };
        assert!(t.failed("too_large", 16, s(0)) && t.failed("throttled", 8, s(0)));
        assert_eq!(t.most(s(9)), 4);
        t.worked(4, QUICK);
        assert_eq!((t.most(s(9)), t.most(s(10))), (4, 8), "it was about the rate");
        t.worked(8, QUICK);
        assert_eq!((t.most(s(299)), t.most(s(300))), (8, 16));
    }

    #[test]
    fn what_takes_long_becomes_smaller_and_is_no_failure() {
        let mut t = Together { grown: 16, ..Together::default() };
        t.worked(16, SLOW * 2);
        assert_eq!((t.most(s(0)), t.failures.len()), (8, 0));
        t.worked(2, SLOW * 2);
        assert_eq!(t.most(s(0)), FIRST);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds_and_every_failure_is_forgotten(
            steps in prop::collection::vec((0u8..4, 1usize..40, 0u64..400), 1..200)
        ) {
            let (mut t, mut now) = (Together::default(), s(0));
            for (what, size, wait) in steps {
                now += s(wait);
                match what {
                    0 => { t.failed("rpc", size, now); }
                    1 => { t.failed(THROTTLED, size, now); }
                    2 => t.worked(size, SLOW * 2),
                    _ => t.worked(size, QUICK),
                }
                prop_assert!((1..=NODE_HEIGHTS_PER_BATCH).contains(&t.most(now)));
                prop_assert!(t.most(now + MEMORY.1) >= FIRST);
            }
        }
    }
}
