//! What an endpoint costs in a day (UTC), against its cap.
//!
//! Guarantee: requests of all observers that are known of together never pass the cap; from nine tenths of it on only the
//! stream is served. What this observer had counted before a restart, and what others count, is taken over from their states.
//! Pure: no clock, no I/O.

use std::collections::BTreeMap;

use schemas::TimeMs;

use super::config::Role;

const DAY_MS: i64 = 86_400_000;
/// Observers whose counts are kept, per endpoint.
const OBSERVERS: usize = 256;

/// Requests and bytes of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Requests.
    pub calls: u64,
    /// Bytes of their answers.
    pub bytes: u64,
}

/// The day's counts of an endpoint.
#[derive(Debug)]
pub struct Day {
    cap: Option<u64>,
    /// From when on this process counts.
    began: TimeMs,
    number: i64,
    by: BTreeMap<String, Observed>,
}

#[derive(Debug, Default)]
struct Observed {
    /// What it said before this process began, or what another process says.
    told: Count,
    counted: Count,
    ours: bool,
}

impl Day {
    /// A day of which nothing is known yet.
    pub fn new(cap: Option<u64>, began: TimeMs) -> Self {
        Self { cap, began, number: began.0.div_euclid(DAY_MS), by: BTreeMap::new() }
    }

    fn turn(&mut self, at: TimeMs) {
        let number = at.0.div_euclid(DAY_MS);
        if number > self.number {
            self.number = number;
            self.by.clear();
        }
    }

    /// Whether so many more requests may go.
    pub fn allows(&mut self, role: Role, calls: u64, at: TimeMs) -> bool {
        self.turn(at);
        let Some(cap) = self.cap else { return true };
        let most = if role == Role::Stream { cap } else { cap / 10 * 9 };
        self.total().saturating_add(calls) <= most
    }

    /// An observer of this process sent requests, or got bytes.
    pub fn add(&mut self, observer: &str, calls: u64, bytes: u64, at: TimeMs) {
        self.turn(at);
        if !self.by.contains_key(observer) {
            self.by.insert(observer.to_owned(), Observed::default());
        }
        if let Some(o) = self.by.get_mut(observer) {
            o.ours = true;
            o.counted.calls += calls;
            o.counted.bytes += bytes;
        }
    }

    /// What an observer says that it has counted on the day of `at`. Of one of this process only what it said before counts.
    pub fn heard(&mut self, observer: &str, ours: bool, said: Count, at: TimeMs) {
        if at.0.div_euclid(DAY_MS) != self.number || (ours && at >= self.began) {
            return;
        }
        if self.by.len() < OBSERVERS || self.by.contains_key(observer) {
            let o = self.by.entry(observer.to_owned()).or_default();
            o.told = Count { calls: o.told.calls.max(said.calls), bytes: o.told.bytes.max(said.bytes) };
        }
    }

    /// Requests of all observers.
    pub fn total(&self) -> u64 {
        self.by.values().map(|o| o.told.calls + o.counted.calls).sum()
    }

    /// Whether anything was counted on this day.
    pub fn counts(&mut self, at: TimeMs) -> bool {
        self.turn(at);
        self.total() > 0
    }

    /// What one observer has counted.
    pub fn of(&mut self, observer: &str, at: TimeMs) -> Count {
        self.turn(at);
        let count =
            |o: &Observed| Count { calls: o.told.calls + o.counted.calls, bytes: o.told.bytes + o.counted.bytes };
        self.by.get(observer).map(count).unwrap_or_default()
    }

    /// From now on this is the cap. What was counted counts.
    pub fn set_cap(&mut self, cap: Option<u64>) {
        self.cap = cap;
    }

    /// The cap.
    pub fn cap(&self) -> Option<u64> {
        self.cap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: TimeMs = TimeMs(20_000 * DAY_MS + DAY_MS / 2);

    #[test]
    fn near_the_cap_only_the_stream_is_served_and_beyond_it_nobody() {
        let mut day = Day::new(Some(100), NOON);
        assert!(day.allows(Role::Serve, 90, NOON) && !day.allows(Role::Serve, 91, NOON));
        day.add("a", 90, 5_000, NOON);
        assert!(!day.allows(Role::Trace, 1, NOON) && day.allows(Role::Stream, 10, NOON));
        day.add("a", 10, 0, NOON);
        assert!(!day.allows(Role::Stream, 1, NOON));
        let tomorrow = TimeMs(NOON.0 + DAY_MS);
        assert!(day.allows(Role::Serve, 90, tomorrow) && day.total() == 0);
        assert!(Day::new(None, NOON).allows(Role::Serve, u64::MAX, NOON));
        day.add("a", 30, 0, tomorrow);
        day.set_cap(Some(30));
        assert!(!day.allows(Role::Stream, 1, tomorrow), "what was counted before counts");
        day.set_cap(None);
        assert!(day.allows(Role::Serve, 1_000, tomorrow));
    }

    #[test]
    fn others_and_what_was_before_a_restart_count() {
        let mut day = Day::new(Some(100), NOON);
        day.add("a", 10, 1, NOON);
        day.heard("b", false, Count { calls: 40, bytes: 0 }, TimeMs(NOON.0 + 5));
        day.heard("b", false, Count { calls: 30, bytes: 0 }, TimeMs(NOON.0 + 1));
        day.heard("a", true, Count { calls: 20, bytes: 7 }, TimeMs(NOON.0 - 1));
        day.heard("a", true, Count { calls: 99, bytes: 0 }, TimeMs(NOON.0 + 1));
        day.heard("c", false, Count { calls: 99, bytes: 0 }, TimeMs(NOON.0 - DAY_MS));
        assert_eq!((day.total(), day.of("a", NOON)), (70, Count { calls: 30, bytes: 8 }));
    }
}
