//! What is known of blocks that the ring has no more: the edge to whoever keeps the rows (rule 7).

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use schemas::{Network, records::RingEntry};

/// Keeps the blocks of networks.
#[async_trait]
pub trait Past: Send + Sync + 'static {
    /// The blocks of a network that stand at these heights, both ends included, lowest first. Each with the sequence of the event that
    /// put it there.
    ///
    /// # Errors
    /// In words why it cannot be told now.
    async fn blocks(&self, network: &Network, from: u64, to: u64) -> Result<Vec<RingEntry>, String>;

    /// The last sequence of a network up to which all is known; 0 before the first.
    ///
    /// # Errors
    /// In words why it cannot be told now.
    async fn visible_sequence(&self, network: &Network) -> Result<u64, String>;

    /// What was removed of a network because it is kept no longer (rule 32); `None`: nothing.
    ///
    /// # Errors
    /// In words why it cannot be told now.
    async fn removed(&self, network: &Network) -> Result<Option<Removed>, String>;
}

/// Rows that are kept no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Of all heights below this one.
    pub below: u64,
    /// The setting that they went by: `keep` or `max_bytes`.
    pub by: String,
}

/// Whoever keeps them, if anybody can be asked.
#[derive(Clone, Default)]
pub struct Keeper(pub Option<Arc<dyn Past>>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Keeper(somebody)" } else { "Keeper(nobody)" })
    }
}
