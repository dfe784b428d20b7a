//! `GET /metrics/overview`: what happened within the last minutes.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use futures::StreamExt as _;
use schemas::{Network, TimeMs, limits::metrics as limits};
use serde_json::value::{RawValue, to_raw_value};
use store::query::OverviewFilter;
use utoipa::IntoParams;

use super::answer::{Refused, figures};
use crate::{
    app::App,
    door::Asking,
    error::ApiError,
    items::{MissingItem, OverviewAnswer, OverviewItem},
    params::Params,
    windows::{self, Kept, Trailing, Whose, json, not_written},
};

const KNOWN: &[&str] = &["network", "contract", "window"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// This network. Without it: each that is reached, as `items`.
    network: Option<String>,
    /// What touched this contract: sent to it, creating it, or with a log from it. Goes with `network`.
    contract: Option<String>,
    /// How far back: so many complete minutes, and the current one: `1m`, `5m`, `1h` (default) or `24h`.
    window: Option<String>,
}

/// What happened on a network, or at a contract, in the trailing complete minutes and the current one.
///
/// An answer is given again until the network's next block, for a second at least and a minute at most.
#[utoipa::path(
    get,
    path = "/metrics/overview",
    tag = "figures",
    params(Query),
    responses(
        (status = 200, body = OverviewAnswer),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn overview(
    State(app): State<Arc<App>>,
    asking: Asking,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let words = Trailing::ALL.map(Trailing::word).join(", ");
    let window = params.parsed("window", &words, Trailing::read)?.unwrap_or(Trailing::Hour);
    if let Some(whose) = Whose::read(&app, &asking, &params).await? {
        let kept = one(&app, &whose, window).await?;
        return Ok(figures(&headers, "application/json", &kept.body, Some(kept.sequence)));
    }
    let app = &*app;
    let reached = app.reached(&asking).await?.into_iter().take(limits::OVERVIEW_NETWORKS);
    let each = futures::stream::iter(reached).map(|network| async move {
        let whose = Whose { network: network.clone(), contract: None, own: Some(windows::ALL) };
        (network, one(app, &whose, window).await)
    });
    let body = all(each.buffered(limits::OVERVIEW_AT_ONCE).collect().await, window)?;
    Ok(figures(&headers, "application/json", &body.into(), None))
}

/// A list of what each network answered. One that failed says why; the others stand, unless there are none.
fn all(answers: Vec<(Network, Result<Kept, ApiError>)>, window: Trailing) -> Result<Vec<u8>, ApiError> {
    let fails = !answers.is_empty() && answers.iter().all(|(_, answer)| answer.is_err());
    let mut items: Vec<Box<RawValue>> = Vec::with_capacity(answers.len());
    for (network, answer) in answers {
        let item = match answer {
            Ok(kept) => serde_json::from_slice(&kept.body),
            Err(error) if fails => return Err(error),
            Err(error) => to_raw_value(&MissingItem {
                network: network.to_string(),
                window: window.word().to_owned(),
                complete: false,
                reason: error.problem().detail,
            }),
        };
        items.push(item.map_err(not_written)?);
    }
    json(&serde_json::json!({ "items": items }))
}

async fn one(app: &App, whose: &Whose, window: Trailing) -> Result<Kept, ApiError> {
    let name = format!("overview {} {}", whose.name(), window.word());
    let ask = async || {
        let to = TimeMs::now();
        let filter = OverviewFilter {
            network: whose.network.clone(),
            contract: whose.contract.clone(),
            contract_windows: whose.own,
            from: window.from(to),
            to,
        };
        let found = app.store.overview(&filter).await.map_err(|e| ApiError::from_store(&e))?;
        let contract = whose.contract.as_deref();
        let item = OverviewItem::of(whose.network.as_str(), contract, window.word(), (filter.from, to), &found);
        Kept::json(&item, found.sequence)
    };
    app.answers.of(&app.rings, &whose.network, name, ask).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_fails_is_told_beside_those_that_stand() {
        let network = |slug: &str| -> Network { slug.parse().expect("a slug") };
        let good = || Ok(Kept::new(r#"{"network":"a","transactions":7}"#, 1));
        let bad = || Err(ApiError::NetworkNotFound { network: "b".to_owned() });
        let told = all(vec![(network("a"), good()), (network("b"), bad())], Trailing::Hour).expect("a list");
        let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
        assert_eq!((&told["items"][0]["transactions"], &told["items"][1]["network"]), (&7.into(), &"b".into()));
        assert_eq!((&told["items"][1]["complete"], &told["items"][1]["window"]), (&false.into(), &"1h".into()));
        assert!(told["items"][1]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{told}");
        assert!(all(vec![(network("b"), bad())], Trailing::Hour).is_err(), "nothing stands");
        assert_eq!(all(Vec::new(), Trailing::Hour).expect("a list"), br#"{"items":[]}"#);
    }
}
