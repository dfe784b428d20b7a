//! `GET /problems/{name}`: what a problem's `type` means and what to do (RFC 9457, section 3.1.1).

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use super::answer::document;
use crate::{
    app::App,
    error::{ApiError, Kind},
};

const POLICY: &str = "default-src 'none'; style-src 'self'; frame-ancestors 'none'";

/// The page of one kind.
pub async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let kind = Kind::ALL.iter().find(|k| k.name == name);
    let kind = kind
        .ok_or_else(|| ApiError::RouteNotFound { path: format!("/problems/{}", crate::error::cut(&name)), hint: "" })?;
    let html = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/docs/docs.css\">\
         <main><h1>{title}</h1><p><code>/problems/{name}</code>, HTTP status {status}</p><p>{text}</p>\
         <p><a href=\"/docs\">All of this API</a></p></main></html>",
        title = html(kind.title),
        name = kind.name,
        status = kind.status.as_u16(),
        text = html(kind.explanation),
    );
    let mut response = document(&headers, "text/html; charset=utf-8", &app.documents_tag, body.into());
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}
