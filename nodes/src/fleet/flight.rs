//! How many requests may be under way to an endpoint at once: found out.
//!
//! Guarantee: never more than [`MOST`] nor fewer than [`LEAST`]; connections that break or are refused while several are under
//! way halve it, at most once a second; [`ROUNDS`] rounds of good answers at the limit raise it by one. Roles that do not follow the
//! chain have at most half. Pure: no clock, no I/O.

use std::time::Duration;

use super::{clock::Moment, config::Role};

/// Requests at once, at the most.
pub const MOST: u32 = 64;
/// At first.
pub const FIRST: u32 = 32;
/// At the least: a block and its receipts.
pub const LEAST: u32 = 2;
/// Rounds of good answers at the limit before it is raised by one.
const ROUNDS: u32 = 8;
/// Between two halvings.
const REST: Duration = Duration::from_secs(1);

/// Requests under way.
#[derive(Debug)]
pub struct Flight {
    most: u32,
    now: u32,
    others: u32,
    good: u32,
    halved: Option<Moment>,
}

impl Default for Flight {
    fn default() -> Self {
        Self { most: FIRST, now: 0, others: 0, good: 0, halved: None }
    }
}

impl Flight {
    /// Takes a place, where there is one.
    pub fn take(&mut self, role: Role) -> bool {
        let free = self.now < self.most && (role == Role::Stream || self.others < (self.most / 2).max(1));
        if free {
            self.now += 1;
            self.others += u32::from(role != Role::Stream);
        }
        free
    }

    /// Gives a place back.
    pub fn give(&mut self, role: Role) {
        self.now = self.now.saturating_sub(1);
        self.others = self.others.saturating_sub(u32::from(role != Role::Stream));
    }

    /// A request ended well, its place being still taken.
    pub fn good(&mut self) {
        if self.now < self.most {
            return;
        }
        self.good += 1;
        if self.good >= self.most * ROUNDS {
            self.good = 0;
            self.most = (self.most + 1).min(MOST);
        }
    }

    /// A connection was refused or broke, its place being still taken.
    pub fn broke(&mut self, at: Moment) {
        if self.now > LEAST && self.halved.is_none_or(|h| at.saturating_sub(h) >= REST) {
            self.halved = Some(at);
            self.good = 0;
            self.most = (self.now.min(self.most) / 2).max(LEAST);
        }
    }

    /// Requests under way.
    pub fn under_way(&self) -> u32 {
        self.now
    }

    /// How many may be.
    pub fn most(&self) -> u32 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_endpoint_that_takes_eight_is_found_out() {
        let mut flight = Flight::default();
        for round in 0..2_000u64 {
            let mut taken = 0;
            while flight.take(Role::Stream) {
                taken += 1;
            }
            for n in 0..taken {
                if n < 8 { flight.good() } else { flight.broke(Duration::from_millis(100 * round)) }
            }
            (0..taken).for_each(|_| flight.give(Role::Stream));
        }
        assert!((4..=9).contains(&flight.most()), "{flight:?}");
    }

    #[test]
    fn the_stream_always_has_half() {
        let mut flight = Flight::default();
        while flight.take(Role::Serve) || flight.take(Role::Trace) {}
        assert_eq!(flight.under_way(), FIRST / 2);
        assert!(flight.take(Role::Stream));
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(steps in prop::collection::vec((0u8..4, 0u64..3_000), 1..400)) {
            let (mut flight, mut held, mut now) = (Flight::default(), 0u32, 0);
            for (what, wait) in steps {
                now += wait;
                match what {
                    0 | 1 => held += u32::from(flight.take(Role::Stream)),
                    2 if held > 0 => { flight.good(); flight.give(Role::Stream); held -= 1; }
                    3 if held > 0 => { flight.broke(Duration::from_millis(now)); flight.give(Role::Stream); held -= 1; }
                    _ => {}
                }
                prop_assert_eq!(flight.under_way(), held);
                prop_assert!((LEAST..=MOST).contains(&flight.most()));
            }
        }
    }
}
