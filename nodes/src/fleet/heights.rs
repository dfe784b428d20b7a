//! Which height is the newest, of what several endpoints claim.
//!
//! Guarantee: a single operator far ahead of at least two others that agree with each other moves nothing: neither are the
//! others called behind, nor is its claim taken for the chain's. With two operators nobody can tell, and the higher counts.
//! Pure.

use std::{collections::BTreeMap, time::Duration};

use super::{
    clock::Moment,
    score::{LAG_OK_MOST, LAG_OK_TIME},
};

/// The newest height: `claims` are operator and height of each endpoint that is believed.
pub fn best<'a>(claims: impl IntoIterator<Item = (&'a str, u64)>, lag_ok: u64) -> Option<u64> {
    let mut by_operator = BTreeMap::new();
    for (operator, height) in claims {
        let highest: &mut u64 = by_operator.entry(operator).or_default();
        *highest = (*highest).max(height);
    }
    let mut heights: Vec<u64> = by_operator.into_values().collect();
    heights.sort_unstable_by(|a, b| b.cmp(a));
    match heights[..] {
        [first, second, third, ..] if first - second > lag_ok * 10 && second - third <= lag_ok => Some(second),
        _ => heights.first().copied(),
    }
}

/// How long a lower height is taken for another view behind the same URL.
const VIEWS: Duration = Duration::from_secs(10);

/// The height of one endpoint as last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Height {
    /// The height.
    pub height: u64,
    /// When it was seen.
    pub at: Moment,
    /// How far it was behind the best one then.
    pub lag: u64,
}

impl Height {
    /// What is known after an endpoint showed a height: one that goes back and forth has what it showed best lately.
    pub fn after(known: Option<Self>, height: u64, best: u64, now: Moment) -> Self {
        match known {
            Some(known) if height < known.height && now.saturating_sub(known.at) < VIEWS => known,
            _ => Self { height, at: now, lag: best.saturating_sub(height) },
        }
    }
}

/// What the best height may rise at once for it to be by blocks that came …
const LEAP: u64 = 64;
/// … and in each second since it last did: as many as are looked at where an endpoint may be behind.
const MOST_PER_SECOND: u64 = LAG_OK_MOST / LAG_OK_TIME.as_secs();
/// After this long a height far above all that came since was none.
const LEFT: Duration = Duration::from_secs(60);

/// Time between blocks, as the best height moves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pulse {
    first: Option<(u64, Moment)>,
    last: Option<(u64, Moment)>,
}

impl Pulse {
    /// The best height is this one now. Looks back on about ten minutes; begins anew where it leaps further than blocks come,
    /// and where it came back from there for good.
    pub fn saw(&mut self, height: u64, now: Moment) {
        if let Some((last, at)) = self.last {
            let most = LEAP + MOST_PER_SECOND.saturating_mul(now.saturating_sub(at).as_secs());
            let left = last.saturating_sub(height) > LEAP && now.saturating_sub(at) > LEFT;
            if height.saturating_sub(last) > most || left {
                (self.first, self.last) = (Some((height, now)), Some((height, now)));
            }
        }
        if self.last.is_some_and(|(h, _)| height <= h) {
            return;
        }
        let old = self.first.is_none_or(|(_, at)| now.saturating_sub(at) > Duration::from_secs(600));
        if old {
            self.first = self.last.or(Some((height, now)));
        }
        self.last = Some((height, now));
    }

    /// The mean time between blocks, once a few were seen.
    pub fn block_time(&self) -> Option<Duration> {
        let ((from, began), (to, ended)) = (self.first?, self.last?);
        let blocks = u32::try_from(to.checked_sub(from)?).unwrap_or(u32::MAX);
        (blocks >= 4).then(|| ended.saturating_sub(began) / blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_far_ahead_of_the_others_moves_nothing() {
        assert_eq!(best([], 3), None);
        assert_eq!(best([("a", 100), ("b", 99), ("c", 5_000)], 3), Some(100));
        assert_eq!(best([("a", 100), ("b", 99), ("c", 110)], 3), Some(110), "a little ahead is no wonder");
        assert_eq!(best([("a", 100), ("c", 5_000), ("c", 6_000)], 3), Some(6_000), "two cannot tell");
        assert_eq!(best([("a", 100), ("b", 2_000), ("c", 5_000)], 3), Some(5_000), "the others do not agree");
        assert_eq!(best([("a", 100), ("a", 100), ("c", 5_000)], 3), Some(5_000), "one operator is one voice");
    }

    #[test]
    fn two_views_behind_one_name_are_one_height() {
        let s = Duration::from_secs;
        let known = Some(Height { height: 100, at: s(1), lag: 0 });
        assert_eq!(Height::after(known, 90, 101, s(5)).height, 100);
        assert_eq!(Height::after(known, 101, 103, s(5)), Height { height: 101, at: s(5), lag: 2 });
        assert_eq!(Height::after(known, 90, 101, s(11)), Height { height: 90, at: s(11), lag: 11 }, "it went back");
    }

    #[test]
    fn a_leap_says_nothing_about_the_time_between_blocks() {
        let ms = Duration::from_millis;
        let mut pulse = Pulse::default();
        pulse.saw(100, ms(0));
        pulse.saw(1_000_100, ms(50));
        assert_eq!(pulse.block_time(), None);
        for n in 0..60 {
            pulse.saw(101 + n, ms(2_000 * (n + 1)));
        }
        assert_eq!(pulse.block_time(), Some(ms(2_000)), "nor does the way back");
        let mut quick = Pulse::default();
        (0..5).for_each(|n| quick.saw(100 + n * 120, ms(n * 30_000)));
        assert_eq!(quick.block_time(), Some(ms(250)), "seen at probes only");
    }

    #[test]
    fn the_time_between_blocks_is_seen() {
        let mut pulse = Pulse::default();
        for n in 0..1_000u64 {
            pulse.saw(n * 2, Duration::from_secs(n * 4));
            pulse.saw(n, Duration::from_secs(n * 4));
        }
        assert_eq!(pulse.block_time(), Some(Duration::from_secs(2)));
    }
}
