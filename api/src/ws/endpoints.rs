//! States of endpoints for one connection: all of them on subscribing, and then what changed or went, each endpoint's last state only.

use axum::extract::ws::Message;
use schemas::Network;
use tokio::sync::watch;

use super::{subscriptions::Subscriptions, wakes::risen};
use crate::watch::Providers;

/// How far a connection has come.
#[derive(Default)]
pub struct Endpoints {
    /// What wakes it; nothing while no endpoint is wanted.
    changes: Option<watch::Receiver<u64>>,
    /// Number of the last change that was sent.
    sent: u64,
}

impl Endpoints {
    /// The present states of a network, or of all, for a subscription that has just begun.
    pub fn begin(&mut self, providers: &Providers, network: Option<&Network>) -> Vec<Message> {
        // In this order, so that what changes in between wakes it.
        let changes = self.changes.is_none().then(|| providers.changes());
        let (frames, last) = providers.present(|n| network.is_none_or(|wanted| wanted == n));
        if let Some(changes) = changes {
            (self.changes, self.sent) = (Some(changes), last);
        }
        frames.into_iter().map(Message::Text).collect()
    }

    /// What changed since the last time, of what is wanted.
    pub fn new_ones(&mut self, providers: &Providers, subscriptions: &Subscriptions) -> Vec<Message> {
        let (frames, last) = providers.changed(self.sent, |network| subscriptions.topics(network).providers);
        self.sent = last;
        frames.into_iter().map(Message::Text).collect()
    }

    /// Sleeps again when no subscription wants endpoints any more.
    pub fn end_without(&mut self, subscriptions: &Subscriptions) {
        if !subscriptions.has_providers() {
            self.changes = None;
        }
    }

    /// Until something changed; for ever while no endpoint is wanted. Safe to drop and call again.
    pub async fn changed(&mut self) {
        risen(&mut self.changes).await;
    }
}
