//! What members of a group have in common: deadlines of the log's calls, what is to be decided before anything is read, and joining anew
//! after an error that may pass (rule 10).

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Log, LogError, LogErrorKind, TopicPartition};

/// The longest that one call of the log takes. A commit that says nothing for so long counts as indefinite.
pub const CALL_DEADLINE: Duration = Duration::from_secs(60);
const RETRY_FIRST: Duration = Duration::from_millis(100);
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

/// Waits until what a former holder of a partition had under way there is decided: it is his, or nobody's.
///
/// # Errors
/// What the log says; [`LogErrorKind::Unavailable`] when it stays open for longer than a call takes.
pub async fn decided(log: &dyn Log, at: TopicPartition) -> Result<(), LogError> {
    let until = Instant::now() + CALL_DEADLINE;
    while let Some(offset) = log.undecided(at).await? {
        if Instant::now() > until {
            let message = format!("{} [{}] is not decided from offset {offset} on", at.topic, at.partition);
            return Err(LogError::new(LogErrorKind::Unavailable, message));
        }
        sleep(RETRY_FIRST).await;
    }
    Ok(())
}

/// Pauses between memberships, longer each time: until one of them lasted.
#[derive(Debug)]
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(RETRY_FIRST)
    }
}

impl Pauses {
    /// The pause after a membership that began at `started`.
    pub fn after(&mut self, started: Instant) -> Duration {
        if started.elapsed() > 2 * RETRY_MOST {
            self.0 = RETRY_FIRST;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(RETRY_MOST);
        pause
    }

    /// A membership of `group` that began at `started` ended with an error. Returns after a pause when the group is to be joined anew; false
    /// when the process is to stop. What is wrong meanwhile is said by `tell`, in a sentence, before the pause.
    ///
    /// # Errors
    /// The same one, where joining anew does not mend it.
    pub async fn rejoin(
        &mut self,
        (group, started): (&'static str, Instant),
        error: LogError,
        shutdown: &CancellationToken,
        tell: impl FnOnce(String),
    ) -> Result<bool, LogError> {
        if shutdown.is_cancelled() {
            tracing::debug!(group, %error, "while stopping");
            return Ok(false);
        }
        if !error.is_mended_by_joining() {
            return Err(error);
        }
        let retry = self.after(started);
        tracing::warn!(group, %error, kind = ?error.kind, retry_in = ?retry, "joining anew");
        tell(format!("{group} joins its group anew: {error}"));
        tokio::select! {
            () = shutdown.cancelled() => Ok(false),
            () = sleep(retry) => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_a_membership_lasted() {
        let mut pauses = Pauses::default();
        let ms: Vec<u128> = (0..8).map(|_| pauses.after(Instant::now()).as_millis()).collect();
        assert_eq!(ms, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        let started = Instant::now();
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(pauses.after(started).as_millis(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_is_joined_anew_after_what_that_mends_unless_the_process_stops() {
        let (mut pauses, shutdown, mut told) = (Pauses::default(), CancellationToken::new(), Vec::new());
        let began = Instant::now();
        let error = |kind| LogError::new(kind, "so it is");
        let again = pauses.rejoin(("g", began), error(LogErrorKind::Fenced), &shutdown, |why| told.push(why)).await;
        assert!(again.expect("it is mended") && began.elapsed() >= RETRY_FIRST);
        assert!(told.len() == 1 && told[0].starts_with("g joins its group anew: "), "{told:?}");
        let ended = pauses.rejoin(("g", began), error(LogErrorKind::Invalid), &shutdown, |why| told.push(why)).await;
        assert_eq!(ended.expect_err("nothing mends it").kind, LogErrorKind::Invalid);
        shutdown.cancel();
        let stops = pauses.rejoin(("g", began), error(LogErrorKind::Fenced), &shutdown, |why| told.push(why)).await;
        assert!(!stops.expect("it stops") && told.len() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_no_word_on_the_outcome() {
        let silent = deadline("committing", std::future::pending::<Result<(), LogError>>()).await;
        assert_eq!(silent.expect_err("none").kind, LogErrorKind::Indefinite);
    }
}
