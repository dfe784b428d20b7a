//! One WebSocket of an endpoint: JSON-RPC, and `eth_subscribe` for `newHeads`.
//!
//! Guarantee: frames and subscriptions are limited; a socket that cannot keep up with the heads is closed, never silently skipped;
//! a head is announced as this endpoint shows it, lies included, and not at all while it stays behind.

use super::endpoint::Endpoint;
use super::faults::{FaultKind, Stage};
use super::recorded::{Form, quantity};
use super::rpc::{Call, Request, error, refusal, write_result};
use super::server::{answered, delay};
use super::{HeadEvent, chain::Sealed};
use axum::body::Bytes;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use schemas::limits::simulator as limits;
use std::io::Write as _;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How long a reader may take for one frame.
const SEND_DEADLINE: Duration = Duration::from_secs(30);

/// Runs until either side ends it.
pub(crate) async fn run(endpoint: &Endpoint, mut socket: WebSocket) {
    let mut heads = endpoint.shared.heads.subscribe();
    let mut drops = endpoint.drops.subscribe();
    let mut subscriptions: Vec<u64> = Vec::new();
    let mut next = 1;
    loop {
        let frames = tokio::select! {
            () = endpoint.shared.shutdown.cancelled() => return,
            _ = drops.changed() => return,
            head = heads.recv() => match head {
                Ok(head) => match announced(endpoint, &head, &subscriptions).await {
                    Some(frames) => frames,
                    None => return,
                },
                Err(RecvError::Lagged(_) | RecvError::Closed) => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => answer(endpoint, text.as_bytes(), &mut subscriptions, &mut next).await,
                Some(Ok(Message::Binary(bytes))) => answer(endpoint, &bytes, &mut subscriptions, &mut next).await,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        };
        for frame in frames {
            endpoint.stats.sent(frame.len());
            let Ok(text) = Utf8Bytes::try_from(Bytes::from(frame)) else { return };
            match tokio::time::timeout(SEND_DEADLINE, socket.send(Message::Text(text))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

/// The notifications of a head; `None` where the socket ends in their place.
async fn announced(endpoint: &Endpoint, head: &HeadEvent, subscriptions: &[u64]) -> Option<Vec<Vec<u8>>> {
    if subscriptions.is_empty() {
        return Some(Vec::new());
    }
    if !endpoint.faults.hits(Stage::Notify, std::iter::empty()).is_empty() {
        return None;
    }
    if endpoint.faults.stuck(head.block.height).is_some_and(|limit| head.block.height > limit) {
        return Some(Vec::new());
    }
    // Counted from the head, so that heads in a row do not add up.
    tokio::time::sleep(endpoint.delay().saturating_sub(head.at.elapsed())).await;
    let block = endpoint.told(head.block);
    Some(subscriptions.iter().map(|id| notification(endpoint, &block, *id)).collect())
}

async fn answer(endpoint: &Endpoint, body: &[u8], subscriptions: &mut Vec<u64>, next: &mut u64) -> Vec<Vec<u8>> {
    let request = match Request::read(body) {
        Ok(request) => request,
        Err(e) => return vec![refusal(&e)],
    };
    if request.is_control() {
        return vec![endpoint.answer(&request, request.calls.len())];
    }
    endpoint.stats.asked();
    if let [Some(call)] = request.calls.as_slice()
        && !request.batch
        && let Some(answer) = subscription(call, subscriptions, next)
    {
        endpoint.stats.called(&call.method);
        return vec![answer];
    }
    if endpoint.admit(request.calls.len()).is_err() {
        return vec![request.refuse(&error(-32_005, "rate limit exceeded"))];
    }
    let about = endpoint.about(&request);
    let hits = endpoint.faults.hits(Stage::Http, about.iter().copied());
    delay(endpoint, &hits).await;
    if hits.iter().any(|hit| matches!(hit.kind, FaultKind::Silent | FaultKind::HalfClosed)) {
        return Vec::new();
    }
    let mut answer = answered(endpoint, &request, &hits);
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
            let id = which().and_then(|id| quantity(&id));
            let before = subscriptions.len();
            subscriptions.retain(|known| Some(*known) != id);
            let gone: &[u8] = if subscriptions.len() < before { b"true" } else { b"false" };
            write_result(call.id, gone, &mut out);
        }
        _ => return None,
    }
    Some(out)
}

fn notification(endpoint: &Endpoint, block: &Sealed, subscription: u64) -> Vec<u8> {
    endpoint.stats.notified();
    let mut out = Vec::with_capacity(2048);
    let id = format!("{subscription:#x}");
    // Writing into memory cannot fail.
    let _ = write!(out, r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{id}","result":"#);
    endpoint.shared.data.blocks()[block.recorded].write(Form::Head, &block.fill(&[]), &mut out);
    out.extend_from_slice(b"}}");
    out
}
