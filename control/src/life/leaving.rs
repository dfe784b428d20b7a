//! An organisation that goes.
//!
//! Guarantee: from the moment it is asked for nobody of it is let in (within 5 s, as when it is suspended), and the stages are told that
//! none of its things is there. [`Control::empty`] removes its rows; [`Control::bury`] writes the tombstone, and then removes the audit
//! and the last row. Each may be interrupted anywhere and is done again; both need a [`Leaving`], which only what was asked for gives.
//! The organisation `default` stays.

use std::{collections::BTreeMap, time::Duration};

use schemas::{TimeMs, limits::control as limits};
use serde_json::{Value as Json, json};

use super::tombstones::{self, Tombstone};
use crate::{
    audit::{self, Action, Change, Outcome, Subject},
    db::{Dialect, Row, Tx, Value},
    error::Error,
    id::Id,
    open::{Control, system_of},
    people,
    sql::{Sql, SystemSql},
    tenant::{Authenticated, Caller},
};

/// Entries of the audit that are removed at a time.
const ENTRIES: i64 = 5_000;

const ASK: Sql = Sql::of_tenant(
    "UPDATE tenants SET deleting_at = COALESCE(deleting_at, $2), suspended_at = COALESCE(suspended_at, $2), \
     suspended_reason = COALESCE(suspended_reason, $3), version = version + 1 WHERE tenant_id = $1 \
     RETURNING name, deleting_at",
);
const UNPUBLISHED: Sql =
    Sql::of_tenant("SELECT CAST(COUNT(*) AS BIGINT) AS many FROM outbox WHERE tenant_id = $1 AND published < revision");
const LEAVING: SystemSql = SystemSql(
    "SELECT tenant_id, name, deleting_at FROM tenants WHERE deleting_at IS NOT NULL ORDER BY tenant_id LIMIT $1",
);
const SESSIONS: SystemSql = SystemSql("DELETE FROM sessions WHERE tenant_id = $1 RETURNING session_id");
const BURY: SystemSql = SystemSql("SELECT bury_tenant($1, CAST($2 AS BIGINT)) AS many");

/// Tables, each with the statement that removes a tenant's rows from it.
macro_rules! rows_of {
    ($($table:literal),+) => {
        [$(($table, Sql::of_tenant(concat!("DELETE FROM ", $table, " WHERE tenant_id = $1 RETURNING 1 AS one")))),+]
    };
}
/// Tables whose rows go, those first that name others.
const EMPTIED: [(&str, Sql); 11] = rows_of!(
    "ack_tokens",
    "idempotency_keys",
    "tenant_exports",
    "invitations",
    "tenant_users",
    "tenant_networks",
    "tenant_quotas",
    "tenant_usage",
    "tenant_definitions",
    "tenant_contracts",
    "outbox"
);
/// What goes last of all, behind the audit. On PostgreSQL only the tables' owner may remove it: there `bury_tenant` does, in this order too.
const BURIED: [(&str, Sql); 4] = rows_of!("api_key_secrets", "api_keys", "audit_heads", "tenants");
const ENTRIES_GO: Sql = Sql::of_tenant(
    "DELETE FROM audit_logs WHERE tenant_id = $1 AND entry <= (SELECT MIN(entry) FROM audit_logs WHERE tenant_id = $1) + $2 \
     RETURNING 1 AS one",
);
pub(super) const STATEMENTS: &[(&str, Sql)] =
    &[("leaving: unpublished", UNPUBLISHED), ("leaving: entries", ENTRIES_GO), ("leaving: ask", ASK)];

/// An organisation that is to go: only [`Control::leaving`] gives one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    id: Id,
    name: String,
    asked_at: TimeMs,
}

impl Leaving {
    /// Its id.
    pub fn id(&self) -> &Id {
        &self.id
    }
    /// When it was asked for.
    pub fn asked_at(&self) -> TimeMs {
        self.asked_at
    }
    /// Whether nobody who was let in before can still be at work.
    pub fn is_shut(&self, now: TimeMs) -> bool {
        now.0.saturating_sub(self.asked_at.0) >= SHUT.as_millis() as i64
    }
}

/// After how long the door is shut for sure: twice the promise.
const SHUT: Duration = Duration::from_secs(10);

/// How far the rows of an organisation are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Emptied {
    /// Things that the stages have not been told of yet; as long as there are any, nothing was removed.
    pub untold: usize,
    /// Rows that were removed this time, by table.
    pub rows: BTreeMap<&'static str, usize>,
}

fn number(row: Option<&Row>, column: &str) -> Result<usize, Error> {
    row.map_or(Ok(0), |row| row.int(column)).map(|n| usize::try_from(n).unwrap_or(0))
}

impl Control {
    /// Has an organisation deleted. From now on nobody of it is let in, and nothing brings it back.
    ///
    /// # Errors
    /// It is not there, or not his; it is `default`; who asks is neither its owner nor an operator of the platform, or is a key; or as of
    /// every change.
    pub async fn delete_organisation(&self, by: Caller<'_>, tenant: &Id) -> Result<Leaving, Error> {
        let who = super::within(by.who, tenant)?;
        may_delete(&who)?;
        if *tenant == Id::DEFAULT_TENANT {
            let words = "the organisation `default` is where operators are, and stays";
            return Err(Error::MoreThanMaker(words.to_owned()));
        }
        let mut change = Change::begin(&self.db, &self.pepper, Caller { who: &who, ..by }).await?;
        let done = async {
            // He may have lost it since he was let in, and nothing brings the organisation back.
            if let Some(user) = who.user().filter(|_| !who.is_platform())
                && people::role(change.tx(), user).await? != Some(crate::Role::Owner)
            {
                return Err(Error::OwnersOnly);
            }
            let now = change.at();
            let rows = change.write(ASK, &[now.0.into(), "it is being deleted".into()]).await?;
            let row = rows.first().ok_or(Error::NotFound)?;
            let leaving = Leaving { id: *tenant, name: row.text("name")?, asked_at: TimeMs(row.int("deleting_at")?) };
            let name = Some(leaving.name.clone());
            let subject = Subject { kind: "organisation", id: tenant.to_string(), name };
            change.audit(Action::OrganisationDelete, &subject, None, None, Outcome::Done).await?;
            super::told(&mut change).await?;
            Ok(leaving)
        };
        let done = done.await;
        change.end(done).await
    }

    /// Organisations that are to go.
    ///
    /// # Errors
    /// The store is away.
    pub async fn leaving(&self) -> Result<Vec<Leaving>, Error> {
        let mut tx = self.db.system(false).await?;
        let rows = async {
            tx.set("headwater.operator", "on").await?;
            tx.system(LEAVING, &[(limits::TENANTS as i64).into()]).await
        };
        let rows = rows.await;
        let of = |row: &Row| {
            let asked_at = TimeMs(row.int("deleting_at")?);
            Ok(Leaving { id: row.parsed("tenant_id")?, name: row.text("name")?, asked_at })
        };
        tx.end(rows).await?.iter().map(of).collect()
    }

    /// Removes what an organisation has here, but its keys and its audit, once the stages know that nothing of it is there.
    ///
    /// # Errors
    /// The store is away.
    pub async fn empty(&self, of: &Leaving) -> Result<Emptied, Error> {
        let system = system_of(of.id);
        let mut tx = self.db.write(system.tenant()).await?;
        let done = async {
            hold(&mut tx).await?;
            let untold = number(tx.row(UNPUBLISHED, &[]).await?.as_ref(), "many")?;
            match untold {
                0 => Ok(Emptied { untold, rows: remove(&mut tx, &of.id).await? }),
                untold => Ok(Emptied { untold, ..Emptied::default() }),
            }
        };
        let done = done.await;
        tx.end(done).await
    }

    /// Writes the tombstone, with what the caller says of what was removed elsewhere, and removes the audit and the rest. The organisation
    /// is gone afterwards.
    ///
    /// # Errors
    /// The store is away.
    pub async fn bury(&self, of: &Leaving, proof: &Json) -> Result<Tombstone, Error> {
        let system = system_of(of.id);
        // It stands already where this was interrupted: the chain's head is that of then.
        if let Some(tombstone) = self.tombstone(&of.id).await? {
            while !self.bury_some(of, &system).await? {}
            return Ok(tombstone);
        }
        let mut change = Change::begin(&self.db, &self.pepper, Caller::here(&system)).await?;
        let done = async {
            // The chain's last entry says so too, so that the head that is kept stands for it.
            let subject = Subject { kind: "organisation", id: of.id.to_string(), name: Some(of.name.clone()) };
            change.audit(Action::OrganisationGone, &subject, None, Some(proof.clone()), Outcome::Done).await?;
            let (entries, hash) = change.head();
            let tombstone = Tombstone {
                tenant: of.id,
                name: of.name.clone(),
                deleted_at: change.at(),
                audit_entries: entries,
                audit_hash: hash.to_owned(),
                proof: json!({ "asked_at": of.asked_at.rfc3339(), "removed": proof }),
            };
            tombstones::put(change.tx(), &tombstone).await?;
            Ok(tombstone)
        };
        let done = done.await;
        let tombstone = change.end(done).await?;
        while !self.bury_some(of, &system).await? {}
        Ok(tombstone)
    }

    /// Some entries of the audit, and the rest with the last of them. Whether that was all.
    async fn bury_some(&self, of: &Leaving, system: &Authenticated) -> Result<bool, Error> {
        let mut tx = self.db.write(system.tenant()).await?;
        let done = async {
            if !hold(&mut tx).await? {
                return Ok(true);
            }
            // What somebody wrote who was let in before, and what came since.
            remove(&mut tx, &of.id).await?;
            if tx.dialect() == Dialect::Postgres {
                let rows = tx.system(BURY, &[Value::from(&of.id), ENTRIES.into()]).await?;
                number(rows.first(), "many")?;
                return Ok(false);
            }
            if !tx.rows(ENTRIES_GO, &[ENTRIES.into()]).await?.is_empty() {
                return Ok(false);
            }
            for (_, sql) in BURIED {
                tx.rows(sql, &[]).await?;
            }
            Ok(true)
        };
        let done = done.await;
        tx.end(done).await
    }
}

/// Takes the head, as every change does, so that none is half done until the transaction's end. Whether there is one: nothing is, otherwise.
async fn hold(tx: &mut Tx) -> Result<bool, Error> {
    Ok(tx.row(audit::HEAD, &[]).await?.is_some())
}

/// Of a transaction that holds the head.
async fn remove(tx: &mut Tx, id: &Id) -> Result<BTreeMap<&'static str, usize>, Error> {
    super::watched(tx, id).await?;
    let mut gone = BTreeMap::new();
    gone.insert("sessions", tx.system(SESSIONS, &[Value::from(id)]).await?.len());
    for (table, sql) in EMPTIED {
        gone.insert(table, tx.rows(sql, &[]).await?.len());
    }
    Ok(gone)
}

/// An owner, or an operator of the platform; never a key.
fn may_delete(who: &Authenticated) -> Result<(), Error> {
    let owner = who.role() == Some(crate::Role::Owner);
    match (who.key().is_none() && owner) || who.is_platform() {
        true => Ok(()),
        false => Err(Error::OwnersOnly),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_owner_buries_what_is_buried_here() {
        let text = include_str!("../../migrations/0007_life.postgres.sql");
        let body = text.split("gone < most").nth(1).expect("what goes behind the audit");
        let there: Vec<&str> =
            body.split("DELETE FROM ").skip(1).map(|rest| rest.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(there, BURIED.map(|(table, _)| table));
    }
}
