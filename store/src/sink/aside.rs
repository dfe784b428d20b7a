//! What groups that read aside of block events have in common: samples, causes, windows. Each is a task of its own; whatever becomes of it
//! does not end the sink.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use runtime::log::{LogError, LogErrorKind};
use tokio::time::sleep;

use super::{beat::Busy, error::WriteError};

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

/// Whether a group works. That it does not is said once it has not for a while, and taken back when it does again.
pub(super) struct Health {
    what: &'static str,
    busy: Busy,
    /// How long it may fail before that is said, and since when it does.
    grace: Duration,
    failing: Mutex<Option<Instant>>,
}

impl Health {
    /// Of the group that reads `what`; nothing failed yet.
    pub fn new(what: &'static str, busy: Busy, grace: Duration) -> Self {
        Self { what, busy, grace, failing: Mutex::default() }
    }

    /// It did not work: whether it has not for long enough that this is to be said.
    pub fn fails_for_long(&self) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.get_or_insert_with(Instant::now).elapsed() >= self.grace
    }

    /// Says that it does not work, and why.
    pub fn say(&self, words: String) {
        self.busy.fails(self.what, Some(words));
    }

    /// It works.
    pub fn works(&self) {
        if self.failing.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            self.busy.fails(self.what, None);
        }
    }

    /// It reads since then, and there is nothing to be written: it works, once that has lasted.
    pub fn idle(&self, since: Instant) {
        if since.elapsed() >= self.grace {
            self.works();
        }
    }
}
