//! What was removed by `[store] keep` or `max_bytes` (rule 32).
//!
//! Guarantee: what is told here was told before the first row of it went, and every view has hidden it since.

use clickhouse::Row;
use schemas::{Network, TimeMs};
use serde::Deserialize;

use crate::{Store, StoreError};

/// What was removed of a network.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Pruned {
    /// Slug.
    pub network: String,
    /// Lowest height that was ever held.
    pub from_height: u64,
    /// Rows of all heights below this one are removed, or hidden and about to be.
    pub below: u64,
    /// Time of the newest block among them.
    pub newest_time: TimeMs,
    /// `keep` or `max_bytes`: what the last of them went by.
    pub reason: String,
    /// When the last of them were said to go.
    pub at: TimeMs,
}

impl Pruned {
    /// Whether this height was removed.
    pub fn has(&self, height: u64) -> bool {
        height < self.below
    }
}

const COLUMNS: &str = "toString(p.network) AS network, min(p.from_height) AS from_height, max(p.pruned_below) AS below, \
    max(p.newest_time) AS newest_time, argMax(toString(p.reason), (p.pruned_below, p.at)) AS reason, \
    argMax(p.at, (p.pruned_below, p.at)) AS at";

impl Store {
    /// What was removed of each network, by name; networks of which nothing was are not among them.
    pub async fn pruned(&self) -> Result<Vec<Pruned>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM pruned_rows AS p GROUP BY p.network ORDER BY p.network");
        self.within("reading what was removed", self.read(&sql).fetch_all::<Pruned>()).await
    }

    /// What was removed of a network; `None`: nothing. A back-fill of a height below [`Pruned::below`] would be in vain, and its rows
    /// are not written.
    pub async fn pruned_below(&self, network: &Network) -> Result<Option<Pruned>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM pruned_rows AS p WHERE p.network = {{network:String}} GROUP BY p.network");
        let query = self.read(&sql).param("network", network.as_str()).fetch_optional::<Pruned>();
        self.within("reading what was removed", query).await
    }
}
