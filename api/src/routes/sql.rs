//! `GET /sql`: how to reach the rows by SQL, and what is there.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};

use super::answer::{Live, Refused};
use crate::{app::App, catalogue::Sql, error::ApiError, params::Params};

/// How to reach the views by SQL, their columns, the sizes behind them, the limits, and queries to begin with.
#[utoipa::path(get, path = "/sql", tag = "state", responses((status = 200, body = Sql), Refused))]
pub async fn sql(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let sql = app.catalogue.of(&app.store, app.config.analysts_see_contracts).await?;
    Ok(Live(Json(sql.as_ref()).into_response()))
}
