//! How many alerts and messages there were, of one tenant, and of each.
//!
//! Guarantee: exact of what is kept: each alert and each message counts once, however often its rows were written.

use clickhouse::Row;
use schemas::{TimeMs, limits};
use serde::Deserialize;

use super::{Whose, ids};
use crate::{Store, StoreError};

/// Of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct TenantCounts {
    /// Whose.
    pub tenant: String,
    /// How many.
    pub many: u64,
}

impl Store {
    /// Messages of a tenant that came about at this time or later, but for those that a summary took the place of.
    ///
    /// # Errors
    /// The store is away.
    pub async fn deliveries_since(&self, whose: &Whose, since: TimeMs) -> Result<u64, StoreError> {
        let sql = "SELECT uniqExact(delivery_id) FROM (SELECT delivery_id FROM alert_delivery_rows \
                   WHERE tenant = {tenant:String} AND delivery_id >= {low:String} AND made_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') \
                   GROUP BY delivery_id HAVING argMax(state, (at, attempt, place)) != 'replaced')";
        let query = self.tenants().read(sql).param("tenant", whose.tenant.as_str());
        let query = query.param("low", low(since)).param("from", clamped(since));
        self.within("counting deliveries", query.fetch_one::<u64>()).await
    }

    /// Messages of each tenant that came about at this time or later, the most first: numbers alone, for who runs the machine.
    ///
    /// # Errors
    /// The store is away.
    pub async fn deliveries_by_tenant(&self, since: TimeMs) -> Result<Vec<TenantCounts>, StoreError> {
        self.by_tenant("alert_delivery_rows", "delivery_id", since).await
    }

    /// Alerts of each tenant that began at this time or later, the most first: numbers alone, for who runs the machine.
    ///
    /// # Errors
    /// The store is away.
    pub async fn alerts_by_tenant(&self, since: TimeMs) -> Result<Vec<TenantCounts>, StoreError> {
        self.by_tenant("alert_rows", "alert_id", since).await
    }

    async fn by_tenant(&self, table: &str, id: &str, since: TimeMs) -> Result<Vec<TenantCounts>, StoreError> {
        let most = limits::control::TENANTS;
        let sql = format!(
            "SELECT tenant, uniqExact({id}) AS many FROM {table} WHERE made_at >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
             GROUP BY tenant ORDER BY many DESC, tenant LIMIT {most}"
        );
        let query = self.tenants().read(&sql).param("from", clamped(since));
        self.within("counting by tenant", query.fetch_all::<TenantCounts>()).await
    }
}

fn clamped(at: TimeMs) -> i64 {
    at.0.clamp(0, limits::BLOCK_TIME_END_MS)
}

/// The first id that may be of this time.
fn low(since: TimeMs) -> String {
    ids((u64::try_from(since.0).unwrap_or_default(), 0)).0
}
