//! `GET /metrics/causes`: failures over time, by why.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use schemas::TimeMs;
use store::query::{CausesFilter, CausesOverTime};
use utoipa::IntoParams;

use super::answer::{Refused, figures};
use crate::{
    app::App,
    door::Asking,
    error::ApiError,
    items::{CausesPointItem, CausesSeries},
    params::Params,
    windows::{Kept, Span, Whose},
};

const KNOWN: &[&str] = &["network", "contract", "step", "from", "to"];
/// The word for what nothing is known of yet.
const UNKNOWN: &str = "unknown";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// The network.
    network: String,
    /// What touched this contract.
    contract: Option<String>,
    /// `1m` (default), `5m`, `1h` or `1d`.
    step: Option<String>,
    /// Steps that begin at this time or later (RFC 3339); 60 steps by default, 1,500 at most.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Steps that begin before this time; now by default.
    #[param(format = DateTime)]
    to: Option<String>,
}

/// Failed transactions of a network, or of a contract, over time, by why they failed.
///
/// They are counted from rows, into which causes come late.
#[utoipa::path(
    get,
    path = "/metrics/causes",
    tag = "figures",
    params(Query),
    responses(
        (status = 200, body = CausesSeries),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn causes(
    State(app): State<Arc<App>>,
    asking: Asking,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let span = Span::read(&params, TimeMs::now())?;
    let whose = Whose::read_one(&app, &asking, &params).await?;
    let name = format!("causes {} {} {}", whose.name(), span.step, Span::name(&params)?);
    let ask = async || {
        let filter = CausesFilter {
            network: whose.network.clone(),
            contract: whose.contract.clone(),
            step: span.step,
            from: span.from,
            to: span.to,
        };
        let found = app.store.failures_by_cause(&filter).await.map_err(|e| ApiError::from_store(&e))?;
        let answer = CausesSeries {
            network: whose.network.to_string(),
            contract: whose.contract.clone(),
            step: span.step.to_string(),
            from: span.from.max(found.from).rfc3339(),
            to: span.to.rfc3339(),
            items: items(&found),
        };
        Kept::json(&answer, found.sequence)
    };
    let kept = app.answers.of(&app.rings, &whose.network, name, ask).await?;
    Ok(figures(&headers, "application/json", &kept.body, Some(kept.sequence)))
}

/// By step.
fn items(found: &CausesOverTime) -> Vec<CausesPointItem> {
    let mut steps: BTreeMap<TimeMs, BTreeMap<String, u64>> = BTreeMap::new();
    for one in &found.counts {
        let cause = one.cause.clone().unwrap_or_else(|| UNKNOWN.to_owned());
        *steps.entry(one.at).or_default().entry(cause).or_default() += one.count;
    }
    steps.into_iter().map(|(at, causes)| CausesPointItem { at: at.rfc3339(), causes }).collect()
}

#[cfg(test)]
mod tests {
    use store::query::CauseCount;

    use super::*;

    #[test]
    fn a_step_has_all_of_its_causes() {
        let count =
            |at, cause: Option<&str>, count| CauseCount { at: TimeMs(at), cause: cause.map(str::to_owned), count };
        let counts = vec![count(60_000, Some("slippage"), 3), count(60_000, None, 2), count(0, Some("deadline"), 1)];
        let items = items(&CausesOverTime { counts, ..CausesOverTime::default() });
        let told: Vec<(&str, Vec<(&str, u64)>)> = items
            .iter()
            .map(|item| (&*item.at, item.causes.iter().map(|(cause, count)| (&**cause, *count)).collect()))
            .collect();
        assert_eq!(
            told,
            [
                ("1970-01-01T00:00:00.000Z", vec![("deadline", 1)]),
                ("1970-01-01T00:01:00.000Z", vec![("slippage", 3), ("unknown", 2)])
            ]
        );
    }
}
