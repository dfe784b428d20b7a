//! Endpoints of chain nodes: what was last said of each, and its calls by minute.

use clickhouse::Row;
use schemas::{Network, TimeMs};
use serde::Deserialize;

use crate::{Store, StoreError};

/// A minute of calls of one method, as one observer summed it up.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct ProviderMinute {
    /// Its beginning, or that of its observer within it.
    pub at: TimeMs,
    /// The method.
    pub method: String,
    /// Who called: stage and instance.
    pub observer: String,
    /// Calls that ended in it.
    pub calls: u64,
    /// Calls of these that failed.
    pub failures: u64,
    /// Median latency of those that succeeded, milliseconds.
    pub latency_p50_ms: Option<u64>,
    /// 95th percentile of the same.
    pub latency_p95_ms: Option<u64>,
    /// Bytes of the answers.
    pub bytes: u64,
}

impl Store {
    /// Calls of an endpoint by minute and method, oldest first, from `from` (included) to `to` (not), at most `limit` rows, the newest
    /// where there are more.
    pub async fn provider_minutes(
        &self,
        network: &Network,
        endpoint: &str,
        (from, to): (TimeMs, TimeMs),
        limit: u32,
    ) -> Result<Vec<ProviderMinute>, StoreError> {
        let sql = "SELECT at, method, observer, calls, failures, latency_p50_ms, latency_p95_ms, bytes FROM provider_minutes \
                   WHERE network = {network:String} AND endpoint = {endpoint:String} \
                   AND at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({to:Int64}, 'UTC') \
                   ORDER BY at DESC, method, observer LIMIT {limit:UInt32}";
        let query = self.read(sql).param("network", network.as_str()).param("endpoint", endpoint);
        let query = query.param("from", from.0).param("to", to.0).param("limit", limit);
        let mut minutes = self.within("reading an endpoint's minutes", query.fetch_all::<ProviderMinute>()).await?;
        minutes.reverse();
        Ok(minutes)
    }
}
