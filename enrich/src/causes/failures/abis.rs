//! What is known of contracts, for naming errors (rule 14): the facts of the partitions that are held.

use std::sync::Arc;

use alloy_primitives::Address;
use decode::{
    Abi,
    causes::Abis,
    facts::{Facts as Table, OfNetwork},
};
use runtime::{
    facts::{Follower, Told},
    log::{Log, LogError, followed::Followed},
};
use schemas::{Network, codec::Codec, topics};

/// Follows the facts. Clones are the same.
#[derive(Clone)]
pub struct Facts(Follower<Table>);

impl Facts {
    /// Begins to follow; no partition is held yet.
    pub fn follow(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        Self(Followed::new(log, codec, topics::CONTRACT_FACTS.name))
    }

    /// These partitions are ours: their facts are known when it returns.
    ///
    /// # Errors
    /// What the log says.
    pub async fn hold(&self, partitions: &[u32]) -> Result<(), LogError> {
        self.0.hold(partitions).await
    }

    /// They are no longer.
    pub fn release(&self, partitions: &[u32]) {
        self.0.release(partitions);
    }

    /// None is.
    pub fn release_all(&self) {
        let held: Vec<u32> = self.0.all().into_iter().map(|(partition, _)| partition).collect();
        self.0.release(&held);
    }

    /// What is known now of a network's contracts.
    pub fn of(&self, partition: u32, network: &Network) -> Known {
        let snapshot = self.0.of(partition);
        Known(snapshot.and_then(|snapshot| {
            let Told(table) = &*snapshot.fold;
            table.of(network).cloned()
        }))
    }
}

/// What is known of a network's contracts at one moment.
pub struct Known(Option<Arc<OfNetwork>>);

impl Known {
    /// As it was at a height.
    pub fn at(&self, height: u64) -> At<'_> {
        At { known: self.0.as_deref(), height }
    }
}

/// The same at a height.
pub struct At<'a> {
    known: Option<&'a OfNetwork>,
    height: u64,
}

impl Abis for At<'_> {
    fn of(&self, address: Address) -> Vec<&Abi> {
        let mut found = Vec::new();
        if let Some(known) = self.known {
            known.abis(address, self.height, None, &mut found);
        }
        found
    }
}
