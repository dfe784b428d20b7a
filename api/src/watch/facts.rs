//! `contract.facts`, followed: what is known by now of contracts beyond what a block says (rule 14).
//!
//! Guarantee: nobody who asks waits for the log. What was published before this process listened is known as soon as it has been read; a
//! log that does not answer is asked again, and leaves what was known.

use std::{sync::Arc, time::Duration};

use decode::facts::{Facts as Table, OfNetwork};
use runtime::{
    facts::Follower,
    log::{Log, LogError},
};
use schemas::{Network, codec::Codec, topics};

/// Pause before a log that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is looked whether there are more partitions.
const PARTITIONS: Duration = Duration::from_secs(60);

/// What is known of contracts.
pub struct Facts {
    log: Arc<dyn Log>,
    follower: Follower<Table>,
}

impl Facts {
    /// Nothing yet. Runs on the present runtime.
    pub fn new(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        let follower = Follower::new(Arc::clone(&log), codec, topics::CONTRACT_FACTS.name);
        Self { log, follower }
    }

    /// Follows all partitions, for ever.
    pub async fn follow(&self) {
        let mut held = 0;
        loop {
            let pause = match self.hold(held).await {
                Ok(all) => {
                    held = all;
                    PARTITIONS
                }
                Err(error) => {
                    tracing::debug!(%error, "facts about contracts cannot be read yet");
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Follows the partitions from this one on, and says how many there are.
    async fn hold(&self, from: u32) -> Result<u32, LogError> {
        let all = self.log.partitions(topics::CONTRACT_FACTS.name).await?;
        let new: Vec<u32> = (from..all).collect();
        if !new.is_empty() {
            self.follower.hold(&new).await?;
        }
        Ok(all)
    }

    /// The contracts of a network; `None` where nothing is known.
    pub fn of(&self, network: &Network) -> Option<Arc<OfNetwork>> {
        self.follower.all().iter().find_map(|(_, snapshot)| snapshot.fold.0.of(network).cloned())
    }
}
