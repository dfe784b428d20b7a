//! What the store holds of each network, and what the sink says of it. "Processed" means: visible here.

use clickhouse::Row;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::{Network, TimeMs};
use serde::Deserialize;

use crate::{Store, StoreError};

/// A network as the store sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNetwork {
    /// Slug.
    pub network: String,
    /// Chain family: `evm`, `bitcoin` or `stellar`.
    pub family: String,
    /// The sink's state: `running`, `log_replaced`, `overtaken` or `unreadable`.
    pub state: String,
    /// What is wrong and what to do; empty while running.
    pub message: String,
    /// When the state was entered.
    pub state_since: TimeMs,
    /// Sequence of the last block event that is visible; 0 before the first.
    pub processed_sequence: u64,
    /// The highest canonical block.
    pub head: Option<ProcessedBlock>,
}

/// The highest canonical block of a network.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct ProcessedBlock {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: String,
    /// The block's own time.
    pub timestamp: TimeMs,
    /// Bitcoin: the median time past, at or below which no later block's time lies (BIP-113).
    pub median_time: Option<TimeMs>,
    /// `full`, or `header`: nothing is known of its transactions.
    pub coverage: String,
    /// When ingest first saw it.
    pub observed_at: TimeMs,
    /// When it became visible.
    pub stored_at: TimeMs,
}

/// How far the store shows a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Row, Deserialize)]
pub struct StoredPosition {
    /// Sequence of the last block event that is visible; 0 before the first.
    pub sequence: u64,
    /// Whether the sink has halted the network: nothing more becomes visible until an operator does something.
    pub halted: bool,
}

#[derive(Row, Deserialize)]
struct Status {
    network: String,
    family: String,
    state: String,
    message: String,
    at: TimeMs,
}

/// Networks that are asked about at the same time.
const AT_ONCE: usize = 4;

impl Store {
    /// Every network that the sink has ever seen, by name.
    pub async fn networks(&self) -> Result<Vec<StoredNetwork>, StoreError> {
        let sql = "SELECT network, family, state, message, at FROM sink_status_rows FINAL ORDER BY network";
        let statuses = self.within("reading the sink's states", self.read(sql).fetch_all::<Status>()).await?;
        stream::iter(statuses)
            .map(|status| async move {
                let processed_sequence = self.processed_sequence(&status.network).await?;
                let head = self.head(&status.network).await?;
                Ok(StoredNetwork {
                    network: status.network,
                    family: status.family,
                    state: status.state,
                    message: status.message,
                    state_since: status.at,
                    processed_sequence,
                    head,
                })
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// One network; `None` when the sink has never seen it.
    pub async fn network(&self, network: &Network) -> Result<Option<StoredNetwork>, StoreError> {
        let sql =
            "SELECT network, family, state, message, at FROM sink_status_rows FINAL WHERE network = {network:String}";
        let call = self.read(sql).param("network", network.as_str()).fetch_optional::<Status>();
        let Some(status) = self.within("reading the sink's state", call).await? else { return Ok(None) };
        Ok(Some(StoredNetwork {
            processed_sequence: self.processed_sequence(network.as_str()).await?,
            head: self.head(network.as_str()).await?,
            network: status.network,
            family: status.family,
            state: status.state,
            message: status.message,
            state_since: status.at,
        }))
    }

    /// Sequence of the network's last visible block event; 0 before the first.
    pub async fn processed_sequence(&self, network: &str) -> Result<u64, StoreError> {
        let sql =
            "SELECT sequence FROM block_event_rows WHERE network = {network:String} ORDER BY sequence DESC LIMIT 1";
        let call = self.read(sql).param("network", network).fetch_optional::<u64>();
        Ok(self.within("reading the last sequence", call).await?.unwrap_or(0))
    }

    /// How far the store shows the network. An error while its events are still to be copied from a former layout.
    pub async fn position(&self, network: &str) -> Result<StoredPosition, StoreError> {
        // One statement, since it is asked again and again.
        let sql = "SELECT ifNull((SELECT sequence FROM block_event_rows WHERE network = {network:String} \
                       ORDER BY sequence DESC LIMIT 1), 0) AS sequence, \
                   toBool(ifNull((SELECT countIf(state != 'running') FROM sink_status_rows FINAL \
                       WHERE network = {network:String}), 0) > 0) AS halted";
        let call = self.read(sql).param("network", network).fetch_one::<StoredPosition>();
        let position = self.within("reading how far a network is visible", call).await?;
        if position.sequence == 0 {
            self.is_upgraded(network).await?;
        }
        Ok(position)
    }

    /// The network's highest canonical block.
    pub async fn head(&self, network: &str) -> Result<Option<ProcessedBlock>, StoreError> {
        let Some((low, high)) = self.height_bounds(network).await? else { return Ok(None) };
        // Deleted rows count among the bounds, so the canonical head may stand a reorg's depth below.
        let mut windows = super::windows::Windows::new(low, high, 64, super::Sort::Newest);
        while let Some((from, to)) = windows.current() {
            let sql = "SELECT number, hash, timestamp, median_time, coverage, observed_at, stored_at FROM blocks WHERE network = {network:String} \
                       AND number BETWEEN {from:UInt64} AND {to:UInt64} ORDER BY number DESC LIMIT 1";
            let query = self.read(sql).param("network", network).param("from", from).param("to", to);
            if let Some(block) = self.within("reading the head", query.fetch_optional::<ProcessedBlock>()).await? {
                return Ok(Some(block));
            }
            windows.passed();
        }
        Ok(None)
    }

    /// Names of all networks that the sink has ever seen.
    pub async fn network_names(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT network FROM sink_status_rows GROUP BY network ORDER BY network";
        self.within("reading the networks", self.read(sql).fetch_all::<String>()).await
    }

    /// Lowest and highest height that ever had a block row, deleted ones included.
    pub async fn height_bounds(&self, network: &str) -> Result<Option<(u64, u64)>, StoreError> {
        let sql =
            "SELECT height FROM block_rows WHERE network = {network:String} ORDER BY network ASC, height ASC LIMIT 1";
        let low =
            self.within("reading the lowest height", self.read(sql).param("network", network).fetch_optional::<u64>());
        let sql =
            "SELECT height FROM block_rows WHERE network = {network:String} ORDER BY network DESC, height DESC LIMIT 1";
        let high =
            self.within("reading the highest height", self.read(sql).param("network", network).fetch_optional::<u64>());
        let (low, high) = futures::future::try_join(low, high).await?;
        Ok(low.zip(high))
    }
}
