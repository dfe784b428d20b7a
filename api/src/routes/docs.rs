//! `GET /docs`: a page of our own that shows the OpenAPI document. No code, style or font comes from elsewhere.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;

use super::answer::document;
use crate::app::App;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let body = Bytes::from_static(include_bytes!("../assets/docs.html"));
    let mut response = document(&headers, "text/html; charset=utf-8", &app.documents_tag, body);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Its script.
pub async fn script(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let body = Bytes::from_static(include_bytes!("../assets/docs.js"));
    document(&headers, "text/javascript; charset=utf-8", &app.documents_tag, body)
}

/// Its style.
pub async fn style(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let body = Bytes::from_static(include_bytes!("../assets/docs.css"));
    document(&headers, "text/css; charset=utf-8", &app.documents_tag, body)
}
