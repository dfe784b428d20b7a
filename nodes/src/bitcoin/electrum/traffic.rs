//! What goes in and out over one connection, until it ends.
//!
//! Guarantee: reading and writing go on beside each other; what is read is bounded, in bytes of a line and in messages that nobody waits
//! for; a connection that says nothing for the whole of a ping's time has ended.

use std::{sync::Arc, time::Duration};

use schemas::limits::bitcoin as limits;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    lines::{LineError, Lines},
    message::{self, Message, Refusal},
    notice::Notice,
    refusal::Trouble,
    session::{Answered, Failure, Registered, Shared},
};
use crate::error::NodeErrorKind;

/// A request that cannot be written in this time ends the connection.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Over how long what nobody asked for is counted.
const FLOOD_OVER: Duration = Duration::from_secs(10);

/// Counts what nobody asked for.
struct Flood {
    since: Instant,
    seen: u32,
    bytes: usize,
}

impl Flood {
    /// One more of so many bytes; true when that is too many.
    fn more(&mut self, bytes: usize) -> bool {
        let now = Instant::now();
        if now - self.since > FLOOD_OVER {
            *self = Self { since: now, seen: 0, bytes: 0 };
        }
        self.seen += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.seen > limits::ELECTRUM_NOTICES || self.bytes > limits::ELECTRUM_NOTICE_BYTES
    }
}

/// Reads until it ends; gives why.
pub(super) async fn reading<S: AsyncRead>(
    read: ReadHalf<S>,
    shared: &Shared,
    notices: Option<mpsc::Sender<Notice>>,
) -> NodeErrorKind {
    let mut lines = Lines::new(read, limits::ELECTRUM_LINE_BYTES);
    let mut flood = Flood { since: Instant::now(), seen: 0, bytes: 0 };
    loop {
        let line = match lines.next().await {
            Ok(line) => line,
            Err(LineError::TooLong(most)) => return NodeErrorKind::TooLarge(most),
            Err(e) => return NodeErrorKind::Unreachable(e.to_string()),
        };
        let bytes = line.len() + 1;
        let messages = match message::read(line) {
            Ok(messages) => messages,
            Err(why) => return NodeErrorKind::Malformed(format!("a line that is no message: {why}")),
        };
        shared.heard();
        let each = bytes / messages.len().max(1);
        for message in messages {
            let asked = match message {
                Message::Answer(id, outcome) => shared.answer(id, outcome, bytes),
                Message::Complaint(refusal) => return complaint(refusal),
                Message::Notice(method, params) => {
                    if let (Some(notices), Some(notice)) = (&notices, Notice::read(&method, params, bytes)) {
                        let _ = notices.send(notice).await;
                    }
                    false
                }
            };
            if !asked && flood.more(each) {
                return NodeErrorKind::Malformed(format!(
                    "it sent more than {} messages or {} MiB in {} s that were no answers",
                    limits::ELECTRUM_NOTICES,
                    limits::ELECTRUM_NOTICE_BYTES >> 20,
                    FLOOD_OVER.as_secs()
                ));
            }
        }
    }
}

/// What an error means that belongs to no request: the server is about to close.
fn complaint(refusal: Refusal) -> NodeErrorKind {
    match Trouble::of(&refusal) {
        trouble @ (Trouble::Excessive | Trouble::Busy | Trouble::Syncing) => trouble.kind(refusal.code, refusal.text),
        _ => NodeErrorKind::Unreachable(format!("the server said: {} ({})", refusal.text, refusal.code)),
    }
}

/// A ping that is waited for.
struct Ping {
    _registered: Registered,
    answer: oneshot::Receiver<Result<Answered, Failure>>,
    sent: Instant,
}

/// When the answer to a ping has come; never without one.
async fn answered(ping: &mut Option<Ping>) {
    match ping {
        Some(ping) => drop((&mut ping.answer).await),
        None => std::future::pending().await,
    }
}

/// Writes what is asked, and pings, until it ends; gives why.
pub(super) async fn writing<S: AsyncWrite>(
    mut write: WriteHalf<S>,
    shared: &Arc<Shared>,
    mut requests: mpsc::Receiver<String>,
    ping_every: Duration,
    ping_within: Duration,
) -> NodeErrorKind {
    let mut ping: Option<Ping> = None;
    let mut ping_at = Instant::now() + ping_every;
    loop {
        let due = ping.as_ref().map_or(ping_at, |ping| ping.sent + ping_within);
        let line = tokio::select! {
            line = requests.recv() => match line {
                Some(line) => line,
                None => return NodeErrorKind::Unreachable("the connection was given up".into()),
            },
            () = answered(&mut ping) => {
                ping = None;
                continue;
            }
            () = sleep_until(due) => match ping.take() {
                // Whatever it answers, it lives.
                Some(ping) if shared.silent_since(ping.sent) => return NodeErrorKind::Timeout(ping_within),
                Some(_) => continue,
                None => {
                    ping_at = Instant::now() + ping_every;
                    let Ok((registered, answer)) = shared.register() else {
                        return NodeErrorKind::Unreachable("the connection ended".into());
                    };
                    let line = message::request(registered.id, "server.ping", "[]");
                    ping = Some(Ping { _registered: registered, answer, sent: Instant::now() });
                    line
                }
            },
        };
        let sending = async {
            write.write_all(line.as_bytes()).await?;
            write.flush().await
        };
        match timeout_at(Instant::now() + WRITE_WITHIN, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return NodeErrorKind::Unreachable(format!("the connection broke: {e}")),
            Err(_) => return NodeErrorKind::Timeout(WRITE_WITHIN),
        }
    }
}
