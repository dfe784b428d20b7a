//! How many exports there may be: of one caller, of all, and at the store at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use schemas::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::{
    app::App,
    door::{Asking, Counted},
    error::ApiError,
    metrics,
    tenants::{self, Places},
};

/// The exports of this process.
pub struct Exports {
    all: Arc<Semaphore>,
    turns: Semaphore,
    by_caller: Mutex<HashMap<Counted, usize>>,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits::EXPORTS)),
            turns: Semaphore::new(limits::EXPORT_STATEMENTS),
            by_caller: Mutex::default(),
        }
    }
}

/// One export's place; it is free again when this is dropped.
pub struct Place {
    exports: Arc<Exports>,
    who: Option<Counted>,
    /// Of the tenant's share, where it is one.
    _share: Option<tenants::Place>,
    _all: OwnedSemaphorePermit,
}

/// A place for one export of whoever asks, of its tenant's share where it has a tenant.
///
/// # Errors
/// The caller has as many already, all together are as many as there may be, or the tenant has its share and others ask too.
pub fn place(app: &App, asking: &Asking) -> Result<Place, ApiError> {
    let (places, several) = (app.exports.places(), app.tenants.are_several());
    let share = asking.who.as_ref().map(|who| app.tenants.of(who).place(Places::Exports, places, several));
    let mut place = app.exports.take(asking.counted())?;
    place._share = share.transpose()?;
    Ok(place)
}

impl Exports {
    /// A place for one export of this caller.
    ///
    /// # Errors
    /// The caller has as many already, or all together are as many as there may be.
    fn take(self: &Arc<Self>, who: Option<Counted>) -> Result<Place, ApiError> {
        let mut by_caller = self.by_caller.lock().unwrap_or_else(|e| e.into_inner());
        if who.is_some_and(|who| by_caller.get(&who).is_some_and(|running| *running >= limits::EXPORTS_OF_ONE)) {
            return Err(ApiError::TooManyExports { most: limits::EXPORTS_OF_ONE });
        }
        let permit = Arc::clone(&self.all).try_acquire_owned();
        let all = permit.map_err(|_| ApiError::Overloaded { what: "exports" })?;
        if let Some(who) = who {
            *by_caller.entry(who).or_default() += 1;
        }
        metrics::exports(1.0);
        Ok(Place { exports: Arc::clone(self), who, _share: None, _all: all })
    }

    /// How many are free, of how many.
    fn places(&self) -> (usize, usize) {
        (self.all.available_permits(), limits::EXPORTS)
    }

    /// Waits for a turn at the store.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // A semaphore that nobody closes.
        self.turns.acquire().await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::exports(-1.0);
        let Some(who) = self.who else { return };
        let mut by_caller = self.exports.by_caller.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(running) = by_caller.get_mut(&who) {
            *running -= 1;
            if *running == 0 {
                by_caller.remove(&who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_and_all_together_have_so_many() {
        let exports = Arc::new(Exports::default());
        let at = |n: u8| Some(Counted::Address(std::net::IpAddr::from([10, 0, 0, n])));
        let mut places: Vec<Place> =
            (0..limits::EXPORTS_OF_ONE).map(|_| exports.take(at(1)).expect("a place")).collect();
        assert!(matches!(exports.take(at(1)), Err(ApiError::TooManyExports { most: limits::EXPORTS_OF_ONE })));
        places
            .extend((limits::EXPORTS_OF_ONE..limits::EXPORTS).map(|n| exports.take(at(n as u8 + 1)).expect("a place")));
        assert!(matches!(exports.take(at(100)), Err(ApiError::Overloaded { .. })));
        places.remove(0);
        drop(exports.take(at(1)).expect("a place again"));
        places.clear();
        assert!(exports.by_caller.lock().expect("no panic").is_empty(), "nothing stays behind");
    }
}
