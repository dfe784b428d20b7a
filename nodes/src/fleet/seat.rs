//! One endpoint of a fleet with all that is known of it, without its client.
//!
//! Guarantee: every outcome is taken in once, under one lock that is never held across an await.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::{
    TimeMs,
    records::{CallSample, Lie as Found, Link, Outcome, ProviderSample, ProviderState, Seen as Sampled},
};

use super::{
    breaker::Breaker,
    capability::Capabilities,
    clock::{Clock, Moment},
    config::MemberConfig,
    heights::Height,
    hub::Hub,
    limits::{Gate, Place},
    member::Purpose,
    metrics,
    quarantine::Quarantine,
    sample::{Ended, Hour, Sampler, cut},
    score::{Parts, Seen, Window},
};
use crate::error::{NodeError, NodeErrorKind};

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
    /// Shared with the seat of the same endpoint in the fleet before and after a change.
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seat({} of {})", self.name, self.operator)
    }
}

/// How the last calls ended, the newest in the lowest bit.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Last {
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

    /// The share that failed; 0 while there were only a few.
    pub fn failing(self) -> f64 {
        self.share(self.failed)
    }

    /// The share that was refused for being too many.
    pub fn refusing(self) -> f64 {
        self.share(self.refused)
    }

    fn share(self, bits: u16) -> f64 {
        if self.known < 4 { 0.0 } else { f64::from(bits.count_ones()) / f64::from(self.known) }
    }
}

/// How often in a row an endpoint had nothing, or something older, where others had something.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Lacked {
    pub times: u32,
    pub at: Moment,
}

/// What is known of an endpoint.
pub(super) struct State {
    pub window: Window,
    pub breaker: Breaker,
    pub quarantine: Quarantine,
    pub capabilities: Capabilities,
    pub sampler: Sampler,
    pub hour: Hour,
    pub last: Last,
    pub lacked: Lacked,
    pub height: Option<Height>,
    pub unusable: Option<String>,
    pub last_error: Option<(String, TimeMs)>,
    pub last_seen: Option<(Moment, TimeMs)>,
    pub in_use_since: Option<TimeMs>,
    /// The way to it, as its client told of it last.
    pub link: Option<Link>,
    pub shown: Shown,
}

impl State {
    /// Whether it is to be believed and asked, were it alone: not in quarantine, nor declared unusable.
    pub fn is_believed(&self) -> bool {
        !self.quarantine.holds() && self.unusable.is_none()
    }
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
    pub evaluated: Option<Moment>,
    pub well_since: Option<Moment>,
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
    /// It answered, and is behind.
    Late,
    Bad,
}

/// The word of samples, and what follows for health.
fn weigh(error: Option<&NodeError>) -> (Outcome, Health) {
    // That there is no block, ever, is what the chain says of itself.
    let Some(error) = error.filter(|e| !matches!(e.kind, NodeErrorKind::NoBlock(_))) else {
        return (Outcome::Ok, Health::Good);
    };
    let outcome = error.outcome();
    let health = match outcome {
        Outcome::Ok | Outcome::Empty => Health::Good,
        Outcome::Missing => Health::Neither,
        Outcome::Stale => Health::Late,
        Outcome::Failing | Outcome::Wrong => Health::Bad,
    };
    (outcome, health)
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
            lacked: Lacked::default(),
            height: None,
            unusable: None,
            last_error: None,
            last_seen: None,
            in_use_since: None,
            link: None,
            shown,
        };
        let (name, operator) = (config.name.as_str().into(), config.operator.as_str().into());
        let state = Arc::new(Mutex::new(state));
        Self { config, name, operator, index, gate, clock, hub, probe_every, state }
    }

    /// The same endpoint, going on with all that is known of `former`. What its credentials, or its name, brought about is over where
    /// these are others now.
    pub fn going_on(self, former: &Self, quarantine: Duration) -> Self {
        let seat = Self { state: former.state.clone(), ..self };
        let mut state = seat.state();
        state.quarantine.settle(quarantine, seat.probe_every);
        if seat.config.account != former.config.account {
            (state.breaker, state.last) = (Breaker::default(), Last::default());
        }
        if seat.config.account != former.config.account || seat.name != former.name {
            state.unusable = None;
        }
        drop(state);
        seat
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
                Some(e) if throttled => self.gate.refused(place, e.asked_wait()),
                Some(NodeError { kind: NodeErrorKind::Unreachable(_), .. }) => self.gate.broke(),
                // A busy server may name a wait as well.
                Some(e @ NodeError { kind: NodeErrorKind::Server(..), .. }) => {
                    e.asked_wait().into_iter().for_each(|wait| self.gate.pause(wait));
                }
                Some(NodeError { kind: NodeErrorKind::Timeout(_), .. }) => {}
                // Whatever it answered, it took the request.
                Some(_) | None => self.gate.through(place),
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
            Health::Late | Health::Bad => state.window.add(now, None, calls, r.bytes),
        }
        state.hour.add(now, calls, r.bytes, 0);
        let was_open = state.breaker.is_open();
        state.last.add(health == Health::Bad && !throttled, throttled);
        match health {
            Health::Bad if throttled => {}
            Health::Bad => state.breaker.failure(now, fastrand::f64()),
            Health::Good | Health::Neither | Health::Late => {
                if was_open {
                    // What was before is over.
                    state.last = Last::default();
                }
                state.breaker.success();
                state.last_seen = Some((now, at));
            }
        }
        if health == Health::Late {
            state.lacked = Lacked { times: state.lacked.times.saturating_add(1), at: now };
        }
        let turned = was_open != state.breaker.is_open();
        if turned && !was_open {
            self.hub.opened.notify_one();
        }
        if let (Some(e), true) = (r.error, health != Health::Good) {
            state.last_error = Some((cut(&format!("{}: {}", e.call, e.kind)), at));
        }
        let ended = Ended { took: r.took, outcome, bytes: r.bytes };
        let (former, sampled) = state.sampler.call(r.method, ended, now, at);
        let telling = matches!(health, Health::Bad | Health::Late) || turned;
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
        self.evaluate(telling);
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

    /// It had nothing where something must be.
    pub fn lacked(&self) {
        let now = self.clock.now();
        {
            let mut state = self.state();
            state.lacked = Lacked { times: state.lacked.times.saturating_add(1), at: now };
            state.window.add(now, None, 0, 0);
        }
        self.evaluate(true);
    }

    /// It had what was asked for.
    pub fn had(&self) {
        self.state().lacked.times = 0;
    }

    /// The best height is this, of those that were shown at the same time as its own.
    pub fn behind(&self, best: u64) {
        if let Some(height) = &mut self.state().height {
            height.lag = best.saturating_sub(height.height);
        }
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
            // What many answers together show was no request's error.
            let told = cut(&format!("not to be believed: it said {}; right is {}", lie.said, lie.right));
            self.state().last_error = Some((told, lie.at));
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

    /// Something was done that is no request: its minute's sum counts it, and nothing else.
    pub fn counted(&self, what: &'static str, took: Duration) {
        let (now, at) = (self.clock.now(), self.clock.wall());
        let ended = Ended { took, outcome: Outcome::Ok, bytes: 0 };
        let (former, _) = self.state().sampler.call(what, ended, now, at);
        former.into_iter().for_each(|(began, minute)| self.sample(began, Sampled::Minute(minute)));
    }

    /// Sums of minutes that are over are sent.
    pub fn flush(&self) {
        let minutes = self.state().sampler.minutes(self.clock.wall());
        minutes.into_iter().for_each(|(began, minute)| self.sample(began, Sampled::Minute(minute)));
    }

    /// So are those of minutes that are not, at the end.
    pub fn finish(&self) {
        let minutes = self.state().sampler.rest();
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
}
