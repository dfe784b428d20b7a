//! HTTP and WebSocket on one port: `POST` is JSON-RPC, `GET` with an upgrade is the same over a WebSocket (see `session.rs`).
//!
//! Guarantee: bodies, batches and connections are limited. A refused port is closed to the system: connecting to it fails, and what
//! was connected is cut off.

use super::endpoint::{Endpoint, Entry};
use super::faults::{FaultKind, Hit, Stage};
use super::limit::Refusal;
use super::rpc::{Request, error, refusal};
use super::session;
use super::socket::{Connection, Port};
use crate::node::delivery;
use crate::node::door::Door;
use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use flate2::{Compression, write::GzEncoder};
use schemas::limits::simulator as limits;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>\n";

impl Door for Endpoint {
    fn listens_at(&self) -> SocketAddr {
        self.addr()
    }

    fn shutdown(&self) -> &CancellationToken {
        &self.shared.shutdown
    }

    fn refused(&self) -> bool {
        self.faults.refused()
    }

    fn changed(&self) -> &Notify {
        &self.changed
    }

    fn cut_off(&self) {
        self.drop_websockets();
        self.connections.close();
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        serve(self, listener).await
    }
}

async fn serve(endpoint: Arc<Endpoint>, listener: TcpListener) -> std::io::Result<()> {
    let shutdown = endpoint.shared.shutdown.clone();
    let routes = post(rpc).merge(get(upgrade));
    let app = Router::new()
        .route("/", routes.clone())
        .route("/{*path}", routes)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES))
        .with_state(endpoint.clone())
        .into_make_service_with_connect_info::<Connection>();
    axum::serve(Port { listener, connections: endpoint.connections.clone() }, app)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

/// Who may not come in is told so.
fn entry(endpoint: &Endpoint, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match endpoint.entry(uri.path(), authorization) {
        Entry::Free => None,
        Entry::OtherPath => Some((StatusCode::NOT_FOUND, "no such key").into_response()),
        Entry::NoCredentials => Some((StatusCode::UNAUTHORIZED, "no credentials").into_response()),
    }
}

/// What HTTP says in place of an answer.
async fn instead(endpoint: &Endpoint, connection: &Connection, hit: &Hit) -> Option<Response> {
    match hit.kind {
        FaultKind::Http { status, retry_after } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, "simulated fault").into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Some(response)
        }
        FaultKind::Html => Some(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()),
        FaultKind::Silent | FaultKind::Closed | FaultKind::HalfClosed => {
            match hit.kind {
                FaultKind::Closed => connection.close(),
                FaultKind::HalfClosed => connection.half_close(),
                _ => {}
            }
            Some(delivery::held(&endpoint.shared.shutdown).await)
        }
        _ => None,
    }
}

/// Waits as long as the endpoint takes, and longer where a fault says so.
pub(super) async fn delay(endpoint: &Endpoint, hits: &[Hit]) {
    let faults = hits.iter().filter_map(|hit| if let FaultKind::Slow(by) = hit.kind { Some(by) } else { None });
    let time = endpoint.delay() + faults.sum::<Duration>();
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// 429, or the same as JSON-RPC, when a request is over the limit.
fn over(endpoint: &Endpoint, request: &Request<'_>) -> Option<Response> {
    let (way, wait) = endpoint.admit(request.calls.len()).err()?;
    let mut response = match way {
        Refusal::Body(code) => return Some(reply(request.refuse(&error(code, "rate limit exceeded")), &[])),
        Refusal::After | Refusal::Bare => (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests").into_response(),
    };
    if way == Refusal::After {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Some(response)
}

/// The answer to a request as the faults leave it, or a refusal of a batch.
pub(super) fn answered(endpoint: &Endpoint, request: &Request<'_>, hits: &[Hit]) -> Vec<u8> {
    let calls = request.calls.len();
    for hit in hits {
        let most = match hit.kind {
            FaultKind::NoBatch if request.batch => 1,
            FaultKind::Batch(most) if calls > most as usize => most,
            _ => continue,
        };
        return refusal(&error(-32600, format!("batch of {calls} calls is too large: at most {most}")));
    }
    let cut = request.batch && hits.iter().any(|hit| hit.kind == FaultKind::CutBatch);
    let mut answer = endpoint.answer(request, if cut { calls.div_ceil(2) } else { calls });
    let half = answer.len() / 2;
    for hit in hits {
        match hit.kind {
            FaultKind::TruncatedJson => answer.truncate(half),
            FaultKind::Interleaved => {
                let other = answer.clone();
                answer.splice(half..half, other);
            }
            _ => {}
        }
    }
    answer
}

/// Waits as the endpoint and its faults do, and gives what comes in the place of an answer, where something does.
async fn spoilt(endpoint: &Endpoint, connection: &Connection, hits: &[Hit]) -> Option<Response> {
    delay(endpoint, hits).await;
    for hit in hits {
        if let Some(response) = instead(endpoint, connection, hit).await {
            return Some(response);
        }
    }
    None
}

async fn rpc(
    State(endpoint): State<Arc<Endpoint>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = entry(&endpoint, &uri, &headers) {
        return refused;
    }
    let request = match Request::read(&body) {
        Ok(request) => request,
        Err(e) => return reply(refusal(&e), &[]),
    };
    if request.is_control() {
        return reply(endpoint.answer(&request, request.calls.len()), &[]);
    }
    endpoint.stats.asked();
    let about = endpoint.about(&request);
    let hits = endpoint.faults.hits(Stage::Http, about.iter().copied());
    if let Some(refused) = over(&endpoint, &request) {
        return refused;
    }
    if let Some(response) = spoilt(&endpoint, &connection, &hits).await {
        return response;
    }
    let answer = answered(&endpoint, &request, &hits);
    endpoint.stats.sent(answer.len());
    let accepts = |v: &HeaderValue| v.to_str().is_ok_and(|v| v.contains("gzip"));
    if endpoint.shared.gzip && headers.get(header::ACCEPT_ENCODING).is_some_and(accepts) {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        if packed.write_all(&answer).is_ok()
            && let Ok(packed) = packed.finish()
        {
            let mut response = reply(packed, &hits);
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return response;
        }
    }
    reply(answer, &hits)
}

/// An answer on its way, as the faults let it through.
fn reply(answer: Vec<u8>, hits: &[Hit]) -> Response {
    let length = answer.len();
    let drip = hits.iter().find_map(|hit| if let FaultKind::Drip(rate) = hit.kind { Some(rate) } else { None });
    let truncated = hits.iter().any(|hit| hit.kind == FaultKind::Truncated);
    let body = delivery::body(answer.into(), truncated, drip);
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json")), (header::CONTENT_LENGTH, length.into())];
    (headers, body).into_response()
}

async fn upgrade(
    State(endpoint): State<Arc<Endpoint>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Some(refused) = entry(&endpoint, &uri, &headers) {
        return refused;
    }
    if !endpoint.websocket() {
        return (StatusCode::METHOD_NOT_ALLOWED, "there is no WebSocket").into_response();
    }
    let hits = endpoint.faults.hits(Stage::Http, std::iter::empty());
    if let Some(response) = spoilt(&endpoint, &connection, &hits).await {
        return response;
    }
    let Ok(permit) = endpoint.sockets.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many WebSockets").into_response();
    };
    upgrade.max_message_size(limits::BODY_BYTES).on_upgrade(move |socket| async move {
        let _permit = permit;
        session::run(&endpoint, socket).await;
    })
}
