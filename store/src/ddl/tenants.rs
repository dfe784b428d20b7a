//! The database of what belongs to tenants: alerts, what monitors matched, what became of messages.
//!
//! Guarantee: no analyst reads it (rule 19). It is a database of its own, so that grants on the store's database, which are what analysts
//! have on every server, do not reach it, nor does what lists the views that they have; the embedded engine's judge refuses its name. The
//! operators' views over it lie in it, and read with the rights of who asks. Shown by `tests/engine/tenants.rs`.
//!
//! It has a ledger of its own and is made beside the chains' tables: where a server grants nothing on it, alerts have no history, and rows
//! of chains come as before.

use super::Migration;
use crate::{
    Store, StoreError,
    engine::{quoted_name, tenants_database},
};

/// All of this version, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration::new(1, "alert_event_rows", include_str!("tenants/0001_alert_event_rows.sql")),
    Migration::new(2, "alert_rows", include_str!("tenants/0002_alert_rows.sql")),
    Migration::new(3, "alert_delivery_rows", include_str!("tenants/0003_alert_delivery_rows.sql")),
    Migration::new(4, "alert_match_rows", include_str!("tenants/0004_alert_match_rows.sql")),
    Migration::new(5, "alert_event_position_rows", include_str!("tenants/0005_alert_event_position_rows.sql")),
    Migration::new(6, "alert_delivery_position_rows", include_str!("tenants/0006_alert_delivery_position_rows.sql")),
    Migration::new(7, "alert_match_position_rows", include_str!("tenants/0007_alert_match_position_rows.sql")),
    Migration::new(8, "alert_left_out_rows", include_str!("tenants/0008_alert_left_out_rows.sql")),
];

/// The operators' views.
const VIEWS: [&str; 2] = [include_str!("tenants/alert_events.sql"), include_str!("tenants/alert_deliveries.sql")];

impl Store {
    /// The database of tenants beside this one.
    pub fn tenants(&self) -> Self {
        self.beside(tenants_database(self.database()))
    }

    /// Makes that database and brings it to this version, with the operators' views.
    ///
    /// # Errors
    /// The store is away, or its user may not.
    pub async fn migrate_tenants(&self) -> Result<(), StoreError> {
        let tenants = self.tenants();
        tenants.migrate_to(MIGRATIONS).await?;
        for view in VIEWS {
            let sql = view.replace("{tenants}", &quoted_name(tenants.database()));
            self.ddl("making the operators' views", self.client().query_raw(&sql)).await?;
        }
        Ok(())
    }
}
