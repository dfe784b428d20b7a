//! What a tenant has and uses, beside what it may.

use std::collections::{BTreeMap, HashMap};

use schemas::{Quota, TimeMs, limits::control as limits};

use super::{Maxima, count, of_tenant};
use crate::{
    db::{Tx, Value},
    error::Error,
    id::Id,
    open::Control,
    sql::{Sql, SystemSql},
    tenant::{Authenticated, Tenant},
    tenants::{self, TenantInfo},
};

pub(super) const OF_DAY: Sql =
    Sql::of_tenant("SELECT name, used FROM tenant_usage WHERE tenant_id = $1 AND period_start = $2");
pub(super) const OF_ALL: SystemSql =
    SystemSql("SELECT tenant_id, name, used FROM tenant_usage WHERE period_start = $1 ORDER BY tenant_id LIMIT $2");

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

/// What a tenant may, and what it used today (UTC) by what was written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it may.
    pub maxima: Maxima,
    /// What it used today, over all processes, but for what they have not flushed.
    pub today: BTreeMap<Quota, i64>,
}

/// One quota, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Of what.
    pub quota: Quota,
    /// The most; `None`: no bound of the tenant's own.
    pub limit: Option<i64>,
    /// How much there is, or was used since the period began. What only processes know (a minute's requests, sockets, an hour's messages) is
    /// 0 here.
    pub used: i64,
    /// When it begins anew, where it does; in milliseconds since 1970.
    pub resets_at: Option<TimeMs>,
}

/// What one tenant used today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedByTenant {
    /// Who.
    pub tenant: Id,
    /// For people.
    pub name: String,
    /// The plan that it names.
    pub plan: String,
    /// `active`, `importing`, `suspended` or `deleting`.
    pub state: &'static str,
    /// Of what how much.
    pub used: BTreeMap<Quota, i64>,
}

/// When the day of a time began (UTC).
pub(super) fn day_of(now: TimeMs) -> TimeMs {
    TimeMs(now.0 - now.0.rem_euclid(DAY))
}

impl Control {
    /// When the day of a time began (UTC), as use is added up by.
    pub fn day_of(now: TimeMs) -> TimeMs {
        day_of(now)
    }

    /// What a tenant may, and what it used today: what a process that lets it in goes by.
    ///
    /// # Errors
    /// The tenant is gone, or the store is away.
    pub async fn standing(&self, tenant: &Tenant) -> Result<Standing, Error> {
        let mut tx = self.db.read(tenant).await?;
        let done = async {
            let (maxima, _) = of_tenant(&mut tx).await?;
            Ok(Standing { maxima, today: today(&mut tx).await? })
        };
        let done = done.await;
        tx.end(done).await
    }

    /// A tenant's plan, and every quota as it stands.
    ///
    /// # Errors
    /// The tenant is gone, or the store is away.
    pub async fn usage(&self, tenant: &Tenant) -> Result<(String, Vec<Used>), Error> {
        let mut tx = self.db.read(tenant).await?;
        let done = usage(&mut tx).await;
        tx.end(done).await
    }

    /// All tenants, and what each used today (UTC), for operators of the platform: to anybody else there is no such thing.
    ///
    /// # Errors
    /// It is no operator, or the store is away.
    pub async fn usage_of_all(&self, who: &Authenticated) -> Result<Vec<UsedByTenant>, Error> {
        if !who.is_platform() {
            return Err(Error::NotFound);
        }
        let mut tx = self.db.system(false).await?;
        let rows = async {
            let all = tenants::all_in(&mut tx).await?;
            let most = (limits::TENANTS * Quota::ALL.len()) as i64;
            let used = tx.system(OF_ALL, &[Value::from(day_of(TimeMs::now()).0), most.into()]).await?;
            Ok((all, used))
        };
        let rows = rows.await;
        let (all, rows) = tx.end(rows).await?;
        let mut used: HashMap<Id, BTreeMap<Quota, i64>> = HashMap::new();
        for row in rows {
            if let Some(quota) = Quota::of_word(&row.text("name")?) {
                used.entry(row.parsed("tenant_id")?).or_default().insert(quota, row.int("used")?);
            }
        }
        let of = |info: TenantInfo| UsedByTenant {
            tenant: info.id,
            state: info.state(),
            used: used.remove(&info.id).unwrap_or_default(),
            name: info.name,
            plan: info.plan,
        };
        Ok(all.into_iter().map(of).collect())
    }
}

async fn usage(tx: &mut Tx) -> Result<(String, Vec<Used>), Error> {
    let (maxima, counted) = of_tenant(tx).await?;
    let today = today(tx).await?;
    let tomorrow = TimeMs(day_of(TimeMs::now()).0 + DAY);
    let mut all = Vec::with_capacity(Quota::ALL.len());
    for quota in Quota::ALL {
        let (used, resets_at) = match quota {
            Quota::RequestsPerDay | Quota::BacktestRows => (today.get(&quota).copied().unwrap_or(0), Some(tomorrow)),
            _ if Quota::OF_THINGS.contains(&quota) => match counted.get(&quota) {
                Some(used) => (*used, None),
                None => (count(tx, quota).await?, None),
            },
            _ => (0, None),
        };
        all.push(Used { quota, limit: maxima.of(quota), used, resets_at });
    }
    Ok((maxima.plan, all))
}

async fn today(tx: &mut Tx) -> Result<BTreeMap<Quota, i64>, Error> {
    let mut today = BTreeMap::new();
    for row in tx.rows(OF_DAY, &[Value::from(day_of(TimeMs::now()).0)]).await? {
        if let Some(quota) = Quota::of_word(&row.text("name")?) {
            today.insert(quota, row.int("used")?);
        }
    }
    Ok(today)
}
