//! What the stage's consumers have in common: joining the group anew after an error that may pass (rule 10), and what they say of the
//! process together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use runtime::{
    beat::Board,
    log::{LogError, membership::Pauses},
};
use schemas::records::stage_status::state;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::metrics;
use crate::Error;

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
    pauses: Pauses,
}

impl Rejoin {
    /// Of the consumer of this group.
    pub fn new(who: &'static str, doing: Doing) -> Self {
        Self { who, doing, pauses: Pauses::default() }
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
        let (who, doing) = (self.who, &self.doing);
        let tell = |why: String| {
            metrics::rejoined();
            doing.say(who, Some(why));
        };
        self.pauses.rejoin((who, started), error, shutdown, tell).await.map_err(Error::Log)
    }
}
