//! Calls to a store that may be away for a while.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{error::WriteError, metrics};
use crate::{StoreError, StoreErrorKind};

/// Shortest and longest pause before a call is made again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How long a call may go on after the request to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What ends the sink instead of being tried again: a statement that the store does not understand, a password or right that is
/// missing, tables of another version. Everything else passes: no reader's query, however bad, can end the process through it.
const FOR_GOOD: [StoreErrorKind; 3] = [StoreErrorKind::BadRequest, StoreErrorKind::Denied, StoreErrorKind::Version];

/// What a store says that is there and has room and time, so that it may be this very call that it does not take.
const REFUSALS: [StoreErrorKind; 3] = [StoreErrorKind::Internal, StoreErrorKind::TooLarge, StoreErrorKind::BadRequest];

/// Makes calls until they succeed. Only for calls that may be repeated without harm.
#[derive(Clone)]
pub(super) struct Patience {
    stop: CancellationToken,
    /// Tries in a row, and time, after which a call counts as refused.
    refusals: Option<(u32, Duration)>,
}

impl Patience {
    /// Tries until it succeeds, however often the store refuses.
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, refusals: None }
    }

    /// The same for calls that concern some networks only: when the store, though it answers, has refused for so many tries and so
    /// long in a row, that is [`WriteError::Refused`].
    pub fn until_refused(&self, tries: u32, within: Duration) -> Self {
        Self { stop: self.stop.clone(), refusals: Some((tries, within)) }
    }

    /// Waits for as long as between two late tries.
    pub async fn pause(&self) -> Result<(), WriteError> {
        tokio::select! {
            () = tokio::time::sleep(PAUSE.1) => Ok(()),
            () = self.stop.cancelled() => Err(WriteError::Stopped),
        }
    }

    /// Calls until it succeeds, with growing pauses; what cannot get better is an error at once.
    pub async fn again<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, WriteError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = PAUSE.0;
        let mut refused: Option<(Instant, u32)> = None;
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
            let error = match result {
                Ok(value) => {
                    metrics::store_reachable(true);
                    return Ok(value);
                }
                Err(e) => e,
            };
            metrics::store_reachable(error.kind != StoreErrorKind::Unreachable);
            match self.refusals {
                Some((tries, within)) if REFUSALS.contains(&error.kind) => {
                    let (since, n) = refused.map_or((Instant::now(), 1), |(since, n)| (since, n + 1));
                    refused = Some((since, n));
                    if n >= tries && since.elapsed() >= within {
                        return Err(WriteError::Refused(error));
                    }
                }
                _ if FOR_GOOD.contains(&error.kind) => return Err(error.into()),
                _ => refused = None,
            }
            metrics::retried(error.kind);
            tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "the store did not take it, trying again");
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
                () = self.stop.cancelled() => return Err(WriteError::Stopped),
            }
        }
    }
}
