//! Messages to channels as REST shows them.

use serde::Serialize;
use store::query::{Attempt, Delivery};
use utoipa::ToSchema;

/// A message to a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryItem {
    /// Its id, the same on every attempt: a webhook's `webhook-id`.
    pub id: String,
    /// The alert; null of a test and of a summary.
    pub alert: Option<String>,
    /// The channel.
    pub channel: String,
    /// Its type; null until the message was taken up.
    pub channel_type: Option<String>,
    /// `alert.firing` and others, `channel.test`, `channel.summary`, `alerts.settled`.
    #[schema(example = "alert.firing")]
    pub r#type: String,
    /// What became of it.
    #[schema(pattern = "^(queued|sent|failed|replaced)$")]
    pub state: String,
    /// When it is tried again by itself; null: not any more.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// Every attempt, oldest first; of many the last 100.
    pub attempts: Vec<AttemptItem>,
}

/// An attempt to send a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptItem {
    /// When it ended.
    #[schema(format = DateTime)]
    pub at: String,
    /// The receiver's status; null where there was no answer.
    pub status: Option<u16>,
    /// How long it took.
    pub latency_ms: Option<u64>,
    /// Why it failed; null where it did not.
    pub error: Option<String>,
}

impl From<Attempt> for AttemptItem {
    fn from(attempt: Attempt) -> Self {
        Self { at: attempt.at.rfc3339(), status: attempt.status, latency_ms: attempt.latency_ms, error: attempt.error }
    }
}

impl From<Delivery> for DeliveryItem {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            alert: delivery.alert_id,
            channel: delivery.channel_id,
            channel_type: Some(delivery.channel_type),
            r#type: delivery.kind,
            state: delivery.state,
            next_attempt_at: delivery.next_attempt_at.map(|at| at.rfc3339()),
            attempts: delivery.attempts.into_iter().map(AttemptItem::from).collect(),
        }
    }
}

/// What is sent again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Replay)]
pub struct ReplayItem {
    /// The channel.
    pub channel: String,
    /// Messages that came about since then are sent again, under their ids.
    #[schema(format = DateTime)]
    pub since: String,
}
