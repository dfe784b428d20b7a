//! What goes to one client.
//!
//! Guarantee: a client that takes nothing for the write deadline is given up; nothing is queued here besides what the socket's
//! own buffer holds.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, close_code};
use futures::{SinkExt, stream::SplitSink};
use tokio::time::Instant;

use super::end::End;
use crate::metrics;

/// Frames written before it is seen to that they are on their way.
const BATCH: usize = 64;

/// The sending half of a connection.
pub struct Outgoing {
    sink: SplitSink<WebSocket, Message>,
    deadline: Duration,
}

impl Outgoing {
    /// Over this socket. `deadline`: how long the client may take nothing.
    pub fn new(sink: SplitSink<WebSocket, Message>, deadline: Duration) -> Self {
        Self { sink, deadline }
    }

    /// Hands all frames to the socket.
    pub async fn send(&mut self, frames: Vec<Message>) -> Result<(), End> {
        for frames in frames.chunks(BATCH) {
            let before = Instant::now() + self.deadline;
            if self.hand_over(frames, before).await? < frames.len() {
                return Err(too_slow());
            }
        }
        Ok(())
    }

    /// Hands over what the socket takes until `before`, and says how many frames that was.
    pub async fn send_before(&mut self, frames: &[Message], before: Instant) -> Result<usize, End> {
        let mut taken = 0;
        for frames in frames.chunks(BATCH) {
            let some = self.hand_over(frames, before).await?;
            taken += some;
            if some < frames.len() || Instant::now() >= before {
                break;
            }
        }
        Ok(taken)
    }

    /// Waits until the client has taken what was handed over, as far as the socket's own buffer goes.
    pub async fn drain(&mut self) -> Result<(), End> {
        match tokio::time::timeout(self.deadline, self.sink.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(too_slow()),
        }
    }

    /// The last word.
    pub async fn close(&mut self, end: End) {
        end.say(&mut self.sink).await;
    }

    async fn hand_over(&mut self, frames: &[Message], before: Instant) -> Result<usize, End> {
        let mut taken = 0;
        let feeding = async {
            for frame in frames {
                self.sink.feed(frame.clone()).await?;
                taken += 1;
            }
            self.sink.flush().await
        };
        let fed = tokio::time::timeout_at(before, feeding).await;
        metrics::ws_frames(taken as u64);
        match fed {
            Ok(Err(_)) => Err(End::Gone),
            Ok(Ok(())) | Err(_) => Ok(taken),
        }
    }
}

fn too_slow() -> End {
    End::Close(close_code::AGAIN, "too slow: nothing was read in time")
}
