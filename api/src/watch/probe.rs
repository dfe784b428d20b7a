//! Whether the store answers, asked by one statement every few seconds however many ask here, and by none while other questions are
//! answered.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use store::Store;

use crate::error::ApiError;

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(2);
/// A store that has not answered for so long is away; a shorter pause is nobody's business.
const AWAY: Duration = Duration::from_secs(5);

/// What is known of the store.
pub struct Probe(Mutex<State>);

struct State {
    began: Instant,
    answered: Option<Instant>,
    error: Option<String>,
}

impl Default for Probe {
    fn default() -> Self {
        Self(Mutex::new(State { began: Instant::now(), answered: None, error: None }))
    }
}

impl Probe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks again and again, until dropped.
    pub async fn follow(&self, store: &Store) {
        loop {
            let asked = store.is_there(EVERY).await;
            {
                let mut state = self.state();
                match asked {
                    Ok(()) => (state.answered, state.error) = (Some(Instant::now()), None),
                    Err(error) => state.error = Some(ApiError::of_store(&error).to_string()),
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Why the store counts as away.
    pub fn error(&self) -> Option<String> {
        let state = self.state();
        match state.answered {
            Some(at) if at.elapsed() < AWAY + EVERY => None,
            _ => Some(state.error.clone().unwrap_or_else(|| "the store has not answered yet".to_owned())),
        }
    }

    /// Whether the store never answered, and the process is so young that it may just be starting.
    pub fn may_be_starting(&self, grace: Duration) -> bool {
        let state = self.state();
        state.answered.is_none() && state.began.elapsed() < grace
    }
}
