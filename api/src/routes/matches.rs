//! `GET /monitors/{id}/matches`: what a monitor matched, and what a reorg took back of it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};
use schemas::records::{DefinitionKind, MatchState};
use store::query::MatchFilter;
use utoipa::IntoParams;

use super::{
    answer::{Live, Refused},
    things::{Missing, path_id},
};
use crate::{
    alerts::whose,
    app::App,
    door::Who,
    error::ApiError,
    items::{MatchItem, Page},
    params::Params,
};

const WHAT: &str = "monitor";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Only live ones, or only those that a reorg took back.
    state: Option<String>,
    /// Items: 1 to 1,000, 50 by default.
    limit: Option<u32>,
}

/// The newest matches of a monitor, one for each condition and place.
///
/// A match is of its transaction, whatever block that is in: one that comes again after a reorg is live, in its new block. They are kept for
/// 30 days.
#[utoipa::path(
    get,
    path = "/monitors/{id}/matches",
    tag = "alerts",
    params(("id" = String, Path, description = "The monitor's id"), Query),
    responses((status = 200, body = Page<MatchItem>), Missing, Refused)
)]
pub async fn matches(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["state", "limit"])?;
    let state: Option<MatchState> = params.parsed("state", "live or retracted", |text| text.parse().ok())?;
    let limit = params.limit()?;
    let id = path_id(&id, WHAT)?;
    let monitor = app.control()?.definition(who.tenant(), DefinitionKind::Monitor, &id).await;
    monitor.map_err(|e| ApiError::of_control(e, WHAT))?;
    let filter = MatchFilter { monitor: id.to_string(), live: state.map(|state| state == MatchState::Live), limit };
    let found = app.store.matches(&whose(who.tenant()), &filter).await.map_err(|e| ApiError::from_store(&e))?;
    let items = found.into_iter().map(MatchItem::from).collect();
    Ok(Live(Json(Page { items, next: None, note: None })))
}
