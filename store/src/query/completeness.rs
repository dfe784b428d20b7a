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

/// How whole the newest heights of a network are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Row, Deserialize)]
pub struct RecentCompleteness {
    /// Blocks held.
    pub blocks: u64,
    /// Of them, those that lack the row of a transaction or log which their header counts.
    pub incomplete_blocks: u64,
    /// Transactions that the headers count.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions_stored: u64,
}

impl Store {
    /// The same over the `heights` newest heights only: what can be asked every minute. Right between two writes of the sink.
    pub async fn recent_completeness(&self, network: &Network, heights: u64) -> Result<RecentCompleteness, StoreError> {
        let Some((_, tip)) = self.height_bounds(network.as_str()).await? else {
            return Ok(RecentCompleteness::default());
        };
        let sql = "SELECT count() AS blocks, countIf(b.transaction_count != t.n OR b.log_count != l.n) AS incomplete_blocks, \
                sum(toUInt64(b.transaction_count)) AS transactions_expected, sum(t.n) AS transactions_stored \
            FROM (SELECT height, sequence, transaction_count, log_count FROM block_rows FINAL \
                WHERE network = {network:String} AND height >= {from:UInt64}) AS b \
            LEFT JOIN (SELECT height, sequence, count() AS n FROM evm_transaction_rows FINAL \
                WHERE network = {network:String} AND height >= {from:UInt64} GROUP BY height, sequence) AS t \
                ON b.height = t.height AND b.sequence = t.sequence \
            LEFT JOIN (SELECT height, sequence, count() AS n FROM evm_log_rows FINAL \
                WHERE network = {network:String} AND height >= {from:UInt64} GROUP BY height, sequence) AS l \
                ON b.height = l.height AND b.sequence = l.sequence";
        let from = (tip + 1).saturating_sub(heights);
        let call = self.read(sql).param("network", network.as_str()).param("from", from);
        self.within("reading completeness", call.fetch_one::<RecentCompleteness>()).await
    }

    /// The network's ranges from the lowest height. Heights between two ranges are not held.
    pub async fn completeness(&self, network: &Network) -> Result<Vec<CompletenessRange>, StoreError> {
        let sql = "SELECT from_number, to_number, blocks, transactions_expected, transactions_stored, complete \
                   FROM completeness WHERE network = {network:String} ORDER BY from_number LIMIT 10000";
        let call = self.read(sql).param("network", network.as_str()).fetch_all::<CompletenessRange>();
        self.within("reading completeness", call).await
    }
}
