//! Tenants.

use schemas::{TimeMs, limits::control as limits};

use crate::{
    audit::Subject,
    db::{Db, Row, Tx, Value},
    error::Error,
    id::Id,
    sql::{Sql, SystemSql},
};

/// A tenant, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TenantInfo {
    /// Its id.
    pub id: Id,
    /// Its short name, `default` for the only one of a deployment.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Since when.
    pub created_at: TimeMs,
    /// Since when nobody of it is let in.
    pub suspended_at: Option<TimeMs>,
    /// Why, for its people.
    pub suspended_reason: Option<String>,
    /// Since when it is being deleted.
    pub deleting_at: Option<TimeMs>,
    /// When what it is being made of was last worked on: it is not whole yet.
    pub importing_at: Option<TimeMs>,
    /// The plan that says what it may use.
    pub plan: String,
    /// For `If-Match`.
    pub version: i64,
}

impl TenantInfo {
    /// In a word: `active`, `importing`, `suspended`, `deleting`.
    pub fn state(&self) -> &'static str {
        match (self.deleting_at, self.importing_at, self.suspended_at) {
            (Some(_), _, _) => "deleting",
            (None, Some(_), _) => "importing",
            (None, None, Some(_)) => "suspended",
            (None, None, None) => "active",
        }
    }
}

/// All columns of a tenant, as they are read.
macro_rules! columns {
    () => {
        "tenant_id, slug, name, created_at, suspended_at, suspended_reason, deleting_at, importing_at, plan, version"
    };
}
pub(crate) use columns;

pub(crate) const SUSPENDED: Sql = Sql::of_tenant("SELECT suspended_at FROM tenants WHERE tenant_id = $1");
const GET: Sql = Sql::of_tenant(concat!("SELECT ", columns!(), " FROM tenants WHERE tenant_id = $1"));
pub(crate) const STATEMENTS: &[(&str, Sql)] = &[("tenants: suspended", SUSPENDED), ("tenants: get", GET)];
/// On PostgreSQL after `headwater.operator` was set.
const ALL: SystemSql =
    SystemSql(concat!("SELECT ", columns!(), " FROM tenants WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2"));
const MEMBERS: SystemSql = SystemSql(
    "SELECT t.tenant_id, (SELECT COUNT(*) FROM tenant_users m WHERE m.tenant_id = t.tenant_id) AS members \
     FROM tenants t WHERE t.tenant_id > $1 ORDER BY t.tenant_id LIMIT $2",
);
pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[("tenants: all", ALL), ("tenants: members", MEMBERS)];

const ADD: SystemSql =
    SystemSql("INSERT INTO tenants (tenant_id, slug, name, created_at, version) VALUES ($1, $2, $3, $4, 1)");
const ADD_HEAD: SystemSql = SystemSql("INSERT INTO audit_heads (tenant_id, entries, at, hash) VALUES ($1, 0, 0, '')");

/// Whether the tenant of this transaction is suspended; one that is gone counts as such.
pub(crate) async fn suspended(tx: &mut Tx) -> Result<bool, Error> {
    let row = tx.row(SUSPENDED, &[]).await?;
    row.map_or(Ok(true), |row| Ok(row.opt_int("suspended_at")?.is_some()))
}

/// All of them: for operators only.
pub(crate) async fn all(db: &Db) -> Result<Vec<TenantInfo>, Error> {
    let mut tx = db.system(false).await?;
    let rows = all_in(&mut tx).await;
    tx.end(rows).await
}

/// The same in a transaction, which sees all of them from here on.
pub(crate) async fn all_in(tx: &mut Tx) -> Result<Vec<TenantInfo>, Error> {
    tx.set("headwater.operator", "on").await?;
    let rows = tx.system(ALL, &[Value::from(""), (limits::TENANTS as i64).into()]).await?;
    rows.iter().map(read).collect()
}

/// Some of them, each with the number of its members: for operators only.
pub(crate) async fn page(db: &Db, after: &str, limit: i64) -> Result<Vec<(TenantInfo, i64)>, Error> {
    let values = [Value::from(after), limit.into()];
    let mut tx = db.system(false).await?;
    let rows = async {
        tx.set("headwater.operator", "on").await?;
        Ok((tx.system(ALL, &values).await?, tx.system(MEMBERS, &values).await?))
    };
    let rows = rows.await;
    let (all, members) = tx.end(rows).await?;
    let mut items = Vec::with_capacity(all.len());
    for row in &all {
        let info = read(row)?;
        let mut number = 0;
        // In the same order; between the two questions one may have come or gone.
        for row in &members {
            if row.text("tenant_id")? == info.id.as_str() {
                number = row.int("members")?;
                break;
            }
        }
        items.push((info, number));
    }
    Ok(items)
}

/// The tenant of this transaction.
pub(crate) async fn get(tx: &mut Tx) -> Result<TenantInfo, Error> {
    read(&tx.row(GET, &[]).await?.ok_or(Error::NotFound)?)
}

/// As the audit names it.
pub(crate) fn subject(info: &TenantInfo) -> Subject {
    Subject { kind: "organisation", id: info.id.to_string(), name: Some(info.name.clone()) }
}

/// One more, with the beginning of its audit.
pub(crate) async fn add(db: &Db, id: &Id, (slug, name): (&str, &str), now: TimeMs) -> Result<(), Error> {
    let mut tx = db.system(true).await?;
    let done = async {
        tx.system(ADD, &[Value::from(id), Value::from(slug), Value::from(name), Value::from(now.0)]).await?;
        tx.system(ADD_HEAD, &[Value::from(id)]).await.map(drop)
    };
    let done = done.await;
    tx.end(done).await
}

pub(crate) fn read(row: &Row) -> Result<TenantInfo, Error> {
    Ok(TenantInfo {
        id: row.parsed("tenant_id")?,
        slug: row.text("slug")?,
        name: row.text("name")?,
        created_at: TimeMs(row.int("created_at")?),
        suspended_at: row.opt_int("suspended_at")?.map(TimeMs),
        suspended_reason: row.opt_text("suspended_reason")?,
        deleting_at: row.opt_int("deleting_at")?.map(TimeMs),
        importing_at: row.opt_int("importing_at")?.map(TimeMs),
        plan: row.text("plan")?,
        version: row.int("version")?,
    })
}
