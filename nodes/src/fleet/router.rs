//! Who is asked first: the sticky primary, and the order in which others take over.
//!
//! Guarantee: nobody is asked who is not to be believed; whoever is well comes before whoever is not, the primary before others
//! as long as it is well, lower priorities before higher. The primary stays until it is not well, or somebody of a better
//! priority was well for [`STAYS`], or of the same one is better by [`BETTER`] points; so a network does not go back and forth.
//! Work that is not at the head is shared among equals. Pure.

use std::{cmp::Reverse, time::Duration};

/// How long somebody of a better priority must be well before it becomes the primary again.
pub const STAYS: Duration = Duration::from_secs(60);
/// By how many points of score somebody must be better.
pub const BETTER: u8 = 20;
/// The wait for its limit up to which the primary is still asked first.
pub const PATIENT: Duration = Duration::from_millis(250);

/// How fit an endpoint is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    /// It is well.
    Well,
    /// It is not, or cannot do this as far as is known: after the others.
    Poor,
    /// Only where there is nobody else.
    Last,
    /// Not at all: it is not believed, or must not be asked.
    Never,
}

/// An endpoint that could be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the configuration.
    pub index: usize,
    /// Its fitness.
    pub fitness: Fitness,
    /// Lower is asked first.
    pub priority: u16,
    /// From 0 to 100.
    pub score: u8,
    /// Since how long it is well.
    pub well_for: Duration,
    /// About how long it would make a request wait for its limit.
    pub wait: Duration,
    /// Requests under way.
    pub under_way: u32,
}

/// The primary, given who it was.
pub fn primary(candidates: &[Candidate], now: Option<usize>) -> Option<usize> {
    let able = || candidates.iter().filter(|c| c.fitness != Fitness::Never);
    let best = able().min_by_key(|c| (c.fitness, c.priority, Reverse(c.score), c.index))?;
    let Some(current) = able().find(|c| Some(c.index) == now) else { return Some(best.index) };
    let goes = match best.fitness.cmp(&current.fitness) {
        std::cmp::Ordering::Less => true,
        _ if current.fitness != Fitness::Well => false,
        _ => {
            (best.priority < current.priority && best.well_for >= STAYS)
                || (best.priority == current.priority && best.score >= current.score.saturating_add(BETTER))
        }
    };
    Some(if goes { best.index } else { current.index })
}

/// Those who may be asked, first first. `sticky`: the primary first; else equals share by what is under way, then by `turn`.
pub fn order(candidates: &[Candidate], primary: Option<usize>, sticky: bool, turn: usize) -> Vec<usize> {
    let mut able: Vec<&Candidate> = candidates.iter().filter(|c| c.fitness != Fitness::Never).collect();
    let n = candidates.len().max(1);
    able.sort_by_key(|c| {
        let first = sticky && Some(c.index) == primary && c.wait <= PATIENT;
        let waits = if sticky { u128::from(c.wait > PATIENT) } else { c.wait.as_millis() / 100 };
        let load = if sticky { 0 } else { c.under_way };
        let score = if sticky { c.score } else { c.score / BETTER };
        let rotated = if sticky { c.index } else { (c.index + n - turn % n) % n };
        ((c.fitness, !first, waits), c.priority, load, Reverse(score), rotated)
    });
    able.into_iter().map(|c| c.index).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn well(index: usize) -> Candidate {
        Candidate {
            index,
            fitness: Fitness::Well,
            priority: 1,
            score: 99,
            well_for: Duration::from_secs(600),
            wait: Duration::ZERO,
            under_way: 0,
        }
    }

    #[test]
    fn the_primary_stays_until_there_is_a_reason() {
        let mut c = [well(0), Candidate { score: 90, ..well(1) }, well(2)];
        assert_eq!(primary(&c, None), Some(0));
        assert_eq!(primary(&c, Some(1)), Some(1), "nine points are no reason");
        c[1].score = 79;
        assert_eq!(primary(&c, Some(1)), Some(0));
        c[0].fitness = Fitness::Poor;
        assert_eq!(primary(&c, Some(0)), Some(2));
        c[2].priority = 0;
        c[2].well_for = Duration::from_secs(59);
        c[0] = well(0);
        assert_eq!(primary(&c, Some(0)), Some(0), "it was well for less than a minute");
        c[2].well_for = STAYS;
        assert_eq!(primary(&c, Some(0)), Some(2));
        assert_eq!(primary(&[], Some(0)), None);
    }

    #[test]
    fn the_head_sticks_and_the_rest_is_shared() {
        let mut c = [
            well(0),
            well(1),
            Candidate { fitness: Fitness::Last, ..well(2) },
            Candidate { fitness: Fitness::Never, ..well(3) },
        ];
        assert_eq!(order(&c, Some(1), true, 0), [1, 0, 2]);
        let firsts: Vec<usize> = (0..4).map(|turn| order(&c, Some(1), false, turn)[0]).collect();
        assert_eq!((firsts.contains(&0), firsts.contains(&1), firsts.contains(&2)), (true, true, false), "{firsts:?}");
        c[1].under_way = 5;
        assert_eq!(order(&c, Some(1), false, 1)[0], 0, "who has less to do");
        c[1].wait = Duration::from_secs(3);
        assert_eq!(order(&c, Some(1), true, 0), [0, 1, 2], "the primary's limit is used up");
        c[0].priority = 2;
        c[1].wait = Duration::ZERO;
        assert_eq!(order(&c, None, false, 0)[0], 1, "priority before load");
    }

    proptest! {
        #[test]
        fn nobody_unfit_comes_before_somebody_fit(of in prop::collection::vec((0u8..4, 0u16..3, 0u8..=100, 0u64..900), 0..8), at in prop::option::of(0usize..8), sticky: bool, turn: usize) {
            let c: Vec<Candidate> = of.iter().enumerate().map(|(index, (fit, priority, score, wait))| Candidate {
                fitness: [Fitness::Well, Fitness::Poor, Fitness::Last, Fitness::Never][usize::from(*fit)],
                priority: *priority, score: *score, wait: Duration::from_millis(*wait), ..well(index)
            }).collect();
            let order = order(&c, at, sticky, turn);
            prop_assert!(order.is_sorted_by_key(|i| c[*i].fitness));
            prop_assert!(order.iter().all(|i| c[*i].fitness != Fitness::Never));
            prop_assert_eq!(order.len(), c.iter().filter(|c| c.fitness != Fitness::Never).count());
            let chosen = primary(&c, at);
            prop_assert_eq!(chosen.is_none(), order.is_empty());
            prop_assert_eq!(chosen.map(|i| c[i].fitness), order.first().map(|i| c[*i].fitness), "and the primary is as fit as anybody");
            prop_assert_eq!(primary(&c, chosen), chosen, "it stays");
        }
    }
}
