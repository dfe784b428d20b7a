//! How many statements run at a time, and how many wait.

use super::error::{Code, Failure};
use schemas::limits::store as limits;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One user's share: so many run, so many wait for so long, all others are answered with 503.
pub(super) struct Gate {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    size: usize,
    patience: Duration,
}

impl Gate {
    /// `size` statements at a time; [`limits::QUEUE_LENGTH`] others wait for `patience`.
    pub fn new(size: usize, patience: Duration) -> Self {
        Self::with_queue(size, limits::QUEUE_LENGTH, patience)
    }

    /// The same with room for so many that wait.
    pub fn with_queue(size: usize, queue: usize, patience: Duration) -> Self {
        Self { running: Arc::new(Semaphore::new(size)), waiting: Semaphore::new(queue), size, patience }
    }

    /// Waits for a turn, which lasts as long as the permit.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let busy = || {
            let text = format!(
                "Too many simultaneous queries: {} run, and the queue is full or too slow; try again",
                self.size
            );
            Code::TooManyQueries.failure(text)
        };
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(permit);
        }
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        match tokio::time::timeout(self.patience, Arc::clone(&self.running).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_too_long_is_told_to_come_again() {
        let gate = Gate::new(1, Duration::from_millis(20));
        let held = gate.enter().await.expect("free");
        let refused = gate.enter().await.expect_err("busy");
        assert_eq!((refused.code, refused.status.as_u16()), (202, 503));
        drop(held);
        drop(gate.enter().await.expect("free again"));
    }
}
