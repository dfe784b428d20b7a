//! One connection of an Electrum server.

use super::super::endpoint::Endpoint;
use super::super::faults::{FaultKind, Stage};
use super::methods::{self, Refusal, Session};
use crate::node::socket::Connection;
use schemas::limits::simulator as limits;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

/// How long a reader may take for one line.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// Between two drops of a dripping line.
const DROP: Duration = Duration::from_millis(100);

/// What is written, and how.
struct Line {
    /// Not before.
    at: Instant,
    bytes: Vec<u8>,
    /// Bytes a second; `None`: at once.
    drip: Option<u32>,
    /// What comes behind it.
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
    HalfClosed,
}

/// Runs until either side ends it.
pub(super) async fn run(endpoint: Arc<Endpoint>, stream: TcpStream, connection: Connection) {
    let (mut reader, writer) = stream.into_split();
    let (lines, waiting) = channel(limits::ANSWERS_WAITING);
    let writing = tokio::spawn(write(writer, waiting, connection));
    let mut heads = endpoint.shared.heads.subscribe();
    let shutdown = endpoint.shared.shutdown.clone();
    let mut session = Session::default();
    let (mut chunk, mut unread) = (vec![0; 16 << 10], Vec::new());
    'session: loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = lines.closed() => break,
            head = heads.recv() => match head {
                Ok(_) => {
                    if announce(&endpoint, &mut session, &lines).await.is_none() {
                        break;
                    }
                }
                // The newest head follows.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            read = reader.read(&mut chunk) => {
                let n = match read {
                    Ok(0) | Err(_) => break,
                    Ok(n) => n,
                };
                unread.extend_from_slice(&chunk[..n]);
                while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = unread.drain(..=end).collect();
                    if answer(&endpoint, &mut session, &line, &lines).await.is_none() {
                        break 'session;
                    }
                }
                if unread.len() > limits::BODY_BYTES {
                    break;
                }
            }
        }
    }
    // What is already answered goes out.
    drop(lines);
    let _ = tokio::time::timeout(SEND_DEADLINE, writing).await;
}

/// Answers a line; `None`: the connection is over.
async fn answer(endpoint: &Endpoint, session: &mut Session, line: &[u8], lines: &Sender<Line>) -> Option<()> {
    let request: Value = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(_) => return send(lines, error(&Value::Null, &(-32700, "invalid JSON".into()))).await,
    };
    let calls = match &request {
        Value::Array(calls) => calls.as_slice(),
        one => std::slice::from_ref(one),
    };
    let (mut answers, mut hits) = (Vec::new(), Vec::new());
    for call in calls {
        let (id, method) = (&call["id"], call["method"].as_str().unwrap_or_default());
        let none = Vec::new();
        let params = call["params"].as_array().unwrap_or(&none);
        let result = match method.strip_prefix("sim_") {
            Some(order) => endpoint.order(order, params).map_err(|words| (1, words)),
            None => {
                endpoint.note(method);
                let hit = endpoint.faults.hits(Stage::Call, method);
                let result = methods::answer(endpoint, session, method, params, &hit);
                hits.extend(hit);
                result
            }
        };
        answers.push(match result {
            Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}).to_string(),
            Err(refusal) => error(id, &refusal),
        });
    }
    let text = match &request {
        Value::Array(_) => format!("[{}]", answers.join(",")),
        _ => answers.into_iter().collect(),
    };
    spoilt(endpoint, text, &hits, session.over, lines).await
}

fn error(id: &Value, refusal: &Refusal) -> String {
    json!({"jsonrpc": "2.0", "error": {"code": refusal.0, "message": refusal.1}, "id": id}).to_string()
}

async fn send(lines: &Sender<Line>, text: String) -> Option<()> {
    let bytes = [text.as_bytes(), b"\n"].concat();
    lines.send(Line { at: Instant::now(), bytes, drip: None, end: End::Open }).await.ok()
}

/// Sends an answer as the endpoint and its faults let it through. `over`: the server ends the connection behind it.
async fn spoilt(endpoint: &Endpoint, text: String, hits: &[FaultKind], over: bool, lines: &Sender<Line>) -> Option<()> {
    let end = if over { End::Closed } else { End::Open };
    let mut line = Line { at: Instant::now() + endpoint.delay(), bytes: text.into_bytes(), drip: None, end };
    line.bytes.push(b'\n');
    for hit in hits {
        match hit {
            FaultKind::Silent => return Some(()),
            FaultKind::Slow(time) => line.at += *time,
            FaultKind::Closed => (line.bytes, line.end) = (Vec::new(), End::Closed),
            FaultKind::HalfClosed => (line.bytes, line.end) = (Vec::new(), End::HalfClosed),
            FaultKind::Truncated => {
                line.bytes.truncate(line.bytes.len() / 2);
                line.end = End::Closed;
            }
            FaultKind::Drip(rate) => line.drip = Some(*rate),
            FaultKind::Garbage => line.bytes = b"<html>Bad Gateway</html>\n".to_vec(),
            FaultKind::LongLine => line.bytes = vec![b' '; limits::LONG_LINE_BYTES],
            FaultKind::Excessive => line.end = End::Closed,
            _ => {}
        }
    }
    lines.send(line).await.ok()
}

/// Tells of the head, where it was asked for and is another than it was.
async fn announce(endpoint: &Endpoint, session: &mut Session, lines: &Sender<Line>) -> Option<()> {
    let (height, (header, hash)) = endpoint.tip();
    if session.told.is_none_or(|told| told == hash) || endpoint.faults.is(FaultKind::Mute) {
        return Some(());
    }
    session.told = Some(hash);
    let told = json!([{"hex": const_hex::encode(header), "height": height + endpoint.shift()}]);
    let text = json!({"jsonrpc": "2.0", "method": "blockchain.headers.subscribe", "params": told}).to_string();
    let times = endpoint.faults.state(|kind, _| match kind {
        FaultKind::Flood(times) => Some(times),
        _ => None,
    });
    let at = Instant::now() + endpoint.delay();
    for _ in 0..times.unwrap_or(1) {
        let bytes = [text.as_bytes(), b"\n"].concat();
        lines.send(Line { at, bytes, drip: None, end: End::Open }).await.ok()?;
    }
    Some(())
}

/// Writes lines in their order until there is none to come.
async fn write(mut writer: OwnedWriteHalf, mut waiting: Receiver<Line>, connection: Connection) {
    while let Some(line) = waiting.recv().await {
        tokio::time::sleep_until(line.at).await;
        let written = async {
            let Some(rate) = line.drip else { return writer.write_all(&line.bytes).await };
            for drop in line.bytes.chunks((rate as usize / 10).max(1)) {
                writer.write_all(drop).await?;
                tokio::time::sleep(DROP).await;
            }
            Ok(())
        };
        if line.drip.is_some() {
            // It takes as long as it takes.
            if written.await.is_err() {
                break;
            }
        } else if !matches!(tokio::time::timeout(SEND_DEADLINE, written).await, Ok(Ok(()))) {
            break;
        }
        match line.end {
            End::Open => {}
            End::Closed => break,
            End::HalfClosed => connection.half_close(),
        }
    }
    connection.close();
}
