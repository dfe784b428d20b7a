//! `alerts.outbox`, compacted, keyed `tenant/id`: what is still to be sent, with its next attempt, and what was sent or given up in the last
//! days, so that it can be sent again. A tombstone says that it is forgotten. Written by the group `alerts.state`, and by `alerts.deliver`
//! when it has tried.

use crate::primitives::TimeMs;

/// A record of `alerts.outbox`: one message to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertOutbox {
    /// Whose.
    pub tenant: String,
    /// A ULID, the message's `webhook-id`: it follows from the alert, the transition and the channel, so that it is the same after a replay.
    pub id: String,
    /// The alert; `None` for a test, a summary and `alerts.settled`.
    pub alert_id: Option<String>,
    /// The channel.
    pub channel_id: String,
    /// Its type: `alert.firing`, `alert.amended`, `alert.acknowledged`, `alert.repeated`, `alert.resolved`, `alert.retracted`,
    /// `alert.included_again`, `channel.test`, `channel.summary`, `alerts.settled`.
    pub kind: String,
    /// When it came about: the message's `timestamp`.
    pub created_at: TimeMs,
    /// When it is to be tried.
    pub next_attempt_at: TimeMs,
    /// Attempts so far.
    pub attempts: u32,
    /// Counts the transitions of this alert: a later one replaces an earlier one that is not delivered.
    pub order: u64,
    /// JSON: `data.alert`, or what the summary says.
    pub body: String,
    /// When it was sent or given up; `None` while it waits. Told by `alerts.deliver` only.
    pub done_at: Option<TimeMs>,
    /// The receiver's id of the message by which the alert's messages belong together. Told by `alerts.deliver` only.
    pub thread: Option<String>,
}

impl AlertOutbox {
    /// A message of a kind to a channel that came about at a time: about no alert, without a word and an id yet, and not tried.
    pub fn new(tenant: &str, channel: &str, kind: &str, at: TimeMs) -> Self {
        Self {
            tenant: tenant.to_owned(),
            id: String::new(),
            alert_id: None,
            channel_id: channel.to_owned(),
            kind: kind.to_owned(),
            created_at: at,
            next_attempt_at: at,
            attempts: 0,
            order: 0,
            body: "null".to_owned(),
            done_at: None,
            thread: None,
        }
    }

    /// The key of a message.
    pub fn key_of(tenant: &str, id: &str) -> String {
        format!("{tenant}/{id}")
    }
}
