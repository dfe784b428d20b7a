//! An organisation that is made of a document, in more than one transaction.
//!
//! Guarantee: until it is whole it counts as suspended: nobody is let in, and neither any of its things nor that an address of its is
//! watched is published. [`done`] makes it whole, in the transaction that makes its last thing. Each transaction before says that somebody
//! works on it ([`goes_on`]). Where that was not said for [`limits::IMPORT_LAPSE`], whoever did is gone, and
//! [`Control::give_up_imports`] has it deleted as any other; who was only slow finds that so, and makes nothing more.

use schemas::{TimeMs, limits::control as limits};

use crate::{
    audit::{Action, Change, Outcome, Subject},
    error::Error,
    id::Id,
    open::{Control, system_of},
    sql::{Sql, SystemSql},
    tenant::Caller,
};

const BEGIN: Sql = Sql::of_tenant(
    "UPDATE tenants SET importing_at = $2, suspended_at = $2, suspended_reason = $3 WHERE tenant_id = $1",
);
const GOES_ON: Sql = Sql::of_tenant(
    "UPDATE tenants SET importing_at = $2 WHERE tenant_id = $1 AND importing_at IS NOT NULL AND deleting_at IS NULL RETURNING tenant_id",
);
const DONE: Sql = Sql::of_tenant(
    "UPDATE tenants SET importing_at = NULL, suspended_at = NULL, suspended_reason = NULL, version = version + 1 WHERE tenant_id = $1",
);
/// It stays one that was being imported: nothing of it was ever published.
const GIVE_UP: Sql = Sql::of_tenant(
    "UPDATE tenants SET deleting_at = $2, suspended_reason = $3, version = version + 1 \
     WHERE tenant_id = $1 AND importing_at <= $4 AND deleting_at IS NULL RETURNING name",
);
/// On PostgreSQL after `headwater.operator` was set.
const LAPSED: SystemSql = SystemSql(
    "SELECT tenant_id FROM tenants WHERE importing_at <= $1 AND deleting_at IS NULL ORDER BY importing_at LIMIT $2",
);
pub(super) const STATEMENTS: &[(&str, Sql)] = &[
    ("importing: begin", BEGIN),
    ("importing: goes on", GOES_ON),
    ("importing: done", DONE),
    ("importing: give up", GIVE_UP),
];
pub(super) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[("importing: lapsed", LAPSED)];

/// There is more to come than this transaction makes.
pub(super) async fn begin(change: &mut Change<'_>) -> Result<(), Error> {
    let values = [change.at().0.into(), "it is being imported".into()];
    change.tx().rows(BEGIN, &values).await.map(drop)
}

/// Somebody works on it.
///
/// # Errors
/// It was given up, or is deleted ([`Error::NotFound`]); or the store is away.
pub(super) async fn goes_on(change: &mut Change<'_>) -> Result<(), Error> {
    let now = change.at().0;
    change.tx().row(GOES_ON, &[now.into()]).await?.map(drop).ok_or(Error::NotFound)
}

/// It is whole: from here on it is one like any other, and the stages are told of all that it has.
pub(super) async fn done(change: &mut Change<'_>) -> Result<(), Error> {
    let id = *change.by().who.tenant().id();
    change.tx().rows(DONE, &[]).await?;
    super::watched(change.tx(), &id).await?;
    super::told(change).await
}

impl Control {
    /// Has organisations deleted whose import was cut off: those that nobody has worked on for [`limits::IMPORT_LAPSE`]. How many these were.
    ///
    /// # Errors
    /// As of [`Control::give_up_before`].
    pub async fn give_up_imports(&self) -> Result<usize, Error> {
        self.give_up_before(TimeMs(TimeMs::now().0 - limits::IMPORT_LAPSE.as_millis() as i64)).await
    }

    /// The same of those that were last worked on then, or before.
    ///
    /// # Errors
    /// The store is away; or one of them could not be given up, and holds up none of the others.
    pub async fn give_up_before(&self, last: TimeMs) -> Result<usize, Error> {
        let mut tx = self.db.system(false).await?;
        let rows = async {
            tx.set("headwater.operator", "on").await?;
            tx.system(LAPSED, &[last.0.into(), (limits::TENANTS as i64).into()]).await
        };
        let rows = rows.await;
        let mut given_up: Result<usize, Error> = Ok(0);
        for row in tx.end(rows).await? {
            let done = async {
                let system = system_of(row.parsed::<Id>("tenant_id")?);
                self.give_up(Caller::here(&system), last).await
            };
            match done.await {
                Ok(done) => given_up = given_up.map(|many| many + usize::from(done)),
                Err(error) => given_up = given_up.and(Err(error)),
            }
        }
        given_up
    }

    /// Has the organisation of `by` deleted, where it is still being imported and was not worked on since. Whether that was so.
    pub(super) async fn give_up(&self, by: Caller<'_>, last: TimeMs) -> Result<bool, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            let values = [change.at().0.into(), "its import came to no end".into(), last.0.into()];
            let Some(row) = change.tx().row(GIVE_UP, &values).await? else { return Ok(false) };
            let id = by.who.tenant().id().to_string();
            let subject = Subject { kind: "organisation", id, name: Some(row.text("name")?) };
            let why = serde_json::json!({ "reason": "its import came to no end" });
            change.audit(Action::OrganisationDelete, &subject, None, Some(why), Outcome::Done).await?;
            super::told(&mut change).await?;
            Ok(true)
        };
        let done = done.await;
        change.end(done).await
    }
}
