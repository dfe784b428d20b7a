//! What alerts did not tell of a monitor, or did not look at for its tenant, by network.
//!
//! Guarantee: the sum of what was said within [`LOOKED_BACK_MS`], each once however often its rows were written.

use clickhouse::Row;
use schemas::TimeMs;
use serde::Deserialize;

use super::Whose;
use crate::{Store, StoreError, StoreErrorKind};

/// How far back it is summed up, milliseconds: a chain with four blocks a second says it two million times within it at most.
pub const LOOKED_BACK_MS: i64 = 7 * 86_400_000;

/// What was left out on one network.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct LeftOut {
    /// Slug of the network.
    pub network: String,
    /// Matches of the monitor for which a block had no room.
    pub matches: u64,
    /// Transactions that no monitor of the tenant was put to, since its conditions cost too much.
    pub transactions: u64,
    /// Time of the first block of which something was.
    pub first: TimeMs,
    /// Time of the last one.
    pub last: TimeMs,
}

const LEFT_OUT: &str = "SELECT network, sumIf(many, what = 'left_out') AS matches, sumIf(many, what = 'not_looked_at') AS transactions, \
        min(at) AS first, max(at) AS last FROM (SELECT network, what, l.at AS at, max(l.count) AS many FROM alert_left_out_rows AS l";

impl Store {
    /// What was left out of a tenant's monitor of late, by network; nothing where nothing was.
    ///
    /// # Errors
    /// The store is away.
    pub async fn left_out(&self, whose: &Whose, monitor: &str) -> Result<Vec<LeftOut>, StoreError> {
        let sql = format!(
            "{LEFT_OUT} WHERE {} AND source_id IN ('', {{monitor:String}}) AND l.at >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
             GROUP BY network, what, l.source_id, l.at, l.sequence, l.place) GROUP BY network ORDER BY network",
            whose.condition()
        );
        let from = TimeMs::now().0.saturating_sub(LOOKED_BACK_MS).max(0);
        let query = whose.bind(self.tenants().read(&sql)).param("monitor", monitor).param("from", from);
        match self.within("summing up what alerts left out", query.fetch_all::<LeftOut>()).await {
            // A store that no sink of this version has seen yet has nothing of it.
            Err(error) if error.kind == StoreErrorKind::Version => Ok(Vec::new()),
            summed_up => summed_up,
        }
    }
}
