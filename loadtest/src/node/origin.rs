//! When a simulated chain began, and what was ordered since: the state that makes it continue over a restart.
//!
//! Guarantee (rule 25): heights, times and forks follow from this state and the clock alone, so a simulator started again
//! with the same file continues the same chain, which is no reorg. Orders (`fork`, `advance`) are written down before they
//! become visible. With [`Pause`](Origin::File), the time during which nothing ran makes no blocks: heights are reserved
//! ahead of being served, and after a pause the chain goes on behind the last reserved one.

use super::error::Error;
use alloy_primitives::B256;
use schemas::limits::simulator::ORDERED_FORKS;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a chain's beginning in time comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Now: another start is another chain.
    Now,
    /// A fixed instant, milliseconds since the Unix epoch; whoever owns the directory keeps it.
    At(u64),
    /// A file, made at the first start. `pause`: while nothing runs, no blocks come into being.
    File { path: PathBuf, pause: bool },
}

/// Heights that are reserved ahead when pauses count: how often the file is written.
const RESERVE: u64 = 64;

/// What a chain is made like. Up to version 1 a replayed block had the recorded transactions again and again.
const VERSION: u32 = 2;
const REPEATING: u32 = 1;

/// From `height` on, blocks come at an even pace, the first at `at_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Segment {
    height: u64,
    at_ms: u64,
}

/// An ordered fork: the `depth` blocks up to `top` were replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fork {
    pub top: u64,
    pub depth: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    version: u32,
    seed: u64,
    chain_id: u64,
    start: u64,
    /// Nanoseconds between blocks.
    interval: u64,
    segments: Vec<Segment>,
    forks: Vec<Fork>,
    /// The head without a clock, else how far heights are reserved.
    head: u64,
    /// Heights and hashes that no fork reaches any more, ascending: where a restart goes on from.
    #[serde(default)]
    settled: Vec<(u64, B256)>,
}

/// What identifies a chain, and its pace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub seed: u64,
    pub chain_id: u64,
    /// The first height.
    pub start: u64,
    /// Blocks beyond the first that are there at the origin.
    pub history: u64,
    /// Time between blocks.
    pub interval: Duration,
    /// Whether the clock makes blocks; otherwise orders do.
    pub clocked: bool,
}

/// Times and orders of one chain.
#[derive(Debug)]
pub(crate) struct Timeline {
    state: State,
    clocked: bool,
    file: Option<(PathBuf, bool)>,
}

impl Timeline {
    pub(crate) fn open(origin: Origin, id: Identity) -> Result<Self, Error> {
        let first = id.start + id.history;
        let fresh = |at_ms| State {
            version: VERSION,
            seed: id.seed,
            chain_id: id.chain_id,
            start: id.start,
            interval: id.interval.as_nanos() as u64,
            segments: vec![Segment { height: first, at_ms }],
            forks: Vec::new(),
            head: first,
            settled: Vec::new(),
        };
        let memory = |at_ms| Ok(Self { state: fresh(at_ms), clocked: id.clocked, file: None });
        let (path, pause) = match origin {
            Origin::Now => return memory(now_ms()),
            Origin::At(at_ms) => return memory(at_ms),
            Origin::File { path, pause } => (path, pause && id.clocked),
        };
        let file = |source| Error::File { path: path.clone(), source };
        let state = match std::fs::read(&path) {
            Ok(bytes) => {
                let wrong = |what| Error::Origin { path: path.clone(), what };
                let state: State = serde_json::from_slice(&bytes).map_err(|e| wrong(format!("not an origin: {e}")))?;
                let made = fresh(0);
                if !(REPEATING..=VERSION).contains(&state.version) {
                    return Err(wrong(format!("made with version {}, not {VERSION}", state.version)));
                }
                for (what, then, now) in [
                    ("seed", state.seed, made.seed),
                    ("chain id", state.chain_id, made.chain_id),
                    ("start height", state.start, made.start),
                    ("nanoseconds between blocks", state.interval, made.interval),
                ] {
                    if then != now {
                        return Err(wrong(format!("made with {what} {then}, not {now}")));
                    }
                }
                if state.segments.is_empty() {
                    return Err(wrong("not an origin: no segments".into()));
                }
                state
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => fresh(now_ms()),
            Err(e) => return Err(file(e)),
        };
        let mut timeline = Self { state, clocked: id.clocked, file: Some((path, pause)) };
        timeline.resume(now_ms());
        timeline.save()?;
        Ok(timeline)
    }

    /// After a pause, goes on behind the last reserved height instead of making up for the time.
    fn resume(&mut self, now_ms: u64) {
        let reserved = self.state.head;
        if self.pauses() && self.due(now_ms) > reserved {
            self.state.segments.push(Segment { height: reserved + 1, at_ms: now_ms });
        }
    }

    fn pauses(&self) -> bool {
        self.file.as_ref().is_some_and(|(_, pause)| *pause)
    }

    /// The head that the clock wants, or that orders made.
    pub(crate) fn head(&self) -> u64 {
        if self.clocked { self.due(now_ms()).max(self.floor()) } else { self.state.head }
    }

    /// The head below which the chain never is: at least what was there at the origin.
    fn floor(&self) -> u64 {
        self.last().height.saturating_sub(1).max(self.state.segments[0].height)
    }

    fn last(&self) -> Segment {
        // Never empty: made with one, and refused when read with none.
        self.state.segments[self.state.segments.len() - 1]
    }

    fn due(&self, now_ms: u64) -> u64 {
        let last = self.last();
        match now_ms.checked_sub(last.at_ms) {
            None => self.floor(),
            Some(past) => last.height + (u128::from(past) * 1_000_000 / u128::from(self.state.interval)) as u64,
        }
    }

    /// When `height` is due, milliseconds since the Unix epoch. Never decreases with height.
    pub(crate) fn time_ms(&self, height: u64) -> u64 {
        let segments = &self.state.segments;
        let next = segments.partition_point(|s| s.height <= height);
        let Some(segment) = next.checked_sub(1).map(|n| segments[n]) else {
            let before = u128::from(segments[0].height - height) * u128::from(self.state.interval) / 1_000_000;
            return segments[0].at_ms.saturating_sub(before as u64);
        };
        let after = u128::from(height - segment.height) * u128::from(self.state.interval) / 1_000_000;
        let at = segment.at_ms + after as u64;
        segments.get(next).map_or(at, |s| at.min(s.at_ms))
    }

    /// What no fork reaches any more.
    pub(crate) fn settled(&self) -> &[(u64, B256)] {
        &self.state.settled
    }

    /// Notes what no fork reaches any more. It is computed again if it is not written down in time.
    pub(crate) fn settle(&mut self, height: u64, hash: B256) {
        if self.file.is_some() && self.state.settled.last().is_none_or(|(known, _)| *known < height) {
            self.state.settled.push((height, hash));
        }
    }

    /// Whether this chain shows recorded transactions again and again, as it began to.
    pub(crate) fn repeats(&self) -> bool {
        self.state.version == REPEATING
    }

    pub(crate) fn forks(&self) -> &[Fork] {
        &self.state.forks
    }

    /// Writes down that `height` is about to become the head by the clock.
    pub(crate) fn reach(&mut self, height: u64) -> Result<(), Error> {
        if self.pauses() && height > self.state.head {
            self.state.head = height + RESERVE;
            self.save()?;
        }
        Ok(())
    }

    /// Writes down an order: a fork, or none, after which the head is `head` (as of now).
    pub(crate) fn order(&mut self, fork: Option<Fork>, before: u64, head: u64) -> Result<(), Error> {
        if self.state.forks.len() >= ORDERED_FORKS {
            return Err(Error::Order(format!("more than {ORDERED_FORKS} forks were ordered")));
        }
        self.state.forks.extend(fork);
        if !self.clocked {
            self.state.head = head;
        } else if head > before {
            let at_ms = now_ms().max(self.time_ms(before));
            self.state.segments.push(Segment { height: head, at_ms });
            if self.pauses() {
                self.state.head = self.state.head.max(head);
            }
        }
        self.save()
    }

    fn save(&self) -> Result<(), Error> {
        let Some((path, _)) = &self.file else { return Ok(()) };
        let write = |path: &Path, bytes: &[u8]| -> std::io::Result<()> {
            let part = path.with_extension("part");
            let mut file = std::fs::File::create(&part)?;
            std::io::Write::write_all(&mut file, bytes)?;
            file.sync_data()?;
            std::fs::rename(&part, path)
        };
        serde_json::to_vec(&self.state)
            .map_err(std::io::Error::other)
            .and_then(|bytes| write(path, &bytes))
            .map_err(|source| Error::File { path: path.clone(), source })
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(clocked: bool) -> Identity {
        Identity { seed: 7, chain_id: 1, start: 10, history: 5, interval: Duration::from_secs(2), clocked }
    }

    #[test]
    fn time_follows_height_before_and_after_the_origin() {
        let line = Timeline::open(Origin::At(100_000), identity(true)).expect("in memory");
        assert_eq!([10, 15, 16].map(|h| line.time_ms(h)), [90_000, 100_000, 102_000]);
        assert_eq!([99_000, 100_000, 101_999, 102_000].map(|now| line.due(now)), [15, 15, 15, 16]);
    }

    #[test]
    fn a_pause_makes_no_blocks_and_changes_no_time() {
        let dir = tempfile::tempdir().expect("temp dir");
        let origin = Origin::File { path: dir.path().join("origin.json"), pause: true };
        let mut line = Timeline::open(origin.clone(), identity(true)).expect("fresh");
        line.reach(16).expect("saved");
        let at = line.last().at_ms;
        let (reserved, times) = (line.state.head, (10..80).map(|h| line.time_ms(h)).collect::<Vec<_>>());
        assert_eq!(reserved, 16 + RESERVE);
        // A short stop: the clock has not passed what was reserved.
        line.resume(at + 60_000);
        assert_eq!(line.state.segments.len(), 1);
        // A week later the chain goes on behind the reserved height.
        line.resume(at + 7 * 86_400_000);
        assert_eq!(line.due(at + 7 * 86_400_000), reserved + 1);
        assert_eq!((10..80).map(|h| line.time_ms(h)).collect::<Vec<_>>(), times);
        let other = Identity { seed: 8, ..identity(true) };
        let refused = Timeline::open(origin, other).expect_err("another chain").to_string();
        assert!(refused.contains("seed 7, not 8"), "{refused}");
    }

    #[test]
    fn times_never_decrease_over_orders() {
        let mut line = Timeline::open(Origin::Now, identity(true)).expect("in memory");
        line.order(Some(Fork { top: 15, depth: 2 }), 15, 40).expect("ordered");
        line.order(None, 40, 50).expect("ordered");
        let times: Vec<u64> = (10..60).map(|h| line.time_ms(h)).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(line.head(), 50);
    }
}
