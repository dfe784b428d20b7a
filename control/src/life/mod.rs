//! A tenant's whole life beyond its beginning: suspended, exported, imported into another, deleted.
//!
//! Guarantee: what is suspended keeps all its rows, and the stages are told that none of its things is there ([`told`]). An export is a
//! text that [`import`] reads; in neither is there a secret. What is deleted is gone in this order: the door, what the stages do, the rows
//! here, the rows in the store of chains, the audit: each step is done again where it was interrupted, and none begins before the one before
//! is known to be done. What stays is a tombstone: the head of the audit's chain and what was removed where. What is imported is there whole or
//! not at all ([`importing`]).

mod document;
mod export;
mod import;
mod importing;
mod leaving;
mod tombstones;

pub use document::FORMAT;
pub use export::{Export, Exporter};
pub use import::{ImportReader, Imported, Progress, ToImport};
pub use leaving::{Emptied, Leaving};
pub use tombstones::Tombstone;

use crate::{
    audit::Change,
    db::{Tx, Value},
    error::Error,
    id::Id,
    organisations::across,
    scopes::{Allowed, Resource, Scopes},
    sql::{Sql, SystemSql},
    tenant::{Authenticated, Networks, Tenant},
};

const TOLD: Sql = Sql::of_tenant("UPDATE outbox SET revision = revision + 1 WHERE tenant_id = $1");

/// The address of each of its contracts is looked at again: whether it is watched is for others to say, too.
const WATCHED: SystemSql = SystemSql(
    "INSERT INTO config_outbox (kind, network, address, revision, published) \
     SELECT 'watched', network, address, 1, 0 FROM tenant_contracts WHERE tenant_id = $1 ORDER BY network, address \
     ON CONFLICT (kind, network, address) DO UPDATE SET revision = config_outbox.revision + 1",
);

pub(crate) fn statements() -> impl Iterator<Item = (&'static str, Sql)> {
    let rooms: [&[(&'static str, Sql)]; 4] =
        [&[("life: told", TOLD)], export::STATEMENTS, importing::STATEMENTS, leaving::STATEMENTS];
    rooms.into_iter().flatten().copied()
}

pub(crate) const SYSTEM_STATEMENTS: [&[(&str, SystemSql)]; 2] = [importing::SYSTEM_STATEMENTS, tombstones::STATEMENTS];

/// Everything that the tenant of this change has defined is told to the stages anew: as gone where it is suspended, as it is where it is not
/// any more, and for the networks that it is entitled to. In the transaction in which that changes.
pub(crate) async fn told(change: &mut Change<'_>) -> Result<(), Error> {
    change.tx().rows(TOLD, &[]).await?;
    change.tx().tells();
    Ok(())
}

/// Whether the addresses of this transaction's tenant are watched is told anew.
async fn watched(tx: &mut Tx, tenant: &Id) -> Result<(), Error> {
    tx.system(WATCHED, &[Value::from(tenant)]).await?;
    tx.tells();
    Ok(())
}

/// Who takes a whole tenant along, in it: whoever belongs to it. What is another's is not there, for operators of the platform too. People
/// and the command line get all of it, keys what they reach; and since it holds everything, it is for who may read everything.
pub(crate) fn own(who: &Authenticated, id: &Id) -> Result<Authenticated, Error> {
    if who.tenant.id != *id {
        return Err(Error::NotFound);
    }
    let all = Scopes::of(&Resource::ALL.map(|resource| (resource, Allowed::Read)));
    let beyond = all.beyond(who.scopes());
    if !beyond.is_empty() {
        let beyond = beyond.join(", ");
        return Err(Error::MoreThanMaker(format!("an export holds everything, and {beyond} is not among your scopes")));
    }
    let reach = if who.role().is_some() { Networks::All } else { who.tenant.reach.clone() };
    Ok(Authenticated { tenant: Tenant { reach, ..who.tenant.clone() }, ..who.clone() })
}

/// Who may end a tenant, in it: whoever belongs to it, or an operator of the platform.
pub(crate) fn within(who: &Authenticated, id: &Id) -> Result<Authenticated, Error> {
    if who.tenant.id == *id {
        return Ok(who.clone());
    }
    across(who, id).map_err(|_| Error::NotFound)
}
