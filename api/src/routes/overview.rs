//! `GET /metrics/overview`: what happened within the last minutes.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use futures::{StreamExt as _, TryStreamExt as _};
use schemas::{TimeMs, limits::metrics as limits};
use serde_json::value::RawValue;
use store::query::OverviewFilter;
use utoipa::IntoParams;

use super::answer::{Refused, figures};
use crate::{
    app::App,
    door::Asking,
    error::ApiError,
    items::{OverviewAnswer, OverviewItem},
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
        let whose = Whose { network, contract: None, own: Some(windows::ALL) };
        one(app, &whose, window).await
    });
    let all: Vec<Kept> = each.buffered(limits::OVERVIEW_AT_ONCE).try_collect().await?;
    let items: Result<Vec<&RawValue>, _> = all.iter().map(|kept| serde_json::from_slice(&kept.body)).collect();
    let items = items.map_err(not_written)?;
    let body = json(&serde_json::json!({ "items": items }))?;
    Ok(figures(&headers, "application/json", &body.into(), None))
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
