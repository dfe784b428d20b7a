//! An endpoint that speaks as Bitcoin Core does: JSON-RPC by `POST`, REST below `/rest/`, on one port.
//!
//! Guarantee: bodies, batches and connections are limited. A refused port is closed to the system: connecting to it fails, and what
//! was connected is cut off. Orders (`sim_…`) want no credentials and are hit by no fault.

mod json;
mod rest;
mod rpc;

use super::endpoint::Endpoint;
use super::faults::{FaultKind, Stage};
use crate::node::delivery;
use crate::node::socket::{Connection, Port};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use schemas::limits::simulator as limits;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Serves until the node ends.
pub(crate) async fn serve(endpoint: Arc<Endpoint>, listener: TcpListener) -> std::io::Result<()> {
    let shutdown = endpoint.shared.shutdown.clone();
    let connections = endpoint.connections.clone();
    let app = Router::new()
        .route("/", post(call))
        .route("/rest/{*path}", get(rest_of))
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES))
        .with_state(endpoint)
        .into_make_service_with_connect_info::<Connection>();
    axum::serve(Port { listener, connections }, app).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn call(
    State(endpoint): State<Arc<Endpoint>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request: Value = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(_) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, rpc::error(&Value::Null, -32700, "Parse error"))
                .into_response();
        }
    };
    let calls = match &request {
        Value::Array(calls) if calls.len() > limits::BITCOIN_BATCH_CALLS => {
            let most = format!("Batch too large: at most {} calls", limits::BITCOIN_BATCH_CALLS);
            return (StatusCode::BAD_REQUEST, rpc::error(&Value::Null, -32600, &most)).into_response();
        }
        Value::Array(calls) => calls.as_slice(),
        one => std::slice::from_ref(one),
    };
    let methods: Vec<&str> = calls.iter().map(|call| call["method"].as_str().unwrap_or_default()).collect();
    let orders = methods.iter().all(|method| method.starts_with("sim_"));
    if !orders && !admitted(&endpoint, &headers) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"jsonrpc\"")]).into_response();
    }
    let mut hits = Vec::new();
    if !orders {
        for method in &methods {
            endpoint.note(method);
            hits.extend(endpoint.faults.hits(Stage::Call, method));
        }
        if let Some(response) = instead(&endpoint, &connection, &hits).await {
            return response;
        }
    }
    let answers: Vec<String> = calls.iter().map(|call| rpc::answer(&endpoint, call, &hits)).collect();
    let text = match &request {
        Value::Array(_) => format!("[{}]", answers.join(",")),
        _ => answers.into_iter().collect(),
    };
    let text = if hits.contains(&FaultKind::Garbage) { format!("<html>{}", text.len()) } else { text };
    reply("application/json", text.into_bytes(), &hits)
}

/// Whether it comes with the endpoint's credentials.
fn admitted(endpoint: &Endpoint, headers: &HeaderMap) -> bool {
    let Some(who) = &endpoint.config.credentials else { return true };
    let wanted = format!("Basic {}", BASE64_STANDARD.encode(who));
    headers.get(header::AUTHORIZATION).is_some_and(|given| given.as_bytes() == wanted.as_bytes())
}

async fn rest_of(
    State(endpoint): State<Arc<Endpoint>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(path): Path<String>,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Response {
    let method = path.split(['/', '.']).next().unwrap_or_default();
    endpoint.note(method);
    let hits = endpoint.faults.hits(Stage::Call, method);
    if let Some(response) = instead(&endpoint, &connection, &hits).await {
        return response;
    }
    match rest::answer(&endpoint, &path, query.as_deref(), &hits) {
        Ok((content, mut bytes)) => {
            if hits.contains(&FaultKind::Garbage) {
                bytes.truncate(bytes.len() / 2);
            }
            reply(content, bytes, &hits)
        }
        Err((status, words)) => (status, words).into_response(),
    }
}

/// Waits as the endpoint and its faults do, and gives what comes in the place of an answer, where something does.
async fn instead(endpoint: &Endpoint, connection: &Connection, hits: &[FaultKind]) -> Option<Response> {
    let slow = hits.iter().filter_map(|hit| if let FaultKind::Slow(by) = hit { Some(*by) } else { None });
    let time = endpoint.delay() + slow.sum::<Duration>();
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
    for hit in hits {
        match hit {
            FaultKind::Http(status) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return Some((status, "simulated fault").into_response());
            }
            FaultKind::Silent | FaultKind::Closed | FaultKind::HalfClosed => {
                match hit {
                    FaultKind::Closed => connection.close(),
                    FaultKind::HalfClosed => connection.half_close(),
                    _ => {}
                }
                return Some(delivery::held(&endpoint.shared.shutdown).await);
            }
            _ => {}
        }
    }
    None
}

/// An answer on its way, as the faults let it through.
fn reply(content: &'static str, answer: Vec<u8>, hits: &[FaultKind]) -> Response {
    let length = answer.len();
    let drip = hits.iter().find_map(|hit| if let FaultKind::Drip(rate) = hit { Some(*rate) } else { None });
    let body = delivery::body(answer.into(), hits.contains(&FaultKind::Truncated), drip);
    let headers = [(header::CONTENT_TYPE, content.to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    (headers, body).into_response()
}
