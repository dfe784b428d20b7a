//! Who holds connections, and how many.
//!
//! Guarantee: a connection that has not said who it is takes nothing from those that have: it has its own places, must bring its
//! first request within [`limits::FIRST_HEADERS_TIME`], and when the places are all taken the oldest of them goes. Stages, API and
//! analysts have places of their own.

use super::auth::User;
use super::error::{Code, Failure};
use schemas::limits::store as limits;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The places.
pub(super) struct Connections {
    unknown: Mutex<VecDeque<Weak<Seat>>>,
    stages: Arc<Semaphore>,
    api: Arc<Semaphore>,
    analysts: Arc<Semaphore>,
}

/// One connection's place.
pub(super) struct Seat {
    /// Set by the first request with a right password.
    user: OnceLock<(User, OwnedSemaphorePermit)>,
    /// Cancelled when the connection is to be closed.
    gone: CancellationToken,
}

impl Connections {
    pub fn new() -> Self {
        Self {
            unknown: Mutex::new(VecDeque::new()),
            stages: Arc::new(Semaphore::new(limits::STAGES_CONNECTIONS)),
            api: Arc::new(Semaphore::new(limits::API_CONNECTIONS)),
            analysts: Arc::new(Semaphore::new(limits::ANALYST_CONNECTIONS)),
        }
    }

    /// A place for a new connection: the oldest that is still unknown goes when there is none.
    pub fn enter(&self) -> Arc<Seat> {
        let seat = Arc::new(Seat { user: OnceLock::new(), gone: CancellationToken::new() });
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.push_back(Arc::downgrade(&seat));
        if unknown.len() > limits::UNKNOWN_CONNECTIONS {
            unknown.retain(|seat| {
                seat.upgrade().is_some_and(|seat| seat.user.get().is_none() && !seat.gone.is_cancelled())
            });
        }
        while unknown.len() > limits::UNKNOWN_CONNECTIONS {
            let oldest = unknown.pop_front().and_then(|seat| seat.upgrade());
            if let Some(oldest) = oldest.filter(|seat| seat.user.get().is_none()) {
                oldest.gone.cancel();
            }
        }
        seat
    }
}

impl Seat {
    /// The connection said who it is. It keeps its place among its user's.
    pub fn belongs_to(&self, connections: &Connections, user: User) -> Result<(), Failure> {
        if self.user.get().is_some_and(|(known, _)| *known == user) {
            return Ok(());
        }
        let (places, most) = match user {
            User::Stages => (&connections.stages, limits::STAGES_CONNECTIONS),
            User::Api => (&connections.api, limits::API_CONNECTIONS),
            User::Analyst => (&connections.analysts, limits::ANALYST_CONNECTIONS),
        };
        let full = |_| {
            Code::TooManyQueries
                .failure(format!("Too many connections: this user has {most}; close some and try again"))
        };
        let permit = Arc::clone(places).try_acquire_owned().map_err(full)?;
        // A connection that speaks for a second user keeps the place of the first, and takes none of the second's.
        let _ = self.user.set((user, permit));
        Ok(())
    }

    /// Closes the connection.
    pub fn close(&self) {
        self.gone.cancel();
    }

    /// Resolves when the connection is to be closed: its place was given away, it said nothing for too long, or it does not read.
    pub async fn lost(&self) {
        let silent = async {
            tokio::time::sleep(limits::FIRST_HEADERS_TIME).await;
            if self.user.get().is_some() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.gone.cancelled() => {}
            () = silent => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_unknown_connection_goes_first_and_known_ones_stay() {
        let connections = Connections::new();
        let known = connections.enter();
        known.belongs_to(&connections, User::Analyst).expect("a place");
        let silent: Vec<_> = (0..limits::UNKNOWN_CONNECTIONS + 3).map(|_| connections.enter()).collect();
        let gone = silent.iter().filter(|seat| seat.gone.is_cancelled()).count();
        assert!((3..=4).contains(&gone), "{gone}");
        assert!(silent[0].gone.is_cancelled() && !known.gone.is_cancelled());
        assert!(!silent.last().expect("some").gone.is_cancelled());
    }

    #[tokio::test]
    async fn users_have_places_of_their_own() {
        let connections = Connections::new();
        let held: Vec<_> = (0..limits::ANALYST_CONNECTIONS).map(|_| connections.enter()).collect();
        for seat in &held {
            seat.belongs_to(&connections, User::Analyst).expect("a place");
            seat.belongs_to(&connections, User::Analyst).expect("the same");
        }
        let more = connections.enter();
        assert_eq!(more.belongs_to(&connections, User::Analyst).expect_err("full").code, 202);
        for other in [User::Stages, User::Api] {
            connections.enter().belongs_to(&connections, other).expect("another user");
        }
        drop(held);
        connections.enter().belongs_to(&connections, User::Analyst).expect("free again");
    }
}
