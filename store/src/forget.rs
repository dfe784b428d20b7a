//! What belongs to a tenant that was deleted goes out of the tables of tenants.
//!
//! Guarantee: rows are removed from the disk (`ALTER … DELETE` writes the parts anew), not only hidden, and counted afterwards: [`Forgotten::left`]
//! is what a question finds. Whatever was on its way to a table comes later: whoever wants them gone asks again.

use std::collections::BTreeMap;

use crate::{Store, StoreError, StoreErrorKind, client::deadline};

/// Tables with rows of tenants.
pub const TABLES: [&str; 5] =
    ["alert_event_rows", "alert_rows", "alert_delivery_rows", "alert_match_rows", "alert_left_out_rows"];

/// Rows of tenants, by table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Before.
    pub found: BTreeMap<&'static str, u64>,
    /// Afterwards.
    pub left: BTreeMap<&'static str, u64>,
}

impl Forgotten {
    /// Whether nothing is left.
    pub fn is_whole(&self) -> bool {
        self.left.values().all(|rows| *rows == 0)
    }
}

impl Store {
    /// Removes all rows of these tenants, by id.
    ///
    /// # Errors
    /// The store is away, or its user may not; an id is none.
    pub async fn forget_tenants(&self, ids: &[String]) -> Result<Forgotten, StoreError> {
        // They are written into the statement, which takes no parameters on every server.
        if let Some(id) = ids.iter().find(|id| id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric())) {
            let words = format!("`{}` is no id of a tenant", id.escape_debug());
            return Err(StoreError::new(StoreErrorKind::BadRequest, "forgetting a tenant", words));
        }
        let mut forgotten = Forgotten::default();
        if ids.is_empty() {
            return Ok(forgotten);
        }
        let list = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
        let tenants = self.tenants();
        for table in TABLES {
            let found = tenants.rows_of(table, &list).await?;
            forgotten.found.insert(table, found);
            if found > 0 {
                let sql = format!("ALTER TABLE {table} DELETE WHERE tenant IN ({list})");
                let statement = tenants.client().query(&sql).with_setting("mutations_sync", "1");
                deadline("forgetting a tenant", self.config().write_deadline, statement.execute()).await?;
            }
            forgotten.left.insert(table, if found > 0 { tenants.rows_of(table, &list).await? } else { 0 });
        }
        Ok(forgotten)
    }

    /// Rows of these tenants; none where there is no table yet.
    async fn rows_of(&self, table: &str, list: &str) -> Result<u64, StoreError> {
        let sql = format!("SELECT count() FROM {table} WHERE tenant IN ({list})");
        match self.within("counting a tenant's rows", self.read(&sql).fetch_one::<u64>()).await {
            Err(error) if error.kind == StoreErrorKind::Version => Ok(0),
            counted => counted,
        }
    }
}
