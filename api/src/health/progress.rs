//! How a network gets on, stage by stage, from what the stages say of themselves: which of them stands still though something
//! waits for it, and which falls behind while the one before it moves. Pure.

use std::{collections::VecDeque, time::Duration};

use schemas::records::{
    StageStatus,
    stage_status::stage::{CHAIN, ENRICH, INGEST, SINK},
};
use tokio::time::Instant;

/// A stage that has not moved for so long, though something waits for it, stands still.
pub const STILL: Duration = Duration::from_secs(60);
/// Over this time it is looked whether what waits for a stage grows.
pub const WINDOW: Duration = Duration::from_secs(60);
/// By so much it must have grown, at least.
pub const GROWN: u64 = 10;
/// Time between two samples.
const SAMPLE: Duration = Duration::from_secs(5);

/// What waits for a stage: blocks of the node for ingest, events of the stage before for the others.
#[derive(Debug, Clone, Default)]
struct Edge {
    /// Where the one before is, and where it is itself.
    before: Option<u64>,
    here: Option<u64>,
    /// When it last moved.
    moved: Option<Instant>,
    /// Since when something waits without a break.
    waits: Option<Instant>,
    /// Where both were.
    samples: VecDeque<(Instant, u64, u64)>,
    /// Since when what waits grows.
    grows: Option<Instant>,
}

/// How a network gets on.
#[derive(Debug, Clone, Default)]
pub struct Progress([Edge; CHAIN.len()]);

/// What is wrong with how a stage gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not move though so many wait.
    Still {
        /// Where it stands.
        at: u64,
        /// How many wait.
        waiting: u64,
        /// Since when.
        since: Instant,
    },
    /// More wait than before, while the stage before moves.
    Behind {
        /// How many wait.
        waiting: u64,
        /// By how many more within [`WINDOW`].
        more: u64,
        /// Since when.
        since: Instant,
    },
}

impl Progress {
    /// A stage said where it is.
    pub fn take(&mut self, status: &StageStatus, at: Instant) {
        let [ingest, enrich, sink] = &mut self.0;
        match status.stage.as_str() {
            INGEST => {
                ingest.set(status.tip_height, status.height, at);
                enrich.set(status.sequence, None, at);
            }
            ENRICH => {
                enrich.set(None, status.sequence, at);
                sink.set(status.sequence, None, at);
            }
            SINK => sink.set(None, status.sequence, at),
            _ => {}
        }
    }

    /// What is wrong with a stage's progress, if anything.
    pub fn trouble(&self, stage: &str, now: Instant) -> Option<Trouble> {
        let edge = CHAIN.iter().position(|name| *name == stage).map(|at| &self.0[at])?;
        let (waiting, here) = (edge.waiting()?, edge.here?);
        let still = edge.waits.zip(edge.moved).map(|(waits, moved)| waits.max(moved));
        if let Some(since) = still.filter(|since| waiting > 0 && now.saturating_duration_since(*since) >= STILL) {
            return Some(Trouble::Still { at: here, waiting, since });
        }
        let more = edge.growth()?;
        edge.grows.map(|since| Trouble::Behind { waiting, more, since })
    }
}

impl Edge {
    fn waiting(&self) -> Option<u64> {
        Some(self.before?.saturating_sub(self.here?))
    }

    fn set(&mut self, before: Option<u64>, here: Option<u64>, at: Instant) {
        self.before = before.or(self.before);
        if here.is_some() && here != self.here {
            self.here = here;
            self.moved = Some(at);
        }
        let (Some(waiting), Some(before), Some(here)) = (self.waiting(), self.before, self.here) else { return };
        match waiting {
            0 => self.waits = None,
            _ => drop(self.waits.get_or_insert(at)),
        }
        if self.samples.back().is_none_or(|(last, ..)| at.saturating_duration_since(*last) >= SAMPLE) {
            self.samples.push_back((at, before, here));
            // The oldest one is as old as the window, or the youngest that is older.
            while self.samples.get(1).is_some_and(|(next, ..)| at.saturating_duration_since(*next) >= WINDOW) {
                self.samples.pop_front();
            }
            match self.growth() {
                Some(_) => {
                    let began = self.samples.front().map_or(at, |(began, ..)| *began);
                    self.grows.get_or_insert(began);
                }
                None => self.grows = None,
            }
        }
    }

    /// By how much more waits than a window ago, where that is more than the stage could be expected to catch up with.
    fn growth(&self) -> Option<u64> {
        let ((from, before, here), (to, before_now, here_now)) = (self.samples.front()?, self.samples.back()?);
        if to.saturating_duration_since(*from) < WINDOW {
            return None;
        }
        let more = before_now.saturating_sub(*here_now).checked_sub(before.saturating_sub(*here))?;
        let came = before_now.saturating_sub(*before);
        (more >= GROWN && more >= came.div_ceil(2)).then_some(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::testing::said;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    /// Every second the stages say where they are, by these functions of the time.
    fn run(seconds: u64, ingest: impl Fn(u64) -> u64, enrich: impl Fn(u64) -> u64) -> (Progress, Instant) {
        let (mut progress, start) = (Progress::default(), Instant::now());
        for second in 0..=seconds {
            for (stage, sequence) in [(INGEST, ingest(second)), (ENRICH, enrich(second))] {
                let status = StageStatus { sequence: Some(sequence), ..said(stage, Some("eth")) };
                progress.take(&status, after(start, second));
            }
        }
        (progress, after(start, seconds))
    }

    #[test]
    fn a_stage_that_keeps_up_or_has_nothing_to_do_is_well() {
        let (level, now) = run(300, |t| t, |t| t.saturating_sub(2));
        assert_eq!(level.trouble(ENRICH, now), None);
        let (quiet, now) = run(300, |_| 7, |_| 7);
        assert_eq!(quiet.trouble(ENRICH, now), None);
        assert_eq!(quiet.trouble(SINK, now), None, "of which nothing is known");
        // Catching up from far behind, while the chain goes on.
        let (catching, now) = run(300, |t| 10_000 + t, |t| 20 * t);
        assert_eq!(catching.trouble(ENRICH, now), None);
    }

    #[test]
    fn a_stage_that_stands_while_something_waits_is_named_since_then() {
        let stands_at = |t: u64| t.min(100);
        let (progress, now) = run(155, |t| t, stands_at);
        assert!(!matches!(progress.trouble(ENRICH, now), Some(Trouble::Still { .. })), "not yet");
        let (progress, now) = run(170, |t| t, stands_at);
        let Some(Trouble::Still { at: 100, waiting: 70, since }) = progress.trouble(ENRICH, now) else {
            panic!("{:?}", progress.trouble(ENRICH, now))
        };
        // It is seen when the next one waits.
        assert_eq!((now - since).as_secs(), 69);
        // The chain stops too: what waits waits on.
        let (progress, now) = run(400, |t| t.min(130), stands_at);
        assert!(matches!(progress.trouble(ENRICH, now), Some(Trouble::Still { waiting: 30, .. })));
        // A single block that comes after a long silence does not make it old.
        let (progress, now) = run(305, |t| if t < 300 { 9 } else { 10 }, |_| 9);
        assert_eq!(progress.trouble(ENRICH, now), None);
    }

    #[test]
    fn a_stage_that_is_slower_than_the_chain_falls_behind_and_recovers() {
        let (progress, now) = run(120, |t| 10 * t, |t| 2 * t);
        let trouble = progress.trouble(ENRICH, now);
        assert!(matches!(trouble, Some(Trouble::Behind { more: 480.., waiting: 960, .. })), "{trouble:?}");
        let (progress, now) = run(400, |t| 10 * t, |t| if t < 120 { 2 * t } else { 240 + 20 * (t - 120) });
        assert_eq!(progress.trouble(ENRICH, now), None);
    }

    #[test]
    fn the_nodes_tip_is_what_ingest_is_measured_by() {
        let (mut progress, start) = (Progress::default(), Instant::now());
        for second in 0..=100 {
            let heights = (Some(second), Some(second.min(10)));
            let status = StageStatus { tip_height: heights.0, height: heights.1, ..said(INGEST, Some("eth")) };
            progress.take(&status, after(start, second));
        }
        let trouble = progress.trouble(INGEST, after(start, 100));
        assert!(matches!(trouble, Some(Trouble::Still { at: 10, waiting: 90, .. })), "{trouble:?}");
    }
}
