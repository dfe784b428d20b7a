//! Totals per network over canonical rows, each figure from the rows themselves: what "equal to recomputation" is checked on.

use alloy_primitives::U256;
use clickhouse::Row;
use serde::Deserialize;

use super::wire;
use crate::{Store, StoreError};

/// Totals of one network.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct NetworkTotals {
    /// Slug.
    pub network: String,
    /// Canonical blocks.
    pub blocks: u64,
    /// Transactions that the headers count, unreadable ones included.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions: u64,
    /// Of these: status `failed`.
    pub failed: u64,
    /// Of these: status `unknown`.
    pub unknown: u64,
    /// Gas used over receipts.
    #[serde(with = "wire::u256")]
    pub gas_used: U256,
    /// Fees really paid, wei.
    #[serde(with = "wire::u256")]
    pub fee_total: U256,
    /// Logs with a row.
    pub logs: u64,
}

const SQL: &str = "
SELECT network, sum(b) AS blocks, sum(e) AS transactions_expected, sum(t) AS transactions, sum(f) AS failed, sum(u) AS unknown,
    sum(g) AS gas_used, sum(p) AS fee_total, sum(l) AS logs
FROM
(
    SELECT network, count() AS b, sum(toUInt64(transaction_count)) AS e, 0::UInt64 AS t, 0::UInt64 AS f, 0::UInt64 AS u,
        0::UInt256 AS g, 0::UInt256 AS p, 0::UInt64 AS l
    FROM blocks GROUP BY network
    UNION ALL
    SELECT network, 0, 0, count(), countIf(status = 'failed'), countIf(status = 'unknown'), sum(toUInt256(gas_used)),
        sum(ifNull(fee, 0::UInt256)), 0
    FROM transactions GROUP BY network
    UNION ALL
    SELECT network, 0, 0, 0, 0, 0, 0, 0, count() FROM evm_logs GROUP BY network
)
GROUP BY network ORDER BY network";

impl Store {
    /// Totals of every network, by name. Reads all rows: for checks, not for pages.
    pub async fn totals(&self) -> Result<Vec<NetworkTotals>, StoreError> {
        self.within("adding up totals", self.read(SQL).fetch_all::<NetworkTotals>()).await
    }
}
