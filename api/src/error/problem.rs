//! A problem as it is answered (RFC 9457).

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiError;

/// An RFC 9457 problem (`application/problem+json`).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// URI reference of the kind of problem; a page of this API explains it.
    #[schema(example = "/problems/invalid-parameter")]
    pub r#type: String,
    /// Summary of the kind.
    pub title: String,
    /// HTTP status code (on the WebSocket: the code that a request would have got).
    #[schema(example = 400)]
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Its value as it came, cut to 80 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The id of what is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The present version of what was to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Every mistake of the body, at most 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<BodyError>>,
}

/// A mistake of a body.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BodyError {
    /// Where: names and places with dots between them, or line and column of a text that is no JSON.
    #[schema(example = "abi.3.inputs.0.type")]
    pub path: String,
    /// Inside of an expression: at which character, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        crate::metrics::refused(self.kind().name);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (self.kind().status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::TooFast { standing, .. } = &self {
            standing.tell(headers);
        }
        if let Self::Unauthenticated { .. } = &self {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::MethodNotAllowed { allow, .. } = &self
            && let Ok(allow) = HeaderValue::from_str(allow)
            && !allow.is_empty()
        {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}
