//! `alerts.commands`, keyed by tenant: what people ask of alerts, kept 7 days. Written by the API once it has judged who may.

use crate::primitives::TimeMs;

/// A record of `alerts.commands`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertCommand {
    /// Whose.
    pub tenant: String,
    /// The command's own id, a ULID: a command that is read twice is done once.
    pub id: String,
    /// When it was given.
    pub at: TimeMs,
    /// Who gave it.
    pub by: String,
    /// What is wanted.
    pub what: Command,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take an alert on. One that is over, or not there, is left as it is.
    Acknowledge {
        /// The alert.
        alert_id: String,
        /// What the person says.
        note: Option<String>,
    },
    /// Send a test message.
    TestChannel {
        /// The channel.
        channel_id: String,
        /// Id of the message.
        delivery_id: String,
    },
    /// Send a message once more, under its id.
    ReplayDelivery {
        /// The message.
        delivery_id: String,
    },
    /// Send all messages of a channel once more that came about since then, under their ids.
    ReplayChannel {
        /// The channel.
        channel_id: String,
        /// Since when.
        since: TimeMs,
    },
}

impl Command {
    /// The word for it on the wire.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Acknowledge { .. } => "acknowledge",
            Self::TestChannel { .. } => "test_channel",
            Self::ReplayDelivery { .. } => "replay_delivery",
            Self::ReplayChannel { .. } => "replay_channel",
        }
    }
}
