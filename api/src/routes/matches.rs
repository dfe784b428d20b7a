//! `GET /monitors/{id}/matches`: what a monitor matched, what a reorg took back of it, and what was left out.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};
use schemas::records::{DefinitionKind, MatchState};
use serde_json::Value;
use store::query::{LeftOut, MatchFilter};
use utoipa::IntoParams;

use super::{
    answer::{Live, Refused},
    definitions::networks,
    things::{Missing, path_id},
};
use crate::{
    alerts::whose,
    app::App,
    door::Who,
    error::ApiError,
    items::{LeftOutItem, MatchesItem},
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
/// 30 days. What a block had beyond what it may give, and what conditions cost too much for, is summed up in `left_out`.
#[utoipa::path(
    get,
    path = "/monitors/{id}/matches",
    tag = "alerts",
    params(("id" = String, Path, description = "The monitor's id"), Query),
    responses((status = 200, body = MatchesItem), Missing, Refused)
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
    let monitor = monitor.map_err(|e| ApiError::of_control(e, WHAT))?;
    let whose = whose(who.tenant());
    let filter = MatchFilter { monitor: id.to_string(), live: state.map(|state| state == MatchState::Live), limit };
    let from_store = |error| ApiError::from_store(&error);
    let left_out = app.store.left_out(&whose, &filter.monitor);
    let (found, left_out) = tokio::try_join!(app.store.matches(&whose, &filter), left_out).map_err(from_store)?;
    let why = app.store.why(&found).await.map_err(from_store)?;
    let items = found.into_iter().map(|row| {
        let of_it = why.get(&(row.hash.clone(), row.block.clone())).cloned();
        app.matched(row, of_it)
    });
    let left_out = left_out.into_iter().filter(|one| is_about(&monitor.definition, one)).map(LeftOutItem::from);
    Ok(Live(Json(MatchesItem { items: items.collect(), next: None, left_out: left_out.collect() })))
}

/// Whether what was left out is of a monitor: transactions that none was put to are only where they are of one of its networks.
fn is_about(definition: &Value, left_out: &LeftOut) -> bool {
    let is_of = |network: &str| networks(DefinitionKind::Monitor, definition).iter().any(|(_, one)| *one == network);
    left_out.matches > 0 || is_of(&left_out.network)
}

#[cfg(test)]
mod tests {
    use schemas::TimeMs;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_all_monitors_lack_is_told_of_those_of_its_network() {
        let left_out = |network: &str, matches| LeftOut {
            network: network.to_owned(),
            matches,
            transactions: 5,
            first: TimeMs(0),
            last: TimeMs(0),
        };
        for monitor in [json!({"network": "a"}), json!({"networks": ["c", "a"]})] {
            let told = [("a", 0), ("b", 0), ("b", 1)];
            let told = told.map(|(network, matches)| is_about(&monitor, &left_out(network, matches)));
            assert_eq!(told, [true, false, true], "{monitor}");
        }
    }
}
