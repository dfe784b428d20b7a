//! `GET /networks/{network}/completeness`: which ranges are held whole, and what lies between them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};

use super::answer::{Live, Refused};
use crate::{
    app::App,
    error::ApiError,
    ledger::Completeness,
    params::{self, Params},
};

/// Which heights of a network are held, and whether they are whole.
#[utoipa::path(
    get,
    path = "/networks/{network}/completeness",
    tag = "state",
    params(("network" = String, Path, description = "The network's slug")),
    responses((status = 200, body = Completeness), (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn completeness(
    State(app): State<Arc<App>>,
    Path(network): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let network = params::path_network(&network)?;
    app.known_network(&network).await?;
    let held = app.counts.of(&app.store, &network, app.asked.known()).await?;
    Ok(Live(Json(held.as_ref()).into_response()))
}
