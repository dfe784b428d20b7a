//! How good an endpoint is (rule 23): 100 × (½ latency part + ½ success part) × height factor.
//!
//! * latency part: 1 at a median of 100 ms or less over the last ten minutes, 0 at 5 s or more, linear between; of successful
//!   answers only, 0 without one;
//! * success part: the share of successes over the last ten minutes;
//! * height factor: 1 at most `lag_ok` behind the best, falling to 0 at ten times that.
//!
//! So a healthy endpoint at 208 ms has 99, one that only refuses has 0 however fast it does, and one a thousand blocks behind
//! has nearly 0. Pure: no clock, no I/O.

use std::{collections::VecDeque, time::Duration};

use super::{clock::Moment, sketch::Sketch};

/// Median at which the latency part is 1.
const FAST: Duration = Duration::from_millis(100);
/// Median at which it is 0.
const SLOW: Duration = Duration::from_secs(5);
/// What is looked back on.
pub const WINDOW: Duration = Duration::from_secs(600);
/// What the window moves by.
const STEP: Duration = Duration::from_secs(30);
/// Blocks that an endpoint may be behind …
pub const LAG_OK_BLOCKS: u64 = 3;
/// … or the time, whichever is more.
pub const LAG_OK_TIME: Duration = Duration::from_secs(30);
/// The most blocks that this may be, however quickly they seem to come.
pub const LAG_OK_MOST: u64 = 600;

/// The parts of a score, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// Of latency.
    pub latency: f64,
    /// Of success.
    pub success: f64,
    /// Of height.
    pub height: f64,
}

impl Parts {
    /// From 0 to 100.
    pub fn score(&self) -> u8 {
        (100.0 * (self.latency + self.success) / 2.0 * self.height).round().clamp(0.0, 100.0) as u8
    }
}

/// The latency part.
pub fn latency_part(median: Option<Duration>) -> f64 {
    let Some(median) = median else { return 0.0 };
    let over = median.saturating_sub(FAST).as_secs_f64() / (SLOW - FAST).as_secs_f64();
    1.0 - over.clamp(0.0, 1.0)
}

/// The height factor.
pub fn height_part(lag: u64, lag_ok: u64) -> f64 {
    let (lag, ok) = (lag as f64, lag_ok.max(1) as f64);
    (1.0 - (lag - ok) / (9.0 * ok)).clamp(0.0, 1.0)
}

/// How many blocks an endpoint may be behind, on a chain with this time between blocks.
pub fn lag_ok(block_time: Option<Duration>) -> u64 {
    let by_time = block_time.filter(|t| !t.is_zero()).map_or(0.0, |t| LAG_OK_TIME.as_secs_f64() / t.as_secs_f64());
    (by_time.round() as u64).clamp(LAG_OK_BLOCKS, LAG_OK_MOST)
}

/// Outcomes of the last ten minutes.
#[derive(Debug, Default)]
pub struct Window {
    steps: VecDeque<Step>,
}

#[derive(Debug, Default)]
struct Step {
    number: u64,
    good: u64,
    bad: u64,
    latencies: Sketch,
    requests: u64,
    bytes: u64,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// Median latency of successful answers.
    pub median: Option<Duration>,
    /// 95th percentile of the same.
    pub p95: Option<Duration>,
    /// Answers that were as they should be.
    pub good: u64,
    /// Others.
    pub bad: u64,
    /// Requests, as an endpoint counts them.
    pub requests: u64,
    /// Bytes of answers.
    pub bytes: u64,
}

impl Seen {
    /// The share of successes; `None` before the first outcome.
    pub fn success(&self) -> Option<f64> {
        let all = self.good + self.bad;
        (all > 0).then(|| self.good as f64 / all as f64)
    }

    /// The parts of the score, at a lag in blocks.
    pub fn parts(&self, lag: u64, lag_ok: u64) -> Parts {
        Parts {
            latency: latency_part(self.median),
            success: self.success().unwrap_or(0.0),
            height: height_part(lag, lag_ok),
        }
    }
}

impl Window {
    /// Takes an outcome in: a latency where the answer was good. `requests` are those that the endpoint counts.
    pub fn add(&mut self, now: Moment, good: Option<Duration>, requests: u64, bytes: u64) {
        let step = self.step(now);
        match good {
            Some(latency) => {
                step.good += 1;
                step.latencies.add(latency);
            }
            None => step.bad += 1,
        }
        step.requests += requests;
        step.bytes += bytes;
    }

    /// Requests and bytes that say nothing about the endpoint's health.
    pub fn add_traffic(&mut self, now: Moment, requests: u64, bytes: u64) {
        let step = self.step(now);
        step.requests += requests;
        step.bytes += bytes;
    }

    fn step(&mut self, now: Moment) -> &mut Step {
        let number = (now.as_millis() / STEP.as_millis()) as u64;
        if self.steps.back().is_none_or(|s| s.number < number) {
            self.steps.push_back(Step { number, ..Step::default() });
        }
        let kept = (WINDOW.as_millis() / STEP.as_millis()) as u64;
        while self.steps.front().is_some_and(|s| s.number + kept <= number) {
            self.steps.pop_front();
        }
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    /// What it holds now.
    pub fn seen(&self, now: Moment) -> Seen {
        let first = ((now.as_millis() / STEP.as_millis()) as u64 + 1)
            .saturating_sub((WINDOW.as_millis() / STEP.as_millis()) as u64);
        let (mut seen, mut all) = (Seen::default(), Sketch::default());
        for step in self.steps.iter().filter(|s| s.number >= first) {
            seen.good += step.good;
            seen.bad += step.bad;
            seen.requests += step.requests;
            seen.bytes += step.bytes;
            all.merge(&step.latencies);
        }
        seen.median = all.quantile(0.5);
        seen.p95 = all.quantile(0.95);
        seen
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(outcomes: impl IntoIterator<Item = Option<u64>>) -> Seen {
        let mut window = Window::default();
        for outcome in outcomes {
            window.add(Duration::ZERO, outcome.map(Duration::from_millis), 1, 100);
        }
        window.seen(Duration::from_secs(1))
    }

    #[test]
    fn the_rule_s_examples_hold() {
        assert_eq!(with([Some(208); 20]).parts(0, 15).score(), 99, "healthy at 208 ms");
        assert_eq!(with([Some(20); 20]).parts(0, 15).score(), 100);
        assert!(with([None; 20]).parts(0, 15).score() <= 26, "403 at once");
        assert!(with([Some(50); 20]).parts(1_000, 15).score() <= 1, "1,000 blocks behind at 2 s a block");
        assert!(with([Some(50); 20]).parts(1_000, 3).score() <= 1, "and where the time between blocks is not known");
        assert_eq!(with([]).parts(0, 15).score(), 0, "nothing is known");
        assert_eq!(with([Some(9_000); 5]).parts(0, 15).score(), 50, "it answers, late");
    }

    #[test]
    fn lag_is_allowed_by_blocks_or_time() {
        assert_eq!(lag_ok(None), 3);
        assert_eq!(lag_ok(Some(Duration::from_secs(12))), 3);
        assert_eq!(lag_ok(Some(Duration::from_secs(2))), 15);
        assert_eq!(lag_ok(Some(Duration::from_millis(250))), 120);
        assert_eq!(lag_ok(Some(Duration::from_nanos(50))), 600);
        assert_eq!((height_part(15, 15), height_part(150, 15)), (1.0, 0.0));
    }

    #[test]
    fn what_is_older_than_ten_minutes_is_forgotten() {
        let mut window = Window::default();
        window.add(Duration::ZERO, None, 1, 0);
        window.add(Duration::from_secs(590), Some(FAST), 1, 0);
        assert_eq!(window.seen(Duration::from_secs(590)).success(), Some(0.5));
        assert_eq!(window.seen(Duration::from_secs(605)).success(), Some(1.0));
        assert_eq!(window.seen(Duration::from_secs(1_300)).success(), None);
        window.add(Duration::from_secs(1_300), Some(FAST), 1, 0);
        assert_eq!(window.steps.len(), 1, "and what is forgotten takes no room");
    }

    proptest! {
        #[test]
        fn worse_never_scores_higher(ms in 1u64..9_000, more in 1u64..9_000, good in 1usize..40, bad in 0usize..40, lag in 0u64..2_000) {
            let of = |ms: u64, bad: usize, lag: u64| {
                let outcomes = std::iter::repeat_n(Some(ms), good).chain(std::iter::repeat_n(None, bad));
                with(outcomes).parts(lag, 15).score()
            };
            let score = of(ms, bad, lag);
            prop_assert!(score <= 100);
            prop_assert!(of(ms + more, bad, lag) <= score);
            prop_assert!(of(ms, bad + 1, lag) <= score);
            prop_assert!(of(ms, bad, lag + more) <= score);
        }
    }
}
