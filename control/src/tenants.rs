//! Tenants.

use schemas::{TimeMs, limits::control as limits};

use crate::{
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
}

pub(crate) const SUSPENDED: Sql = Sql::of_tenant("SELECT suspended_at FROM tenants WHERE tenant_id = $1");
pub(crate) const STATEMENTS: &[(&str, Sql)] = &[("tenants: suspended", SUSPENDED)];
const ALL: SystemSql =
    SystemSql("SELECT tenant_id, slug, name, created_at, suspended_at FROM tenants ORDER BY tenant_id LIMIT $1");

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
    let rows = async {
        tx.set("headwater.operator", "on").await?;
        tx.system(ALL, &[Value::from(limits::TENANTS as i64)]).await
    };
    let rows = rows.await;
    tx.end(rows).await?.iter().map(read).collect()
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

fn read(row: &Row) -> Result<TenantInfo, Error> {
    Ok(TenantInfo {
        id: row.parsed("tenant_id")?,
        slug: row.text("slug")?,
        name: row.text("name")?,
        created_at: TimeMs(row.int("created_at")?),
        suspended_at: row.opt_int("suspended_at")?.map(TimeMs),
    })
}
