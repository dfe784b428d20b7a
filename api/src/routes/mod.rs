//! One file per route. The router is also the OpenAPI document: what is not documented is not served under `/api/v1`.

pub mod asyncapi;
pub mod block;
pub mod blocks;
pub mod completeness;
pub mod dashboard;
pub mod docs;
pub mod health;
pub mod openapi_json;
pub mod problems;
pub mod registry;
pub mod sql;
pub mod tx;
pub mod txs;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::{
    OpenApi,
    openapi::{self, Ref, RefOr},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{error::ApiError, pipeline::App};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Headwater",
        description = "Blocks and transactions of many chains. Heights, counts and milliseconds are numbers; amounts are decimal \
            strings in the chain's smallest unit; times are RFC 3339 in UTC with milliseconds. Lists have `limit` (1 to 1,000, \
            50 by default) and `cursor`; a page may be short and still have a `next`. Mistakes are RFC 9457 problems. Only \
            canonical rows are shown: what a reorg removed is gone. The live WebSocket at `/api/v1/ws` is described at \
            `/api/v1/asyncapi.json`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "chains", description = "Canonical blocks and transactions from the store"),
        (name = "state", description = "How Headwater itself is doing"),
        (name = "live", description = "The WebSocket"),
        (name = "about", description = "These documents"),
    ),
    components(schemas(crate::error::Problem)),
)]
struct Document;

/// The routes under `/api/v1` and their document.
pub fn rest() -> (Router<Arc<App>>, openapi::OpenApi) {
    let v1 = OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(blocks::blocks))
        .routes(routes!(block::block))
        .routes(routes!(txs::txs))
        .routes(routes!(tx::tx))
        .routes(routes!(completeness::completeness))
        .routes(routes!(sql::sql))
        .routes(routes!(openapi_json::openapi))
        .routes(routes!(asyncapi::asyncapi))
        .routes(routes!(crate::ws::upgrade));
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", v1).split_for_parts();
    crate::constraints::describe(&mut document);
    (router, document)
}

/// The refusals that every route has, for the document.
pub struct Refused;

impl utoipa::IntoResponses for Refused {
    fn responses() -> std::collections::BTreeMap<String, RefOr<openapi::Response>> {
        let problem = |description: &str| {
            let body = openapi::content::ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let response = openapi::ResponseBuilder::new().description(description);
            RefOr::T(response.content("application/problem+json", body).build())
        };
        [
            ("400".to_owned(), problem("A parameter is wrong; the problem names it and says what to write")),
            ("421".to_owned(), problem("`Host` is not one of this server's names")),
            (
                "503".to_owned(),
                problem("The store is away or there is too much to do; `Retry-After` says when to come back"),
            ),
        ]
        .into()
    }
}

/// An answer about the present, which nobody may keep.
pub struct Live<T>(pub T);

impl<T: IntoResponse> IntoResponse for Live<T> {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], self.0).into_response()
    }
}

/// A page of a list, with a weak entity tag of what it says, so that who asks again and again is told when nothing is new.
pub fn list<T: serde::Serialize>(headers: &HeaderMap, page: &T) -> Result<Response, ApiError> {
    use sha2::Digest as _;
    let body = serde_json::to_vec(page).map_err(|error| {
        tracing::error!(%error, "a page could not be written");
        ApiError::Internal
    })?;
    let quoted = format!("\"{}\"", const_hex::encode(&sha2::Sha256::digest(&body)[..16]));
    let common = [(header::ETAG, format!("W/{quoted}")), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if matches_tag(headers, &quoted) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    Ok((common, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// A document that stays the same while the process runs, with an entity tag and conditional answers (RFC 9110).
pub fn document(headers: &HeaderMap, content_type: &'static str, tag: &str, body: Bytes) -> Response {
    let quoted = format!("\"{tag}\"");
    let common = [(header::ETAG, quoted.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if matches_tag(headers, &quoted) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// Whether `If-None-Match` names this tag.
pub fn matches_tag(headers: &HeaderMap, quoted: &str) -> bool {
    let Some(wanted) = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()) else { return false };
    wanted.split(',').map(|t| t.trim().trim_start_matches("W/")).any(|t| t == quoted || t == "*")
}
