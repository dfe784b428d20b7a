//! Rules about endpoints and about silence, tried on what the store keeps of both.
//!
//! Guarantee: at the end of each step the answer says what the alerts' stage would say then ([`conditions::trial::told`]): of the requests to
//! an endpoint that failed and of its reconnections by the sums of minutes, which are kept for 90 days; of silence by when blocks that stand
//! were first seen. A rule about each endpoint is tried on each, and the one is shown that would have fired most. Where nobody called an
//! endpoint nothing is known of it, and that is said; of all else that such rules are about only the last word is kept ([`kept`]).

use conditions::{
    Figure, Metric, Number, Rule,
    trial::{Given, Tried, told},
};
use schemas::{Network, TimeMs, limits::alerts::ENDPOINT_LINES};
use store::query::{EndpointStep, SeenStep, Step};

use super::{Times, UNTOLD};
use crate::{
    app::App,
    error::ApiError,
    items::{LackItem, RulePreviewItem},
};

/// Over so many minutes requests to an endpoint are counted (rule 23).
const ERRORS_OVER: usize = 10;
/// Of which steps something must be known for an endpoint's errors to be known at their end: whoever calls it says so each half a minute.
const FRESH: usize = 2;
/// So many steps before the first look the last block is looked for.
const SILENT_STEPS: i64 = 60;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Requests to endpoints that failed.
    Errors,
    /// Reconnections to endpoints.
    Reconnects,
    /// When blocks were first seen.
    Silence,
}

/// What there is of it.
pub(super) enum Kept {
    /// Calls of endpoints.
    Calls(Kind, Vec<EndpointStep>),
    /// When blocks were first seen.
    Seen(Vec<SeenStep>),
}

/// What is kept of a metric's past; else why it cannot be tried on it.
pub(super) fn kept(metric: Metric) -> Result<Kind, String> {
    match metric {
        Metric::ProviderErrorRate => Ok(Kind::Errors),
        Metric::Reconnects => Ok(Kind::Reconnects),
        Metric::NoBlockSeconds => Ok(Kind::Silence),
        other => Err(format!("the past of `{}` is not kept, so that it cannot be tried on it", other.as_str())),
    }
}

impl Kind {
    /// Steps of time before a look that it is of, its own included.
    fn steps(self, rule: &Rule, step: Step) -> usize {
        match self {
            Self::Errors => ERRORS_OVER,
            Self::Reconnects => {
                let window = i64::try_from(rule.window.as_millis()).unwrap_or(i64::MAX);
                usize::try_from(window / step.ms()).unwrap_or(1).max(1)
            }
            Self::Silence => usize::try_from(SILENT_STEPS).unwrap_or(1),
        }
    }

    /// From when on something is read: whole steps before the first look.
    fn begins(self, rule: &Rule, times: &Times) -> TimeMs {
        let before = i64::try_from(self.steps(rule, times.step)).unwrap_or(0).saturating_sub(1);
        TimeMs(times.from.0.saturating_sub(before.saturating_mul(times.step.ms())).max(0))
    }
}

impl Kept {
    /// Reads it.
    pub(super) async fn read(
        app: &App,
        kind: Kind,
        (rule, network): (&Rule, &Network),
        times: &Times,
    ) -> Result<Self, ApiError> {
        let span = (kind.begins(rule, times), times.to);
        let from_store = |error| ApiError::from_store(&error);
        match kind {
            Kind::Silence => app.store.seen_steps(network, span, times.step).await.map(Self::Seen).map_err(from_store),
            Kind::Errors | Kind::Reconnects => {
                let read = app.store.endpoint_steps(network, rule.endpoint.as_deref(), span, times.step).await;
                read.map(|lines| Self::Calls(kind, lines)).map_err(from_store)
            }
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Calls(kind, _) => *kind,
            Self::Seen(_) => Kind::Silence,
        }
    }

    /// How many lines were read.
    pub(super) fn lines(&self) -> usize {
        match self {
            Self::Calls(_, lines) => lines.len(),
            Self::Seen(lines) => lines.len(),
        }
    }

    /// What the rule would have said of it.
    pub(super) fn answer(&self, mut item: RulePreviewItem, rule: &Rule, times: &Times) -> RulePreviewItem {
        let kind = self.kind();
        let of = Of { rule, from: kind.begins(rule, times), times, steps: kind.steps(rule, times.step) };
        let tried = match self {
            Self::Calls(_, lines) => of.most(kind, lines),
            Self::Seen(lines) => Some((None, told(rule, of.silence(lines)))),
        };
        let lack = |from: TimeMs, to: TimeMs, reason: &str| LackItem {
            from: from.rfc3339(),
            to: to.rfc3339(),
            reason: reason.to_owned(),
        };
        match tried {
            None => {
                let which = rule.endpoint.as_deref().map_or("an endpoint".to_owned(), |name| format!("`{name}`"));
                let reason = format!("no call of {which} of this network is kept of that time");
                item.incomplete.push(lack(times.from, times.to, &reason));
            }
            Some((endpoint, tried)) => {
                item.endpoint = endpoint;
                if let Some(last) = tried.looks.last() {
                    item.to = last.at.rfc3339();
                }
                item.says(&tried);
                let reason = match self {
                    Self::Calls(..) => "nobody called the endpoint in some of this time, or that is not kept",
                    Self::Seen(_) => "no block was seen in the hour before it, or none is held",
                };
                for run in tried.looks.chunk_by(|one, other| one.complete == other.complete) {
                    let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
                    if !first.complete {
                        let from = TimeMs(first.at.0.saturating_sub(times.step.ms()));
                        item.incomplete.push(lack(from, last.at, reason));
                    }
                }
            }
        }
        if self.lines() >= ENDPOINT_LINES as usize {
            item.incomplete.push(lack(times.from, times.to, "there are more endpoints than are looked at: name one"));
        }
        item.complete = item.incomplete.is_empty();
        item
    }
}

/// Calls of a step.
#[derive(Debug, Clone, Copy, Default)]
struct Calls {
    calls: u64,
    failures: u64,
    again: u64,
}

/// A rule, and of which steps something was read.
struct Of<'a> {
    rule: &'a Rule,
    /// Where the first of them begins.
    from: TimeMs,
    times: &'a Times,
    /// How many of them a look is of.
    steps: usize,
}

impl Of<'_> {
    /// The end of a step.
    fn end(&self, step: usize) -> TimeMs {
        let steps = i64::try_from(step).unwrap_or(i64::MAX).saturating_add(1);
        TimeMs(self.from.0.saturating_add(steps.saturating_mul(self.times.step.ms())))
    }

    fn count(&self) -> usize {
        usize::try_from(self.times.to.0.saturating_sub(self.from.0) / self.times.step.ms()).unwrap_or(0)
    }

    /// The endpoint for which it would have fired most often, else was over most often, and what it would have said; `None`: there is none.
    fn most(&self, kind: Kind, lines: &[EndpointStep]) -> Option<(Option<String>, Tried)> {
        let of_endpoints = lines.chunk_by(|one, other| one.endpoint == other.endpoint);
        let tried = of_endpoints.filter_map(|lines| {
            let tried = told(self.rule, self.calls(kind, lines));
            let over = tried.looks.iter().filter(|look| look.told && look.judged.over).count();
            Some(((tried.fired.len(), over), lines.first()?.endpoint.clone(), tried))
        });
        // Of equal ones the first.
        let most = tried.reduce(|most, other| if other.0 > most.0 { other } else { most });
        most.map(|(_, endpoint, tried)| (Some(endpoint), tried))
    }

    /// What one endpoint was at the end of each step.
    fn calls(&self, kind: Kind, lines: &[EndpointStep]) -> Vec<Given> {
        let is_followed = kind == Kind::Errors && lines.iter().any(|line| line.follows);
        let mut steps: Vec<Option<Calls>> = vec![None; self.count()];
        for line in lines.iter().filter(|line| line.follows || !is_followed) {
            let step = usize::try_from(line.step).ok().and_then(|step| steps.get_mut(step));
            if let Some(step) = step {
                let of = step.get_or_insert_default();
                of.calls = of.calls.saturating_add(line.calls);
                of.failures = of.failures.saturating_add(line.failures);
                of.again = of.again.saturating_add(line.again);
            }
        }
        if self.times.is_now {
            // Their sums are on their way.
            let untold = steps.iter().rev().take(UNTOLD).take_while(|step| step.is_none()).count();
            steps.truncate(steps.len().saturating_sub(untold));
        }
        let given = steps.windows(self.steps).enumerate().map(|(at, window)| {
            let known = || window.iter().flatten();
            let complete = window.iter().all(Option::is_some);
            let sum = |of: fn(&Calls) -> u64| known().map(of).fold(0, u64::saturating_add);
            let (value, told) = match kind {
                Kind::Reconnects => {
                    let count = known().next().map(|_| Number::from(sum(|of| of.again)));
                    let over = self.rule.judge(&Figure::told(count), None).over;
                    (count, complete || over && self.rule.operator.is_upward())
                }
                Kind::Errors | Kind::Silence => {
                    let is_fresh = window.iter().rev().take(FRESH).any(Option::is_some);
                    let rate = Number::ratio(sum(|of| of.failures), sum(|of| of.calls));
                    (rate.filter(|_| is_fresh), true)
                }
            };
            let end = self.end(at.saturating_add(self.steps).saturating_sub(1));
            Given { at: end, value, told: told && value.is_some(), complete }
        });
        given.collect()
    }

    /// How many seconds before the end of each step the last block was seen.
    fn silence(&self, lines: &[SeenStep]) -> Vec<Given> {
        let mut lines = lines.iter().peekable();
        let (mut last, mut given): (Option<i64>, Vec<Given>) = (None, Vec::new());
        for step in 0..self.count() {
            while let Some(line) = lines.next_if(|line| usize::try_from(line.step).is_ok_and(|of| of <= step)) {
                last = last.max(Some(line.last.0));
            }
            let at = self.end(step);
            if at.0 <= self.times.from.0 {
                continue;
            }
            let seconds = last.and_then(|last| u64::try_from(at.0.saturating_sub(last) / 1_000).ok());
            let value = seconds.map(Number::from);
            given.push(Given { at, value, told: value.is_some(), complete: value.is_some() });
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn rule(more: serde_json::Value) -> Rule {
        let mut definition =
            json!({"name": "r", "network": "a", "metric": "reconnects", "threshold": 3, "window": "5m"});
        more.as_object().expect("fields").iter().for_each(|(name, value)| definition[name] = value.clone());
        Rule::parse(&definition).expect("a rule")
    }

    fn times(from: i64, to: i64) -> Times {
        Times { step: Step::Minute, from: TimeMs(from * MINUTE), to: TimeMs(to * MINUTE), is_now: false }
    }

    fn line(endpoint: &str, step: u64, calls: u64, failures: u64, again: u64) -> EndpointStep {
        EndpointStep { endpoint: endpoint.to_owned(), step, follows: true, calls, failures, again }
    }

    fn tried(kept: &Kept, rule: &Rule, times: &Times) -> RulePreviewItem {
        kept.answer(RulePreviewItem::of(rule, "a", "1m", times.told()), rule, times)
    }

    fn overs(item: &RulePreviewItem) -> Vec<Option<bool>> {
        item.points.iter().map(|point| point.over).collect()
    }

    #[test]
    fn reconnections_are_summed_over_the_window_of_the_endpoint_that_fires() {
        let (rule, times) = (rule(json!({})), times(100, 106));
        // Ten steps are read: four before the first look. `b` was not called in the first of them.
        let quiet = (0..10).map(|step| line("a", step, 2, 0, 0));
        let loud = (1..10).map(|step| line("b", step, 2, 0, u64::from(step == 4) * 4));
        let kept = Kept::Calls(Kind::Reconnects, quiet.chain(loud).collect());
        let item = tried(&kept, &rule, &times);
        assert_eq!((item.endpoint.as_deref(), item.fired), (Some("b"), 1));
        // Too many already, though a step is missing, and no more once they lie behind the window.
        assert_eq!(overs(&item), [true, true, true, true, true, false].map(Some));
        let missing: Vec<_> = item.incomplete.iter().map(|lack| (lack.from.as_str(), lack.to.as_str())).collect();
        assert_eq!(missing, [(&*TimeMs(100 * MINUTE).rfc3339(), &*TimeMs(101 * MINUTE).rfc3339())]);
        let none = tried(&Kept::Calls(Kind::Reconnects, Vec::new()), &rule, &times);
        assert!(none.points.is_empty() && !none.complete && none.endpoint.is_none(), "{none:?}");
    }

    #[test]
    fn errors_are_of_ten_minutes_and_of_whoever_follows() {
        let (rule, times) = (rule(json!({"metric": "provider_error_rate", "threshold": 0.05})), times(100, 102));
        let mut lines: Vec<EndpointStep> =
            (0..11).map(|step| line("a", step, 10, u64::from(step == 10) * 10, 0)).collect();
        lines.push(EndpointStep { follows: false, ..line("a", 3, 1_000, 1_000, 0) });
        let item = tried(&Kept::Calls(Kind::Errors, lines.clone()), &rule, &times);
        assert_eq!((overs(&item), item.complete), (vec![Some(false), Some(true)], true));
        // Of one whom nobody has called for a while nothing is said.
        lines.retain(|line| line.step < 8);
        assert_eq!(overs(&tried(&Kept::Calls(Kind::Errors, lines), &rule, &times)), [None, None]);
    }

    #[test]
    fn silence_lasts_from_the_last_block_that_was_seen() {
        let (rule, times) = (rule(json!({"metric": "no_block_seconds", "threshold": 100})), times(100, 104));
        let seen = |step: u64, at: i64| SeenStep { step, last: TimeMs(at) };
        // The hour before the first look is read, too: its last minute is step 58.
        let lines = vec![seen(58, 100 * MINUTE - 30_000), seen(61, 103 * MINUTE - 1_000)];
        let item = tried(&Kept::Seen(lines), &rule, &times);
        let values: Vec<_> = item.points.iter().map(|point| point.value.clone()).collect();
        assert_eq!(values, [90, 150, 1, 61].map(|seconds| Some(json!(seconds))));
        assert_eq!((item.fired, item.complete), (1, true));
        assert!(!tried(&Kept::Seen(Vec::new()), &rule, &times).complete);
    }
}
