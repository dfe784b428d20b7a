//! One at a time for each tenant, of work that several tenants may have done at once.
//!
//! Guarantee: a tenant waits for its own work alone, and no longer than it is told; nothing is kept of tenants that neither work nor wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use ::control::Id;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// See the module.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Id, Weak<Semaphore>>>);

impl Turns {
    /// Waits for the tenant's turn, which is over when the permit is dropped; `None`: it did not come in that time.
    pub async fn take(&self, tenant: Id, within: Duration) -> Option<OwnedSemaphorePermit> {
        let turn = self.of(tenant);
        timeout(within, turn.acquire_owned()).await.ok()?.ok()
    }

    fn of(&self, tenant: Id) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(|e| e.into_inner());
        all.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = all.get(&tenant).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Semaphore::new(1));
        all.insert(tenant, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_tenant_waits_for_itself_alone() {
        let turns = Turns::default();
        let (one, other) = (Id::DEFAULT_TENANT, "01J0000000000000000000000A".parse::<Id>().expect("an id"));
        let first = turns.take(one, SOON).await;
        assert!(first.is_some() && turns.take(one, SOON).await.is_none());
        assert!(turns.take(other, SOON).await.is_some());
        drop(first);
        let again = turns.take(one, SOON).await;
        assert!(again.is_some());
        assert_eq!(turns.0.lock().expect("nobody failed").len(), 1, "nothing is kept of the other");
    }
}
