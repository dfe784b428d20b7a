//! How an endpoint stands: for people its state, for whoever asks its fitness.
//!
//! Guarantee: the state is found out at most once a second, and at once after whatever may change it; a change is told at once.

use std::time::Duration;

use schemas::records::{ProviderState, Seen as Sampled};

use super::{
    breaker::Allow,
    clock::Moment,
    config::Role,
    metrics,
    router::{Candidate, Fitness, PATIENT},
    seat::Seat,
    state::{Facts, judge},
};

/// Between two evaluations that nothing but good outcomes asks for.
const EVALUATED_EVERY: Duration = Duration::from_secs(1);
/// Score of an endpoint of which nothing is known.
const UNKNOWN_SCORE: u8 = 50;

impl Seat {
    /// Finds out its state anew; sends it where it became another one. Unless it is forced, at most once a second.
    pub(super) fn evaluate(&self, forced: bool) {
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

    /// Says that it is not in the configuration any more.
    pub(super) fn goes(&self) {
        let state = Box::new(self.snapshot().gone(self.clock.wall()));
        self.sample(self.clock.wall(), Sampled::State(state));
    }

    /// Sends its whole state.
    pub(super) fn tell(&self) {
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
            failing: state.last.failing(),
            refusing: state.last.refusing(),
            last_error: state.last_error.as_ref().map(|(e, _)| e.clone()),
            paused: standing.paused,
            refused: standing.refused,
            rate: standing.rate,
            day: standing.per_day.filter(|_| !standing.day_open).map(|cap| (standing.day_total, cap)),
            seen,
            lacked: state.lacked.times,
            lacked_ago: now.saturating_sub(state.lacked.at),
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

    /// How it stands where somebody wants something of it. `alone`: nobody else is left to be asked.
    pub(super) fn candidate(&self, what: &str, height: Option<u64>, role: Role, alone: bool) -> Candidate {
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
        let fitness = if !state.is_believed() || !self.config.roles.contains(&role) || !standing.day_open {
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
