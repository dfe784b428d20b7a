//! How fast an endpoint may be asked: at a configured rate, or at one that is found out.
//!
//! Guarantee: requests are spaced by a GCRA (`governor`), so that no second has more than the rate allows; after a refusal none
//! goes before the wait that the endpoint asked for has passed. The rate follows what the endpoint lets through: one that
//! allows 10 a second gets 8 to 10 with less than one in a hundred refused, within a minute of the first refusal or of a change
//! (`pace_play.rs` plays that with several kinds of counting). Whoever does not follow the chain has a quarter of the rate, so
//! that the stream always has at least half (rule 33).
//!
//! The rate is unbounded until the first refusal, then what was let through in the last seconds, or searched for from below. A refusal takes it down by a
//! tenth at least, and further where less was let through; what was sent before the last change of the rate is no judgement on
//! it. Where the endpoint is pressed (requests had to wait) the rate creeps up to just below where it was last refused, the
//! *wall*, and beyond only after a hold that doubles each time the wall is still there. Pure: no clock, no I/O.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

use super::{clock::Moment, config::Role};

/// The least rate, requests a second.
const LEAST: f64 = 0.1;
/// The least that is concluded from the first refusal, requests a second …
const FOUND_LEAST: f64 = 1.0;
/// … and how many must have been let through in a second for it to say where the limit is: refusals come before good answers.
const FEW: f64 = 4.0;
/// From this rate on there is no limit.
const UNBOUNDED: f64 = 5_000.0;
/// What is looked back on to see how much is let through.
const LOOK: Duration = Duration::from_secs(4);
/// The wait after a refusal that names none.
const PAUSE: Duration = Duration::from_secs(1);
/// Time between two steps up, where it is known about where the limit is, and where it is searched for.
const STEP: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(1));
/// What a step up is at most: below the wall, just beyond it, and where there is none.
const UP: (f64, f64, f64) = (1.02, 1.05, 1.25);
/// The share of the wall up to which the rate creeps.
const BELOW_WALL: f64 = 0.95;
/// How long a rate must have held for what was let through to say something about it.
const HELD: Duration = Duration::from_secs(2);
/// What a refusal takes the rate down to, at most: of a rate that held for a while, and of one that was just begun with.
const DOWN: (f64, f64) = (0.9, 0.7);
/// How long the wall is believed at first, and at the longest.
const HOLD: (Duration, Duration) = (Duration::from_secs(90), Duration::from_secs(1_440));
/// A configured rate is kept with this much room, for the endpoint's seconds are not ours.
const ROOM: f64 = 0.95;
/// The part of a second's requests that may go at once, when none went before.
const BURST: f64 = 0.1;
/// The share of the rate of each role that does not follow the chain.
const SHARE: f64 = 0.25;
/// That of what is fetched of the past beside the stream, which always finds the rest free.
const HISTORY_SHARE: f64 = 0.75;

/// A clock that stands where it was put.
#[derive(Debug, Clone, Default)]
struct At(Arc<AtomicU64>);

impl governor::clock::Clock for At {
    type Instant = Duration;
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// A GCRA whose time is given.
#[derive(Debug)]
struct Gcra {
    at: At,
    limiter: RateLimiter<NotKeyed, InMemoryState, At, NoOpMiddleware<Duration>>,
}

impl Gcra {
    /// One of a rate, whose last request went at `last`.
    fn new(rate: f64, last: Option<Moment>) -> Self {
        let at = At::default();
        let burst = NonZeroU32::new((rate * BURST) as u32).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_secs_f64(1.0 / rate.clamp(LEAST, UNBOUNDED)));
        let quota = quota.unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        if let Some(last) = last {
            at.0.store(last.as_nanos() as u64, Ordering::Relaxed);
        }
        let gcra = Self { limiter: RateLimiter::direct_with_clock(quota, at.clone()), at };
        if let Some(last) = last {
            // A new rate is no reason for a burst.
            while gcra.take(last).is_ok() {}
        }
        gcra
    }

    /// One request, or how long until there may be one.
    fn take(&self, now: Moment) -> Result<(), Duration> {
        self.at.0.store(now.as_nanos() as u64, Ordering::Relaxed);
        self.limiter.check().map_err(|until| until.wait_time_from(now).max(Duration::from_micros(100)))
    }
}

/// The pace of one endpoint.
#[derive(Debug)]
pub struct Pace {
    configured: Option<f64>,
    /// Requests a second; `None`: unbounded.
    rate: Option<f64>,
    all: Option<Gcra>,
    /// Of the roles that do not follow the chain.
    shares: [Share; 2],
    /// Of what is fetched of the past beside the stream.
    history: Share,
    last: Option<Moment>,
    /// None goes before it: the endpoint asked for it.
    paused: Moment,
    /// When the rate was last taken down or first set; what was sent before is no judgement on it.
    changed: Moment,
    wall: Option<Wall>,
    hold: Duration,
    /// Whether a request had to wait since the last step.
    pressed: bool,
    stepped: Moment,
    accepted: VecDeque<(Moment, u32)>,
    refused: u64,
    refused_at: Option<Moment>,
}

/// What a role may have of the rate.
#[derive(Debug, Default)]
struct Share {
    gcra: Option<Gcra>,
    /// Its own part is taken already, and it waits for the whole.
    granted: bool,
}

/// The rate at which it last was refused, and until when that is believed.
#[derive(Debug, Clone, Copy)]
struct Wall {
    rate: f64,
    until: Moment,
}

impl Pace {
    /// One with a configured rate, in requests a second, or one that is found out.
    pub fn new(configured: Option<f64>) -> Self {
        let mut pace = Self {
            configured: configured.map(|r| (r * ROOM).max(LEAST)),
            rate: None,
            all: None,
            shares: Default::default(),
            history: Share::default(),
            last: None,
            paused: Duration::ZERO,
            changed: Duration::ZERO,
            wall: None,
            hold: HOLD.0,
            pressed: false,
            stepped: Duration::ZERO,
            accepted: VecDeque::new(),
            refused: 0,
            refused_at: None,
        };
        pace.set(pace.configured);
        pace
    }

    /// From now on this is the configured rate, or one is found out. What was found out before says nothing about it; a wait that the
    /// endpoint asked for is kept.
    pub fn configure(&mut self, configured: Option<f64>, now: Moment) {
        let configured = configured.map(|r| (r * ROOM).max(LEAST));
        if configured == self.configured {
            return;
        }
        self.configured = configured;
        (self.wall, self.hold, self.pressed) = (None, HOLD.0, false);
        (self.changed, self.stepped) = (now, now);
        self.set(configured);
    }

    /// Lets one request go, or says how long to wait before asking again.
    pub fn take(&mut self, role: Role, now: Moment) -> Result<(), Duration> {
        self.take_of(now, |pace| match role {
            Role::Stream => None,
            Role::Trace => pace.shares.first_mut(),
            Role::Serve => pace.shares.last_mut(),
        })
    }

    /// The same for what is fetched of the past beside the stream.
    pub fn take_history(&mut self, now: Moment) -> Result<(), Duration> {
        self.take_of(now, |pace| Some(&mut pace.history))
    }

    fn take_of(&mut self, now: Moment, share: impl Fn(&mut Self) -> Option<&mut Share>) -> Result<(), Duration> {
        if now < self.paused {
            return Err(self.paused - now);
        }
        self.step(now);
        if let Some(share) = share(self)
            && let (Some(gcra), false) = (&share.gcra, share.granted)
        {
            gcra.take(now)?;
            share.granted = true;
        }
        if let Some(all) = &self.all {
            all.take(now).inspect_err(|_| self.pressed = true)?;
        }
        if let Some(share) = share(self) {
            share.granted = false;
        }
        self.last = Some(now);
        Ok(())
    }

    /// So many requests were let through.
    pub fn accepted(&mut self, now: Moment, requests: u32) {
        self.accepted.push_back((now, requests));
        while self.accepted.front().is_some_and(|(at, _)| now.saturating_sub(*at) > LOOK) || self.accepted.len() > 4_096
        {
            self.accepted.pop_front();
        }
    }

    /// The endpoint asked to be left alone for a while, not for too many requests.
    pub fn pause(&mut self, now: Moment, wait: Duration) {
        self.paused = self.paused.max(now + wait);
    }

    /// A request that was sent at `sent` was refused for being one too many; `wait` is what the endpoint asked for.
    pub fn refused(&mut self, sent: Moment, now: Moment, wait: Option<Duration>) {
        self.refused += 1;
        self.refused_at = Some(now);
        if let Some(wait) = wait {
            self.paused = self.paused.max(now + wait);
        }
        if sent < self.changed {
            return;
        }
        self.paused = self.paused.max(now + wait.unwrap_or(PAUSE));
        let through = self.through(now);
        let held = now.saturating_sub(self.changed) >= HELD;
        let (rate, refused_at) = match self.rate {
            None => ((through * BELOW_WALL).max(FOUND_LEAST), Some(through).filter(|t| *t >= FEW)),
            Some(rate) if held => ((rate * DOWN.0).min(through * BELOW_WALL), Some(rate)),
            Some(rate) => (rate * DOWN.1, Some(rate)),
        };
        if self.wall.is_some_and(|w| now >= w.until) {
            self.hold = (self.hold * 2).min(HOLD.1);
        }
        self.wall = refused_at.map(|rate| Wall { rate, until: now + self.hold });
        // From when it goes on.
        self.changed = self.paused;
        self.stepped = self.paused;
        self.pressed = false;
        self.set(Some(rate));
    }

    /// What is let through, requests a second: in the mean where it is pressed, else in the best second.
    fn through(&self, now: Moment) -> f64 {
        let from = self.changed.max(now.saturating_sub(LOOK));
        let seen = || self.accepted.iter().filter(move |(at, _)| *at >= from);
        if self.pressed {
            let span = now.saturating_sub(from).max(Duration::from_secs(1));
            return seen().map(|(_, n)| f64::from(*n)).sum::<f64>() / span.as_secs_f64();
        }
        let mut best = 0;
        for (start, _) in seen() {
            let second = seen().filter(|(at, _)| at >= start && *at - *start < Duration::from_secs(1));
            best = best.max(second.map(|(_, n)| *n).sum::<u32>());
        }
        f64::from(best)
    }

    /// Takes the rate up where that is due.
    fn step(&mut self, now: Moment) {
        let Some(rate) = self.rate else { return };
        let step = if self.wall.is_some() { STEP.0 } else { STEP.1 };
        if now < self.stepped + step {
            return;
        }
        self.stepped = now;
        if !std::mem::take(&mut self.pressed) {
            return;
        }
        let up = match self.wall {
            Some(w) if now < w.until => (rate * UP.0).min(w.rate * BELOW_WALL).max(rate),
            Some(w) if rate > w.rate * UP.1 => {
                // It held beyond the wall, which is gone.
                (self.wall, self.hold) = (None, HOLD.0);
                rate * UP.2
            }
            Some(_) => rate * UP.1,
            None => rate * UP.2,
        };
        let up = self.configured.map_or(up, |most| up.min(most));
        if up > rate {
            self.set((up < UNBOUNDED).then_some(up));
        }
    }

    fn set(&mut self, rate: Option<f64>) {
        self.rate = rate.map(|r| r.max(LEAST));
        self.all = self.rate.map(|r| Gcra::new(r, self.last));
        for share in &mut self.shares {
            share.gcra = self.rate.map(|r| Gcra::new(r * SHARE, self.last));
        }
        self.history.gcra = self.rate.map(|r| Gcra::new(r * HISTORY_SHARE, self.last));
    }

    /// Requests a second; `None` where no limit is known.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// The same of what is left to a role, or to the past beside the stream (`None`).
    pub fn rate_of(&self, role: Option<Role>) -> Option<f64> {
        let share = match role {
            Some(Role::Stream) => 1.0,
            Some(Role::Trace | Role::Serve) => SHARE,
            None => HISTORY_SHARE,
        };
        self.rate.map(|rate| rate * share)
    }

    /// Until when nothing may go.
    pub fn paused(&self, now: Moment) -> Option<Moment> {
        (now < self.paused).then_some(self.paused)
    }

    /// When a request was last refused.
    pub fn refused_at(&self) -> Option<Moment> {
        self.refused_at
    }
}
