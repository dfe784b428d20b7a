//! `GET /openapi.json`: the document that the router is made from.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};

use super::answer::{Refused, document};
use crate::{app::App, error::ApiError, params::Params};

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "about", responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"), Refused))]
pub async fn openapi(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    Ok(document(&headers, "application/json", &app.documents_tag, app.openapi.clone()))
}
