//! The way in: frames of the request's body, read by the worker's thread as bytes.
//!
//! Guarantee: a body that breaks off is an error and never an end, so that no half insert is taken for a whole one.

use super::error::{Code, Failure};
use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use schemas::limits::store as limits;
use std::io::{self, Read};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What the pump hands over; the end of the channel without `End` is a body that broke off.
pub(super) enum Piece {
    Data(Bytes),
    End,
}

const DEPTH: usize = 4;

/// Moves frames from the connection to the worker until the body ends, breaks off, falls silent, or nobody reads it.
pub(super) async fn pump(mut body: Incoming, pieces: mpsc::Sender<Piece>) {
    loop {
        let piece = match tokio::time::timeout(limits::IDLE_TIME, body.frame()).await {
            Ok(None) => Piece::End,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Piece::Data(data),
                Err(_trailers) => continue,
            },
            Ok(Some(Err(_))) | Err(_) => return,
        };
        let end = matches!(piece, Piece::End);
        if pieces.send(piece).await.is_err() {
            return drain(body).await;
        }
        if end {
            return;
        }
    }
}

/// A short body, whole. Bounded in size and time.
pub(super) async fn short(body: Incoming) -> Result<Bytes, Failure> {
    let read = Limited::new(body, limits::ANALYST_BODY_BYTES).collect();
    match tokio::time::timeout(limits::ANALYST_BODY_TIME, read).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let most = limits::ANALYST_BODY_BYTES;
            Err(Code::TooLarge.failure(format!("an analyst's request has a body of at most {most} bytes")))
        }
        Ok(Err(error)) => Err(Code::CannotRead.failure(format!("the body broke off: {error}"))),
        Err(_) => {
            let seconds = limits::ANALYST_BODY_TIME.as_secs();
            Err(Code::Timeout.failure(format!("the body did not come within {seconds} s")))
        }
    }
}

/// Hands over a body that is here already.
pub(super) async fn whole(body: Bytes, pieces: mpsc::Sender<Piece>) {
    // An error means that the worker has read enough.
    let _ = pieces.send(Piece::Data(body)).await;
    let _ = pieces.send(Piece::End).await;
}

/// Reads on for a moment after the worker has stopped, so that the client gets to read the answer instead of a reset.
async fn drain(mut body: Incoming) {
    let mut left = 64usize << 20;
    let drained = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), drained).await;
}

/// The worker's end.
pub(super) struct BodyReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
    runtime: Handle,
}

/// Both ends.
pub(super) fn channel(runtime: Handle) -> (mpsc::Sender<Piece>, BodyReader) {
    let (sender, pieces) = mpsc::channel(DEPTH);
    (sender, BodyReader { pieces, current: Bytes::new(), ended: false, runtime })
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            if self.ended || out.is_empty() {
                return Ok(0);
            }
            match self.runtime.block_on(self.pieces.recv()) {
                Some(Piece::Data(data)) => self.current = data,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body broke off")),
            }
        }
        let n = out.len().min(self.current.len());
        self.current.copy_to_slice(&mut out[..n]);
        Ok(n)
    }
}
