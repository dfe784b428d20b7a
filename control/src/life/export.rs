//! An organisation as one document, and what is known of documents that were asked for.
//!
//! Guarantee: the document is made while it is fetched, page by page, and nothing of it is kept here; so it is what there is at that moment,
//! and what is changed meanwhile may be in it or not. It has no secret: keys have no hashes in it, channels `{"set":true}` where one stood.
//! Who reaches some networks only gets what is of those.

use schemas::{TimeMs, limits::control as limits};
use serde_json::{Value as Json, json};

use super::document::{self, DEFINITIONS, FORMAT, HISTORY};
use crate::{
    audit::{self, Action, Change, Outcome, Subject},
    contracts::Source,
    db::{Row, Value},
    error::Error,
    id::Id,
    open::Control,
    organisations,
    pages::{Cursor, Paging},
    sql::Sql,
    tenant::{Authenticated, Caller, Tenant},
};

/// Members that are read at a time.
const PART: i64 = 500;

macro_rules! columns {
    () => {
        "id, state, requested_at, finished_at, rows, bytes, problem"
    };
}
const INSERT: Sql = Sql::of_tenant(
    "INSERT INTO tenant_exports (tenant_id, id, state, requested_at, rows, bytes) VALUES ($1, $2, 'done', $3, 0, 0)",
);
const GET: Sql =
    Sql::of_tenant(concat!("SELECT ", columns!(), " FROM tenant_exports WHERE tenant_id = $1 AND id = $2"));
const FETCHED: Sql = Sql::of_tenant(
    "UPDATE tenant_exports SET finished_at = $3, rows = $4, bytes = $5 WHERE tenant_id = $1 AND id = $2",
);
const FORGET: Sql = Sql::of_tenant("DELETE FROM tenant_exports WHERE tenant_id = $1 AND id < $2");
const INVITED: Sql = Sql::of_tenant(
    "SELECT id, email, role, created_at, expires_at, accepted_at FROM invitations WHERE tenant_id = $1 AND id > $2 \
     ORDER BY id LIMIT $3",
);
const NAME: Sql = Sql::of_tenant("SELECT slug, name, plan, created_at FROM tenants WHERE tenant_id = $1");
pub(super) const STATEMENTS: &[(&str, Sql)] = &[
    ("exports: insert", INSERT),
    ("exports: get", GET),
    ("exports: fetched", FETCHED),
    ("exports: forget", FORGET),
    ("exports: of whom", NAME),
    ("exports: invitations", INVITED),
];

/// An export that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its id.
    pub id: Id,
    /// `done`: it can be fetched.
    pub state: String,
    /// When it was asked for.
    pub requested_at: TimeMs,
    /// When it was last fetched whole; `None`: not yet.
    pub finished_at: Option<TimeMs>,
    /// Lines of the document that was fetched then.
    pub rows: i64,
    /// Its bytes.
    pub bytes: i64,
    /// Why it cannot be fetched.
    pub problem: Option<String>,
}

fn read(row: &Row) -> Result<Export, Error> {
    Ok(Export {
        id: row.parsed("id")?,
        state: row.text("state")?,
        requested_at: TimeMs(row.int("requested_at")?),
        finished_at: row.opt_int("finished_at")?.map(TimeMs),
        rows: row.int("rows")?,
        bytes: row.int("bytes")?,
        problem: row.opt_text("problem")?,
    })
}

impl Control {
    /// Somebody wants all of an organisation. It is in the audit, and good for [`limits::EXPORT_GOOD`].
    ///
    /// # Errors
    /// It is not there, or not his; or as of every change.
    pub async fn ask_for_export(&self, by: Caller<'_>, tenant: &Id) -> Result<Export, Error> {
        let who = super::own(by.who, tenant)?;
        let mut change = Change::begin(&self.db, &self.pepper, Caller { who: &who, ..by }).await?;
        let done = async {
            let now = change.at();
            let id = Id::new(now)?;
            let oldest = Id::new(TimeMs(now.0 - limits::EXPORT_GOOD.as_millis() as i64))?;
            change.tx().rows(FORGET, &[Value::from(&oldest)]).await?;
            change.write(INSERT, &[Value::from(&id), now.0.into()]).await?;
            let subject = Subject { kind: "export", id: id.to_string(), name: None };
            change.audit(Action::OrganisationExport, &subject, None, None, Outcome::Done).await?;
            let row = change.tx().row(GET, &[Value::from(&id)]).await?;
            read(&row.ok_or(Error::NotFound)?)
        };
        let done = done.await;
        change.end(done).await
    }

    /// What is known of one.
    ///
    /// # Errors
    /// Not there, not his, or too long ago.
    pub async fn export(&self, who: &Authenticated, tenant: &Id, id: &Id) -> Result<Export, Error> {
        let who = super::own(who, tenant)?;
        let mut tx = self.db.read(who.tenant()).await?;
        let row = tx.row(GET, &[Value::from(id)]).await;
        let found = tx.end(row).await?.map(|row| read(&row)).transpose()?.ok_or(Error::NotFound)?;
        let good = TimeMs::now().0 - found.requested_at.0 <= limits::EXPORT_GOOD.as_millis() as i64;
        if good { Ok(found) } else { Err(Error::NotFound) }
    }

    /// It was fetched whole.
    ///
    /// # Errors
    /// The store is away.
    pub async fn export_fetched(
        &self,
        who: &Authenticated,
        tenant: &Id,
        id: &Id,
        (rows, bytes): (u64, u64),
    ) -> Result<(), Error> {
        let who = super::own(who, tenant)?;
        let number = |n: u64| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
        let mut tx = self.db.write(who.tenant()).await?;
        let done = tx.rows(FETCHED, &[Value::from(id), TimeMs::now().0.into(), number(rows), number(bytes)]).await;
        tx.end(done).await.map(drop)
    }

    /// The document's lines of what is here, from its beginning on; those of the store's come behind them.
    ///
    /// # Errors
    /// Not there, or not his.
    pub fn exporter(&self, who: &Authenticated, tenant: &Id) -> Result<Exporter<'_>, Error> {
        let tenant = super::own(who, tenant)?.tenant;
        Ok(Exporter { control: self, tenant, place: Place::Head })
    }
}

/// Where an exporter is.
enum Place {
    Head,
    Contracts(Option<Cursor>),
    Definitions(usize, Option<Cursor>),
    History,
    Keys(Option<Cursor>),
    Members(String),
    Invited(String),
    Audit(i64),
    End,
}

/// Gives the lines of a document, a page at a time.
pub struct Exporter<'a> {
    control: &'a Control,
    tenant: Tenant,
    place: Place,
}

impl Exporter<'_> {
    /// Whose.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The next lines; `None`: that was all that is here.
    ///
    /// # Errors
    /// The store is away: the document is cut off.
    pub async fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        let control = self.control;
        let page = |after: Option<Cursor>| Paging { after, limit: Some(limits::PAGE.1) };
        let (lines, next) = match std::mem::replace(&mut self.place, Place::End) {
            Place::Head => (vec![self.head().await?], Place::Contracts(None)),
            Place::Contracts(after) => {
                let found = control.contracts(&self.tenant, None, &page(after)).await?;
                // The operator's are everybody's, and are where they are imported, too.
                let own = found.items.iter().filter(|contract| contract.source == Source::Tenant);
                let lines = own.map(document::contract).collect();
                (lines, found.next.map_or(Place::Definitions(0, None), |next| Place::Contracts(Some(next))))
            }
            Place::Definitions(at, after) => match DEFINITIONS.get(at) {
                None => (Vec::new(), Place::History),
                Some(kind) => {
                    let found = control.definitions(&self.tenant, *kind, &page(after)).await?;
                    let next = found.next.map_or((at + 1, None), |next| (at, Some(next)));
                    (found.items.iter().map(document::definition).collect(), Place::Definitions(next.0, next.1))
                }
            },
            Place::History => (vec![json!({ "kind": HISTORY })], Place::Keys(None)),
            Place::Keys(after) => {
                let found = control.keys(&self.tenant, &page(after)).await?;
                let lines = found.items.iter().map(document::key).collect();
                (lines, found.next.map_or(Place::Members(String::new()), |next| Place::Keys(Some(next))))
            }
            Place::Members(behind) => {
                let (lines, last) = self.members(&behind).await?;
                (lines, last.map_or(Place::Invited(String::new()), Place::Members))
            }
            Place::Invited(behind) => {
                let (lines, last) = self.invited(&behind).await?;
                (lines, last.map_or(Place::Audit(0), Place::Invited))
            }
            Place::Audit(behind) => {
                let mut tx = control.db.read(&self.tenant).await?;
                let found = audit::behind(&mut tx, behind, limits::PAGE.1).await;
                let found = tx.end(found).await?;
                let next = found.last().map_or(Place::End, |last| Place::Audit(last.entry));
                let seen = found.iter().filter(|entry| audit::reaches(&self.tenant, entry));
                (seen.map(document::entry).collect(), next)
            }
            Place::End => return Ok(None),
        };
        self.place = next;
        Ok(Some(lines))
    }

    async fn head(&self) -> Result<Json, Error> {
        let mut tx = self.control.db.read(&self.tenant).await?;
        let row = tx.row(NAME, &[]).await;
        let row = tx.end(row).await?.ok_or(Error::NotFound)?;
        Ok(json!({
            "kind": FORMAT.0, "version": FORMAT.1, "id": self.tenant.id(), "slug": row.text("slug")?, "name": row.text("name")?,
            "plan": row.text("plan")?, "created_at": TimeMs(row.int("created_at")?).rfc3339(), "exported_at": TimeMs::now().rfc3339(),
            "networks": self.tenant.reach().listed(),
        }))
    }

    /// Members behind one, and the last of them, if there may be more.
    async fn members(&self, behind: &str) -> Result<(Vec<Json>, Option<String>), Error> {
        let mut tx = self.control.db.read(&self.tenant).await?;
        let rows = tx.rows(organisations::MEMBERS, &[Value::from(behind), PART.into()]).await;
        let rows = tx.end(rows).await?;
        let line = |row: &Row| {
            Ok(json!({
                "kind": "member", "id": row.text("user_id")?, "email": row.text("email")?, "name": row.text("name")?,
                "role": row.text("role")?, "created_at": TimeMs(row.int("created_at")?).rfc3339(),
            }))
        };
        let last = rows.last().map(|row| row.text("user_id")).transpose()?;
        Ok((rows.iter().map(line).collect::<Result<_, Error>>()?, last))
    }

    /// The same of people who were invited.
    async fn invited(&self, behind: &str) -> Result<(Vec<Json>, Option<String>), Error> {
        let mut tx = self.control.db.read(&self.tenant).await?;
        let rows = tx.rows(INVITED, &[Value::from(behind), PART.into()]).await;
        let rows = tx.end(rows).await?;
        let line = |row: &Row| {
            let time = |at: Option<i64>| at.map(|at| TimeMs(at).rfc3339());
            Ok(json!({
                "kind": "invitation", "id": row.text("id")?, "email": row.text("email")?, "role": row.text("role")?,
                "created_at": TimeMs(row.int("created_at")?).rfc3339(), "expires_at": TimeMs(row.int("expires_at")?).rfc3339(),
                "accepted_at": time(row.opt_int("accepted_at")?),
            }))
        };
        let last = rows.last().map(|row| row.text("id")).transpose()?;
        Ok((rows.iter().map(line).collect::<Result<_, Error>>()?, last))
    }
}
