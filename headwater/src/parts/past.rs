//! What the store knows of the past, for watchers that have to revert deeper than their ring (rule 7).

use std::sync::Arc;

use ingest::past::{Keeper, Past, Removed};
use runtime::config::Config;
use schemas::{Network, records::RingEntry};
use store::Store;

use super::{Asker, connect_store};
use crate::exit::Failure;

/// The store as a keeper of the past; nobody where ingest is not told of it.
pub fn past(config: &Config) -> Result<Keeper, Failure> {
    // An embedded store is reached by who has its data directory.
    if config.store.url.is_none() && config.log.kafka.is_some() {
        return Ok(Keeper(None));
    }
    let (store, _) = connect_store(config, Asker::Sink)?;
    Ok(Keeper(Some(Arc::new(Rows(store)))))
}

struct Rows(Store);

#[async_trait::async_trait]
impl Past for Rows {
    async fn blocks(&self, network: &Network, from: u64, to: u64) -> Result<Vec<RingEntry>, String> {
        self.0.held_blocks(network, from, to).await.map_err(|e| e.to_string())
    }

    async fn visible_sequence(&self, network: &Network) -> Result<u64, String> {
        self.0.processed_sequence(network.as_str()).await.map_err(|e| e.to_string())
    }

    async fn removed(&self, network: &Network) -> Result<Option<Removed>, String> {
        let pruned = self.0.pruned_below(network).await.map_err(|e| e.to_string())?;
        Ok(pruned.map(|pruned| Removed { below: pruned.below, by: pruned.reason }))
    }
}
