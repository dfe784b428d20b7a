//! Several tenants with a channel each, and what they watch, made in the control store beside the process that is measured.

use super::receiver::Receiver;
use crate::bench::NETWORK;
use crate::defined::{Defined, Made};
use crate::failure::Failure;
use crate::monitors;
use control::Authenticated;
use schemas::records::DefinitionKind;
use serde_json::{Value, json};

/// Messages of a channel in an hour: as many as may be, so that none is summed up.
const PER_HOUR: u32 = 10_000;

/// Who has monitors.
pub(crate) struct Tenants {
    defined: Defined,
    all: Vec<(Authenticated, Made)>,
}

impl Tenants {
    /// So many tenants, each with a channel of its own at the receiver, and so many monitors of all of them that find nothing.
    pub(super) async fn define(
        defined: Defined,
        receiver: &Receiver,
        (tenants, monitors): (usize, usize),
    ) -> Result<Self, Failure> {
        let mut all = Vec::new();
        for (n, who) in defined.tenants(tenants).await?.into_iter().enumerate() {
            let made = defined.make(&who, DefinitionKind::Channel, &channel(&receiver.url(n))).await?;
            all.push((who, made));
        }
        let mut last = Vec::new();
        for (n, (who, _)) in all.iter().enumerate() {
            let theirs: Vec<Value> =
                (n..monitors).step_by(tenants.max(1)).map(|m| monitors::nowhere(NETWORK, m)).collect();
            last.extend(defined.monitors(who, &theirs).await?);
        }
        defined.known(&last).await?;
        Ok(Self { defined, all })
    }

    /// A monitor of each tenant that finds every failed transaction, an alert for each.
    pub(super) async fn watch_failures(&self) -> Result<(), Failure> {
        let mut made = Vec::new();
        for (who, channel) in &self.all {
            let monitor = each("Failures", "Failure", channel);
            made.push(self.defined.make(who, DefinitionKind::Monitor, &monitor).await?);
        }
        self.defined.known(&made).await
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Lets go of the control store.
    pub(super) async fn close(self) {
        self.defined.close().await;
    }
}

/// A channel that sends to this URL.
pub(crate) fn channel(url: &str) -> Value {
    json!({"name": "receiver", "type": "webhook", "config": {"url": url}, "per_hour": PER_HOUR})
}

/// A monitor that finds every transaction with this status, an alert for each, which a channel is told of.
pub(crate) fn each(name: &str, status: &str, channel: &Made) -> Value {
    json!({
        "name": name, "network": NETWORK, "group_by": ["transaction"], "channels": [channel.id.as_str()],
        "match_conditions": {"transactions": [{"status": status}]}
    })
}
