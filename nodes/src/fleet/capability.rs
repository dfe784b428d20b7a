//! What an endpoint can do, as far as it has shown, per kind of failure: no such method, fails on some blocks only, gives
//! nothing below a height, takes no batches or smaller ones.
//!
//! Guarantee: what failed is remembered with how it failed and for which heights, and forgotten after a time that doubles from
//! [`FIRST`] to [`LONGEST`] each time it fails again, so that what is mended is found out. A failure of one block says nothing
//! about others until [`SOME`] different ones failed without a success between. Bounded by [`KINDS`] and [`HEIGHTS`]. Pure: no
//! clock, no I/O.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{clock::Moment, together::Together};

/// How long a failure is remembered at first.
const FIRST: Duration = Duration::from_secs(300);
/// At the longest.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);
/// Different heights in a row after which a failure is one of all heights.
const SOME: usize = 6;
/// Kinds of failures of an endpoint that are remembered.
const KINDS: usize = 64;
/// Heights of one kind that are remembered.
const HEIGHTS: usize = 64;

/// What a failure is a failure of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Whatever is asked for.
    All,
    /// This height.
    Height(u64),
    /// This height and all below: pruned, no archive.
    Below(u64),
}

/// Why an endpoint is not asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cannot {
    /// How it failed, in a word.
    pub how: &'static str,
    /// When that is forgotten.
    pub until: Moment,
}

/// What one endpoint cannot do.
#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    known: BTreeMap<(&'static str, &'static str), Known>,
    batches: BTreeMap<&'static str, Batch>,
    /// How many heights one request may ask for.
    pub together: Together,
}

#[derive(Debug, Clone, Default)]
struct Known {
    all: bool,
    below: Option<u64>,
    heights: VecDeque<u64>,
    /// Different heights that failed without a success between.
    in_a_row: usize,
    until: Moment,
    times: u32,
}

impl Known {
    fn says(&self, height: Option<u64>) -> bool {
        self.all || height.is_some_and(|h| self.below.is_some_and(|b| h <= b) || self.heights.contains(&h))
    }
}

impl Capabilities {
    /// Why `what` should not be asked for, at a height where it has one; the longest remembered of several reasons.
    pub fn cannot(&self, what: &str, height: Option<u64>, now: Moment) -> Option<Cannot> {
        let mut reasons = self.known.iter().filter(|((w, _), k)| *w == what && now < k.until && k.says(height));
        let first = reasons.next()?;
        let ((_, how), k) = reasons.fold(first, |a, b| if b.1.until > a.1.until { b } else { a });
        Some(Cannot { how, until: k.until })
    }

    /// `what` failed like this. True when that is news.
    pub fn failed(&mut self, what: &'static str, how: &'static str, scope: Scope, now: Moment) -> bool {
        if !self.known.contains_key(&(what, how)) && self.known.len() >= KINDS {
            let oldest = self.known.iter().min_by_key(|(_, k)| k.until).map(|(key, _)| *key);
            oldest.and_then(|key| self.known.remove(&key));
        }
        let k = self.known.entry((what, how)).or_default();
        let expired = now >= k.until;
        if expired {
            // What it was about is forgotten; how often it came back is not.
            *k = Known { times: k.times, ..Known::default() };
        }
        let known = match scope {
            Scope::All => k.says(None),
            Scope::Height(h) | Scope::Below(h) => k.says(Some(h)),
        };
        match scope {
            Scope::All => k.all = true,
            Scope::Below(h) => k.below = Some(k.below.map_or(h, |b| b.max(h))),
            Scope::Height(h) if !k.heights.contains(&h) => {
                k.heights.push_back(h);
                if k.heights.len() > HEIGHTS {
                    k.heights.pop_front();
                }
                // One block after the other: it is not about the blocks.
                k.in_a_row += 1;
                k.all |= k.in_a_row >= SOME;
            }
            Scope::Height(_) => {}
        }
        if expired {
            k.times += 1;
            k.until = now + (FIRST * 2u32.saturating_pow((k.times - 1).min(16))).min(LONGEST);
        }
        !known
    }

    /// `what` worked, at a height where it has one: failures that this disproves are forgotten.
    pub fn worked(&mut self, what: &str, height: Option<u64>) {
        self.known.retain(|(w, _), k| {
            if *w != what {
                return true;
            }
            (k.all, k.in_a_row) = (false, 0);
            match height {
                Some(h) => {
                    k.heights.retain(|known| *known != h);
                    k.below = k.below.map(|b| b.min(h.saturating_sub(1))).filter(|b| *b > 0);
                }
                None => k.heights.clear(),
            }
            k.below.is_some() || !k.heights.is_empty()
        });
    }

    /// How many calls of `what` a batch may have, `most` at the most; 1 is single calls.
    pub fn batch(&mut self, what: &'static str, most: usize) -> usize {
        self.batches.entry(what).or_default().next(most.max(1))
    }

    /// So many calls in a batch worked, after larger ones were `refused` or not. True when that is news: a small batch may be
    /// small for want of calls, so only a refusal makes the size smaller.
    pub fn batch_worked(&mut self, what: &'static str, size: usize, refused: bool) -> bool {
        self.batches.entry(what).or_default().worked(size, refused)
    }
}

/// Batches between two attempts at a larger one, where a large one was refused.
const BATCHES_BEFORE_LARGER: usize = 256;

/// The size of batches that works.
#[derive(Debug, Clone, Default)]
struct Batch {
    /// `None`: none was refused.
    size: Option<usize>,
    batches: usize,
}

impl Batch {
    /// Now and then twice what worked last, since a refusal may have had a reason that has passed.
    fn next(&mut self, most: usize) -> usize {
        let Some(size) = self.size.filter(|s| *s < most) else { return most };
        self.batches += 1;
        if self.batches.is_multiple_of(BATCHES_BEFORE_LARGER) { (size * 2).min(most) } else { size }
    }

    fn worked(&mut self, size: usize, refused: bool) -> bool {
        let news = match self.size {
            None => refused,
            Some(known) if refused => size != known,
            Some(known) => size > known,
        };
        if news {
            self.size = Some(size.max(1));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const M: &str = "eth_getBlockReceipts";

    fn s(secs: u64) -> Moment {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_failure_is_remembered_longer_each_time_and_a_success_ends_it() {
        let mut c = Capabilities::default();
        assert!(c.failed(M, "missing", Scope::All, s(0)) && !c.failed(M, "missing", Scope::All, s(1)));
        assert_eq!(c.cannot(M, Some(7), s(299)), Some(Cannot { how: "missing", until: s(300) }));
        assert_eq!(c.cannot(M, Some(7), s(300)), None, "tried again");
        assert_eq!(c.cannot("eth_call", None, s(0)), None);
        assert!(c.failed(M, "missing", Scope::All, s(300)), "news again");
        assert_eq!(c.cannot(M, None, s(899)).map(|c| c.until), Some(s(900)));
        c.worked(M, Some(9));
        assert_eq!(c.cannot(M, Some(7), s(301)), None);
        assert!(c.failed(M, "missing", Scope::All, s(302)) && c.cannot(M, None, s(601)).is_some(), "as at first");
    }

    #[test]
    fn blocks_of_their_own_are_told_from_all_blocks() {
        let mut c = Capabilities::default();
        assert!(c.failed(M, "rpc", Scope::Height(7), s(0)));
        assert!(c.cannot(M, Some(7), s(1)).is_some() && c.cannot(M, Some(8), s(1)).is_none());
        for h in 10..14 {
            c.failed(M, "rpc", Scope::Height(h), s(1));
        }
        assert!(c.cannot(M, Some(99), s(1)).is_none(), "five of them");
        c.worked(M, Some(50));
        c.failed(M, "rpc", Scope::Height(20), s(1));
        assert!(c.cannot(M, Some(99), s(1)).is_none(), "one worked between");
        let mut all = Capabilities::default();
        for h in 0..SOME as u64 {
            all.failed(M, "rpc", Scope::Height(h), s(0));
        }
        assert!(all.cannot(M, Some(99), s(1)).is_some());
    }

    #[test]
    fn an_archive_s_depth_is_found() {
        let mut c = Capabilities::default();
        c.failed(M, "pruned", Scope::Below(1_000), s(0));
        c.failed(M, "pruned", Scope::Below(2_000), s(0));
        assert!(c.cannot(M, Some(2_000), s(1)).is_some() && c.cannot(M, Some(2_001), s(1)).is_none());
        c.worked(M, Some(1_500));
        assert!(c.cannot(M, Some(1_499), s(1)).is_some() && c.cannot(M, Some(1_500), s(1)).is_none());
    }

    #[test]
    fn a_refused_size_is_remembered_and_tried_again_seldom() {
        let mut c = Capabilities::default();
        assert_eq!(c.batch(M, 25), 25);
        assert!(!c.batch_worked(M, 2, false), "two calls were all there was to ask");
        assert!(c.batch_worked(M, 3, true) && !c.batch_worked(M, 3, true));
        let sizes: Vec<usize> = (0..BATCHES_BEFORE_LARGER).map(|_| c.batch(M, 25)).collect();
        assert_eq!(sizes.iter().filter(|s| **s == 3).count(), BATCHES_BEFORE_LARGER - 1);
        assert_eq!(sizes.last(), Some(&6));
        assert!(c.batch_worked(M, 6, false) && c.batch(M, 25) == 6, "and then it works");
        assert_eq!((c.batch("eth_call", 25), c.batch(M, 4)), (25, 4), "each method has its own");
    }

    proptest! {
        #[test]
        fn it_stays_small_and_every_failure_is_forgotten(steps in prop::collection::vec((0usize..90, 0u64..500, 0u8..4), 1..300)) {
            let names: Vec<&'static str> = (0..90).map(|i| &*Box::leak(format!("m{i}").into_boxed_str())).collect();
            let (mut c, mut now) = (Capabilities::default(), s(0));
            for (what, height, kind) in steps {
                now += s(10);
                match kind {
                    0 => { c.failed(names[what], "x", Scope::All, now); }
                    1 => { c.failed(names[what], "x", Scope::Height(height), now); }
                    2 => { c.failed(names[what], "y", Scope::Below(height), now); }
                    _ => c.worked(names[what], Some(height)),
                }
                prop_assert!(c.known.len() <= KINDS && c.known.values().all(|k| k.heights.len() <= HEIGHTS));
                if kind == 3 { prop_assert_eq!(c.cannot(names[what], Some(height), now), None); }
            }
            prop_assert!(names.iter().all(|n| c.cannot(n, Some(0), now + LONGEST).is_none()));
        }
    }
}
