//! Rule 18: how whole the newest heights are, asked of the sink's own tables and told to Prometheus and [`SinkStatus`].
//!
//! Guarantee: it is asked between two batches, so a block is never seen without rows that are still on their way.

use std::{collections::BTreeSet, time::Duration};

use schemas::Network;
use tokio::time::Instant;

use super::{SinkStatus, batch::Event, metrics};
use crate::Store;

/// Newest heights that are looked at: the whole table is the view's and the API's business.
pub const RECENT_HEIGHTS: u64 = 1_024;
/// How often, at most.
const EVERY: Duration = Duration::from_secs(60);

/// Asks again when it is time.
pub(super) struct Auditor {
    store: Store,
    status: SinkStatus,
    changed: BTreeSet<Network>,
    due: Instant,
}

impl Auditor {
    pub fn new(store: Store, status: SinkStatus) -> Self {
        Self { store, status, changed: BTreeSet::new(), due: Instant::now() }
    }

    /// After a batch is on disk. A store that does not answer is asked after a later batch.
    pub async fn after(&mut self, events: &[Event]) {
        for event in events {
            if !self.changed.contains(event.network()) {
                self.changed.insert(event.network().clone());
            }
        }
        if Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + EVERY;
        for network in std::mem::take(&mut self.changed) {
            match self.store.recent_completeness(&network, RECENT_HEIGHTS).await {
                Ok(recent) => {
                    metrics::completeness(network.as_str(), &recent);
                    if recent.incomplete_blocks > 0 {
                        tracing::warn!(
                            %network,
                            blocks = recent.incomplete_blocks,
                            expected = recent.transactions_expected,
                            stored = recent.transactions_stored,
                            "recent blocks are incomplete: see the view `completeness`, and dead.letters for the cause"
                        );
                    }
                    self.status.completeness(&network, recent);
                }
                Err(error) => {
                    tracing::warn!(%network, %error, "completeness could not be read");
                    self.changed.insert(network);
                }
            }
        }
    }
}
