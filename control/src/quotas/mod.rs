//! What tenants may have and use, and what they have and use of it.
//!
//! Guarantee: of a thing there are never more than its tenant's plan says, whoever adds at the same time. [`take`] counts in the transaction
//! that adds, by a statement that refuses what would be more; what is refused leaves nothing behind. A plan that gives less than there is
//! already removes nothing: no more is added. What has never been counted (a tenant of before, or one whose rows came otherwise) is counted
//! from the rows themselves when it first matters. What is used over time (requests, rows) is added up by [`Control::meter`], each flush once.

mod meter;
pub(crate) mod plans;
mod used;

use std::collections::BTreeMap;

use schemas::{Quota, records::DefinitionKind};

pub use meter::Metered;
pub use used::{Standing, Used, UsedByTenant};

use crate::{
    audit::Change,
    db::{Row, Tx, Value},
    error::Error,
    sql::{Sql, SystemSql},
};

/// The plan of who has no other.
pub const DEFAULT: &str = "default";

const PLAN: Sql = Sql::of_tenant("SELECT plan FROM tenants WHERE tenant_id = $1");
const DOCUMENT: SystemSql = SystemSql("SELECT document FROM plans WHERE name = $1");
const ROW: Sql = Sql::of_tenant("SELECT maximum, used FROM tenant_quotas WHERE tenant_id = $1 AND name = $2");
const ROWS: Sql = Sql::of_tenant("SELECT name, maximum, used FROM tenant_quotas WHERE tenant_id = $1");
const BEGIN: Sql = Sql::of_tenant(
    "INSERT INTO tenant_quotas (tenant_id, name, maximum, used) VALUES ($1, $2, NULL, $3) ON CONFLICT (tenant_id, name) DO NOTHING",
);
const TAKE: Sql = Sql::of_tenant(
    "UPDATE tenant_quotas SET used = used + $3 \
     WHERE tenant_id = $1 AND name = $2 AND used + $3 <= COALESCE(maximum, $4) RETURNING used",
);
const GIVE: Sql = Sql::of_tenant(
    "UPDATE tenant_quotas SET used = CASE WHEN used > $3 THEN used - $3 ELSE 0 END WHERE tenant_id = $1 AND name = $2",
);
const CONTRACTS: Sql =
    Sql::of_tenant("SELECT CAST(COUNT(*) AS BIGINT) AS many FROM tenant_contracts WHERE tenant_id = $1");
const DEFINITIONS: Sql = Sql::of_tenant(
    "SELECT CAST(COUNT(*) AS BIGINT) AS many FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2",
);
const UNINDEXED: Sql = Sql::of_tenant(
    "SELECT CAST(COUNT(*) AS BIGINT) AS many FROM tenant_definitions WHERE tenant_id = $1 AND kind = 'monitor' AND unindexed = 1",
);
const KEYS: Sql =
    Sql::of_tenant("SELECT CAST(COUNT(*) AS BIGINT) AS many FROM api_keys WHERE tenant_id = $1 AND revoked_at IS NULL");
const MEMBERS: Sql = Sql::of_tenant("SELECT CAST(COUNT(*) AS BIGINT) AS many FROM tenant_users WHERE tenant_id = $1");

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("quotas: plan", PLAN),
    ("quotas: one", ROW),
    ("quotas: all", ROWS),
    ("quotas: begin", BEGIN),
    ("quotas: take", TAKE),
    ("quotas: give", GIVE),
    ("quotas: contracts", CONTRACTS),
    ("quotas: definitions", DEFINITIONS),
    ("quotas: unindexed", UNINDEXED),
    ("quotas: keys", KEYS),
    ("quotas: members", MEMBERS),
    ("quotas: set plan", plans::SET),
    ("quotas: tell channels", plans::TELL),
    ("usage: stays", meter::STAYS),
    ("usage: add", meter::ADD),
    ("usage: forget", meter::FORGET),
    ("usage: of a day", used::OF_DAY),
];
pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[("usage: of all", used::OF_ALL)];

/// How much a tenant may have and use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maxima {
    plan: String,
    maxima: BTreeMap<Quota, i64>,
}

impl Maxima {
    /// The most of it; `None`: no bound but that of the machine.
    pub fn of(&self, quota: Quota) -> Option<i64> {
        let most = quota.most().and_then(|most| i64::try_from(most).ok());
        [self.maxima.get(&quota).copied(), most].into_iter().flatten().min()
    }
}

/// Counts `by` more of a thing, before their rows are there.
///
/// # Errors
/// There would be more than the tenant may have: [`Error::Quota`] by its plan, [`Error::Full`] where nobody may have more.
pub(crate) async fn take(change: &mut Change<'_>, quota: Quota, by: i64) -> Result<(), Error> {
    let tx = change.tx();
    let most = of_plan(tx).await?.of(quota).unwrap_or(i64::MAX);
    let name = quota.as_str();
    let values = [Value::from(name), by.into(), most.into()];
    if tx.row(TAKE, &values).await?.is_some() {
        return Ok(());
    }
    if tx.row(ROW, &[name.into()]).await?.is_none() {
        let there = count(tx, quota).await?;
        tx.rows(BEGIN, &[name.into(), there.into()]).await?;
        if tx.row(TAKE, &values).await?.is_some() {
            return Ok(());
        }
    }
    let row = tx.row(ROW, &[name.into()]).await?.ok_or(Error::NotFound)?;
    let (limit, used) = (row.opt_int("maximum")?.unwrap_or(most), row.int("used")?);
    match quota.most() {
        Some(most) if u64::try_from(limit) == Ok(most) => {
            Err(Error::Full { what: quota.as_str(), most: usize::try_from(most).unwrap_or(usize::MAX) })
        }
        _ => Err(Error::Quota { name: quota, limit, used }),
    }
}

/// Counts `by` less of a thing: where its rows go, in the same transaction.
pub(crate) async fn give(change: &mut Change<'_>, quota: Quota, by: i64) -> Result<(), Error> {
    // Where there is no row yet nothing was counted, and it will be from what is left.
    change.tx().rows(GIVE, &[Value::from(quota.as_str()), by.into()]).await.map(drop)
}

/// The quota that things of a kind count for; silences have none.
pub(crate) const fn of_kind(kind: DefinitionKind) -> Option<Quota> {
    match kind {
        DefinitionKind::Rule => Some(Quota::Rules),
        DefinitionKind::Monitor => Some(Quota::Monitors),
        DefinitionKind::Channel => Some(Quota::Channels),
        DefinitionKind::Silence => None,
    }
}

/// What the plan of this transaction's tenant gives.
async fn of_plan(tx: &mut Tx) -> Result<Maxima, Error> {
    let row = tx.row(PLAN, &[]).await?.ok_or(Error::NotFound)?;
    let plan = row.text("plan")?;
    let mut rows = tx.system(DOCUMENT, &[Value::from(&plan)]).await?;
    if rows.is_empty() && plan != DEFAULT {
        rows = tx.system(DOCUMENT, &[Value::from(DEFAULT)]).await?;
    }
    let words: BTreeMap<String, i64> = rows.first().map_or_else(|| Ok(BTreeMap::new()), |row| row.json("document"))?;
    // A later version may bound what this one does not know.
    let maxima = words.into_iter().filter_map(|(word, most)| Some((Quota::of_word(&word)?, most))).collect();
    Ok(Maxima { plan, maxima })
}

/// What this transaction's tenant may have, and what is counted of it: the plan, and what was said of this tenant alone.
async fn of_tenant(tx: &mut Tx) -> Result<(Maxima, BTreeMap<Quota, i64>), Error> {
    let mut maxima = of_plan(tx).await?;
    let mut used = BTreeMap::new();
    for row in tx.rows(ROWS, &[]).await? {
        let Some(quota) = Quota::of_word(&row.text("name")?) else { continue };
        if let Some(maximum) = row.opt_int("maximum")? {
            maxima.maxima.insert(quota, maximum);
        }
        used.insert(quota, row.int("used")?);
    }
    Ok((maxima, used))
}

/// What this transaction's tenant may have of something; one that is gone, nothing that is bounded.
pub(crate) async fn maximum(tx: &mut Tx, quota: Quota) -> Result<Option<i64>, Error> {
    match of_tenant(tx).await {
        Ok((maxima, _)) => Ok(maxima.of(quota)),
        Err(Error::NotFound) => Ok(None),
        Err(e) => Err(e),
    }
}

/// How many there are, by the rows themselves; of what is no thing, none.
async fn count(tx: &mut Tx, quota: Quota) -> Result<i64, Error> {
    let of_kind = |kind: DefinitionKind| (DEFINITIONS, vec![Value::from(kind.as_str())]);
    let (sql, values) = match quota {
        Quota::Contracts => (CONTRACTS, Vec::new()),
        Quota::Rules => of_kind(DefinitionKind::Rule),
        Quota::Monitors => of_kind(DefinitionKind::Monitor),
        Quota::Channels => of_kind(DefinitionKind::Channel),
        Quota::UnindexedMonitors => (UNINDEXED, Vec::new()),
        Quota::Keys => (KEYS, Vec::new()),
        Quota::Members => (MEMBERS, Vec::new()),
        Quota::RequestsPerMinute
        | Quota::RequestsPerDay
        | Quota::Sockets
        | Quota::BacktestRows
        | Quota::DeliveriesPerHour => return Ok(0),
    };
    tx.row(sql, &values).await?.map_or(Ok(0), |row: Row| row.int("many"))
}
