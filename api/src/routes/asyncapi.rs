//! `GET /asyncapi.json`: the WebSocket's document, kept by hand beside `ws/`; the shapes of blocks and transactions are taken
//! from the OpenAPI document by reference, so that there is one source for them.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use bytes::Bytes;

use super::answer::{Refused, document};
use crate::{app::App, error::ApiError, params::Params};

const DOCUMENT: &str = include_str!("../assets/asyncapi.json");

/// The WebSocket's messages.
#[utoipa::path(get, path = "/asyncapi.json", tag = "about", responses((status = 200, description = "AsyncAPI 3.0", content_type = "application/json"), Refused))]
pub async fn asyncapi(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    Ok(document(&headers, "application/json", &app.documents_tag, Bytes::from_static(DOCUMENT.as_bytes())))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_is_json_and_names_every_frame() {
        let document: serde_json::Value = serde_json::from_str(super::DOCUMENT).expect("JSON");
        let messages = document["components"]["messages"].as_object().expect("messages");
        for name in [
            "subscribe",
            "unsubscribe",
            "ping",
            "subscribed",
            "unsubscribed",
            "pong",
            "position",
            "block",
            "transaction",
            "cause",
            "provider",
            "window",
            "alert",
            "gap",
            "error",
        ] {
            assert!(messages.contains_key(name), "{name}");
        }
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
