//! What members of a group have in common: deadlines of the log's calls, what is to be decided before anything is read, and joining anew
//! after an error that may pass (rule 10).

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

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
    async fn silence_is_no_word_on_the_outcome() {
        let silent = deadline("committing", std::future::pending::<Result<(), LogError>>()).await;
        assert_eq!(silent.expect_err("none").kind, LogErrorKind::Indefinite);
    }
}
