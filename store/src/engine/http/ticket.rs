//! Ends a statement from outside: when its client is gone, when its time is over, when the store stops.
//!
//! A connection of the engine cannot be interrupted by itself while a call on it runs; `KILL QUERY` from another connection
//! ends the statement within moments. Statements are found by `log_comment`, which carries a random id of the connection on which they
//! run. A connection is used again only when its statement was through before anybody told it to end ([`Ticket::done`]), and its id with
//! it: so what is looked for and ended is never another statement ([`super::kept`]).
//!
//! Guarantee: a statement that is to end holds its turn, its memory and its core for [`limits::END_WITHIN`] at most (one that writes,
//! [`limits::END_WRITING_WITHIN`]). Some code of the engine hears neither the clock nor a cancel; then the store's process ends, by
//! name, and its supervisor starts it again. A client that does not read is no such case: nothing waits for it any longer than a
//! moment once the statement is told to end.

use super::super::ffi::Engine;
use super::super::process;
use schemas::limits::store as limits;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Why a statement was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    ClientGone,
    Deadline,
    /// `KILL QUERY` of its own user.
    Asked,
}

#[derive(Debug, Default)]
struct State {
    /// The worker is through. Looked at and set together with `cancelled`, so that one of the two came first.
    done: Mutex<bool>,
    cancelled: CancellationToken,
    /// The id of the connection on which it runs, once it has one.
    runs_as: OnceLock<Arc<str>>,
    deadline: AtomicBool,
    gone: AtomicBool,
    writing: AtomicBool,
}

/// A running statement, as seen from the side that waits for it.
#[derive(Clone)]
pub(super) struct Ticket {
    engine: &'static Engine,
    path: Arc<str>,
    state: Arc<State>,
    runtime: Handle,
}

impl Ticket {
    /// Of a statement that has no connection yet.
    pub fn new(engine: &'static Engine, path: Arc<str>, runtime: Handle) -> Self {
        Self { engine, path, state: Arc::default(), runtime }
    }

    /// The statement runs on the connection with this id, of letters and digits: it stands in a statement.
    pub fn runs_as(&self, id: &str) {
        debug_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric()));
        let _ = self.state.runs_as.set(id.into());
    }

    /// Whether both are of one statement.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// The worker is through. Answers whether nobody has told the statement to end; nobody will any more.
    pub fn done(&self) -> bool {
        let mut done = self.state.done.lock().unwrap_or_else(PoisonError::into_inner);
        *done = true;
        !self.state.cancelled.is_cancelled()
    }

    fn is_done(&self) -> bool {
        *self.state.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the worker should stop between two steps.
    pub fn is_cancelled(&self) -> bool {
        self.state.cancelled.is_cancelled()
    }

    /// Resolves when the statement is told to end.
    pub async fn cancelled(&self) {
        self.state.cancelled.cancelled().await;
    }

    /// The statement writes: its end waits for the disk, which may take long and is no fault of its own.
    pub fn writes(&self) {
        self.state.writing.store(true, Ordering::Release);
    }

    /// Whether nobody reads the answer any more.
    pub fn is_gone(&self) -> bool {
        self.state.gone.load(Ordering::Acquire)
    }

    /// Whether it was the clock that ended the statement.
    pub fn is_late(&self) -> bool {
        self.state.deadline.load(Ordering::Acquire)
    }

    /// Ends the statement. Returns at once; killing goes on until the worker is through, since the statement may not have
    /// reached the engine yet.
    pub fn cancel(&self, why: Why) {
        match why {
            Why::Deadline => self.state.deadline.store(true, Ordering::Release),
            Why::ClientGone => self.state.gone.store(true, Ordering::Release),
            Why::Asked => {}
        }
        {
            let done = self.state.done.lock().unwrap_or_else(PoisonError::into_inner);
            if self.state.cancelled.is_cancelled() {
                return;
            }
            self.state.cancelled.cancel();
            if *done {
                return; // only the client is still waited for, and not for long any more
            }
        }
        let ticket = self.clone();
        self.runtime.spawn_blocking(move || ticket.kill());
    }

    fn kill(&self) {
        let asked = Instant::now();
        loop {
            if self.is_done() {
                return;
            }
            let id = self.state.runs_as.get().map_or("", |id| &**id);
            let writing = self.state.writing.load(Ordering::Acquire);
            let within = if writing { limits::END_WRITING_WITHIN } else { limits::END_WITHIN };
            if asked.elapsed() > within {
                process::end(&format!(
                    "a statement did not end within {} s after it was told to ({}); the store starts again",
                    within.as_secs(),
                    id
                ));
            }
            if !id.is_empty() {
                let sql = format!("KILL QUERY WHERE splitByChar(' ', Settings['log_comment'], 3)[2] = '{id}' ASYNC");
                let killed = self
                    .engine
                    .connect(&[self.path.to_string()])
                    .and_then(|mut connection| connection.query(sql.as_bytes(), "Null", &[]).map(drop));
                if let Err(error) = killed {
                    tracing::warn!(error = error.0, "a statement could not be ended");
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Ends the statement when it is dropped before the worker is through: the client went away.
pub(super) struct CancelOnDrop(pub Ticket);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel(Why::ClientGone);
    }
}

/// A statement that waits for its turn: it is through when this is dropped before it got one.
pub(super) struct Waiting(Option<Ticket>);

impl Waiting {
    pub fn new(ticket: &Ticket) -> Self {
        Self(Some(ticket.clone()))
    }

    /// It has its turn.
    pub fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.take() {
            ticket.done();
        }
    }
}
