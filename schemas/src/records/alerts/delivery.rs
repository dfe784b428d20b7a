//! `alerts.deliveries`, keyed by tenant: every attempt to send a message, and what became of it, kept 30 days. Written by the group
//! `alerts.deliver`.

use crate::primitives::{TimeMs, word_enum};

word_enum! {
    /// What became of a message.
    DeliveryState, "state of a delivery", "queued, sent, failed or replaced" {
        /// It waits for its next attempt.
        Queued = "queued",
        /// The receiver took it.
        Sent = "sent",
        /// It will not be tried again by itself.
        Failed = "failed",
        /// A later message of the same alert went in its place.
        Replaced = "replaced",
    }
}

/// A record of `alerts.deliveries`: an attempt, or the end of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertDelivery {
    /// Whose.
    pub tenant: String,
    /// The message's id, [`AlertOutbox::id`](super::AlertOutbox::id).
    pub id: String,
    /// The alert, where it is of one.
    pub alert_id: Option<String>,
    /// The channel.
    pub channel_id: String,
    /// `webhook`, `slack`, `discord`, `email`, `script` …
    pub channel_type: String,
    /// The message's type.
    pub kind: String,
    /// What became of it.
    pub state: DeliveryState,
    /// When.
    pub at: TimeMs,
    /// Which attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// The receiver's HTTP or SMTP status; a script's exit code.
    pub status: Option<u16>,
    /// How long the attempt took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// What went wrong, without secrets.
    pub error: Option<String>,
    /// When it is tried again.
    pub next_attempt_at: Option<TimeMs>,
    /// The receiver's id of the message, by which it can be changed.
    pub thread: Option<String>,
}
