//! Heights of one partition of each network's rows (rules 16 and 32).
//!
//! Guarantee: once a network has rows its partitions never change, so that equal keys lie in one partition and collapse. What was
//! recorded first counts (`partition_rows`), whatever a later configuration says. A partition is about a week of blocks: that is what
//! `[store] keep` drops at once. It is a multiple of 1,024 heights, so that no count of completeness lies in two.

use std::collections::{BTreeMap, HashMap};

use schemas::{
    Network,
    limits::{AUDIT_BUCKET_HEIGHTS, PARTITION_HEIGHTS},
};

use super::insert::SETTINGS;
use crate::{Store, StoreError, client::deadline};

/// Milliseconds of a week.
const WEEK_MS: u64 = 7 * 86_400_000;
/// Time between blocks where nothing is known of a chain.
const USUAL_MS: u64 = 2_000;

/// Heights of about a week, of a chain whose blocks come every so many milliseconds.
pub fn week_of_heights(block_time_ms: Option<u64>) -> u32 {
    let heights = WEEK_MS / block_time_ms.unwrap_or(USUAL_MS).max(1);
    let whole = heights - heights % AUDIT_BUCKET_HEIGHTS;
    u32::try_from(whole).unwrap_or(u32::MAX).clamp(PARTITION_HEIGHTS.0, PARTITION_HEIGHTS.1)
}

/// Heights of a partition, of the networks that are known.
#[derive(Debug, Clone, Default)]
pub struct Spans(HashMap<Network, u32>);

impl Spans {
    /// Of a network; 0, which the store refuses, when it is not known.
    pub fn of(&self, network: &Network) -> u32 {
        self.0.get(network).copied().unwrap_or(0)
    }

    /// Whether it is known of a network.
    pub fn knows(&self, network: &Network) -> bool {
        self.0.contains_key(network)
    }

    pub(super) fn set(&mut self, network: &Network, span: u32) {
        self.0.insert(network.clone(), span);
    }
}

/// What the configuration would choose.
pub(super) fn wanted(configured: &BTreeMap<Network, u32>, network: &Network) -> u32 {
    configured.get(network).copied().unwrap_or_else(|| week_of_heights(None))
}

/// What is recorded of a network.
pub(super) async fn recorded(store: &Store, network: &str) -> Result<Option<u32>, StoreError> {
    let sql = "SELECT span FROM partition_rows WHERE network = {network:String} ORDER BY at, span LIMIT 1";
    let query = store.read(sql).param("network", network).fetch_optional::<u32>();
    store.within("reading a network's partitions", query).await
}

/// What is recorded; else this is. Of several processes that record at once, all go on with the same.
pub(super) async fn record(store: &Store, network: &str, span: u32) -> Result<u32, StoreError> {
    if let Some(span) = recorded(store, network).await? {
        return Ok(span);
    }
    let sql = "INSERT INTO partition_rows (network, at, span) SELECT {network:String}, now64(6, 'UTC'), {span:UInt32}";
    let statement = store.client().query(sql).param("network", network).param("span", span);
    let statement = SETTINGS.iter().fold(statement, |s, (name, value)| s.with_setting(*name, *value));
    deadline("recording a network's partitions", store.config().write_deadline, statement.execute()).await?;
    Ok(recorded(store, network).await?.unwrap_or(span))
}

/// The partitions of one network whose rows are there.
pub(super) async fn held(store: &Store, network: &Network) -> Result<Spans, StoreError> {
    let mut spans = Spans::default();
    if let Some(span) = recorded(store, network.as_str()).await? {
        spans.set(network, span);
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_about_a_week_and_whole_buckets() {
        let weeks = |ms: u64| f64::from(week_of_heights(Some(ms))) * ms as f64 / WEEK_MS as f64;
        for ms in [250, 1_000, 2_000, 5_000, 12_000, 15_000] {
            assert!((0.97..=1.0).contains(&weeks(ms)), "{ms} ms: {}", weeks(ms));
        }
        assert_eq!(week_of_heights(Some(600_000)), 1_024, "Bitcoin");
        assert_eq!(week_of_heights(Some(12_000)), 50_176, "Ethereum");
        assert_eq!(week_of_heights(Some(1)), PARTITION_HEIGHTS.1);
        assert_eq!(week_of_heights(None), week_of_heights(Some(2_000)));
        for ms in [0, 1, 7, 250, 12_000, 600_000, u64::MAX] {
            assert_eq!(u64::from(week_of_heights(Some(ms))) % AUDIT_BUCKET_HEIGHTS, 0);
        }
    }
}
