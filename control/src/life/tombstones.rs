//! What stays of tenants that were deleted: the head of the audit's chain, and the proof of what was removed.

use schemas::{TimeMs, limits::control as limits};
use serde_json::Value as Json;

use crate::{
    db::{Row, Tx, Value},
    error::Error,
    id::Id,
    open::Control,
    sql::SystemSql,
};

const INSERT: SystemSql = SystemSql(
    "INSERT INTO tenant_tombstones (tenant_id, name, deleted_at, audit_entries, audit_hash, proof) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (tenant_id) DO NOTHING",
);
const LIST: SystemSql = SystemSql(
    "SELECT tenant_id, name, deleted_at, audit_entries, audit_hash, proof FROM tenant_tombstones WHERE deleted_at >= $1 \
     ORDER BY deleted_at, tenant_id LIMIT $2",
);
const GET: SystemSql = SystemSql(
    "SELECT tenant_id, name, deleted_at, audit_entries, audit_hash, proof FROM tenant_tombstones WHERE tenant_id = $1",
);
pub(super) const STATEMENTS: &[(&str, SystemSql)] = &[("tombstones: list", LIST), ("tombstones: get", GET)];

/// What stays of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tombstone {
    /// Its id, which never comes again.
    pub tenant: Id,
    /// What it was called.
    pub name: String,
    /// When its last row went.
    pub deleted_at: TimeMs,
    /// Entries that its audit had.
    pub audit_entries: i64,
    /// The hash of the last of them: whoever kept the audit can show that nothing is missing from it.
    pub audit_hash: String,
    /// Who wanted it, and what was removed where.
    pub proof: Json,
}

/// Writes one down; one that is there stays.
pub(super) async fn put(tx: &mut Tx, of: &Tombstone) -> Result<(), Error> {
    let values = [
        Value::from(&of.tenant),
        of.name.as_str().into(),
        of.deleted_at.0.into(),
        of.audit_entries.into(),
        of.audit_hash.as_str().into(),
        of.proof.to_string().into(),
    ];
    tx.system(INSERT, &values).await.map(drop)
}

fn read(row: &Row) -> Result<Tombstone, Error> {
    Ok(Tombstone {
        tenant: row.parsed("tenant_id")?,
        name: row.text("name")?,
        deleted_at: TimeMs(row.int("deleted_at")?),
        audit_entries: row.int("audit_entries")?,
        audit_hash: row.text("audit_hash")?,
        proof: row.json("proof")?,
    })
}

impl Control {
    /// What stays of one.
    ///
    /// # Errors
    /// The store is away.
    pub async fn tombstone(&self, tenant: &Id) -> Result<Option<Tombstone>, Error> {
        let mut tx = self.db.system(false).await?;
        let rows = async {
            tx.set("headwater.operator", "on").await?;
            tx.system(GET, &[Value::from(tenant)]).await
        };
        let rows = rows.await;
        tx.end(rows).await?.first().map(read).transpose()
    }

    /// Tenants that were deleted since a time, by age; at most [`limits::TENANTS`]. For operators, and for whoever looks for what comes late.
    ///
    /// # Errors
    /// The store is away.
    pub async fn tombstones(&self, since: TimeMs) -> Result<Vec<Tombstone>, Error> {
        let mut tx = self.db.system(false).await?;
        let rows = async {
            tx.set("headwater.operator", "on").await?;
            tx.system(LIST, &[Value::from(since.0), (limits::TENANTS as i64).into()]).await
        };
        let rows = rows.await;
        tx.end(rows).await?.iter().map(read).collect()
    }
}
