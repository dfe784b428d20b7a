//! What people ask, with its word in the audit.

use control::{Action, Outcome, Subject};

use crate::{app::App, door::Who, error::ApiError};

/// Writes down that this is asked for, and does it.
///
/// # Errors
/// The control store is away: then nothing is done. Or it failed: then that is written down, as far as it can be.
pub async fn audited<T>(
    app: &App,
    who: &Who,
    (action, subject): (Action, &Subject),
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let control = app.control()?;
    let noted = control.note(who.caller(), action, subject, Outcome::Done).await;
    noted.map_err(|e| ApiError::of_control(e, subject.kind))?;
    let done = work.await;
    if done.is_err()
        && let Err(error) = control.note(who.caller(), action, subject, Outcome::Failed).await
    {
        tracing::warn!(%error, action = action.as_str(), "the audit does not have that it failed");
    }
    done
}
