//! `POST /rules/preview`: what a rule would have said of the recent past. It keeps nothing.
//!
//! Guarantee: at the end of each step of time the answer says what the alerts' stage would say of the window that ends there, by the same
//! code ([`conditions::trial`]), of the figures that `/metrics/series` is made of: from windows, and from rows where the ledger is full. What
//! is missing of them is said. Whose contract's windows may be used is decided as there. Rules about endpoints and silence are tried on what
//! is kept of those ([`told`]). Range, steps and previews at a time are bounded, and so is each question to the store.

mod told;

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use conditions::{
    Limit, Metric, Rule,
    figures::Kind,
    trial::{Piece, Trial},
};
use schemas::{Network, TimeMs, limits::alerts as limits};
use store::query::{SeriesFilter, Step, StepFigures};
use utoipa::IntoParams;

use super::answer::{Changed, Live, Refused, SEQUENCE};
use crate::{
    app::App,
    body::Body,
    door::{Asking, Who},
    error::ApiError,
    items::{LackItem, RulePreviewItem},
    params::Params,
    tenants::Now,
    windows::{ALL, windows_from},
};

const KNOWN: &[&str] = &["network", "from", "to"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// On which of the rule's networks it is tried; the first by default.
    network: Option<String>,
    /// Looks are behind this time (RFC 3339). By default so long before `to`: 90 minutes with a window of 1m, 6 hours with 5m, 3 days with 1h,
    /// 30 days with 24h. At most 900 looks.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Looks are up to this time; now by default.
    #[param(format = DateTime)]
    to: Option<String>,
}

/// What a rule would have said of late: of a definition as POST /rules takes it, which is not kept.
///
/// It is looked at once in each step (`every`): of a minute, with windows of an hour five minutes, with those of a day an hour. What crossed
/// the threshold and came back in between is not seen. Of endpoints the errors and reconnections of 90 days are kept, of a network when its
/// blocks were seen: rules about those are looked at each minute (reconnections with their window). The past of scores, lags and stages is not
/// kept: then there are no points.
#[utoipa::path(
    post,
    path = "/rules/preview",
    operation_id = "preview_rule",
    tag = "alerts",
    params(Query),
    request_body(content = Object, description = "A rule, as POST /rules takes it"),
    responses(
        (status = 200, body = RulePreviewItem),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn rule(
    State(app): State<Arc<App>>,
    who: Who,
    asking: Asking,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let rule = Rule::parse(&body.into_value()).map_err(|mistakes| ApiError::InvalidBody { mistakes })?;
    for network in &rule.networks {
        if !who.tenant().reach().contains(network.as_str()) {
            return Err(ApiError::NetworkNotFound { network: network.to_string() });
        }
    }
    let network = network_of(&rule, &params)?;
    app.known_network(&network).await?;
    let times = Times::read(&rule, &params, TimeMs::now())?;
    let mut item = RulePreviewItem::of(&rule, network.as_str(), times.step.as_str(), times.told());
    let of = match rule.metric.kind() {
        Kind::Window => None,
        Kind::Endpoint | Kind::Clock => match told::kept(rule.metric) {
            Ok(kind) => Some(kind),
            Err(reason) => {
                item.incomplete.push(LackItem { from: item.from.clone(), to: item.to.clone(), reason });
                return Ok(([(SEQUENCE, "0".to_owned())], Live(Json(item))));
            }
        },
    };
    // Its own one before, which nobody may wait for any more, leaves others their places.
    let account = app.tenants.of(&who.who);
    account.may_read(Now::new())?;
    let turn = app.rule_preview_turns.take(*who.tenant().id(), limits::RULE_PREVIEW_WAIT).await;
    let turn = turn.ok_or(ApiError::Overloaded { what: "previews" })?;
    let permit = Arc::clone(&app.rule_previews).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::Overloaded { what: "previews" })?;
    let past = match of {
        Some(kind) => Tried::Told(told::Kept::read(&app, kind, (&rule, &network), &times).await?),
        None => Tried::Windows(Past::read(&app, &asking, (&rule, &network), &times).await?),
    };
    account.read(past.lines() as u64, Now::new());
    let sequence = past.sequence();
    // It computes: beside the threads that answer.
    let tried = tokio::task::spawn_blocking(move || {
        let _permits = (turn, permit);
        match past {
            Tried::Windows(past) => answer(item, &rule, &times, &past),
            Tried::Told(kept) => kept.answer(item, &rule, &times),
        }
    });
    let item = tried.await.map_err(|error| {
        tracing::error!(%error, "a preview failed");
        ApiError::Internal
    })?;
    Ok(([(SEQUENCE, sequence.to_string())], Live(Json(item))))
}

/// The one that is named, or the first.
fn network_of(rule: &Rule, params: &Params) -> Result<Network, ApiError> {
    let named = params.network()?;
    let found = rule.networks.iter().find(|network| named.as_ref().is_none_or(|named| named == *network));
    found.cloned().ok_or_else(|| {
        let named = named.map(|network| network.to_string()).unwrap_or_default();
        ApiError::invalid("network", &named, "one of the rule's networks")
    })
}

/// When a rule is looked at.
struct Times {
    step: Step,
    /// Looks are behind the first, up to the second: beginnings of steps.
    from: TimeMs,
    to: TimeMs,
    /// The end is the present: steps that are not told yet are left out.
    is_now: bool,
}

/// The window of a rule that names none, seconds.
const USUAL_WINDOW: u64 = 300;

/// The newest steps that may not be told yet at the present.
const UNTOLD: usize = 2;

/// In which steps a rule with a window of so many seconds is looked at, and of how long a time by default, in milliseconds.
const fn steps_of(window_seconds: u64) -> (Step, i64) {
    match window_seconds {
        ..=60 => (Step::Minute, 90 * 60_000),
        61..=300 => (Step::Minute, 6 * 3_600_000),
        301..=3_600 => (Step::FiveMinutes, 3 * 86_400_000),
        _ => (Step::Hour, 30 * 86_400_000),
    }
}

impl Times {
    fn read(rule: &Rule, params: &Params, now: TimeMs) -> Result<Self, ApiError> {
        // Figures without a window of their own are looked at as those of the usual one.
        let has_window = rule.metric.kind() == Kind::Window || rule.metric == Metric::Reconnects;
        let (step, usual) = steps_of(if has_window { rule.window.as_secs() } else { USUAL_WINDOW });
        let end = params.time("to")?.filter(|to| *to < now);
        let (end, is_now) = (end.unwrap_or(now), end.is_none());
        let to = step.start(end.0);
        let from = step.start(params.time("from")?.map_or(to.saturating_sub(usual), |from| from.0).max(0));
        let looks = to.saturating_sub(from) / step.ms();
        if (1..=limits::RULE_LOOKS).contains(&looks) {
            return Ok(Self { step, from: TimeMs(from), to: TimeMs(to), is_now });
        }
        let most = limits::RULE_LOOKS;
        let expected = format!("a time before `to` by one step of {step} at least, by {most} of them at most");
        Err(ApiError::invalid("from", &TimeMs(from).rfc3339(), expected))
    }

    fn told(&self) -> (String, String) {
        (self.from.rfc3339(), self.to.rfc3339())
    }
}

/// What a rule is tried on.
enum Tried {
    /// What blocks did.
    Windows(Past),
    /// What is kept of endpoints and silence.
    Told(told::Kept),
}

impl Tried {
    /// How much was read.
    fn lines(&self) -> usize {
        match self {
            Self::Windows(past) => past.steps.len() + past.hours.len(),
            Self::Told(kept) => kept.lines(),
        }
    }

    /// The last event that is in it; 0: none is.
    fn sequence(&self) -> u64 {
        match self {
            Self::Windows(past) => past.sequence,
            Self::Told(_) => 0,
        }
    }
}

/// What blocks did, for windows.
struct Past {
    steps: Vec<StepFigures>,
    /// Of a rule with a baseline.
    hours: Vec<StepFigures>,
    sequence: u64,
}

impl Past {
    async fn read(
        app: &App,
        asking: &Asking,
        (rule, network): (&Rule, &Network),
        times: &Times,
    ) -> Result<Self, ApiError> {
        let contract = rule.contract.map(|address| schemas::records::window::text_of(Some(address)));
        let contract_windows = match &contract {
            Some(contract) => windows_from(app, asking, network, contract).await,
            None => Some(ALL),
        };
        let window = i64::try_from(rule.window.as_millis()).unwrap_or(i64::MAX);
        // The first window ends one step behind the beginning.
        let from = times.from.0.saturating_add(times.step.ms()).saturating_sub(window);
        let filter = SeriesFilter {
            network: network.clone(),
            contract,
            contract_windows,
            metrics: Vec::new(),
            step: times.step,
            from: TimeMs(from),
            to: times.to,
        };
        let (steps, mut sequence) = app.store.all_figures(&filter).await.map_err(|e| ApiError::from_store(&e))?;
        let mut hours = Vec::new();
        if let Limit::Baseline { over, .. } = &rule.limit {
            let over = i64::try_from(over.as_millis()).unwrap_or(i64::MAX);
            let (from, to) = (TimeMs(from.saturating_sub(over)), TimeMs(Step::Hour.ceil(times.to.0)));
            let of_hours = SeriesFilter { step: Step::Hour, from, to, ..filter };
            let found = app.store.all_figures(&of_hours).await.map_err(|e| ApiError::from_store(&e))?;
            sequence = sequence.max(found.1);
            hours = found.0;
        }
        Ok(Self { steps, hours, sequence })
    }
}

fn answer(mut item: RulePreviewItem, rule: &Rule, times: &Times, past: &Past) -> RulePreviewItem {
    let told = if times.is_now { told(&past.steps) } else { past.steps.as_slice() };
    if let Some(last) = told.last() {
        item.to = TimeMs(last.at.saturating_add(times.step.ms())).rfc3339();
    }
    let (steps, hours) = (pieces(told), pieces(&past.hours));
    let trial = Trial { rule, steps: &steps, step_ms: times.step.ms(), hours: &hours };
    let tried = trial.run(times.from);
    item.says(&tried);
    item.incomplete = lacks(told, times.step);
    let mut without = tried.looks.iter().filter(|look| look.judged.threshold.is_none());
    if let Some(first) = without.next() {
        let last = without.next_back().unwrap_or(first);
        let reason = "no hour before it is known whole: there is nothing to compare with".to_owned();
        item.incomplete.push(LackItem { from: first.at.rfc3339(), to: last.at.rfc3339(), reason });
    }
    item.complete = item.incomplete.is_empty();
    item
}

/// Without the newest steps whose blocks are still to come.
fn told(steps: &[StepFigures]) -> &[StepFigures] {
    let untold = steps.iter().rev().take(UNTOLD).take_while(|step| !step.complete).count();
    steps.get(..steps.len().saturating_sub(untold)).unwrap_or(steps)
}

fn pieces(steps: &[StepFigures]) -> Vec<Piece> {
    let piece = |step: &StepFigures| Piece {
        at: TimeMs(step.at),
        did: step.figures.as_ref().map(store::query::Figures::partial),
        complete: step.complete,
    };
    steps.iter().map(piece).collect()
}

/// What is missing: of steps one behind the other that lack the same, together.
fn lacks(steps: &[StepFigures], length: Step) -> Vec<LackItem> {
    let mut lacks: Vec<(i64, i64, &str)> = Vec::new();
    for step in steps.iter().filter(|step| !step.complete) {
        let reason = step.reason.as_deref().unwrap_or("not all blocks of it are held yet");
        let end = step.at.saturating_add(length.ms());
        match lacks.last_mut().filter(|(_, to, why)| *to == step.at && *why == reason) {
            Some(last) => last.1 = end,
            None => lacks.push((step.at, end, reason)),
        }
    }
    let item = |(from, to, reason): (i64, i64, &str)| LackItem {
        from: TimeMs(from).rfc3339(),
        to: TimeMs(to).rfc3339(),
        reason: reason.to_owned(),
    };
    lacks.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(window: &str) -> Rule {
        let definition =
            json!({"name": "r", "networks": ["a", "b"], "metric": "failed", "threshold": 1, "window": window});
        Rule::parse(&definition).expect("a rule")
    }

    #[test]
    fn the_time_is_that_of_the_window_unless_one_is_given_and_bounded() {
        let now = TimeMs(1_700_000_012_345);
        let read = |window: &str, query: &str| {
            let params = Params::parse(Some(query), KNOWN).expect("known");
            Times::read(&rule(window), &params, now)
        };
        for (window, step, looks) in [("1m", "1m", 90), ("5m", "1m", 360), ("1h", "5m", 864), ("24h", "1h", 720)] {
            let times = read(window, "").expect("times");
            assert_eq!((times.step.as_str(), (times.to.0 - times.from.0) / times.step.ms()), (step, looks), "{window}");
            assert!(times.to <= now && now.0 - times.to.0 < times.step.ms(), "the newest step that is over");
        }
        let at = |ms: i64| TimeMs(ms).rfc3339();
        let later = read("1m", &format!("to={}", at(now.0 + 3_600_000))).expect("times");
        assert!(later.to <= now, "nothing is known of what is to come");
        let one = read("1m", &format!("from={}&to={}", at(60_000), at(120_000))).expect("times");
        assert_eq!((one.from.0, one.to.0), (60_000, 120_000));
        for query in [
            format!("from={}", at(now.0)),
            format!("from={}", at(now.0 - 901 * 60_000)),
            format!("from={}&to={}", at(120_000), at(60_000)),
        ] {
            let problem = read("1m", &query).err().expect("refused").problem();
            assert_eq!(problem.parameter.as_deref(), Some("from"), "{query}");
        }
    }

    #[test]
    fn the_newest_steps_are_left_out_until_they_are_told() {
        let steps = |complete: &[bool]| {
            let step = |(at, complete): (i64, &bool)| StepFigures { at, complete: *complete, ..StepFigures::default() };
            (0..).zip(complete).map(step).collect::<Vec<_>>()
        };
        let left = |complete: &[bool]| told(&steps(complete)).len();
        assert_eq!((left(&[true, true, false]), left(&[true, false, true])), (2, 3));
        assert_eq!(
            (left(&[true, false, false, false]), left(&[])),
            (2, 0),
            "a network that stands still is not hidden"
        );
    }

    #[test]
    fn it_is_tried_on_a_network_of_the_rule() {
        let of = |query: &str| network_of(&rule("1m"), &Params::parse(Some(query), KNOWN).expect("known"));
        assert_eq!(of("").expect("the first").as_str(), "a");
        assert_eq!(of("network=b").expect("it is there").as_str(), "b");
        assert_eq!(of("network=c").expect_err("another's").problem().parameter.as_deref(), Some("network"));
    }

    #[test]
    fn what_is_missing_for_one_reason_is_told_once() {
        let step = |at: i64, reason: Option<&str>| StepFigures {
            at: at * 60_000,
            complete: reason.is_none(),
            reason: reason.map(str::to_owned),
            ..StepFigures::default()
        };
        let steps = [step(0, Some("a")), step(1, Some("a")), step(2, None), step(3, Some("a")), step(4, Some("b"))];
        let told: Vec<_> =
            lacks(&steps, Step::Minute).into_iter().map(|lack| (lack.from, lack.to, lack.reason)).collect();
        let at = |minute: i64| TimeMs(minute * 60_000).rfc3339();
        let wanted = [(0, 2, "a"), (3, 4, "a"), (4, 5, "b")].map(|(from, to, why)| (at(from), at(to), why.to_owned()));
        assert_eq!(told, wanted);
    }
}
