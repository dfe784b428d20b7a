//! What becomes of alerts for one connection: from a place in the topic on, each transition once, in order.
//!
//! Guarantee: between the place that a client names and what it is sent live there is no hole: what is not held any more is read back a step
//! at a time while the live ones wait, and what is gone is named in a `gap` frame. A tenant's alerts go to that tenant's connections alone.

use std::sync::Arc;

use axum::extract::ws::Message;
use futures::future::BoxFuture;
use store::query::Whose;
use tokio::sync::watch;

use super::{protocol::Answer, subscriptions::Subscriptions, wakes::risen};
use crate::{
    app::App,
    error::ApiError,
    live::{
        Alerts, LiveAlert,
        alerts::{Back, cursor_of, place_of},
    },
};

/// How far a connection has come.
#[derive(Default)]
pub struct ComingAlerts {
    /// What wakes it; nothing while no alerts are wanted.
    changes: Option<watch::Receiver<u64>>,
    /// Place of the next one; `None`: what comes from now on, once it is known where that is.
    next: Option<u64>,
    /// What is being read back.
    back: Option<BoxFuture<'static, Option<Back>>>,
}

fn frames(alerts: &[Arc<LiveAlert>], subscriptions: &Subscriptions) -> Vec<Message> {
    let wanted = alerts.iter().filter(|alert| subscriptions.wants_alert(alert.network()));
    wanted.map(|alert| Message::Text(alert.frame.clone())).collect()
}

impl ComingAlerts {
    /// Where a subscription begins, for one that is about to.
    ///
    /// # Errors
    /// The cursor is none, lies ahead of the topic, or the connection has alerts already, so that it could not be kept.
    pub fn place(&self, alerts: &Alerts, after: Option<&str>) -> Result<Option<u64>, ApiError> {
        let Some(after) = after else { return Ok(None) };
        let from = place_of(after)?.saturating_add(1);
        if self.changes.is_some() {
            let problem = "this connection already follows alerts, so `alerts_after` could not be kept: unsubscribe first, or use another \
                           connection"
                .to_owned();
            return Err(ApiError::SubscriptionConflict { problem });
        }
        match alerts.next() {
            // A topic that was not found yet is waited for.
            Some(next) if from > next => Err(ApiError::AlertsAhead),
            _ => Ok(Some(from)),
        }
    }

    /// Begins at a place, or with what comes from now on. Answers the cursor behind which it does, where that is known.
    pub fn begin(&mut self, alerts: &Alerts, from: Option<u64>) -> Option<String> {
        if self.changes.is_none() {
            // In this order, so that what comes in between wakes it; what is there already is looked at once.
            let mut changes = alerts.changes();
            changes.mark_changed();
            self.next = from.or(alerts.next());
            self.changes = Some(changes);
        }
        self.next?.checked_sub(1).map(cursor_of)
    }

    /// What came since, and is held.
    pub fn new_ones(&mut self, app: &Arc<App>, whose: &Whose, subscriptions: &Subscriptions) -> Vec<Message> {
        let (Some(end), Some(_), None) = (app.alerts.next(), &self.changes, &self.back) else { return Vec::new() };
        let from = *self.next.get_or_insert(end);
        match app.alerts.after(from, whose) {
            Some((new, next)) => {
                self.next = Some(next);
                frames(&new, subscriptions)
            }
            None => {
                let (app, whose) = (Arc::clone(app), whose.clone());
                self.back = Some(Box::pin(async move {
                    match app.alerts.back(from, &whose).await {
                        Ok(back) => Some(back),
                        Err(error) => {
                            tracing::debug!(%error, "what became of alerts cannot be read back; trying again");
                            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                            None
                        }
                    }
                }));
                Vec::new()
            }
        }
    }

    /// What a step back found.
    fn found(&mut self, back: Option<Back>, subscriptions: &Subscriptions) -> Vec<Message> {
        let Some(back) = back else { return Vec::new() };
        let gap = back.gap.map(|(from, to)| {
            let from = from.checked_sub(1).map(cursor_of);
            Message::Text(Answer::AlertsGap { topic: "alerts", from, to: cursor_of(to), reason: "not_held" }.text())
        });
        self.next = self.next.max(Some(back.next));
        gap.into_iter().chain(frames(&back.found, subscriptions)).collect()
    }

    /// Sleeps again when no subscription wants alerts any more.
    pub fn end_without(&mut self, subscriptions: &Subscriptions) {
        if !subscriptions.has_alerts() {
            *self = Self::default();
        }
    }

    /// Until there is something to send, or to look for; for ever while none is wanted. Safe to drop and call again.
    pub async fn changed(&mut self, subscriptions: &Subscriptions) -> Vec<Message> {
        match &mut self.back {
            Some(back) => {
                let back = back.await;
                self.back = None;
                // What lies behind it is looked for at once.
                if let Some(changes) = &mut self.changes {
                    changes.mark_changed();
                }
                self.found(back, subscriptions)
            }
            None => {
                risen(&mut self.changes).await;
                Vec::new()
            }
        }
    }
}
