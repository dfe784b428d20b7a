//! HTTP and WebSocket on one port: `POST` is JSON-RPC, `GET` with an upgrade is the same over a WebSocket, with
//! `eth_subscribe` for `newHeads`.
//!
//! Guarantee: bodies, frames, batches, connections and subscriptions are limited; a WebSocket that cannot keep up with the
//! heads is closed, never silently skipped.

use super::Shared;
use super::faults::{FaultKind, Hit, Stage};
use super::recorded::Form;
use super::rpc::{Call, Request, refusal, write_result};
use super::{HeadEvent, chain::Sealed};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt as _;
use schemas::limits::simulator as limits;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// From the first half of a truncated answer to the end of its connection.
const CUT_AFTER: Duration = Duration::from_millis(20);
/// How long a reader may take for one frame.
const SEND_DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let routes = post(rpc).merge(get(upgrade));
    let app = Router::new()
        .route("/", routes.clone())
        .route("/{*path}", routes)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES))
        .with_state(shared);
    let listener = listener.tap_io(|stream| {
        // Small answers must not wait for the one before to be acknowledged; without this option they merely are slower.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn status(hit: &Hit) -> Option<Response> {
    let FaultKind::Http { status, retry_after } = hit.kind else { return None };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, "simulated fault").into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Some(response)
}

async fn delay(hits: &[Hit]) {
    for hit in hits {
        if let FaultKind::Slow(by) = hit.kind {
            tokio::time::sleep(by).await;
        }
    }
}

async fn rpc(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match Request::read(&body) {
        Ok(request) => request,
        Err(e) => return reply(refusal(&e), None),
    };
    let hits = if request.is_control() { Vec::new() } else { shared.faults.hits(Stage::Http, request.methods()) };
    delay(&hits).await;
    if let Some(response) = hits.iter().find_map(status) {
        return response;
    }
    let answer = shared.answer(&request);
    shared.stats.sent(answer.len());
    let truncated = hits.iter().any(|hit| hit.kind == FaultKind::Truncated);
    let accepts = |v: &HeaderValue| v.to_str().is_ok_and(|v| v.contains("gzip"));
    if shared.gzip && headers.get(header::ACCEPT_ENCODING).is_some_and(accepts) {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        if packed.write_all(&answer).is_ok()
            && let Ok(packed) = packed.finish()
        {
            let mut response = reply(packed, truncated.then_some(()));
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return response;
        }
    }
    reply(answer, truncated.then_some(()))
}

fn reply(answer: Vec<u8>, truncated: Option<()>) -> Response {
    let length = answer.len();
    let body = match truncated {
        None => Body::from(answer),
        Some(()) => {
            let half = Bytes::from(answer).slice(..length / 2);
            let cut = async {
                // So that the first half is on its way before the connection ends.
                tokio::time::sleep(CUT_AFTER).await;
                Err(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "simulated fault"))
            };
            Body::from_stream(futures::stream::iter([Ok(half)]).chain(futures::stream::once(cut)))
        }
    };
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json")), (header::CONTENT_LENGTH, length.into())];
    (headers, body).into_response()
}

async fn upgrade(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    let hits = shared.faults.hits(Stage::Http, std::iter::empty());
    delay(&hits).await;
    if let Some(response) = hits.iter().find_map(status) {
        return response;
    }
    let Ok(permit) = shared.sockets.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many WebSockets").into_response();
    };
    upgrade.max_message_size(limits::BODY_BYTES).on_upgrade(move |socket| async move {
        let _permit = permit;
        session(&shared, socket).await;
    })
}

pub(crate) fn socket_permits() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(limits::SOCKETS))
}

/// One WebSocket, until either side ends it.
async fn session(shared: &Shared, mut socket: WebSocket) {
    let mut heads = shared.heads.subscribe();
    let mut drops = shared.drops.subscribe();
    let mut subscriptions: Vec<u64> = Vec::new();
    let mut next = 1;
    loop {
        let frames = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            _ = drops.changed() => return,
            head = heads.recv() => match head {
                Ok(head) => {
                    let hits = shared.faults.hits(Stage::Notify, std::iter::empty());
                    if !hits.is_empty() && !subscriptions.is_empty() {
                        return;
                    }
                    subscriptions.iter().map(|id| notification(shared, &head, *id)).collect()
                }
                Err(RecvError::Lagged(_) | RecvError::Closed) => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => answer(shared, text.as_bytes(), &mut subscriptions, &mut next).await,
                Some(Ok(Message::Binary(bytes))) => answer(shared, &bytes, &mut subscriptions, &mut next).await,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        };
        for frame in frames {
            shared.stats.sent(frame.len());
            let Ok(text) = Utf8Bytes::try_from(Bytes::from(frame)) else { return };
            match tokio::time::timeout(SEND_DEADLINE, socket.send(Message::Text(text))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

async fn answer(shared: &Shared, body: &[u8], subscriptions: &mut Vec<u64>, next: &mut u64) -> Vec<Vec<u8>> {
    let request = match Request::read(body) {
        Ok(request) => request,
        Err(e) => return vec![refusal(&e)],
    };
    if let [Some(call)] = request.calls.as_slice()
        && !request.batch
        && let Some(answer) = subscription(call, subscriptions, next)
    {
        shared.stats.called(&call.method);
        return vec![answer];
    }
    let hits = if request.is_control() { Vec::new() } else { shared.faults.hits(Stage::Http, request.methods()) };
    delay(&hits).await;
    let mut answer = shared.answer(&request);
    if hits.iter().any(|hit| hit.kind == FaultKind::Truncated) {
        answer.truncate(answer.len() / 2);
    }
    vec![answer]
}

/// `eth_subscribe` and `eth_unsubscribe`, which only a WebSocket has.
fn subscription(call: &Call<'_>, subscriptions: &mut Vec<u64>, next: &mut u64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let which = || call.params().ok().and_then(|p| p.first().and_then(|v| v.as_str().map(str::to_owned)));
    match call.method.as_ref() {
        "eth_subscribe" => {
            if which().as_deref() != Some("newHeads") {
                return Some(call.refuse(-32602, "only newHeads can be subscribed to"));
            }
            if subscriptions.len() >= limits::SUBSCRIPTIONS {
                return Some(call.refuse(-32005, "too many subscriptions"));
            }
            subscriptions.push(*next);
            write_result(call.id, format!("\"{next:#x}\"").as_bytes(), &mut out);
            *next += 1;
        }
        "eth_unsubscribe" => {
            let id = which().and_then(|id| super::recorded::quantity(&id));
            let before = subscriptions.len();
            subscriptions.retain(|known| Some(*known) != id);
            let gone: &[u8] = if subscriptions.len() < before { b"true" } else { b"false" };
            write_result(call.id, gone, &mut out);
        }
        _ => return None,
    }
    Some(out)
}

fn notification(shared: &Shared, head: &HeadEvent, subscription: u64) -> Vec<u8> {
    let block: &Sealed = &head.block;
    let mut out = Vec::with_capacity(2048);
    let id = format!("{subscription:#x}");
    // Writing into memory cannot fail.
    let _ = write!(out, r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{id}","result":"#);
    shared.data.blocks()[block.recorded].write(Form::Head, &block.fill(&[]), &mut out);
    out.extend_from_slice(b"}}");
    out
}
