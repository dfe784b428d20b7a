//! Which ranges of a network are held whole (rule 18).

use clickhouse::Row;
use schemas::Network;
use serde::Deserialize;

use crate::{Store, StoreError};

/// Consecutive heights that are all complete, or all not.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct CompletenessRange {
    /// First height.
    pub from_number: u64,
    /// Last height.
    pub to_number: u64,
    /// Blocks in it: `to_number - from_number + 1`.
    pub blocks: u64,
    /// Transactions that the headers count.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions_stored: u64,
    /// Whether every transaction and log that the headers count has its row.
    pub complete: bool,
}

impl Store {
    /// The network's ranges from the lowest height. Heights between two ranges are not held.
    pub async fn completeness(&self, network: &Network) -> Result<Vec<CompletenessRange>, StoreError> {
        let sql = "SELECT from_number, to_number, blocks, transactions_expected, transactions_stored, complete \
                   FROM completeness WHERE network = {network:String} ORDER BY from_number LIMIT 10000";
        let call = self.read(sql).param("network", network.as_str()).fetch_all::<CompletenessRange>();
        self.within("reading completeness", call).await
    }
}
