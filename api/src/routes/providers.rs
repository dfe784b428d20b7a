//! `GET /providers/health` and `GET /providers/{network}/{name}`: endpoints of chain nodes.
//!
//! Guarantee: `/providers/health` is answered from memory, whatever the store and the log do; a state that is old is `unknown`, and since
//! when is said. Only the history of one endpoint asks the store, and without it the rest is answered all the same.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};
use schemas::{Network, TimeMs, limits};
use utoipa::IntoParams;

use super::answer::{Live, Refused};
use crate::{
    app::App,
    cursor,
    error::ApiError,
    items::{Page, ProviderDetail, ProviderItem, ProviderMinuteItem},
    params::{self, Params},
};

/// How far a history reaches back, when nothing else is asked for, and at most, milliseconds.
const HISTORY_MS: (i64, i64) = (3_600_000, 24 * 3_600_000);

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct HealthQuery {
    /// Only this network.
    network: Option<String>,
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct HistoryQuery {
    /// Beginning of the history, included; an hour before its end by default, 24 hours at most.
    from: Option<String>,
    /// End of the history, not included; now by default.
    to: Option<String>,
}

/// The endpoints as they are now, by network and name.
#[utoipa::path(
    get,
    path = "/providers/health",
    tag = "state",
    params(HealthQuery),
    responses((status = 200, body = Page<ProviderItem>), (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn health(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["network", "limit", "cursor"])?;
    let (network, limit) = (params.network()?, params.limit()?);
    let list = format!("providers {network:?}");
    let after: Option<(Network, String)> =
        params.text("cursor")?.map(|text| cursor::decode(&list, text)).transpose()?;
    if let Some(network) = &network {
        known(&app, network).await?;
    }
    let (items, more) = app.providers.items(network.as_ref(), after.as_ref(), limit as usize);
    let last = items.last().filter(|_| more);
    let next = last.map(|item| cursor::encode(&list, &(&item.network, &item.name)));
    Ok(Live(Json(Page { items, next, note: None })))
}

/// One endpoint as it is now, and its calls by minute.
#[utoipa::path(
    get,
    path = "/providers/{network}/{name}",
    tag = "state",
    params(
        ("network" = String, Path, description = "The network's slug"),
        ("name" = String, Path, description = "The endpoint's name in the configuration"),
        HistoryQuery,
    ),
    responses((status = 200, body = ProviderDetail), (status = 404, description = "No such network or endpoint", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn provider(
    State(app): State<Arc<App>>,
    Path((network, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["from", "to"])?;
    let network = params::path_network(&network)?;
    let span = span(&params, TimeMs::now())?;
    let Some(now) = app.providers.item(&network, &name) else {
        known(&app, &network).await?;
        return Err(ApiError::ProviderNotFound { network: network.to_string(), name: crate::error::cut(&name) });
    };
    let minutes = app.store.provider_minutes(&network, &name, span, limits::PROVIDER_HISTORY_ROWS).await;
    let (history, history_error) = match minutes {
        Ok(rows) => (rows.iter().map(ProviderMinuteItem::from_row).collect(), None),
        Err(error) => (Vec::new(), Some(ApiError::from_store(&error).to_string())),
    };
    Ok(Live(Json(ProviderDetail { now, history, history_error })))
}

async fn known(app: &App, network: &Network) -> Result<(), ApiError> {
    match app.providers.knows(network) {
        true => Ok(()),
        false => app.known_network(network).await,
    }
}

/// Beginning and end of the history.
fn span(params: &Params, now: TimeMs) -> Result<(TimeMs, TimeMs), ApiError> {
    let (from, to) = (params.time("from")?, params.time("to")?);
    let to = to.unwrap_or(now);
    let from = from.unwrap_or(TimeMs(to.0.saturating_sub(HISTORY_MS.0)));
    match to.0.saturating_sub(from.0) {
        length if (0..=HISTORY_MS.1).contains(&length) => Ok((from, to)),
        _ => Err(ApiError::invalid("from", &from.rfc3339(), "a time at most 24 hours before `to`, and not after it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_of_an_hour_or_of_what_was_asked_for_a_day_at_most() {
        let hour = HISTORY_MS.0;
        let now = TimeMs(1_000 * hour);
        let at = |hours: i64| TimeMs(hours * hour).rfc3339();
        let read = |query: &str| {
            let params = Params::parse(Some(query), &["from", "to"]).expect("known");
            span(&params, now).map(|(from, to)| (from.0 / hour, to.0 / hour))
        };
        assert_eq!(read(""), Ok((999, 1_000)));
        assert_eq!(read(&format!("to={}", at(500))), Ok((499, 500)));
        assert_eq!(read(&format!("from={}", at(980))), Ok((980, 1_000)));
        assert_eq!(read(&format!("from={}&to={}", at(400), at(424))), Ok((400, 424)));
        for bad in [format!("from={}", at(975)), format!("from={}&to={}", at(2), at(1))] {
            assert_eq!(read(&bad).expect_err(&bad).problem().parameter.as_deref(), Some("from"));
        }
    }
}
