//! When a contract source, or a network's nodes, may be asked. Pure, but for the clocks that it is told.
//!
//! Guarantee: never more than so many questions a second and a day (UTC); after trouble a pause that doubles from seconds to half an
//! hour, or as long as the source asked for; after an answer the pause begins anew.

use std::time::Duration;

use schemas::TimeMs;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(1_800);
const DAY_MS: i64 = 86_400_000;

/// Whether it may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// After this.
    After(Duration),
    /// Not before an operator changed something.
    Never,
}

/// See the module.
#[derive(Debug)]
pub struct Pace {
    between: Duration,
    per_day: u64,
    next: Option<Instant>,
    day: (i64, u64),
    pause: Duration,
    stopped: bool,
}

impl Pace {
    /// So many questions a second and a day.
    pub fn new(per_second: f64, per_day: u64) -> Self {
        let between = Duration::from_secs_f64(1.0 / per_second.clamp(0.001, 1_000.0));
        Self { between, per_day, next: None, day: (0, 0), pause: FIRST, stopped: false }
    }

    /// Whether it may be asked now.
    pub fn turn(&self, now: Instant, wall: TimeMs) -> Turn {
        if self.stopped {
            return Turn::Never;
        }
        if self.day.0 == wall.0.div_euclid(DAY_MS) && self.day.1 >= self.per_day {
            let left = DAY_MS - wall.0.rem_euclid(DAY_MS);
            return Turn::After(Duration::from_millis(u64::try_from(left).unwrap_or(0)));
        }
        match self.next.map(|next| next.saturating_duration_since(now)) {
            None | Some(Duration::ZERO) => Turn::Now,
            Some(wait) => Turn::After(wait),
        }
    }

    /// It is asked.
    pub fn asked(&mut self, now: Instant, wall: TimeMs) {
        let day = wall.0.div_euclid(DAY_MS);
        self.day = if self.day.0 == day { (day, self.day.1 + 1) } else { (day, 1) };
        self.next = Some(now + self.between);
    }

    /// It answered.
    pub fn answered(&mut self) {
        self.pause = FIRST;
    }

    /// It did not. Returns for how long it is left alone.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let wait = self.pause;
        self.pause = (self.pause * 2).min(MOST);
        self.next = Some(now + wait);
        wait
    }

    /// It asked to be left alone, for so long where it said. Returns for how long it is.
    pub fn throttled(&mut self, now: Instant, asked: Option<Duration>) -> Duration {
        let own = self.failed(now);
        let wait = asked.map_or(own, |asked| asked.max(self.between));
        self.next = Some(now + wait);
        wait
    }

    /// It refuses until an operator changes something.
    pub fn stop(&mut self) {
        self.stopped = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rate_day_and_pauses_are_kept() {
        let (now, wall) = (Instant::now(), TimeMs(DAY_MS - 10_000));
        let mut pace = Pace::new(2.0, 3);
        assert_eq!(pace.turn(now, wall), Turn::Now);
        pace.asked(now, wall);
        assert_eq!(pace.turn(now, wall), Turn::After(Duration::from_millis(500)));
        let now = now + Duration::from_millis(500);
        assert_eq!(pace.turn(now, wall), Turn::Now);
        pace.asked(now, wall);
        assert_eq!(pace.failed(now), FIRST);
        assert_eq!(pace.failed(now), FIRST * 2);
        assert_eq!(pace.turn(now, wall), Turn::After(FIRST * 2));
        pace.answered();
        assert_eq!(pace.throttled(now, Some(Duration::from_secs(60))), Duration::from_secs(60));
        let now = now + Duration::from_secs(60);
        pace.asked(now, wall);
        assert_eq!(pace.turn(now, wall), Turn::After(Duration::from_secs(10)), "the day is used up");
        let tomorrow = TimeMs(wall.0 + 10_000);
        assert_eq!(pace.turn(now + Duration::from_secs(10), tomorrow), Turn::Now);
        for _ in 0..20 {
            pace.failed(now);
        }
        assert_eq!(pace.failed(now), MOST);
        pace.stop();
        assert_eq!(pace.turn(now + MOST, tomorrow), Turn::Never);
    }
}
