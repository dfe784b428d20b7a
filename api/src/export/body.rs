//! The body of an answer that is made while it is sent.
//!
//! Guarantee: it ends only when it is whole. Whatever else becomes of who makes it is an error of the body, for which the connection is
//! closed before its end (RFC 9112, section 8: a message without its last chunk is incomplete).

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use tokio::sync::mpsc;

/// Pieces that wait for the client.
const PIECES: usize = 2;

enum Piece {
    Bytes(Bytes),
    /// That was all.
    Whole,
}

/// Where the pieces go in.
pub struct Outlet(mpsc::Sender<Piece>);

/// A body, and where its pieces go in.
pub fn body() -> (Outlet, Body) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let pieces = stream::try_unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Some(Piece::Bytes(bytes)) => Ok(Some((bytes, receiver))),
            Some(Piece::Whole) => Ok(None),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut off")),
        }
    });
    (Outlet(sender), Body::from_stream(pieces))
}

impl Outlet {
    /// Waits until there is room. `false`: nobody reads any more.
    pub async fn send(&self, bytes: Bytes) -> bool {
        bytes.is_empty() || self.0.send(Piece::Bytes(bytes)).await.is_ok()
    }

    /// Says that this was all.
    pub async fn whole(&self) {
        // Who has gone does not miss it.
        drop(self.0.send(Piece::Whole).await);
    }

    /// Until nobody reads any more.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        let sender = self.0.clone().downgrade();
        async move {
            if let Some(sender) = sender.upgrade() {
                sender.closed().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn only_what_is_whole_has_an_end() {
        let (outlet, body) = body();
        let made = async {
            assert!(outlet.send(Bytes::from_static(b"one,")).await && outlet.send(Bytes::from_static(b"two")).await);
            outlet.whole().await;
        };
        let (_, read) = tokio::join!(made, to_bytes(body, 1_000));
        assert_eq!(read.expect("whole"), Bytes::from_static(b"one,two"));

        let (outlet, body) = super::body();
        assert!(outlet.send(Bytes::from_static(b"one,")).await);
        drop(outlet);
        assert!(to_bytes(body, 1_000).await.is_err(), "cut off");

        let (outlet, body) = super::body();
        drop(body);
        outlet.gone().await;
        assert!(!outlet.send(Bytes::from_static(b"one,")).await);
    }
}
