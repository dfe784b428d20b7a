//! A batch that the store refuses, though it answers: what it does not take is found, and stops its own network.
//!
//! Guarantee: a batch is cut down by network, then by block; whatever the store takes is written, in order, once. A block is given up
//! only while the store takes other things: where it takes nothing, it is in trouble itself, and all is tried again for as long as that
//! lasts. After a refused block nothing more of its network is written, so that its sequence stays gapless; its position in the store is
//! the event before it, from where it is read again (kept in [`super::reader`]). Events that were written before are written
//! again with the same rows and versions, which collapse (rule 16).

use std::collections::BTreeMap;

use schemas::{Network, TimeMs};

use super::{
    batch::Event,
    error::WriteError,
    family::of_heights,
    metrics,
    patience::Patience,
    write::{Refused, Writer},
};
use crate::{Store, StoreError, client::deadline};

impl Writer {
    /// Writes what the store takes of these events. Returns the first block of each network that it does not take.
    pub(super) async fn apart(&mut self, events: &[&Event], stored_at: TimeMs) -> Result<Vec<Refused>, WriteError> {
        let (for_a_block, once) = self.short();
        let mut left: BTreeMap<&Network, Vec<&Event>> = BTreeMap::new();
        for event in events {
            left.entry(event.network()).or_default().push(event);
        }
        loop {
            let mut taken = false;
            let mut still = BTreeMap::new();
            for (network, events) in left {
                match self.write_once(&once, &events, stored_at).await {
                    Ok(()) => {
                        taken = true;
                        self.suspects.remove(network);
                    }
                    Err(WriteError::Refused(_)) => drop(still.insert(network, events)),
                    Err(e) => return Err(e),
                }
            }
            if still.is_empty() {
                return Ok(Vec::new());
            }
            if taken || self.takes_others(&once).await? {
                let refused = self.by_block(&for_a_block, &still, stored_at).await?;
                // The store must still be well now: what it refused it must have refused alone.
                if refused.is_empty() || self.takes_others(&once).await? {
                    self.suspects.extend(refused.iter().map(|r| r.network.clone()));
                    return Ok(refused);
                }
            }
            tracing::warn!(networks = still.len(), "the store takes nothing at all: trying again");
            for_a_block.pause().await?;
            left = still;
        }
    }

    /// Writes each network's events one by one, up to the first that is refused.
    async fn by_block(
        &mut self,
        patience: &Patience,
        networks: &BTreeMap<&Network, Vec<&Event>>,
        stored_at: TimeMs,
    ) -> Result<Vec<Refused>, WriteError> {
        let mut refused = Vec::new();
        for (&network, events) in networks {
            self.suspects.remove(network);
            for &event in events {
                let e = &event.block.envelope;
                match self.write_once(patience, &[event], stored_at).await {
                    Ok(()) => {}
                    Err(WriteError::Refused(error)) => {
                        metrics::refused(network.as_str());
                        let (network, why) = (network.clone(), error.to_string());
                        refused.push(Refused { network, sequence: e.sequence, height: e.height, why });
                        break;
                    }
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(refused)
    }

    /// Whether each table takes an insert, if only one without rows.
    async fn takes_others(&self, once: &Patience) -> Result<bool, WriteError> {
        // Those that a block's rows go to.
        for table in of_heights().map(|table| table.name).chain(["block_event_rows"]) {
            match once.again(|| insert_nothing(&self.store, table)).await {
                Ok(()) => {}
                Err(WriteError::Refused(_)) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}

async fn insert_nothing(store: &Store, table: &'static str) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO {table} SELECT * FROM {table} WHERE 0");
    deadline("asking whether a table takes rows", store.config().write_deadline, store.client().query(&sql).execute())
        .await
}
