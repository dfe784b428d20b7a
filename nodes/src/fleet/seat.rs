//! One endpoint of a fleet with all that is known of it, without its client.
//!
//! Guarantee: every outcome is taken in once, under one lock that is never held across an await; what people are told is
//! evaluated at most once a second, and at once after whatever may change the state.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::{
    TimeMs,
    records::{CallSample, Lie as Found, Outcome, ProviderSample, ProviderState, Seen as Sampled},
};

use super::{
    breaker::{Allow, Breaker},
    capability::Capabilities,
    clock::{Clock, Moment},
    config::{MemberConfig, Role},
    heights::Height,
    hub::Hub,
    limits::{Gate, Place},
    member::Purpose,
    metrics,
    quarantine::Quarantine,
    router::{Candidate, Fitness, PATIENT},
    sample::{Ended, Hour, Sampler, cut},
    score::{Parts, Seen, Window},
    state::{Facts, judge},
};
use crate::error::{NodeError, NodeErrorKind, Retry};

/// Between two evaluations that nothing but good outcomes asks for.
const EVALUATED_EVERY: Duration = Duration::from_secs(1);
/// Score of an endpoint of which nothing is known.
const UNKNOWN_SCORE: u8 = 50;

/// An endpoint.
pub(super) struct Seat {
    pub config: MemberConfig,
    pub name: Arc<str>,
    pub operator: Arc<str>,
    pub index: usize,
    pub gate: Arc<Gate>,
    pub clock: Clock,
    pub hub: Arc<Hub>,
    pub probe_every: Duration,
    state: Mutex<State>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seat({} of {})", self.name, self.operator)
    }
}

/// How the last calls ended, the newest in the lowest bit.
#[derive(Debug, Default, Clone, Copy)]
struct Last {
    failed: u16,
    refused: u16,
    known: u32,
}

impl Last {
    fn add(&mut self, failed: bool, refused: bool) {
        self.failed = (self.failed << 1) | u16::from(failed);
        self.refused = (self.refused << 1) | u16::from(refused);
        self.known = (self.known + 1).min(u16::BITS);
    }

    fn share(self, bits: u16) -> f64 {
        if self.known < 4 { 0.0 } else { f64::from(bits.count_ones()) / f64::from(self.known) }
    }
}

/// What is known of an endpoint.
pub(super) struct State {
    pub window: Window,
    pub breaker: Breaker,
    pub quarantine: Quarantine,
    pub capabilities: Capabilities,
    pub sampler: Sampler,
    pub hour: Hour,
    last: Last,
    pub height: Option<Height>,
    pub unusable: Option<String>,
    pub last_error: Option<(String, TimeMs)>,
    pub last_seen: Option<(Moment, TimeMs)>,
    pub in_use_since: Option<TimeMs>,
    pub shown: Shown,
}

/// What people are told.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub state: ProviderState,
    pub reason: Option<String>,
    pub since: TimeMs,
    /// `None` before the first outcome.
    pub parts: Option<Parts>,
    pub seen: Seen,
    evaluated: Option<Moment>,
    well_since: Option<Moment>,
}

/// A request that ended, as its meter tells of it.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub method: &'static str,
    pub purpose: Purpose,
    pub calls: u32,
    pub took: Duration,
    pub bytes: u64,
    pub height: Option<u64>,
    pub error: Option<&'a NodeError>,
}

/// What an outcome says about an endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    /// It answered, and cannot give that.
    Neither,
    Bad,
}

/// The word of samples, and what follows for health.
fn weigh(error: Option<&NodeError>) -> (Outcome, Health) {
    let Some(error) = error else { return (Outcome::Ok, Health::Good) };
    match error.outcome() {
        // What the chain says of itself is an answer.
        _ if matches!(error.kind, NodeErrorKind::NoBlock(_)) => (Outcome::Ok, Health::Good),
        crate::Outcome::Empty => (Outcome::Empty, Health::Good),
        crate::Outcome::Missing => (Outcome::Missing, Health::Neither),
        crate::Outcome::Failing => (Outcome::Failing, Health::Bad),
        crate::Outcome::Stale => (Outcome::Stale, Health::Bad),
        crate::Outcome::Wrong => (Outcome::Wrong, Health::Bad),
    }
}

impl Seat {
    /// An endpoint of which nothing is known yet.
    pub fn new(
        index: usize,
        config: MemberConfig,
        gate: Arc<Gate>,
        hub: Arc<Hub>,
        clock: Clock,
        probe_every: Duration,
        quarantine: Duration,
    ) -> Self {
        let shown = Shown {
            state: ProviderState::Unknown,
            reason: None,
            since: clock.wall(),
            parts: None,
            seen: Seen::default(),
            evaluated: None,
            well_since: None,
        };
        let state = State {
            window: Window::default(),
            breaker: Breaker::default(),
            quarantine: Quarantine::new(quarantine, probe_every),
            capabilities: Capabilities::default(),
            sampler: Sampler::default(),
            hour: Hour::default(),
            last: Last::default(),
            height: None,
            unusable: None,
            last_error: None,
            last_seen: None,
            in_use_since: None,
            shown,
        };
        let (name, operator) = (config.name.as_str().into(), config.operator.as_str().into());
        Self { config, name, operator, index, gate, clock, hub, probe_every, state: Mutex::new(state) }
    }

    /// What is known of it. Not to be held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in that ended.
    pub fn ended(&self, place: Option<&Place>, r: &Request<'_>) {
        let (outcome, health) = weigh(r.error);
        let throttled = r.error.is_some_and(|e| matches!(e.kind, NodeErrorKind::Throttled(..)));
        if let Some(place) = place {
            match r.error {
                Some(e) if throttled => self.gate.refused(place, asked_wait(e)),
                Some(e) if matches!(e.kind, NodeErrorKind::Unreachable(_)) => self.gate.broke(),
                Some(e) => {
                    // A busy server may name a wait as well.
                    if let (NodeErrorKind::Server(..), Some(wait)) = (&e.kind, asked_wait(e)) {
                        self.gate.refused(place, Some(wait));
                    }
                }
                None => self.gate.through(place),
            }
        }
        self.gate.bytes(&self.hub.observer, r.bytes);
        let (network, name) = (self.hub.network.as_str(), &*self.name);
        metrics::request(network, name, r.method, r.purpose, outcome.as_str(), r.calls, r.took);
        metrics::bytes(network, name, r.bytes);
        let (now, at) = (self.clock.now(), self.clock.wall());
        let mut state = self.state();
        let calls = u64::from(r.calls);
        match health {
            Health::Good => state.window.add(now, Some(r.took), calls, r.bytes),
            Health::Neither => state.window.add_traffic(now, calls, r.bytes),
            Health::Bad => state.window.add(now, None, calls, r.bytes),
        }
        state.hour.add(now, calls, r.bytes, 0);
        state.last.add(health == Health::Bad && !throttled, throttled);
        match health {
            Health::Bad if throttled => {}
            Health::Bad => state.breaker.failure(now, fastrand::f64()),
            Health::Good | Health::Neither => {
                state.breaker.success();
                state.last_seen = Some((now, at));
            }
        }
        if let (Some(e), true) = (r.error, health != Health::Good) {
            state.last_error = Some((cut(&format!("{}: {}", e.call, e.kind)), at));
        }
        let ended = Ended { took: r.took, outcome, bytes: r.bytes };
        let (former, sampled) = state.sampler.call(r.method, ended, now, at);
        let bad = health == Health::Bad;
        drop(state);
        former.into_iter().for_each(|(began, minute)| self.sample(began, Sampled::Minute(minute)));
        if sampled {
            let call = CallSample {
                method: r.method.to_owned(),
                probe: r.purpose == Purpose::Probe,
                latency_ms: r.took.as_millis() as u64,
                outcome,
                height: r.height,
                error: r.error.map(|e| cut(&e.kind.to_string())),
                bytes: r.bytes,
            };
            self.sample(at, Sampled::Call(call));
        }
        if let Some(height) = r.height {
            self.heard(height);
        }
        self.evaluate(bad);
    }

    /// It showed a height.
    pub fn heard(&self, height: u64) {
        let (now, at) = (self.clock.now(), self.clock.wall());
        let best = match self.state().quarantine.holds() {
            true => self.hub.best().unwrap_or(height),
            false => self.hub.claimed(self.index, &self.operator, height, now),
        };
        let mut state = self.state();
        state.height = Some(Height::after(state.height, height, best, now));
        state.last_seen = Some((now, at));
    }

    /// It was found lying, here. True when that is news.
    pub fn lied(&self, lie: Found) -> bool {
        let news = self.state().quarantine.lied(lie.clone());
        self.disbelieved(news, &lie, false)
    }

    /// Another observer found it lying. True when that is news.
    pub fn lied_elsewhere(&self, lie: &Found) -> bool {
        let news = self.state().quarantine.heard(lie);
        self.disbelieved(news, lie, true)
    }

    fn disbelieved(&self, news: bool, lie: &Found, heard: bool) -> bool {
        if news {
            self.hub.disbelieve(self.index);
            metrics::lied(self.hub.network.as_str(), &self.name, heard);
            tracing::error!(
                network = %self.hub.network, endpoint = %self.name, operator = %self.operator, said = %lie.said, right = %lie.right,
                found_by = %lie.found_by, "an endpoint lied and is in quarantine until it has agreed with the others for a while"
            );
        }
        self.evaluate(true);
        news
    }

    /// It agreed with the others.
    pub fn agreed(&self) {
        let ended = self.state().quarantine.agreed(self.clock.now(), self.clock.wall());
        if ended {
            tracing::info!(network = %self.hub.network, endpoint = %self.name, "an endpoint's quarantine ended");
        }
        self.evaluate(ended);
    }

    /// Sums of minutes that are over are sent.
    pub fn flush(&self) {
        let minutes = self.state().sampler.minutes(self.clock.wall());
        minutes.into_iter().for_each(|(began, minute)| self.sample(began, Sampled::Minute(minute)));
    }

    /// Sends a sample.
    pub fn sample(&self, at: TimeMs, seen: Sampled) {
        self.hub.send(ProviderSample {
            network: self.hub.network.clone(),
            endpoint: self.config.name.clone(),
            at,
            observer: self.hub.observer.clone(),
            seen,
        });
    }

    /// Finds out its state anew; sends it where it became another one. Unless it is forced, at most once a second.
    pub fn evaluate(&self, forced: bool) {
        let now = self.clock.now();
        let due = self.state().shown.evaluated.is_none_or(|last| now.saturating_sub(last) >= EVALUATED_EVERY);
        if !due && !forced {
            return;
        }
        let changed = self.evaluate_at(now);
        if changed {
            self.tell();
        }
    }

    /// Sends its whole state.
    pub fn tell(&self) {
        let state = Box::new(self.snapshot());
        self.sample(self.clock.wall(), Sampled::State(state));
    }

    fn evaluate_at(&self, now: Moment) -> bool {
        let standing = self.gate.standing(&self.hub.observer, Role::Stream);
        let (lag_ok, wall, primary) = (self.hub.lag_ok(), self.clock.wall(), *self.hub.primary.borrow());
        let mut guard = self.state();
        let state = &mut *guard;
        let seen = state.window.seen(now);
        let lag = state.height.map_or(0, |h| h.lag);
        let facts = Facts {
            quarantine: state.quarantine.reason(now),
            unusable: state.unusable.clone(),
            open: state.breaker.is_open().then(|| match state.breaker.allows(now) {
                Allow::No(until) => until - now,
                _ => Duration::ZERO,
            }),
            failures: state.breaker.failures(),
            failing: state.last.share(state.last.failed),
            refusing: state.last.share(state.last.refused),
            last_error: state.last_error.as_ref().map(|(e, _)| e.clone()),
            paused: standing.paused,
            refused: standing.refused,
            rate: standing.rate,
            day: standing.per_day.filter(|_| !standing.day_open).map(|cap| (standing.day_total, cap)),
            seen,
            answered: state.last_seen.is_some_and(|(at, _)| now.saturating_sub(at) <= self.probe_every * 3),
            height: state.height.map(|h| h.height),
            lag: (lag, lag_ok),
        };
        let (word, reason) = judge(&facts);
        let well = matches!(word, ProviderState::Ok);
        let shown = &mut state.shown;
        let changed = shown.state != word;
        if changed {
            shown.since = wall;
        }
        shown.well_since = if well { shown.well_since.or(Some(now)) } else { None };
        shown.state = word;
        shown.reason = reason;
        shown.parts = seen.success().map(|_| seen.parts(lag, lag_ok));
        shown.seen = seen;
        shown.evaluated = Some(now);
        let figures = metrics::Figures {
            state: word,
            score: shown.parts.map_or(0, |p| p.score()),
            height: facts.height,
            lag,
            rate: standing.rate,
            in_use: primary == Some(self.index),
        };
        let reason = shown.reason.clone();
        drop(guard);
        metrics::figures(self.hub.network.as_str(), &self.name, &figures);
        if changed {
            metrics::state_changed(self.hub.network.as_str(), &self.name, word);
            let reason = reason.unwrap_or_default();
            tracing::info!(network = %self.hub.network, endpoint = %self.name, state = %word, reason, "an endpoint's state changed");
        }
        changed
    }

    /// How it stands where somebody wants something of it. `alone`: there is nobody else to be asked.
    pub fn candidate(&self, what: &str, height: Option<u64>, role: Role, alone: bool) -> Candidate {
        let now = self.clock.now();
        let standing = self.gate.standing(&self.hub.observer, role);
        let lag_ok = self.hub.lag_ok();
        let state = self.state();
        let shown = &state.shown;
        let behind = height.is_some_and(|asked| state.height.is_some_and(|h| h.height.saturating_add(lag_ok) < asked));
        let poor = !matches!(shown.state, ProviderState::Ok)
            || standing.paused > PATIENT
            || behind
            || state.capabilities.cannot(what, height, now).is_some();
        let fitness = if state.quarantine.holds()
            || state.unusable.is_some()
            || !self.config.roles.contains(&role)
            || !standing.day_open
        {
            Fitness::Never
        } else {
            match state.breaker.allows(now) {
                Allow::Yes if poor => Fitness::Poor,
                Allow::Yes => Fitness::Well,
                Allow::Trial => Fitness::Last,
                Allow::No(_) if alone => Fitness::Last,
                Allow::No(_) => Fitness::Never,
            }
        };
        Candidate {
            index: self.index,
            fitness,
            priority: self.config.priority,
            score: shown.parts.map_or(UNKNOWN_SCORE, |p| p.score()),
            well_for: shown.well_since.map_or(Duration::ZERO, |since| now.saturating_sub(since)),
            wait: standing.wait,
            under_way: standing.under_way,
        }
    }
}

/// The wait that an endpoint asked for.
fn asked_wait(e: &NodeError) -> Option<Duration> {
    match e.retry() {
        Retry::After(wait) => Some(wait),
        _ => None,
    }
}
