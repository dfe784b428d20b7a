//! When a message is tried again: Standard Webhooks' schedule, each delay with jitter.

use std::time::Duration;

/// Delays after the first, second … attempt.
const DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
    Duration::from_secs(14 * 3_600),
    Duration::from_secs(20 * 3_600),
    Duration::from_secs(24 * 3_600),
];

/// How attempts follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    delays: Vec<Duration>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { delays: DELAYS.to_vec() }
    }
}

impl Schedule {
    /// One of one's own: a delay less than attempts.
    pub fn of(delays: Vec<Duration>) -> Self {
        Self { delays }
    }

    /// How long to wait after so many attempts, and not shorter than the receiver wants; `None`: it is given up. `chance` is in 0..1: up to a
    /// fifth is added, so that what failed together does not come back together.
    pub fn after(&self, attempts: u32, at_least: Option<Duration>, chance: f64) -> Option<Duration> {
        let place = usize::try_from(attempts.checked_sub(1)?).ok()?;
        let delay = *self.delays.get(place)?;
        let delay = delay.max(at_least.unwrap_or_default());
        Some(delay + delay.mul_f64(0.2 * chance.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_over_three_days() {
        let schedule = Schedule::default();
        let after = |attempts| schedule.after(attempts, None, 0.0);
        let all: Vec<Duration> = (1..=10).map_while(after).collect();
        assert_eq!(all.len(), 9, "the tenth attempt is the last");
        assert_eq!(all.iter().sum::<Duration>(), Duration::from_secs(75 * 3_600 + 35 * 60 + 5));
        assert_eq!(schedule.after(1, Some(Duration::from_secs(77)), 0.0), Some(Duration::from_secs(77)));
        assert_eq!(schedule.after(1, None, 1.0), Some(Duration::from_secs(6)));
        assert_eq!(after(0), None);
    }
}
