//! What the routes' answers have in common: the refusals of all, and how long who may keep what.

use axum::{
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::openapi::{self, Ref, RefOr};

use crate::error::ApiError;

/// The refusals that every route has, for the document.
pub struct Refused;

impl utoipa::IntoResponses for Refused {
    fn responses() -> std::collections::BTreeMap<String, RefOr<openapi::Response>> {
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

/// The refusals of every route with a body.
pub struct Changed;

impl utoipa::IntoResponses for Changed {
    fn responses() -> std::collections::BTreeMap<String, RefOr<openapi::Response>> {
        [
            ("413".to_owned(), problem("The body is too large")),
            (
                "422".to_owned(),
                problem("The body has mistakes; `errors` has each with its path, and nothing was changed"),
            ),
        ]
        .into()
    }
}

/// A problem, for the document.
pub(super) fn problem(description: &str) -> RefOr<openapi::Response> {
    let body = openapi::content::ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = openapi::ResponseBuilder::new().description(description);
    RefOr::T(response.content("application/problem+json", body).build())
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

/// The event of the network that an answer is true at, on the answer.
pub const SEQUENCE: HeaderName = HeaderName::from_static("x-headwater-sequence");

/// An answer about figures, with an entity tag. It is kept for a second at most, by nobody between.
pub fn figures(headers: &HeaderMap, media_type: &'static str, body: &Bytes, sequence: Option<u64>) -> Response {
    use sha2::Digest as _;
    let quoted = format!("\"{}\"", const_hex::encode(&sha2::Sha256::digest(body)[..16]));
    let common = [(header::ETAG, format!("W/{quoted}")), (header::CACHE_CONTROL, "private, max-age=1".to_owned())];
    let mut response = match matches_tag(headers, &quoted) {
        true => (StatusCode::NOT_MODIFIED, common).into_response(),
        false => (common, [(header::CONTENT_TYPE, media_type)], body.clone()).into_response(),
    };
    if let Some(sequence) = sequence {
        response.headers_mut().insert(SEQUENCE, sequence.into());
    }
    response
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
