//! Connections to the engine that are kept from one statement of the stages or of the API to the next: opening one and telling it
//! what it has to know costs more than a short statement.
//!
//! Guarantee: nothing goes from one statement to the next. A connection is used again
//! * only for a request that would be told to the letter what it was told when it was opened: user, database, every setting, `readonly`;
//! * only by statements that change nothing of their session ([`super::statement::leaves_no_trace`]): whatever else there is to do
//!   (`SET`, `USE`, DDL, temporary tables) gets a connection of its own, which is closed behind it;
//! * only after a statement that came to its end by itself: one that failed, was told to end, or lost its client, closes it.
//!
//! Analysts' connections are never kept. Shown by `tests/engine/kept.rs`.

use super::auth::User;
use super::settings::Pairs;
use crate::engine::ffi::Connection;
use schemas::limits::store as limits;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a connection is told when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Decides what it may do.
    pub user: User,
    /// What names without a database mean.
    pub database: String,
    /// In the order in which they are set.
    pub settings: Pairs,
    /// The value of `readonly`.
    pub read_only: Option<&'static str>,
}

/// A connection in use.
pub(super) struct Held {
    pub connection: Connection,
    /// Where it may be used again: what it was told.
    again: Option<Again>,
}

struct Again {
    told: Told,
    /// By which its statement is found.
    id: Arc<str>,
    opened: Instant,
}

impl Held {
    /// For one statement.
    pub fn once(connection: Connection) -> Self {
        Self { connection, again: None }
    }

    /// For any number. `id`: in its `log_comment`.
    pub fn again(connection: Connection, told: Told, id: Arc<str>) -> Self {
        Self { connection, again: Some(Again { told, id, opened: Instant::now() }) }
    }

    /// The id in its `log_comment`; none of one that is for one statement.
    pub fn id(&self) -> &str {
        self.again.as_ref().map_or("", |again| &again.id)
    }
}

/// The connections that wait, of one user.
pub(super) struct Kept {
    most: usize,
    /// The one that waits longest first; `None` once nothing is kept any more.
    waiting: Mutex<Option<Vec<Waiting>>>,
}

struct Waiting {
    connection: Connection,
    again: Again,
    since: Instant,
}

impl Kept {
    /// Keeps so many.
    pub fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::new(Some(Vec::new())) }
    }

    /// The one that was used last of those that were told this.
    pub fn take(&self, told: &Told) -> Option<Held> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let all = waiting.as_mut()?;
        let at = all.iter().rposition(|w| w.again.told == *told && !w.is_old())?;
        let Waiting { connection, again, .. } = all.remove(at);
        Some(Held { connection, again: Some(again) })
    }

    /// Keeps a connection whose statement came to its end, unless it is for one statement only.
    pub fn keep(&self, held: Held) {
        let Held { connection, again: Some(again) } = held else { return };
        let closed: Vec<Waiting> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(all) = waiting.as_mut() else { return };
            all.push(Waiting { connection, again, since: Instant::now() });
            let over = all.len().saturating_sub(self.most);
            let mut closed: Vec<Waiting> = all.drain(..over).collect();
            closed.extend(all.extract_if(.., |w| w.is_old()));
            closed
        };
        drop(closed); // closing takes its time, and the engine's lock
    }

    /// Closes all, and keeps none from now on.
    pub fn close(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Waiting {
    fn is_old(&self) -> bool {
        self.since.elapsed() > limits::KEPT_IDLE || self.again.opened.elapsed() > limits::KEPT_AGE
    }
}
