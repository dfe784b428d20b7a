//! All alerts and deliveries of one tenant, by age: for its export.

use clickhouse::Row;
use schemas::TimeMs;
use serde::Deserialize;

use super::Whose;
use crate::{Store, StoreError};

/// An alert, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct WholeAlert {
    /// Its id.
    pub id: String,
    /// All of it, JSON, after its last transition.
    pub alert: String,
    /// Number of that transition.
    pub revision: u64,
    /// When that was.
    pub at: TimeMs,
}

/// What was said of a message, an attempt at a time.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct WholeDelivery {
    /// The message.
    pub id: String,
    /// When.
    pub at: TimeMs,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Offset in `alerts.deliveries`: what was said later has a higher one.
    pub place: u64,
    /// `queued`, `sent`, `failed` or `replaced`.
    pub state: String,
    /// The alert; empty without one.
    pub alert_id: String,
    /// The channel.
    pub channel_id: String,
    /// Its type.
    pub channel_type: String,
    /// `alert.firing` and others.
    pub message: String,
    /// The other's status.
    pub status: Option<u16>,
    /// Why it failed; empty where it did not.
    pub error: String,
}

impl Store {
    /// Alerts behind an id (empty: from the first), by id; at most `most`.
    ///
    /// # Errors
    /// The store is away.
    pub async fn whole_alerts(&self, whose: &Whose, behind: &str, most: u32) -> Result<Vec<WholeAlert>, StoreError> {
        let sql = format!(
            "SELECT alert_id AS id, alert, revision, updated_at AS at FROM alert_rows FINAL WHERE {} AND alert_id > {{behind:String}} \
             ORDER BY tenant, alert_id LIMIT {{most:UInt32}}",
            whose.condition()
        );
        let query = whose.bind(self.tenants().read(&sql)).param("behind", behind).param("most", most);
        self.within("exporting alerts", query.fetch_all()).await
    }

    /// All that was said of the `most` messages behind an id (empty: from the first), by id. Who reaches some networks only is given none: a
    /// message has no network.
    ///
    /// # Errors
    /// The store is away.
    pub async fn whole_deliveries_of(
        &self,
        whose: &Whose,
        behind: &str,
        most: u32,
    ) -> Result<Vec<WholeDelivery>, StoreError> {
        if whose.networks.is_some() {
            return Ok(Vec::new());
        }
        // Whole messages: those of the ids that come next, with all that was said of each.
        let sql = "SELECT delivery_id AS id, at, attempt, place, state, alert_id, channel_id, channel_type, kind AS message, status, error \
                   FROM alert_delivery_rows FINAL WHERE tenant = {tenant:String} AND delivery_id IN (SELECT DISTINCT delivery_id \
                   FROM alert_delivery_rows WHERE tenant = {tenant:String} AND delivery_id > {behind:String} ORDER BY delivery_id \
                   LIMIT {most:UInt32}) ORDER BY tenant, delivery_id, at, attempt, place";
        let query = self.tenants().read(sql).param("tenant", whose.tenant.as_str());
        let query = query.param("behind", behind).param("most", most);
        self.within("exporting deliveries", query.fetch_all()).await
    }
}
