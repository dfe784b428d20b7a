//! What changed, for the stages (rule 34): keys only, in the transaction of the change.
//!
//! Guarantee: one row for each thing, with a revision that rises by one with every change, removal included; so the table is as long as
//! there are things that changed, whoever reads it and whenever. A publisher writes the thing's *present* row with that revision.

use crate::{
    db::{Tx, Value},
    error::Error,
    id::Id,
    sql::Sql,
};

const CHANGED: Sql = Sql::of_tenant(
    "INSERT INTO outbox (tenant_id, kind, id, revision, published) VALUES ($1, $2, $3, 1, 0) \
     ON CONFLICT (tenant_id, kind, id) DO UPDATE SET revision = outbox.revision + 1",
);
pub(crate) const STATEMENTS: &[(&str, Sql)] = &[("outbox: changed", CHANGED)];

/// Remembers that this thing changed.
pub(crate) async fn changed(tx: &mut Tx, kind: &str, id: &Id) -> Result<(), Error> {
    tx.rows(CHANGED, &[Value::from(kind), id.into()]).await.map(drop)
}
