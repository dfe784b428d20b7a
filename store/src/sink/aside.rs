//! What groups that read aside of block events have in common: samples, causes, windows. Each is a task of its own; whatever becomes of it
//! does not end the sink.

use std::time::Duration;

use runtime::log::{LogError, LogErrorKind};
use tokio::time::sleep;

use super::error::WriteError;

/// How long the store may take before the group is served without reading, and one look at it then.
pub(super) const STAND_BY: Duration = Duration::from_secs(2);
/// See there.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// Pause before a log or a store that failed is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// Why a membership ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the log failed: {0}")]
    Log(#[from] LogError),
    #[error("the store refuses: {0}")]
    Write(#[from] WriteError),
}

/// One membership after the other, until the stage is told to stop. `what` is read.
pub(super) async fn memberships<M>(what: &'static str, member: impl Fn() -> M)
where
    M: Future<Output = Result<(), Failure>>,
{
    loop {
        match member().await {
            Ok(()) | Err(Failure::Write(WriteError::Stopped)) => return,
            // A cluster whose topics an operator makes may not have it yet.
            Err(Failure::Log(error)) if error.is_transient() && error.kind != LogErrorKind::Denied => {
                tracing::debug!(%error, "{what} cannot be read; trying again");
            }
            Err(failure) => tracing::warn!(%failure, "{what} do not get into the store; trying again"),
        }
        sleep(PAUSE).await;
    }
}
