//! Why transactions that monitors matched failed, as it is known by now.
//!
//! Guarantee: of the very transaction in the very block: one that was reverted has none. Causes come late, so that they are looked up where
//! blocks have them instead of being kept with what was matched.

use std::collections::{BTreeMap, HashMap};

use clickhouse::Row;
use schemas::limits;
use serde::Deserialize;

use super::MatchRow;
use crate::{Store, StoreError};

/// Why a transaction failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// One word; `None` while nothing is known.
    pub cause: Option<String>,
    /// In words.
    pub reason: Option<String>,
}

#[derive(Row, Deserialize)]
struct Failed {
    hash: String,
    block_hash: String,
    failure_cause: Option<String>,
    failure_reason: Option<String>,
}

const SQL: &str = "SELECT hash, block_hash, failure_cause, failure_reason FROM transactions WHERE network = {network:String} \
        AND block_number IN {heights:Array(UInt64)} AND status = 'failed' AND hash IN {hashes:Array(String)} LIMIT {limit:UInt32}";

impl Store {
    /// Why those of these transactions failed that did, by hash and block.
    ///
    /// # Errors
    /// The store is away.
    pub async fn why(&self, matches: &[MatchRow]) -> Result<HashMap<(String, String), Why>, StoreError> {
        let mut by_network: BTreeMap<&str, Vec<&MatchRow>> = BTreeMap::new();
        for row in matches.iter().filter(|row| row.live) {
            by_network.entry(&row.network).or_default().push(row);
        }
        let mut why = HashMap::new();
        for (network, rows) in by_network {
            let (mut heights, mut hashes): (Vec<u64>, Vec<&str>) =
                rows.into_iter().map(|row| (row.height, row.hash.as_str())).unzip();
            heights.sort_unstable();
            heights.dedup();
            hashes.sort_unstable();
            hashes.dedup();
            let query = self.read(SQL).param("network", network).param("heights", heights).param("hashes", hashes);
            let query = query.param("limit", limits::PAGE_ITEMS_MAX);
            let found = self.within("looking up why transactions failed", query.fetch_all::<Failed>()).await?;
            let one = |row: Failed| {
                ((row.hash, row.block_hash), Why { cause: row.failure_cause, reason: row.failure_reason })
            };
            why.extend(found.into_iter().map(one));
        }
        Ok(why)
    }
}
