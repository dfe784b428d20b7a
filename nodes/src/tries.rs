//! How long is waited before what failed is tried again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::error::{NodeError, Retry};

/// The waits between tries of one call, twice as long each time and with jitter.
pub struct Waits {
    waits: ExponentialBackoff,
    longest: Duration,
}

impl Waits {
    /// Between so many tries, the first included; the shortest wait and the longest.
    pub fn new(tries: usize, (shortest, longest): (Duration, Duration)) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_max_times(tries.saturating_sub(1))
            .with_jitter();
        Self { waits: waits.build(), longest }
    }

    /// The wait after a try that failed so; `None`: there is no next one.
    pub fn after(&mut self, error: &NodeError) -> Option<Duration> {
        let wait = self.waits.next()?;
        match error.retry() {
            // A long wait is the caller's to plan.
            Retry::After(asked) if asked > self.longest => None,
            Retry::After(asked) => Some(wait.max(asked)),
            Retry::Soon | Retry::Seldom => Some(wait),
        }
    }
}

/// Waits between attempts at what is tried for ever, twice as long each time up to the longest, with jitter.
pub fn endless(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest).without_max_times().with_jitter().build()
}
