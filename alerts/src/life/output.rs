//! What comes of a step: transitions, and messages.

use schemas::{
    TimeMs,
    records::{AlertDelivery, AlertEvent, AlertOutbox},
    ulid_of,
};
use serde_json::Value;

/// A message to a channel, before it is known whether the channel has room for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The channel's id.
    pub channel: String,
    /// Whether it is under the channel's cap: what becomes of something that was told is not.
    pub capped: bool,
    /// Its type: `alert.firing` …
    pub kind: &'static str,
    /// Its alert.
    pub alert_id: String,
    /// When it came about.
    pub at: TimeMs,
    /// Counts the transitions of the alert.
    pub order: u64,
    /// The alert as REST shows it.
    pub body: Value,
}

impl Message {
    /// As a record. Its id follows from alert, transition, kind and channel.
    pub fn record(&self, tenant: &str) -> AlertOutbox {
        let of = format!("{}/{}/{}/{}", self.alert_id, self.order, self.kind, self.channel);
        AlertOutbox {
            id: ulid_of(self.at, of.as_bytes()),
            alert_id: Some(self.alert_id.clone()),
            order: self.order,
            body: self.body.to_string(),
            ..AlertOutbox::new(tenant, &self.channel, self.kind, self.at)
        }
    }
}

/// What came of one or several steps, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// Transitions.
    pub events: Vec<AlertEvent>,
    /// Messages that channels have room for, as records; and summaries.
    pub outbox: Vec<AlertOutbox>,
    /// Messages that come to nothing before they are one.
    pub deliveries: Vec<AlertDelivery>,
    /// Messages of the present step.
    pub(super) messages: Vec<Message>,
}
