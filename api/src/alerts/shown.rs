//! One alert as it is this moment: from the store, and from the topic what the store does not have yet.

use std::sync::Arc;

use schemas::records::{Alert, AlertEvent};
use store::query::{AlertRow, AlertStep, Whose};

use crate::{app::App, error::ApiError, items::AlertEventItem};

/// An alert with its story.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The alert.
    pub alert: Alert,
    /// Number of its last transition.
    pub revision: u64,
    /// Its transitions, oldest first.
    pub events: Vec<AlertEventItem>,
}

impl Shown {
    /// From rows.
    ///
    /// # Errors
    /// What is kept is no alert.
    pub fn of(row: AlertRow) -> Result<Self, ApiError> {
        let alert = read(&row.alert)?;
        Ok(Self { alert, revision: row.revision, events: row.events.into_iter().map(item).collect() })
    }

    /// Takes a later transition in.
    fn later(&mut self, event: &AlertEvent) -> Result<(), ApiError> {
        if event.revision > self.revision {
            self.alert = read(&event.alert)?;
            self.revision = event.revision;
            self.events.push(AlertEventItem::of(event));
        }
        Ok(())
    }
}

fn item(step: AlertStep) -> AlertEventItem {
    AlertEventItem {
        at: step.at.rfc3339(),
        kind: step.kind,
        by: step.who,
        note: step.words,
        sequence: step.sequence,
        height: step.height,
    }
}

fn read(text: &str) -> Result<Alert, ApiError> {
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "an alert that is kept cannot be read");
        ApiError::Internal
    })
}

/// One alert; `None`: it is not there, or not theirs.
///
/// # Errors
/// The store is away, and the topic has nothing of it.
pub async fn shown(app: &App, whose: &Whose, id: &str) -> Result<Option<Shown>, ApiError> {
    let live: Vec<Arc<AlertEvent>> = app.alerts.of(whose, id);
    let stored = match app.store.alert(whose, id).await {
        Ok(stored) => stored,
        Err(error) if live.is_empty() => return Err(ApiError::from_store(&error)),
        Err(error) => {
            tracing::debug!(%error, "an alert is shown from the log alone");
            None
        }
    };
    let mut shown = stored.map(Shown::of).transpose()?;
    for event in live {
        match &mut shown {
            Some(shown) => shown.later(&event)?,
            None => {
                let alert = read(&event.alert)?;
                let events = vec![AlertEventItem::of(&event)];
                shown = Some(Shown { alert, revision: event.revision, events });
            }
        }
    }
    Ok(shown)
}
