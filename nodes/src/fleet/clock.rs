//! The fleet's time. Monotonic moments are durations since the clock was made, so that everything that decides takes a number
//! and knows no clock; under tokio's paused time they move with it.

use std::time::Duration;

use schemas::TimeMs;
use tokio::time::Instant;

/// A moment: how long after the clock's origin.
pub type Moment = Duration;

/// Where moments come from, and what the time of day is at them.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Instant,
    /// Time of day at the origin, ms since 1970; `None`: the system's clock is asked each time.
    fixed: Option<i64>,
}

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self { origin: Instant::now(), fixed: None }
    }

    /// One whose time of day is `now` and goes on with tokio's time, paused or not.
    pub fn fixed(now: TimeMs) -> Self {
        Self { origin: Instant::now(), fixed: Some(now.0) }
    }

    /// Now, monotonic.
    pub fn now(&self) -> Moment {
        self.origin.elapsed()
    }

    /// The time of day now.
    pub fn wall(&self) -> TimeMs {
        match self.fixed {
            Some(base) => TimeMs(base + i64::try_from(self.now().as_millis()).unwrap_or(i64::MAX / 2)),
            None => TimeMs::now(),
        }
    }

    /// Waits until a moment of this clock.
    pub async fn until(&self, at: Moment) {
        tokio::time::sleep_until(self.origin + at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_moves_with_the_time_of_the_runtime() {
        let clock = Clock::fixed(TimeMs(1_000_000));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!((clock.now(), clock.wall()), (Duration::from_secs(3), TimeMs(1_003_000)));
        clock.until(Duration::from_secs(10)).await;
        assert_eq!(clock.wall(), TimeMs(1_010_000));
    }
}
