//! Facts about contracts as they are used while blocks are worked up (rules 14 and 34).
//!
//! Guarantee: of the partitions that are held, all that stood in `contract.facts` when they were taken over is known before their first
//! event; nobody waits for what comes later. What is given for a block does not change under it, and its position says what it is.

use std::sync::Arc;

use alloy_primitives::{Address, Selector};
use decode::{
    Abi,
    facts::{Facts as Table, OfNetwork},
};
use runtime::{
    facts::{Follower, Told},
    log::{Log, LogError, followed::Followed},
};
use schemas::{
    Network,
    codec::Codec,
    records::{ContractFacts, FactsFold},
    topics,
};

use crate::{
    metrics,
    steps::known::{Known, Lookup},
};

impl Lookup for OfNetwork {
    fn abis<'a>(&'a self, address: Address, height: u64, selector: Option<Selector>, found: &mut Vec<&'a Abi>) {
        OfNetwork::abis(self, address, height, selector, found);
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Facts(Follower<Table>);

impl Facts {
    /// Begins to follow; no partition is held yet.
    pub fn follow(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        Self(Followed::new(log, codec, topics::CONTRACT_FACTS.name))
    }

    /// These partitions are ours: their facts are known when it returns.
    pub async fn hold(&self, partitions: &[u32]) -> Result<(), LogError> {
        self.0.hold(partitions).await?;
        let all = self.0.all();
        let tables = || all.iter().map(|(_, snapshot)| &snapshot.fold.0.counted);
        let left_out: u64 = tables().map(|counted| counted.left_out).sum();
        metrics::facts(tables().map(|c| c.contracts).sum(), tables().map(|c| c.abi_bytes).sum(), left_out);
        Ok(())
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

    /// What is known of a network's contracts now.
    pub fn of(&self, partition: u32, network: &Network) -> Known {
        let Some(snapshot) = self.0.of(partition) else { return Known::default() };
        let Told(table) = &*snapshot.fold;
        let facts = table.of(network).map(|of| of.clone() as Arc<dyn Lookup>);
        Known { position: (snapshot.next > 0).then_some(snapshot.next), facts }
    }
}

/// Facts that somebody gathers who is no stage: record by record, in their order.
#[derive(Debug, Clone, Default)]
pub struct GatheredFacts(Table);

impl GatheredFacts {
    /// The present facts of a contract.
    pub fn put(&mut self, facts: ContractFacts) {
        self.0.put(facts);
    }

    /// Nothing is known of it any more.
    pub fn remove(&mut self, network: &Network, address: Address) {
        self.0.remove(network, address);
    }

    /// What is known of a network's contracts, where all facts before this offset were put.
    pub fn known(&self, network: &Network, position: u64) -> Known {
        let facts = self.0.of(network).map(|of| of.clone() as Arc<dyn Lookup>);
        Known { position: Some(position), facts }
    }
}
