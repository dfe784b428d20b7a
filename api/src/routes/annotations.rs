//! `GET /annotations`: when something fired, for charts.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use schemas::{TimeMs, limits::alerts as limits};
use store::query::AlertFilter;
use utoipa::IntoParams;

use super::answer::{Live, Refused};
use crate::{
    alerts::{Shown, whose},
    app::App,
    door::Who,
    error::ApiError,
    items::AnnotationItem,
    params::Params,
};

/// The time that is shown where none is asked for, milliseconds.
const USUAL_MS: i64 = 86_400_000;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Alerts that were over before this are left out; a day before `to` by default.
    from: Option<String>,
    /// Alerts that fired at this time or later are left out; now by default.
    to: Option<String>,
    /// Only of this network.
    network: Option<String>,
}

/// Times of alerts, as Grafana's JSON sources take annotations: of the newest thousand that fired.
#[utoipa::path(
    get,
    path = "/annotations",
    tag = "alerts",
    params(Query),
    responses((status = 200, body = Vec<AnnotationItem>), Refused)
)]
pub async fn annotations(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["from", "to", "network"])?;
    let now = TimeMs::now();
    let to = params.time("to")?.unwrap_or(now);
    let from = params.time("from")?.unwrap_or(TimeMs(to.0.saturating_sub(USUAL_MS)));
    if from >= to {
        return Err(ApiError::invalid("from", &from.rfc3339(), "a time before `to`"));
    }
    let network = params.network()?;
    if let Some(network) = network.as_ref().filter(|network| !who.tenant().reach().contains(network.as_str())) {
        return Err(ApiError::NetworkNotFound { network: network.to_string() });
    }
    let filter =
        AlertFilter { network, during: Some((from, to)), limit: limits::ANNOTATIONS, ..AlertFilter::default() };
    let page = app.store.alerts(&whose(who.tenant()), &filter).await.map_err(|e| ApiError::from_store(&e))?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.extend(AnnotationItem::of(&Shown::of(row)?.alert, now));
    }
    Ok(Live(Json(items)))
}
