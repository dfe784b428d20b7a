//! When the process is killed: a pure function of the seed.

use std::ops::Range;
use std::time::Duration;

/// From the moment that so many heights are visible to the kill, milliseconds: more than one batch of the sink's.
const LATER: Range<u64> = 0..1_500;
/// One kill in so many hits the process while it starts …
const STARTING: usize = 5;
/// … so long after its start, milliseconds.
const INTO_THE_START: Range<u64> = 0..1_000;

/// One `kill -9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// So long after so many heights were visible.
    Filled(u64, Duration),
    /// So long after the start that followed the kill before.
    Starting(Duration),
}

/// The kills of a run over so many heights, in order. None comes when more than nine tenths of the heights are visible.
#[must_use]
pub fn plan(seed: u64, kills: usize, heights: u64) -> Vec<Kill> {
    let mut random = fastrand::Rng::with_seed(seed);
    let starting = kills / STARTING;
    let mut filled: Vec<u64> = (0..kills - starting).map(|_| random.u64(0..=heights * 9 / 10)).collect();
    filled.sort_unstable();
    let mut filled = filled.into_iter();
    let mut planned = Vec::with_capacity(kills);
    for n in 1..=kills {
        let next = if n % STARTING == 0 { None } else { filled.next() };
        planned.push(match next {
            Some(heights) => Kill::Filled(heights, Duration::from_millis(random.u64(LATER))),
            None => Kill::Starting(Duration::from_millis(random.u64(INTO_THE_START))),
        });
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let one = plan(7, 20, 20_000);
        assert_eq!(one, plan(7, 20, 20_000));
        assert_ne!(one, plan(8, 20, 20_000));
        assert_eq!(one.len(), 20);
        let starting = one.iter().filter(|kill| matches!(kill, Kill::Starting(_))).count();
        assert_eq!(starting, 4);
        assert!(matches!(one[0], Kill::Filled(..)), "there is a start to be hit");
        let heights: Vec<u64> = one
            .iter()
            .filter_map(|kill| match kill {
                Kill::Filled(heights, _) => Some(*heights),
                Kill::Starting(_) => None,
            })
            .collect();
        assert!(heights.is_sorted() && heights.iter().all(|at| *at <= 18_000), "{heights:?}");
        assert!(plan(7, 0, 5).is_empty() && plan(7, 3, 1).len() == 3);
    }
}
