//! A tenant's whole life beyond its beginning: suspended, exported, imported into another, deleted.
//!
//! Guarantee: what is suspended keeps all its rows, and the stages are told that none of its things is there ([`told`]). An export is a
//! text that [`import`] reads; in neither is there a secret. What is deleted is gone in this order: the door, what the stages do, the rows
//! here, the rows in the store of chains, the audit: each step is done again where it was interrupted, and none begins before the one before
//! is known to be done. What stays is a tombstone: the head of the audit's chain and what was removed where.

mod document;
mod export;
mod import;
mod leaving;
mod tombstones;

pub use document::FORMAT;
pub use export::{Export, Exporter};
pub use import::Imported;
pub use leaving::{Emptied, Leaving};
pub use tombstones::Tombstone;

use crate::{
    audit::Change,
    error::Error,
    id::Id,
    organisations::across,
    scopes::{Allowed, Resource, Scopes},
    sql::{Sql, SystemSql},
    tenant::{Authenticated, Networks, Tenant},
};

const TOLD: Sql = Sql::of_tenant("UPDATE outbox SET revision = revision + 1 WHERE tenant_id = $1");

pub(crate) fn statements() -> impl Iterator<Item = (&'static str, Sql)> {
    let own = [("life: told", TOLD)];
    own.into_iter().chain(export::STATEMENTS.iter().copied()).chain(leaving::STATEMENTS.iter().copied())
}

pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = tombstones::STATEMENTS;

/// Everything that the tenant of this change has defined is told to the stages anew: as gone where it is suspended, as it is where it is not
/// any more, and for the networks that it is entitled to. In the transaction in which that changes.
pub(crate) async fn told(change: &mut Change<'_>) -> Result<(), Error> {
    change.tx().rows(TOLD, &[]).await?;
    change.tx().tells();
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
