//! A transaction that changes something, with its entry in the audit.

use schemas::TimeMs;
use serde_json::Value as Json;

use super::{Action, Outcome, Subject, TEXTS};
use crate::{
    db::{Db, Row, Tx, Value},
    error::Error,
    id::Id,
    secret::Pepper,
    sessions::still_on,
    sql::{Sql, SystemSql},
    tenant::{Authenticated, Caller},
};

/// Takes the tenant's head, and holds it until the end: whoever else changes something of this tenant waits here.
pub(crate) const HEAD: Sql =
    Sql::of_tenant("UPDATE audit_heads SET entries = entries WHERE tenant_id = $1 RETURNING entries, at, hash");
pub(super) const APPEND: Sql = Sql::of_tenant(concat!(
    "INSERT INTO audit_logs (tenant_id, ",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
));
pub(super) const NEW_HEAD: Sql =
    Sql::of_tenant("UPDATE audit_heads SET entries = $2, at = $3, hash = $4 WHERE tenant_id = $1");

/// A change that is being made.
pub(crate) struct Change<'a> {
    tx: Tx,
    by: Caller<'a>,
    pepper: &'a Pepper,
    entries: i64,
    at: TimeMs,
    hash: String,
    /// Rows were changed since the last entry.
    unsaid: bool,
}

impl<'a> Change<'a> {
    pub(crate) async fn begin(db: &Db, pepper: &'a Pepper, by: Caller<'a>) -> Result<Self, Error> {
        Self::within(db.write(by.who.tenant()).await?, pepper, by).await
    }

    /// Goes on in a transaction that is of the caller's tenant already.
    pub(crate) async fn within(mut tx: Tx, pepper: &'a Pepper, by: Caller<'a>) -> Result<Self, Error> {
        let head = match tx.row(HEAD, &[]).await {
            Ok(head) => head,
            Err(e) => return tx.end(Err(e)).await,
        };
        if let Err(e) = still_on(&mut tx, by.who).await {
            return tx.end(Err(e)).await;
        }
        match head {
            Some(row) => {
                let (entries, hash) = (row.int("entries")?, row.text("hash")?);
                let at = TimeMs(row.int("at")?.max(TimeMs::now().0));
                Ok(Self { tx, by, pepper, entries, at, hash, unsaid: false })
            }
            // Its tenant was removed since it was let in.
            None => tx.end(Err(Error::NotFound)).await,
        }
    }

    /// Who makes it.
    pub(crate) fn by(&self) -> Caller<'a> {
        self.by
    }

    /// The time of the change.
    pub(crate) fn at(&self) -> TimeMs {
        self.at
    }

    /// The head of the chain as it is now: entries, and the hash of the last.
    pub(crate) fn head(&self) -> (i64, &str) {
        (self.entries, &self.hash)
    }

    /// To read, and for what is no change of its own (the outbox, idempotency keys).
    pub(crate) fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    /// Changes the tenant's rows.
    pub(crate) async fn write(&mut self, sql: Sql, values: &[Value]) -> Result<Vec<Row>, Error> {
        self.unsaid = true;
        self.tx.rows(sql, values).await
    }

    /// Changes what is nobody's.
    pub(crate) async fn system(&mut self, sql: SystemSql, values: &[Value]) -> Result<Vec<Row>, Error> {
        self.tx.system(sql, values).await
    }

    /// Appends the entry. `before` and `after` are without secrets.
    pub(crate) async fn audit(
        &mut self,
        action: Action,
        subject: &Subject,
        before: Option<Json>,
        after: Option<Json>,
        outcome: Outcome,
    ) -> Result<(), Error> {
        let who = self.by.who;
        let actor = who.actor();
        let entry = self.entries + 1;
        let text = |json: Option<Json>| json.map(|json| json.to_string());
        let texts: [Option<String>; TEXTS.len()] = [
            Some(Id::new(self.at)?.to_string()),
            Some(actor.kind().to_owned()),
            Some(actor.id().to_owned()),
            Some(actor.name().to_owned()),
            Some(acting_as(who)),
            self.by.ip.map(|ip| ip.to_string()),
            self.by.request_id.map(str::to_owned),
            Some(action.as_str().to_owned()),
            Some(subject.kind.to_owned()),
            Some(subject.id.clone()),
            subject.name.clone(),
            text(before),
            text(after),
            Some(outcome.as_str().to_owned()),
            Some(self.hash.clone()),
        ];
        let hash = hash(self.pepper, who.tenant().id().as_str(), entry, self.at.0, &texts);
        let mut values = vec![Value::from(entry), self.at.0.into()];
        values.extend(texts.into_iter().map(Value::from));
        values.push(Value::from(&hash));
        self.tx.rows(APPEND, &values).await?;
        self.tx.rows(NEW_HEAD, &[Value::from(entry), self.at.0.into(), Value::from(&hash)]).await?;
        (self.entries, self.hash, self.unsaid) = (entry, hash, false);
        Ok(())
    }

    /// Goes on in the same transaction, with another tenant's rows say: what was changed here has its entry.
    pub(crate) async fn leave(self) -> Result<Tx, Error> {
        match self.unsaid {
            true => self.tx.end(Err(Error::Database("a change without its entry in the audit".to_owned()))).await,
            false => Ok(self.tx),
        }
    }

    /// Ends it: commits what succeeded, rolls back what did not.
    pub(crate) async fn end<T>(self, done: Result<T, Error>) -> Result<T, Error> {
        let done = match done {
            Ok(_) if self.unsaid => Err(Error::Database("a change without its entry in the audit".to_owned())),
            done => done,
        };
        self.tx.end(done).await
    }
}

/// A person's role says more than his scopes do: an owner's and an admin's are the same.
fn acting_as(who: &Authenticated) -> String {
    match (who.user(), who.role()) {
        (Some(_), Some(role)) => role.as_str().to_owned(),
        _ => who.scopes().texts().join(" "),
    }
}

/// An entry's hash, over everything that it says.
pub(super) fn hash(
    pepper: &Pepper,
    tenant: &str,
    entry: i64,
    at: i64,
    texts: &[Option<String>; TEXTS.len()],
) -> String {
    let (entry, at) = (entry.to_be_bytes(), at.to_be_bytes());
    let fixed = [Some(tenant.as_bytes()), Some(&entry[..]), Some(&at[..])];
    let texts = texts.iter().map(|text| text.as_ref().map(String::as_bytes));
    const_hex::encode(pepper.of_entry(fixed.into_iter().chain(texts)))
}
