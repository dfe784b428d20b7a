//! The way back: the worker's thread writes parts, the connection reads them as a response.
//!
//! Guarantee: a result that fails half-way ends with ClickHouse's exception block and a clean end of the body, so that the
//! client reads why; a worker that vanishes without an end breaks the connection, so that no client takes a torso for a
//! result. A client that does not read is waited for a bounded time, and holds at most a few chunks.

use super::error::Failure;
use super::ticket::{CancelOnDrop, Ticket};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use hyper::{Response, StatusCode};
use schemas::limits::store as limits;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

/// Headers, in the order to send them.
pub(super) type Headers = Vec<(&'static str, String)>;

pub(super) enum Part {
    Head(StatusCode, Headers),
    Data(Bytes),
    End,
}

/// The client is gone, or does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// The worker's end.
pub(super) struct Output {
    sender: mpsc::Sender<Part>,
    ticket: Ticket,
    runtime: Handle,
}

/// Chunks that may wait for the client.
const DEPTH: usize = 3;

/// Both ends.
pub(super) fn channel(runtime: Handle, ticket: Ticket) -> (Output, mpsc::Receiver<Part>) {
    let (sender, receiver) = mpsc::channel(DEPTH);
    (Output { sender, ticket, runtime }, receiver)
}

impl Output {
    /// Hands a part over; waits for the client to read, for a moment only when the statement is to end. Only on a blocking thread.
    pub fn send(&self, part: Part) -> Result<(), Gone> {
        let enough = async {
            tokio::select! {
                () = tokio::time::sleep(limits::IDLE_TIME) => {}
                () = async {
                    self.ticket.cancelled().await;
                    tokio::time::sleep(limits::LAST_WORDS_TIME).await;
                } => {}
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                sent = self.sender.send(part) => sent.map_err(|_| Gone),
                () = enough => Err(Gone),
            }
        })
    }
}

/// The response's body. Dropped before its end, it ends the statement.
pub(super) struct ReplyBody {
    parts: mpsc::Receiver<Part>,
    ended: bool,
    _ends: (CancelOnDrop, DropGuard),
}

impl ReplyBody {
    /// `gone` tells when the body is: all is sent, or the client left.
    pub fn new(parts: mpsc::Receiver<Part>, ticket: CancelOnDrop, gone: DropGuard) -> Self {
        Self { parts, ended: false, _ends: (ticket, gone) }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.parts.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Part::Data(data))) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Poll::Ready(Some(Part::End | Part::Head(..))) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(Some(Err(io::Error::other("the statement ended without a result"))))
            }
        }
    }
}

/// A body of either kind.
pub(super) type AnyBody = http_body_util::Either<http_body_util::Full<Bytes>, ReplyBody>;

/// A short answer.
pub(super) fn short(status: StatusCode, headers: Headers, text: impl Into<Bytes>) -> Response<AnyBody> {
    with_head(status, headers, http_body_util::Either::Left(http_body_util::Full::new(text.into())))
}

/// A refusal, as ClickHouse words it.
pub(super) fn refusal(failure: &Failure) -> Response<AnyBody> {
    let mut headers: Headers = failure_headers(failure);
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.push(("www-authenticate", "Basic realm=\"ClickHouse server HTTP API\"".to_owned()));
    }
    short(failure.status, headers, format!("{}\n", failure.message))
}

/// The headers of a failure.
pub(super) fn failure_headers(failure: &Failure) -> Headers {
    vec![
        ("content-type", "text/plain; charset=UTF-8".to_owned()),
        ("x-clickhouse-exception-code", failure.code.to_string()),
    ]
}

/// A response with our headers; those that are no valid header text are left out.
pub(super) fn with_head(status: StatusCode, headers: Headers, body: AnyBody) -> Response<AnyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What a client finds at the end of a body that failed half-way: the tag was announced in a header, so that no data can
/// imitate it. As ClickHouse writes it since 25.11.
pub(super) fn exception_block(tag: &str, failure: &Failure) -> Bytes {
    let message = format!("{}\n", failure.message.trim_end());
    format!("\r\n__exception__\r\n{tag}\r\n{message}{} {tag}\r\n__exception__\r\n", message.len()).into()
}
