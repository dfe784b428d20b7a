//! `GET /api/v1/ws`: the live WebSocket (semantics, rule 21).
//!
//! Guarantee, per connection and network: frames come in the network's order, each at most once; all frames of a sequence
//! are followed by its `position` frame; `after` continues without a hole, from the ring of recent events or, for what is
//! older, from the store; an apply that was reverted meanwhile is left out together with its revert; what cannot be given
//! any more is named in a `gap` frame. Nothing that a client sends ends the connection, except what RFC 6455 forbids and
//! frames beyond four times the limit. States of endpoints (`providers`) have no order and no position: their present state comes on
//! subscribing, and after that each endpoint's last one. Nor have causes of failures ([`causes`]), which come with transactions: what was found
//! out while a client was away is in the rows that it reads. Windows (`windows`) have no position either: the present ones come on subscribing, and after
//! that each that is published; those of a contract come to whoever names the contract, and has it. Alerts (`alerts`) have a cursor of their own, and come to their tenant's connections
//! alone ([`alerts`]). Whoever ends it, the close frame with the reason arrives (section 7.1). It ends within 5 s of the key or session
//! that opened it; networks that a key does not reach are not there. Filters choose among transactions: see [`filter`].

mod alerts;
mod causes;
mod connection;
mod end;
mod endpoints;
mod filter;
mod follows;
mod outgoing;
mod protocol;
mod replay;
mod subscriptions;
mod wakes;
mod windows;

pub(crate) use replay::{rest, undone};

use std::sync::Arc;

use axum::{
    Extension,
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use schemas::limits;

use crate::{
    app::App,
    door::{self, Asking, Credential},
    error::ApiError,
    tenants::Account,
};

/// Opens a connection.
///
/// The messages are described by the AsyncAPI document at `/api/v1/asyncapi.json`.
#[utoipa::path(
    get,
    path = "/ws",
    tag = "live",
    params(
        ("Connection" = String, Header, description = "As RFC 6455 wants it"),
        ("Upgrade" = String, Header, description = "As RFC 6455 wants it"),
        ("Sec-WebSocket-Version" = String, Header, description = "As RFC 6455 wants it"),
        ("Sec-WebSocket-Key" = String, Header, description = "16 random bytes in base64"),
    ),
    responses(
        (status = 101, description = "The WebSocket is open; see /api/v1/asyncapi.json"),
        (status = 403, description = "Foreign origin, or more connections than the organisation's plan gives", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 421, description = "`Host` is not one of this server's names", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 426, description = "One of the headers is missing or wrong: not a WebSocket handshake", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many connections", body = crate::error::Problem, content_type = "application/problem+json"),
    )
)]
pub async fn upgrade(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    asking: Asking,
    credential: Option<Extension<Credential>>,
    account: Option<Extension<Arc<Account>>>,
    handshake: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let handshake = handshake.map_err(|e| ApiError::NotAWebSocket { problem: e.body_text() })?;
    door::check_origin(&headers, &app.config.allowed_origins, app.config.own_origin().as_deref())?;
    let theirs = match account {
        Some(Extension(account)) => Some(app.tenants.socket(&account).await?),
        None => None,
    };
    let permit = Arc::clone(&app.ws_connections)
        .try_acquire_owned()
        .map_err(|_| ApiError::Overloaded { what: "WebSocket connections" })?;
    let response = handshake
        .read_buffer_size(1 << 10)
        .write_buffer_size(16 << 10)
        .max_message_size(4 * limits::WS_CLIENT_FRAME_BYTES)
        .max_frame_size(4 * limits::WS_CLIENT_FRAME_BYTES)
        .on_upgrade(move |socket| async move {
            crate::metrics::ws_connections(1.0);
            connection::Connection::new(app, socket, asking, credential.map(|Extension(c)| c)).run().await;
            crate::metrics::ws_connections(-1.0);
            drop((permit, theirs));
        });
    Ok(response.into_response())
}
