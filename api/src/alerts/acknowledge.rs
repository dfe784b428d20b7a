//! Taking an alert on: by REST, and by the link of a message.

use schemas::{
    limits::alerts as limits,
    records::{AlertPhase, Command},
};
use store::query::Whose;

use super::{Shown, shown};
use crate::{app::App, error::ApiError};

/// What came of it.
pub enum Acknowledged {
    /// It is acknowledged.
    Done(Shown),
    /// The command is in the log, and the stage did not answer in time: the alert as it was.
    Later(Shown),
}

/// Acknowledges an alert that is not over. Whoever comes again finds it acknowledged.
///
/// # Errors
/// There is no such alert ([`ApiError::NotHere`]), it is over ([`ApiError::AlertOver`]), or store or log are away.
pub async fn acknowledge(
    app: &App,
    whose: &Whose,
    id: &str,
    by: String,
    note: Option<String>,
) -> Result<Acknowledged, ApiError> {
    // Before it is looked, so that nothing that comes in between is slept through.
    let mut changes = app.alerts.changes();
    let before = open(app, whose, id).await?;
    if before.alert.state == AlertPhase::Acknowledged {
        return Ok(Acknowledged::Done(before));
    }
    let command = Command::Acknowledge { alert_id: id.to_owned(), note };
    app.commands.give(&whose.tenant, by, command).await?;
    let answer = async {
        loop {
            changes.borrow_and_update();
            let last = app.alerts.of(whose, id).pop();
            if last.is_some_and(|event| event.revision > before.revision) {
                let now = shown(app, whose, id).await?.ok_or(ApiError::NotHere { what: WHAT })?;
                match now.alert.state {
                    AlertPhase::Acknowledged => return Ok(Acknowledged::Done(now)),
                    // It was over before anybody came to it.
                    state if state.is_over() => return Err(ApiError::AlertOver { state: state.as_str() }),
                    _ => {}
                }
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    match tokio::time::timeout(limits::COMMAND_WAIT, answer).await {
        Ok(answer) => answer,
        Err(_) => Ok(Acknowledged::Later(before)),
    }
}

/// What it is called where it is not there.
pub const WHAT: &str = "alert";

/// An alert that is not over.
///
/// # Errors
/// There is none of this id, or it is over.
pub async fn open(app: &App, whose: &Whose, id: &str) -> Result<Shown, ApiError> {
    let found = shown(app, whose, id).await?.ok_or(ApiError::NotHere { what: WHAT })?;
    match found.alert.state {
        state if state.is_over() => Err(ApiError::AlertOver { state: state.as_str() }),
        _ => Ok(found),
    }
}
