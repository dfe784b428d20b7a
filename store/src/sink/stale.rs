//! Marks on counts of completeness that a change may have made wrong, or that were not made yet (rule 18, `audit_rows`).
//!
//! Guarantee: each bucket of heights that holds a block has a row, so that whoever reads knows from those alone what was counted and
//! what has to be counted from the rows: a bucket is marked before its first row is written. A count that stands unmarked was begun after
//! every change to its heights that has an event's row. Whoever changes something marks when the rows are on disk and before the event's
//! row (a kill between the two does the event again, mark and all); whoever counts takes its version before it reads, so that a mark
//! that came meanwhile is newer and wins.

use schemas::{
    Network,
    limits::{AUDIT_BUCKET_HEIGHTS, AUDIT_OPEN_BLOCKS},
};

use super::insert::SETTINGS;
use crate::{Store, StoreError, client::deadline};

/// Heights to be marked, per network.
pub(super) type Marks<'n> = Vec<(&'n Network, Vec<u64>)>;

/// First height of the bucket in which a height lies.
pub(crate) const fn bucket_of(height: u64) -> u64 {
    height - height % AUDIT_BUCKET_HEIGHTS
}

/// Whether the bucket of a height may be counted and kept: few reorgs reach it any more, and those that do have it counted again.
/// `top`: the highest height that the network ever had, or a lower one.
pub(super) const fn may_be_counted(height: u64, top: u64) -> bool {
    match bucket_of(height).checked_add(AUDIT_BUCKET_HEIGHTS + AUDIT_OPEN_BLOCKS) {
        Some(end) => end <= top,
        None => false,
    }
}

/// The version of what is written now about a bucket: the store's clock, or one above the last when the clock went back.
pub(super) const VERSION: &str = "greatest(toUInt64(toUnixTimestamp64Micro(now64(6))), \
    1 + toUInt64(ifNull((SELECT max(version) FROM audit_rows \
    WHERE network = {network:String} AND from_height IN {buckets:Array(UInt64)}), 0)))";

/// Marks the counts of these heights: they are to be made again.
pub(super) async fn mark(store: &Store, network: &Network, heights: &[u64]) -> Result<(), StoreError> {
    let mut buckets: Vec<u64> = heights.iter().copied().map(bucket_of).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let sql = format!(
        "INSERT INTO audit_rows (network, from_height, version, stale, audited_at) \
         SELECT {{network:String}}, arrayJoin({{buckets:Array(UInt64)}}), {VERSION}, 1, now64(3, 'UTC')"
    );
    for buckets in buckets.chunks(256) {
        let statement = store.client().query(&sql).param("network", network.as_str()).param("buckets", buckets);
        let statement = SETTINGS.iter().fold(statement, |s, (name, value)| s.with_setting(*name, *value));
        deadline("marking counts", store.config().write_deadline, statement.execute()).await?;
    }
    Ok(())
}

/// Marks the buckets of a table of blocks that were never counted nor marked: they are to be counted.
pub(super) async fn seed(store: &Store, blocks: &str) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO audit_rows (network, from_height, version, stale, audited_at) \
         SELECT DISTINCT network, intDiv(height, {AUDIT_BUCKET_HEIGHTS}) * {AUDIT_BUCKET_HEIGHTS} AS bucket, 0, 1, now64(3, 'UTC') \
         FROM {blocks} WHERE (network, bucket) NOT IN (SELECT network, from_height FROM audit_rows) SETTINGS max_threads = 1"
    );
    let statement = store.client().query(&sql);
    let statement = SETTINGS.iter().fold(statement, |s, (name, value)| s.with_setting(*name, *value));
    deadline("marking counts", store.config().write_deadline, statement.execute()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_counted_when_no_reorg_reaches_it() {
        let end = 2 * AUDIT_BUCKET_HEIGHTS - 1;
        assert_eq!((bucket_of(end), bucket_of(end + 1)), (AUDIT_BUCKET_HEIGHTS, 2 * AUDIT_BUCKET_HEIGHTS));
        assert!(!may_be_counted(AUDIT_BUCKET_HEIGHTS, end + AUDIT_OPEN_BLOCKS));
        assert!(may_be_counted(AUDIT_BUCKET_HEIGHTS, end + AUDIT_OPEN_BLOCKS + 1));
        assert!(may_be_counted(end, end + AUDIT_OPEN_BLOCKS + 1));
        assert!(!may_be_counted(u64::MAX - 5, u64::MAX));
    }
}
