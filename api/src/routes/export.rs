//! `GET /txs/export`: canonical transactions, filtered, as one file.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
};
use schemas::limits;
use utoipa::IntoParams;

use super::answer::Refused;
use crate::{
    app::App,
    door::{Asking, Credential},
    error::ApiError,
    export::{Export, Format, body, place},
    filters,
    params::Params,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// `csv` (default), `json` (one array), or `ndjson` (an object a line).
    format: Option<String>,
    /// Rows at most: 1 to 1,000,000, 100,000 by default.
    limit: Option<u32>,
}

/// Canonical transactions as one file, with the filters of `GET /txs`.
///
/// The answer is streamed: what comes is what the chain is at that moment, and a reorg meanwhile may leave out blocks or show them with both
/// hashes. An answer that is cut off has no end: the connection closes in the middle, and what came of it is not all there is. CSV has a
/// header, its columns are the fields of `GET /txs`, null is empty; a text that begins with `=`, `+`, `-` or `@` has a `'` in front, so that
/// no spreadsheet takes it for a formula. A caller may run two exports at the same time.
#[utoipa::path(
    get,
    path = "/txs/export",
    tag = "chains",
    params(filters::Query, Query),
    responses(
        (status = 200, description = "The file", content_type = "text/csv", body = String),
        (status = 404, description = "No such network, or no block of this hash", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests, or too many exports at the same time; `Retry-After` says when to come back", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn export(
    State(app): State<Arc<App>>,
    asking: Asking,
    credential: Option<Extension<Credential>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let known: Vec<&str> = filters::KNOWN.into_iter().chain(["format", "limit"]).collect();
    let params = Params::parse(query.as_deref(), &known)?;
    let format = params.parsed("format", "csv, json or ndjson", Format::read)?.unwrap_or(Format::Csv);
    let limit = params.limited(limits::EXPORT_ROWS)?;
    let (filter, _) = filters::read(&app, &asking, &params).await?;
    let place = place(&app, &asking)?;
    let export = Export::begin(app, filter, limit, place).await?;
    let (outlet, body) = body();
    export.give(format, outlet, credential.map(|Extension(credential)| credential));
    let file = format!("attachment; filename=\"transactions.{}\"", format.ending());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, file),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}
