//! How a connection ends, and with which code (RFC 6455, section 7.4.1).

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures::{SinkExt, stream::SplitSink};

/// How long saying goodbye may take. The client may not read; nobody waits for it.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why the connection ends.
pub enum End {
    /// The client went, or the socket failed.
    Gone,
    /// The client closes it; the answer, which echoes its code, is still to be sent.
    Closed,
    /// We close it, and say why.
    Close(u16, &'static str),
}

impl End {
    /// What a failure to read means: a frame that RFC 6455 forbids is answered with the code that says so.
    pub fn of_read(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Capacity(_)) => Self::Close(close_code::SIZE, "the frame is too large"),
            Some(tungstenite::Error::Utf8(_)) => Self::Close(close_code::INVALID, "the text is no UTF-8"),
            Some(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                Self::Gone
            }
            Some(tungstenite::Error::Protocol(_)) => Self::Close(close_code::PROTOCOL, "RFC 6455 forbids this frame"),
            _ => Self::Gone,
        }
    }

    /// Sends the close frame, waits until it is on its way, or gives up after a second.
    pub async fn say(self, sink: &mut SplitSink<WebSocket, Message>) {
        let goodbye = async {
            match self {
                Self::Gone => return,
                Self::Closed => {}
                Self::Close(code, reason) => {
                    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
                    // A failure means that the client is gone, which closing finds out too.
                    drop(sink.feed(Message::Close(Some(frame))).await);
                }
            }
            drop(sink.close().await);
        };
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
    }
}
