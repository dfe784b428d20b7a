//! Whether a tenant's audit fits.

use std::fmt;

use schemas::limits::control as limits;

use super::{TEXTS, change::hash};
use crate::{
    db::{Row, Tx, Value},
    error::Error,
    open::Control,
    secret::Pepper,
    sql::Sql,
    tenant::Tenant,
};

pub(super) const HEAD: Sql = Sql::of_tenant("SELECT entries, at, hash FROM audit_heads WHERE tenant_id = $1");
pub(super) const NEXT: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    " FROM audit_logs WHERE tenant_id = $1 AND entry > $2 ORDER BY entry LIMIT $3"
));

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// Every entry fits.
    Fits {
        /// How many there are.
        entries: i64,
        /// The hash of the newest; empty where there is none.
        head: String,
    },
    /// One does not.
    Misfit(Misfit),
}

/// The first entry that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Its number in the tenant's chain.
    pub entry: i64,
    /// Its id, where there is one.
    pub id: Option<String>,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        write!(f, "entry {}{id}: {}", self.entry, self.problem)
    }
}

impl Control {
    /// Reads a tenant's audit from its first entry to its head.
    ///
    /// # Errors
    /// The store is away.
    pub async fn verify_audit(&self, tenant: &Tenant) -> Result<Verified, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = verify(&mut tx, &self.pepper, tenant).await;
        tx.end(found).await
    }
}

async fn verify(tx: &mut Tx, pepper: &Pepper, tenant: &Tenant) -> Result<Verified, Error> {
    let misfit = |entry: i64, row: Option<&Row>, problem: &str| {
        let id = row.and_then(|row| row.text("id").ok());
        Ok(Verified::Misfit(Misfit { entry, id, problem: problem.to_owned() }))
    };
    // The head first: what is appended meanwhile is behind it.
    let Some(row) = tx.row(HEAD, &[]).await? else { return Err(Error::NotFound) };
    let (entries, at, head) = (row.int("entries")?, row.int("at")?, row.text("hash")?);
    let (mut last, mut time, mut previous) = (0, 0, String::new());
    while last < entries {
        let rows = tx.rows(NEXT, &[Value::from(last), (limits::AUDIT_VERIFIED as i64).into()]).await?;
        if rows.is_empty() {
            return misfit(last + 1, None, "is missing, and so is everything after it");
        }
        for row in rows.iter().take(usize::try_from(entries - last).unwrap_or(usize::MAX)) {
            let entry = row.int("entry")?;
            if entry != last + 1 {
                return misfit(last + 1, None, "is missing");
            }
            let Ok(texts) = texts(row) else { return misfit(entry, Some(row), "cannot be read") };
            let (now, own) = (row.int("at"), row.text("hash"));
            let (Ok(now), Ok(own)) = (now, own) else { return misfit(entry, Some(row), "cannot be read") };
            if texts[TEXTS.len() - 1].as_deref() != Some(previous.as_str()) {
                return misfit(entry, Some(row), "does not follow the entry before it");
            }
            if hash(pepper, tenant.id.as_str(), entry, now, &texts) != own {
                return misfit(entry, Some(row), "is not what it was when it was written");
            }
            if now < time {
                return misfit(entry, Some(row), "is older than the entry before it");
            }
            (last, time, previous) = (entry, now, own);
        }
    }
    match (&previous, time) == (&head, at) {
        true => Ok(Verified::Fits { entries, head }),
        false => misfit(last, None, "is the newest, and the head is another"),
    }
}

fn texts(row: &Row) -> Result<[Option<String>; TEXTS.len()], Error> {
    let mut texts = [const { None }; TEXTS.len()];
    for (text, column) in texts.iter_mut().zip(TEXTS) {
        *text = row.opt_text(column)?;
    }
    Ok(texts)
}
