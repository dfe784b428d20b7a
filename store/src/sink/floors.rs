//! Below which heights nothing is written any more: what `[store] keep` removed stays so (rule 32).
//!
//! Guarantee: of the rows that this process writes, none lies below a floor that was published before its batch began, and none comes
//! to a partition that goes while it is written: whoever publishes a floor waits for the batch that is on its way, and the next one
//! knows it. An event below the floor keeps its own row, by which the position is known and gaplessness is a query; a replay of the log
//! brings nothing back. (A batch of another process, that was cut off from its group, may leave rows: [`super::keep`] sweeps them.)

use std::{collections::HashMap, sync::Arc};

use schemas::Network;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::{Store, StoreError, query::Pruned};

/// The floors of all networks. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Floors(Arc<RwLock<Heights>>);

/// Each network's lowest height that is kept.
#[derive(Debug, Default)]
pub(super) struct Heights(HashMap<String, u64>);

impl Heights {
    /// Whether rows of this height are kept.
    pub fn keeps(&self, network: &Network, height: u64) -> bool {
        self.0.get(network.as_str()).is_none_or(|floor| height >= *floor)
    }

    /// Raises a network's floor.
    pub fn raise(&mut self, network: &str, floor: u64) {
        let held = self.0.entry(network.to_owned()).or_default();
        *held = floor.max(*held);
    }
}

impl Floors {
    /// As they are for as long as a batch is written.
    pub async fn read(&self) -> OwnedRwLockReadGuard<Heights> {
        Arc::clone(&self.0).read_owned().await
    }

    /// To be raised: no batch is on its way meanwhile.
    pub async fn write(&self) -> OwnedRwLockWriteGuard<Heights> {
        Arc::clone(&self.0).write_owned().await
    }

    /// Takes over what was published, and returns it.
    pub async fn load(&self, store: &Store) -> Result<Vec<Pruned>, StoreError> {
        let pruned = store.pruned().await?;
        let mut floors = self.write().await;
        for network in &pruned {
            floors.raise(&network.network, network.below);
        }
        Ok(pruned)
    }
}
