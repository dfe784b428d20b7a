//! What the stage's consumers have in common: deadlines of the log's calls, and joining the group anew after an error that may pass
//! (rule 10).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use runtime::{
    beat::Board,
    log::{LogError, LogErrorKind},
};
use schemas::records::stage_status::state;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::metrics;
use crate::Error;

/// The longest that one call of the log takes.
pub const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// The first pause before the log is asked again.
pub const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(5);

/// A call of the log within its deadline.
///
/// # Errors
/// What the log says; [`LogErrorKind::Indefinite`] when it says nothing.
pub async fn deadline<T>(what: &str, call: impl Future<Output = Result<T, LogError>>) -> Result<T, LogError> {
    timeout(CALL_DEADLINE, call).await.unwrap_or_else(|_| {
        Err(LogError::new(LogErrorKind::Indefinite, format!("{what}: no answer from the log in {CALL_DEADLINE:?}")))
    })
}

/// What the consumers say of the process together: it runs when all of them do. Clones are the same.
#[derive(Clone)]
pub struct Doing {
    board: Board,
    trouble: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Doing {
    /// All is well.
    pub fn new(board: Board) -> Self {
        Self { board, trouble: Arc::default() }
    }

    /// What is wrong with one of them; `None`: nothing.
    pub fn say(&self, who: &'static str, trouble: Option<String>) {
        let mut all = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(words) => drop(all.insert(who, words)),
            None => drop(all.remove(who)),
        }
        if all.is_empty() {
            self.board.process(state::RUNNING, None);
        } else {
            let words: Vec<&str> = all.values().map(String::as_str).collect();
            self.board.process(state::STALLED, Some(words.join("; ")));
        }
    }
}

/// One consumer's memberships.
pub struct Rejoin {
    who: &'static str,
    doing: Doing,
    retry: Duration,
}

impl Rejoin {
    /// Of the consumer of this group.
    pub fn new(who: &'static str, doing: Doing) -> Self {
        Self { who, doing, retry: RETRY_FIRST }
    }

    /// The group is joined.
    pub fn joined(&self) {
        self.doing.say(self.who, None);
    }

    /// A membership that began at `started` ended with an error. Returns after a pause when it is to be joined anew; false when the process
    /// is to stop.
    ///
    /// # Errors
    /// One that does not pass.
    pub async fn after(
        &mut self,
        error: LogError,
        started: Instant,
        shutdown: &CancellationToken,
    ) -> Result<bool, Error> {
        let who = self.who;
        if shutdown.is_cancelled() {
            tracing::debug!(who, %error, "while stopping");
            return Ok(false);
        }
        use LogErrorKind::*;
        if !matches!(error.kind, Fenced | Aborted | Indefinite | Unavailable | Denied | Full | TooLarge | NoTopic) {
            return Err(Error::Log(error));
        }
        if started.elapsed() > 2 * RETRY_MOST {
            self.retry = RETRY_FIRST;
        }
        let retry = self.retry;
        tracing::warn!(who, %error, kind = ?error.kind, retry_in = ?retry, "joining anew");
        metrics::rejoined();
        self.doing.say(who, Some(format!("{who} joins its group anew: {error}")));
        tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            () = tokio::time::sleep(retry) => {}
        }
        self.retry = (retry * 2).min(RETRY_MOST);
        Ok(true)
    }
}
