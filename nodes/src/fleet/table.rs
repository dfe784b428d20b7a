//! The endpoints of a network together, without their clients: who is asked, who is in use, who is believed.
//!
//! Guarantee: an endpoint is put into quarantine only where another operator is configured, so that a check which nobody passes
//! never leaves a network without a source; the endpoint in use is never one that is not believed.

use std::{sync::Arc, time::Duration};

use schemas::{
    Network,
    records::{EndpointState, Lie as Found, ProviderSample, Seen as Sampled},
};

use super::{
    ask::Ask,
    breaker::Allow,
    clock::{Clock, Moment},
    config::{FleetConfig, MemberConfig, Role},
    day::Count,
    hub::Hub,
    metrics,
    quarantine::Lie,
    router::{self, Candidate, Fitness},
    sample::cut,
    seat::Seat,
    succession,
};
use crate::error::{NodeError, NodeErrorKind};

/// The endpoints of a network.
#[derive(Debug)]
pub(super) struct Table {
    pub seats: Vec<Arc<Seat>>,
    pub hub: Arc<Hub>,
    pub clock: Clock,
    pub config: FleetConfig,
    began: schemas::TimeMs,
    began_at: Moment,
    turn: std::sync::atomic::AtomicUsize,
}

/// How long after its beginning a fleet goes to a better priority at once.
const YOUNG: Duration = Duration::from_secs(10);
/// The shortest patience with an endpoint.
const LEAST_PATIENCE: Duration = Duration::from_millis(300);
/// The longest, where nobody is known to be quicker.
const MOST_PATIENCE: Duration = Duration::from_secs(5);
/// The shortest wait that is asked of whoever asks.
const LEAST_WAIT: Duration = Duration::from_millis(100);

impl Table {
    pub fn new(
        network: Network,
        observer: &str,
        members: Vec<MemberConfig>,
        config: FleetConfig,
        clock: Clock,
    ) -> Self {
        let hub = Hub::new(network, observer, members.len(), config.block_time);
        let began = clock.wall();
        Self::of(members, config, (clock, began), hub, &[])
    }

    /// The same network with other endpoints, or other settings: who is there still goes on with all that is known of it.
    pub fn succeeded_by(&self, members: Vec<MemberConfig>, config: FleetConfig) -> Self {
        let former: Vec<&MemberConfig> = self.seats.iter().map(|s| &s.config).collect();
        let heirs = succession::heirs(&former, &members);
        let places: Vec<_> =
            heirs.iter().zip(&members).map(|(heir, m)| heir.map(|place| (place, m.operator.as_str().into()))).collect();
        let hub = Hub::new(self.hub.network.clone(), &self.hub.observer, members.len(), config.block_time);
        let former: Vec<Option<&Seat>> = heirs.iter().map(|heir| heir.map(|place| &*self.seats[place])).collect();
        Self::of(members, config, (self.clock.clone(), self.began), hub.going_on(&self.hub, &places), &former)
    }

    /// `former`: for each member the seat that it goes on with; those that are not there begin.
    fn of(
        members: Vec<MemberConfig>,
        config: FleetConfig,
        (clock, began): (Clock, schemas::TimeMs),
        hub: Hub,
        former: &[Option<&Seat>],
    ) -> Self {
        let hub = Arc::new(hub);
        let seat = |(index, m): (usize, MemberConfig)| {
            let gate = config.limits.gate(&m);
            let (every, while_) = (config.probe_every, config.quarantine);
            let seat = Seat::new(index, m, gate, hub.clone(), clock.clone(), every, while_);
            Arc::new(match former.get(index).copied().flatten() {
                Some(former) => seat.going_on(former, while_),
                None => seat,
            })
        };
        let seats = members.into_iter().enumerate().map(seat).collect();
        Self { seats, hub, began, began_at: clock.now(), clock, config, turn: Default::default() }
    }

    /// Those who have no part in the successor say that they go; nobody says anything here any more.
    pub fn leave(&self, successor: Option<&Self>) {
        for seat in &self.seats {
            if successor.is_none_or(|successor| successor.seat(&seat.name).is_none()) {
                seat.finish();
                seat.goes();
            }
        }
        self.hub.hush();
    }

    pub fn seat(&self, name: &str) -> Option<&Arc<Seat>> {
        self.seats.iter().find(|s| &*s.name == name)
    }

    /// How all stand where somebody wants something.
    fn candidates(&self, ask: &Ask) -> Vec<Candidate> {
        let fit = |s: &Arc<Seat>| {
            let state = s.state();
            state.is_believed() && !state.breaker.is_open()
        };
        let fit: Vec<bool> = self.seats.iter().map(fit).collect();
        let alone = |i: usize| !fit.iter().enumerate().any(|(other, fit)| other != i && *fit);
        self.seats.iter().map(|s| s.candidate(ask.method, ask.height, ask.role, alone(s.index))).collect()
    }

    /// All that `allowed` lets pass, and those of them who may be asked now, first first.
    pub fn among(&self, ask: &Ask, allowed: impl Fn(&Seat) -> bool) -> (Vec<Arc<Seat>>, Vec<Arc<Seat>>) {
        let primary = self.elect(ask);
        let mut candidates = self.candidates(ask);
        for c in &mut candidates {
            if !self.seats.get(c.index).is_some_and(|s| allowed(s)) {
                c.fitness = Fitness::Never;
            }
        }
        let turn = self.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let order = router::order(&candidates, primary, ask.sticky, turn);
        let order = order.into_iter().filter_map(|i| self.seats.get(i).cloned()).collect();
        (self.seats.iter().filter(|s| allowed(s)).cloned().collect(), order)
    }

    /// Finds out who is in use, where this is asked at the head. What somebody can do of this one thing is no reason to change.
    fn elect(&self, ask: &Ask) -> Option<usize> {
        let now = *self.hub.primary.borrow();
        if !ask.sticky || ask.role != Role::Stream {
            return now;
        }
        let mut candidates = self.candidates(&Ask { height: ask.height, ..Ask::new("head") });
        if self.clock.now().saturating_sub(self.began_at) < YOUNG {
            // Who answers first is no better than who answers a moment later.
            candidates.iter_mut().for_each(|c| c.well_for = router::STAYS);
        }
        let next = router::primary(&candidates, now);
        if next != now {
            self.use_(now, next);
        }
        next
    }

    /// Looks whether another endpoint should be in use.
    pub fn reelect(&self) {
        self.elect(&Ask::new("head"));
    }

    fn use_(&self, former: Option<usize>, next: Option<usize>) {
        let wall = self.clock.wall();
        let changed = self.hub.primary.send_if_modified(|p| std::mem::replace(p, next) != next);
        if !changed {
            return;
        }
        metrics::primary_changed(self.hub.network.as_str());
        let of = |index: Option<usize>| index.and_then(|i| self.seats.get(i));
        let (former, next) = (of(former), of(next));
        next.into_iter().for_each(|s| s.state().in_use_since = Some(wall));
        let reason = former.and_then(|f| f.state().shown.reason.clone()).unwrap_or_default();
        let name = |seat: Option<&Arc<Seat>>| seat.map(|s| s.name.to_string());
        tracing::info!(network = %self.hub.network, endpoint = name(next), former = name(former), reason, "another endpoint is in use");
        former.into_iter().chain(next).for_each(|s| {
            s.evaluate(true);
            s.tell();
        });
    }

    /// How long an endpoint may take before the next is asked as well, given who else there is.
    pub fn patience(&self, ask: &Ask, seat: &Seat, others: &[Arc<Seat>]) -> Duration {
        if let Some(patience) = ask.patience {
            return patience;
        }
        let seen = seat.state().shown.seen;
        if !ask.sticky {
            return (ask.within / 3).max(LEAST_PATIENCE);
        }
        let usual = match (seen.p95, self.config.hedge) {
            (Some(p95), true) => return p95.clamp(Duration::from_millis(50), self.config.patience),
            (Some(p95), false) => (p95 * 2).clamp(LEAST_PATIENCE, MOST_PATIENCE),
            (None, _) => self.config.patience,
        };
        // Where everybody is slow, asking twice as often helps nobody.
        let quick = |s: &Arc<Seat>| s.state().shown.seen.median.is_none_or(|m| m * 2 < self.config.patience);
        if others.iter().any(quick) { usual.min(self.config.patience) } else { usual }
    }

    /// Puts an endpoint into quarantine. False where it is there already, or where no other operator is configured.
    pub fn quarantine(&self, seat: &Seat, lie: &Lie) -> bool {
        if self.seats.iter().all(|s| s.operator == seat.operator) {
            return false;
        }
        let news = seat.lied(Found {
            at: self.clock.wall(),
            found_by: self.hub.observer.clone(),
            said: cut(&lie.said),
            right: cut(&lie.right),
        });
        self.reelect();
        news
    }

    /// Takes over what another observer, or this one before a restart, said of an endpoint.
    pub fn hear(&self, sample: &ProviderSample) {
        let Sampled::State(state) = &sample.seen else { return };
        if sample.network != self.hub.network {
            return;
        }
        let own = sample.observer == self.hub.observer;
        let Some(seat) = self.seat(&sample.endpoint) else {
            // It was taken out of the file while this process did not run: nobody else takes this observer's word back.
            if own && !state.is_gone() {
                let at = self.clock.wall();
                let state = Box::new(EndpointState::clone(state).gone(at));
                self.hub.send(ProviderSample { at, seen: Sampled::State(state), ..sample.clone() });
            }
            return;
        };
        let said = Count { calls: state.usage.day_calls, bytes: state.usage.day_bytes };
        seat.gate.heard(&sample.observer, own, said, sample.at);
        if own && sample.at >= self.began {
            return;
        }
        // An observer that is there repeats it at each probe; what one that is gone said last ends with the quarantine.
        let kept = self.config.quarantine + self.config.probe_every * 3;
        if !own && i128::from(self.clock.wall().0) - i128::from(sample.at.0) > kept.as_millis() as i128 {
            return;
        }
        match &state.lie {
            Some(lie) if self.seats.iter().any(|s| s.operator != seat.operator) => {
                seat.lied_elsewhere(lie);
                self.reelect();
            }
            None if own => seat.state().quarantine.ended_before(sample.at),
            _ => {}
        }
    }

    /// How long until somebody among these who is believed may be asked this.
    pub fn soonest<'a>(&self, ask: &Ask, among: impl IntoIterator<Item = &'a Arc<Seat>>) -> Option<Duration> {
        let now = self.clock.now();
        let wait = |s: &Arc<Seat>| {
            let standing = s.gate.standing(&self.hub.observer, ask.role);
            let state = s.state();
            let open = match state.breaker.allows(now) {
                Allow::No(until) => until - now,
                Allow::Yes | Allow::Trial => Duration::ZERO,
            };
            (state.is_believed() && s.config.roles.contains(&ask.role) && standing.day_open)
                .then(|| open.max(standing.paused))
        };
        among.into_iter().filter_map(wait).min().map(|wait| wait.max(LEAST_WAIT))
    }

    /// There is nobody to be asked, of those who could have been.
    pub fn nobody(&self, ask: &Ask, allowed: &[Arc<Seat>]) -> NodeError {
        let mut reasons: Vec<String> = Vec::new();
        for seat in &self.seats {
            seat.evaluate(true);
            let state = seat.state();
            let reason = state.shown.reason.as_deref().unwrap_or("it does not serve this");
            reasons.push(format!("{}: {reason}", seat.name));
        }
        let kind = match self.soonest(ask, allowed) {
            Some(wait) => {
                NodeErrorKind::Throttled(Some(wait), cut(&format!("no endpoint may be asked: {}", reasons.join(" "))))
            }
            None => NodeErrorKind::Unreachable(cut(&format!("no endpoint may be asked: {}", reasons.join(" ")))),
        };
        NodeError { endpoint: self.hub.network.as_str().into(), call: ask.method.to_owned(), kind }
    }
}
