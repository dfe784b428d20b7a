//! What processes counted of use, written down.
//!
//! Guarantee: each flush of a process counts once, however often it is tried and whatever is killed meanwhile. A process numbers its flushes,
//! and the number is written in the transaction of the sums: one that is there already changes nothing. What a killed process had not
//! flushed is lost, and nothing is ever doubled.

use std::collections::BTreeMap;

use schemas::{Quota, TimeMs, limits::quotas as limits};

use crate::{
    db::{Tx, Value},
    error::Error,
    id::Id,
    open::Control,
    sql::{Sql, SystemSql},
};

const FLUSH: SystemSql = SystemSql(
    "INSERT INTO usage_flushes (instance, number, at) VALUES ($1, $2, $3) \
     ON CONFLICT (instance) DO UPDATE SET number = excluded.number, at = excluded.at \
     WHERE usage_flushes.number < excluded.number RETURNING number",
);
const FORGET_FLUSHES: SystemSql = SystemSql("DELETE FROM usage_flushes WHERE at < $1");
pub(super) const STAYS: Sql =
    Sql::of_tenant("SELECT tenant_id FROM tenants WHERE tenant_id = $1 AND deleting_at IS NULL");
pub(super) const ADD: Sql = Sql::of_tenant(
    "INSERT INTO tenant_usage (tenant_id, name, period_start, used) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tenant_id, name, period_start) DO UPDATE SET used = tenant_usage.used + excluded.used RETURNING used",
);
pub(super) const FORGET: Sql = Sql::of_tenant("DELETE FROM tenant_usage WHERE tenant_id = $1 AND period_start < $2");

/// What one tenant used of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metered {
    /// Who.
    pub tenant: Id,
    /// Of what.
    pub quota: Quota,
    /// The day's beginning (UTC).
    pub day: TimeMs,
    /// How much.
    pub used: i64,
}

impl Control {
    /// Adds what `instance` (a process's name of its own, never used again) counted since its flush before; `number` rises with each, and a
    /// flush that is tried again has the number and the sums that it had. Answers what is used by now, over all processes, of each of
    /// `counted`; of tenants that are gone nothing.
    ///
    /// # Errors
    /// The store is away; whether it was added is not known then, and the same flush is to be tried again.
    pub async fn meter(
        &self,
        instance: &str,
        number: i64,
        counted: &[Metered],
    ) -> Result<BTreeMap<(Id, Quota), i64>, Error> {
        let mut tx = self.db.system(true).await?;
        let done = flush(&mut tx, instance, number, counted).await;
        tx.end(done).await
    }
}

async fn flush(
    tx: &mut Tx,
    instance: &str,
    number: i64,
    counted: &[Metered],
) -> Result<BTreeMap<(Id, Quota), i64>, Error> {
    let now = TimeMs::now().0;
    let is_new = !tx.system(FLUSH, &[Value::from(instance), number.into(), now.into()]).await?.is_empty();
    // The same order for all processes, so that two do not wait for each other.
    let mut counted: Vec<Metered> = counted.to_vec();
    counted.sort_by_key(|m| (m.tenant, m.quota, m.day));
    let mut sums = BTreeMap::new();
    let mut within: Option<(Id, bool)> = None;
    for metered in counted {
        let stays = match within {
            Some((tenant, stays)) if tenant == metered.tenant => stays,
            _ => {
                tx.enter(&metered.tenant).await?;
                tx.row(STAYS, &[]).await?.is_some()
            }
        };
        within = Some((metered.tenant, stays));
        if !stays {
            // Deleted since it asked, or about to be: what is emptied stays empty.
            continue;
        }
        let added = if is_new { metered.used } else { 0 };
        let values = [Value::from(metered.quota.as_str()), metered.day.0.into(), added.into()];
        if let Some(row) = tx.row(ADD, &values).await? {
            sums.insert((metered.tenant, metered.quota), row.int("used")?);
        }
        if number == 1 {
            tx.rows(FORGET, &[Value::from(now - limits::USAGE_KEPT.as_millis() as i64)]).await?;
        }
    }
    if number == 1 {
        tx.system(FORGET_FLUSHES, &[Value::from(now - limits::FLUSHES_KEPT.as_millis() as i64)]).await?;
    }
    Ok(sums)
}
