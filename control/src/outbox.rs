//! What changed, for the stages (rule 34): keys only, in the transaction of the change.
//!
//! Guarantee: one row for each thing, with a revision that rises by one with every change, removal included; so the table is as long as
//! there are things that changed, whoever reads it and whenever. The publisher writes the thing's *present* row with that revision. What
//! is everybody's has a table of its own, which names addresses and no tenant: an address is one row, whoever calls it his own.

use crate::{
    db::{Tx, Value},
    error::Error,
    id::Id,
    sql::{Sql, SystemSql},
};

const CHANGED: Sql = Sql::of_tenant(
    "INSERT INTO outbox (tenant_id, kind, id, revision, published) VALUES ($1, $2, $3, 1, 0) \
     ON CONFLICT (tenant_id, kind, id) DO UPDATE SET revision = outbox.revision + 1",
);
const EVERYBODYS: SystemSql = SystemSql(
    "INSERT INTO config_outbox (kind, network, address, revision, published) VALUES ($1, $2, $3, 1, 0) \
     ON CONFLICT (kind, network, address) DO UPDATE SET revision = config_outbox.revision + 1",
);
pub(crate) const STATEMENTS: &[(&str, Sql)] = &[("outbox: changed", CHANGED)];

/// What is everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Everybodys {
    /// Whether anybody calls an address his own.
    Watched,
    /// A contract of the operator.
    Contract,
}

/// Remembers that this thing of the tenant changed.
pub(crate) async fn changed(tx: &mut Tx, kind: &str, id: &Id) -> Result<(), Error> {
    tx.rows(CHANGED, &[Value::from(kind), id.into()]).await?;
    tx.tells();
    Ok(())
}

/// Remembers that this changed of an address. Whoever changes several goes by network and address, so that two do not wait for each other.
pub(crate) async fn everybodys(tx: &mut Tx, kind: Everybodys, network: &str, address: &str) -> Result<(), Error> {
    let kind = match kind {
        Everybodys::Watched => schemas::records::WatchedAddress::KIND,
        Everybodys::Contract => schemas::records::OperatorContract::KIND,
    };
    tx.system(EVERYBODYS, &[Value::from(kind), network.into(), address.into()]).await?;
    tx.tells();
    Ok(())
}
