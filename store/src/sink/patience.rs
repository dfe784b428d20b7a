//! Calls to a store that may be away for a while.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{metrics, write::WriteError};
use crate::{StoreError, StoreErrorKind};

/// Shortest and longest pause before a call is made again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How long a call may go on after the request to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What ends the sink instead of being tried again: a statement that the store does not understand, a password or right that is
/// missing, tables of another version. Everything else passes: no reader's query, however bad, can end the process through it.
const FOR_GOOD: [StoreErrorKind; 3] = [StoreErrorKind::BadRequest, StoreErrorKind::Denied, StoreErrorKind::Version];

/// Makes calls until they succeed. Only for calls that may be repeated without harm.
#[derive(Clone)]
pub(super) struct Patience {
    stop: CancellationToken,
}

impl Patience {
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop }
    }

    /// Calls until it succeeds, with growing pauses; what cannot get better is an error at once.
    pub async fn again<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, WriteError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = PAUSE.0;
        let give_up = async {
            self.stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::pin!(give_up);
        loop {
            let result = tokio::select! {
                result = call() => result,
                () = &mut give_up => return Err(WriteError::Stopped),
            };
            match result {
                Ok(value) => {
                    metrics::store_reachable(true);
                    return Ok(value);
                }
                Err(e) if FOR_GOOD.contains(&e.kind) => return Err(e.into()),
                Err(e) => {
                    metrics::store_reachable(e.kind != StoreErrorKind::Unreachable);
                    metrics::retried(e.kind);
                    tracing::warn!(error = %e, pause_ms = pause.as_millis() as u64, "the store did not take it, trying again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
                () = self.stop.cancelled() => return Err(WriteError::Stopped),
            }
        }
    }
}
