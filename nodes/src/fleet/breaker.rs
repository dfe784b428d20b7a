//! A breaker: an endpoint that fails is left alone for a while, then tried once.
//!
//! Guarantee: after [`IN_A_ROW`] failures without a success between, nobody is sent there until the back-off has passed, which
//! doubles up to [`LONGEST`] with jitter (so that a fleet of processes does not come back at once); then one trial at a time
//! goes there; its success closes the breaker, its failure opens it again. A trial of which nothing is heard ends after
//! [`TRIAL`]. Whoever has nobody else left may ask all the same. Pure: no clock, no I/O; jitter is given.

use std::time::Duration;

use super::clock::Moment;

/// Failures in a row that open it.
pub const IN_A_ROW: u32 = 3;
/// The first back-off.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(20);

/// A breaker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Breaker {
    failures: u32,
    /// Times it opened since it last was closed by a success.
    opened: u32,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Moment,
    },
    HalfOpen {
        trial_ends: Moment,
    },
}

/// Whether a call may go to the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allow {
    /// It may.
    Yes,
    /// One may, to try; [`Breaker::begin_trial`] before it goes.
    Trial,
    /// Not before this moment.
    No(Moment),
}

impl Breaker {
    /// Whether a call may go.
    pub fn allows(&self, now: Moment) -> Allow {
        match self.phase {
            Phase::Closed => Allow::Yes,
            Phase::Open { until } if now < until => Allow::No(until),
            Phase::HalfOpen { trial_ends } if now < trial_ends => Allow::No(trial_ends),
            Phase::Open { .. } | Phase::HalfOpen { .. } => Allow::Trial,
        }
    }

    /// A trial goes.
    pub fn begin_trial(&mut self, now: Moment) {
        if self.phase != Phase::Closed {
            self.phase = Phase::HalfOpen { trial_ends: now + TRIAL };
        }
    }

    /// A call succeeded.
    pub fn success(&mut self) {
        *self = Self::default();
    }

    /// A call failed. `jitter` from 0 to 1 shortens the back-off by up to half.
    pub fn failure(&mut self, now: Moment, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        let opens = match self.phase {
            Phase::Closed => self.failures >= IN_A_ROW,
            Phase::HalfOpen { .. } => true,
            // A call that began before it opened says nothing new.
            Phase::Open { until } => now >= until,
        };
        if opens {
            let full = (SHORTEST * 2u32.saturating_pow(self.opened.min(10))).min(LONGEST);
            self.opened = self.opened.saturating_add(1);
            self.phase = Phase::Open { until: now + full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0) };
        }
    }

    /// Whether it is open or half-open.
    pub fn is_open(&self) -> bool {
        self.phase != Phase::Closed
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(secs: u64) -> Moment {
        Duration::from_secs(secs)
    }

    #[test]
    fn it_opens_is_tried_and_closes() {
        let mut b = Breaker::default();
        b.failure(s(0), 0.0);
        b.failure(s(0), 0.0);
        assert_eq!(b.allows(s(0)), Allow::Yes);
        b.failure(s(0), 0.0);
        assert_eq!(b.allows(s(0)), Allow::No(s(1)));
        assert_eq!(b.allows(s(1)), Allow::Trial);
        b.begin_trial(s(1));
        assert_eq!(b.allows(s(2)), Allow::No(s(21)), "one trial at a time");
        assert_eq!(b.allows(s(21)), Allow::Trial, "nothing was heard of it");
        b.failure(s(2), 0.0);
        assert_eq!(b.allows(s(3)), Allow::No(s(4)), "twice as long");
        b.begin_trial(s(4));
        b.success();
        assert!(!b.is_open() && b.allows(s(4)) == Allow::Yes);
        for _ in 0..IN_A_ROW {
            b.failure(s(9), 1.0);
        }
        assert_eq!(b.allows(s(9)), Allow::No(s(9) + Duration::from_millis(500)), "short again, and with jitter");
    }

    proptest! {
        #[test]
        fn it_never_rests_longer_than_the_longest_and_never_forever(steps in prop::collection::vec((0u64..90, any::<bool>(), 0.0f64..=1.0), 1..120)) {
            let (mut b, mut now, mut in_a_row) = (Breaker::default(), Duration::ZERO, 0);
            for (wait, good, jitter) in steps {
                now += s(wait);
                match b.allows(now) {
                    Allow::No(until) => prop_assert!(until > now && until - now <= LONGEST),
                    Allow::Trial => b.begin_trial(now),
                    Allow::Yes => {}
                }
                if good { b.success(); in_a_row = 0 } else { b.failure(now, jitter); in_a_row += 1 }
                prop_assert_eq!(b.is_open(), in_a_row >= IN_A_ROW);
            }
        }
    }
}
