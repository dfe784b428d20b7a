//! API keys: `hw_<8 characters, its visible prefix>_<22 random characters>`.
//!
//! Guarantee: the secret half has 131 random bits and is shown once; what is kept is a keyed hash ([`crate::secret`]). A key never does
//! more than whoever made it, when it is made and at any time later: what it may do is what it was given *and* what its maker may now,
//! up to the first maker, so that a maker that is narrowed, revoked or expired takes what it made along; a person's role in the organisation
//! is such a maker, and so is what the organisation is entitled to. Nobody takes over a key that
//! may more: it can be changed or rotated only by who may everything that it may.

mod create;
mod door;
mod once;
mod session;
mod text;

use std::time::Duration;

use runtime::config::Secret;
use schemas::{Network, Quota, TimeMs, limits::control as limits, names};
use serde_json::json;

pub(crate) use create::{create_in, present};
pub(crate) use door::Remembered;
pub use once::Made;
pub use session::Session;

use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Row, Tx, Value},
    error::{Error, Mistake},
    expected::Expected,
    id::Id,
    open::Control,
    pages::{Cursor, Page, Paging},
    quotas,
    scopes::Scopes,
    sql::{Sql, SystemSql},
    tenant::{Authenticated, Caller, Networks, Tenant},
};

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: Id,
    /// The part of it that may be seen.
    pub prefix: String,
    /// Its name.
    pub name: String,
    /// What it was given; what it may is this and what its maker may.
    pub scopes: Scopes,
    /// Which networks.
    pub networks: Networks,
    /// When it was made.
    pub created_at: TimeMs,
    /// When it was last changed, rotated or revoked.
    pub updated_at: TimeMs,
    /// What kind of actor made it: `key`, `operator`, `user`, `system`.
    pub created_by_kind: String,
    /// A key's id; a word for others.
    pub created_by: String,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<TimeMs>,
    /// When it was revoked.
    pub revoked_at: Option<TimeMs>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<TimeMs>,
    /// For `If-Match`.
    pub version: i64,
}

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// What it may.
    pub scopes: Scopes,
    /// Which networks.
    pub networks: Networks,
    /// How long it lives, 1 minute to 10 years; `None`: until it is revoked, or its maker ends.
    pub expires_in: Option<Duration>,
}

/// What is to change of a key; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct KeyPatch {
    /// Its name.
    pub name: Option<String>,
    /// What it may.
    pub scopes: Option<Scopes>,
    /// Which networks.
    pub networks: Option<Networks>,
    /// When it ends; `Some(None)`: when it is revoked.
    pub expires_at: Option<Option<TimeMs>>,
}

/// A key with its secret, which is never seen again.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The key.
    pub key: Key,
    /// All of it.
    pub text: Secret,
}

macro_rules! columns {
    () => {
        "id, prefix, name, scopes, networks, created_at, updated_at, created_by_kind, created_by, expires_at, revoked_at, last_used_at, version"
    };
}

const GET: Sql = Sql::of_tenant(concat!("SELECT ", columns!(), " FROM api_keys WHERE tenant_id = $1 AND id = $2"));
const LIST: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    " FROM api_keys WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3"
));
const PATCH: Sql = Sql::of_tenant(concat!(
    "UPDATE api_keys SET name = $3, scopes = $4, networks = $5, expires_at = $6, updated_at = $7, version = version + 1 WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
));
const REVOKE: Sql = Sql::of_tenant(concat!(
    "UPDATE api_keys SET revoked_at = $3, updated_at = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
));
/// Those that a person made.
const REVOKE_OF: Sql = Sql::of_tenant(
    "UPDATE api_keys SET revoked_at = $3, updated_at = $3, version = version + 1 \
     WHERE tenant_id = $1 AND created_by_kind = 'user' AND created_by = $2 AND revoked_at IS NULL RETURNING prefix",
);
const ROTATE: Sql = Sql::of_tenant(concat!(
    "UPDATE api_keys SET prefix = $3, updated_at = $4, version = version + 1 WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!()
));
const END_SECRETS: Sql = Sql::of_tenant(
    "UPDATE api_key_secrets SET valid_until = $3 WHERE tenant_id = $1 AND key_id = $2 AND (valid_until IS NULL OR valid_until > $3)",
);
const DROP_SECRETS: Sql =
    Sql::of_tenant("DELETE FROM api_key_secrets WHERE tenant_id = $1 AND key_id = $2 AND valid_until <= $3");
const USED: Sql = Sql::of_tenant("UPDATE api_keys SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2");

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("keys: get", GET),
    ("keys: list", LIST),
    ("keys: patch", PATCH),
    ("keys: revoke", REVOKE),
    ("keys: revoke those of a person", REVOKE_OF),
    ("keys: rotate", ROTATE),
    ("keys: end secrets", END_SECRETS),
    ("keys: drop secrets", DROP_SECRETS),
    ("keys: used", USED),
    ("keys: the last that may be", create::LAST),
    ("keys: insert", create::INSERT),
    ("keys: insert secret", create::INSERT_SECRET),
];
pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[("keys: of a prefix", door::SECRET)];

impl Key {
    /// The person who made it, where one did.
    pub(crate) fn person(&self) -> Option<Id> {
        (self.created_by_kind == "user").then(|| self.created_by.parse().ok()).flatten()
    }
}

impl Control {
    /// Makes a key. Its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// It would do more than its maker ([`Error::MoreThanMaker`]), what it is to be has mistakes, or as of every change.
    pub async fn create_key(&self, by: Caller<'_>, new: NewKey) -> Result<Fresh, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = create_in(&mut change, &self.pepper, new, None).await;
        change.end(done).await
    }

    /// One key.
    ///
    /// # Errors
    /// Not there, or not this tenant's.
    pub async fn key(&self, tenant: &Tenant, id: &Id) -> Result<Key, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = get(&mut tx, id).await;
        tx.end(found).await
    }

    /// Keys by age, revoked ones too.
    ///
    /// # Errors
    /// The store is away.
    pub async fn keys(&self, tenant: &Tenant, paging: &Paging) -> Result<Page<Key>, Error> {
        let limit = paging.limit();
        let after = paging.after.as_ref().map_or("", Cursor::as_str);
        let mut tx = self.db.read(tenant).await?;
        let rows = tx.rows(LIST, &[Value::from(after), (limit as i64 + 1).into()]).await;
        let rows = tx.end(rows).await?;
        let items = rows.iter().take(limit).map(read).collect::<Result<Vec<_>, _>>()?;
        let next = (rows.len() > limit).then(|| items.last().map(|k| Cursor(k.id.to_string()))).flatten();
        Ok(Page { items, next })
    }

    /// Changes a key that is of the version expected.
    ///
    /// # Errors
    /// Not there, or not this tenant's; changed since ([`Error::Stale`]); more than the caller has; or as of every change.
    pub async fn patch_key(&self, by: Caller<'_>, id: &Id, expected: &Expected, patch: KeyPatch) -> Result<Key, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = patch_in(&mut change, id, expected, patch).await;
        change.end(done).await
    }

    /// Gives a key another secret; the former one works for `overlap` still, at most 7 days.
    ///
    /// # Errors
    /// Not there, or not this tenant's; revoked; more than the caller has; or as of every change.
    pub async fn rotate_key(&self, by: Caller<'_>, id: &Id, overlap: Duration) -> Result<Fresh, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = rotate_in(&mut change, self, id, overlap).await;
        change.end(done).await
    }

    /// Revokes a key, and with it what it made. It stops within 5 s in every process. Revoked again, it stays as it is.
    ///
    /// # Errors
    /// Not there, or not this tenant's, or as of every change.
    pub async fn revoke_key(&self, by: Caller<'_>, id: &Id) -> Result<Key, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = revoke_in(&mut change, id).await;
        let key = change.end(done).await?;
        self.remembered.forget(&key.prefix);
        Ok(key)
    }
}

/// Revokes the keys that a person made in the organisation of this change, and with them what these made; their prefixes. The entry in the audit is
/// the caller's: there may be thousands.
pub(crate) async fn revoke_of(change: &mut Change<'_>, person: &Id) -> Result<Vec<String>, Error> {
    let at = change.at().0;
    let rows = change.write(REVOKE_OF, &[Value::from(person), at.into()]).await?;
    if !rows.is_empty() {
        quotas::give(change, Quota::Keys, rows.len() as i64).await?;
    }
    rows.iter().map(|row| row.text("prefix")).collect()
}

async fn get(tx: &mut Tx, id: &Id) -> Result<Key, Error> {
    let row = tx.row(GET, &[id.into()]).await?.ok_or(Error::NotFound)?;
    read(&row)
}

async fn patch_in(change: &mut Change<'_>, id: &Id, expected: &Expected, patch: KeyPatch) -> Result<Key, Error> {
    let before = get(change.tx(), id).await?;
    expected.check(before.version)?;
    let who = change.by().who;
    no_more_than(who, before.scopes, &before.networks)?;
    let mut mistakes = Vec::new();
    let name = patch.name.map(|n| names::name("name", &n, &mut mistakes)).unwrap_or_else(|| before.name.clone());
    let scopes = patch.scopes.unwrap_or(before.scopes);
    let networks = patch.networks.unwrap_or_else(|| before.networks.clone());
    create::check(scopes, &networks, &mut mistakes);
    if let Some(until) = patch.expires_at {
        create::check_until(until, change.at(), &mut mistakes);
    }
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    no_more_than(who, scopes, &networks)?;
    let expires = patch.expires_at.unwrap_or(before.expires_at);
    if let Some(yours) = who.expires_at()
        && patch.expires_at.is_some()
        && expires.is_none_or(|t| t > yours)
    {
        return Err(Error::MoreThanMaker(format!("yours ends at {}", yours.rfc3339())));
    }
    let values = [
        Value::from(id),
        name.into(),
        scopes_json(scopes).into(),
        networks_json(&networks).into(),
        expires.map(|t| t.0).into(),
        change.at().0.into(),
    ];
    let after = read(change.write(PATCH, &values).await?.first().ok_or(Error::NotFound)?)?;
    let (was, is) = (Some(seen(&before)), Some(seen(&after)));
    change.audit(Action::KeyChange, &subject(&after), was, is, Outcome::Done).await?;
    Ok(after)
}

async fn rotate_in(change: &mut Change<'_>, control: &Control, id: &Id, overlap: Duration) -> Result<Fresh, Error> {
    if overlap > limits::KEY_OVERLAP {
        let cure = format!("write at most {} days", limits::KEY_OVERLAP.as_secs() / 86_400);
        return Err(Error::Invalid(vec![Mistake::new("overlap", "is too long", cure)]));
    }
    let before = get(change.tx(), id).await?;
    if before.revoked_at.is_some() {
        let cure = "make a new key: one that was revoked stays revoked";
        return Err(Error::Invalid(vec![Mistake::new("id", "this key was revoked", cure)]));
    }
    no_more_than(change.by().who, before.scopes, &before.networks)?;
    let who = change.by().who;
    if !who.is_platform() && create::is_platform(who.tenant().id(), &create::makers(change.tx(), id).await?) {
        return Err(Error::MoreThanMaker("this key is an operator's of the platform, which you are not".to_owned()));
    }
    let now = change.at().0;
    let until = now + overlap.as_millis() as i64;
    change.write(END_SECRETS, &[Value::from(id), until.into()]).await?;
    change.write(DROP_SECRETS, &[Value::from(id), now.into()]).await?;
    let text = text::new()?;
    create::insert_secret(change, &control.pepper, id, &text).await?;
    let row = change.write(ROTATE, &[Value::from(id), text.prefix.as_str().into(), now.into()]).await?;
    let key = read(row.first().ok_or(Error::NotFound)?)?;
    let (was, is) = (Some(seen(&before)), Some(seen(&key)));
    change.audit(Action::KeyRotate, &subject(&key), was, is, Outcome::Done).await?;
    control.remembered.forget(&before.prefix);
    Ok(Fresh { key, text: text.whole })
}

async fn revoke_in(change: &mut Change<'_>, id: &Id) -> Result<Key, Error> {
    let before = get(change.tx(), id).await?;
    if before.revoked_at.is_some() {
        return Ok(before);
    }
    let rows = change.write(REVOKE, &[Value::from(id), change.at().0.into()]).await?;
    quotas::give(change, Quota::Keys, 1).await?;
    let after = read(rows.first().ok_or(Error::NotFound)?)?;
    let (was, is) = (Some(seen(&before)), Some(seen(&after)));
    change.audit(Action::KeyRevoke, &subject(&after), was, is, Outcome::Done).await?;
    Ok(after)
}

/// Refuses what whoever asks may not do itself.
fn no_more_than(who: &Authenticated, scopes: Scopes, networks: &Networks) -> Result<(), Error> {
    let beyond = scopes.beyond(who.scopes());
    if !beyond.is_empty() {
        return Err(Error::MoreThanMaker(format!("{} is not among your scopes", beyond.join(", "))));
    }
    if !networks.within(who.tenant().reach()) {
        return Err(Error::MoreThanMaker(format!("your networks are {}", who.tenant().reach().listed().join(", "))));
    }
    Ok(())
}

fn scopes_json(scopes: Scopes) -> String {
    json!(scopes.texts()).to_string()
}

fn networks_json(networks: &Networks) -> String {
    json!(networks.listed()).to_string()
}

/// As the audit shows a key.
fn seen(key: &Key) -> serde_json::Value {
    json!({
        "prefix": key.prefix,
        "name": key.name,
        "scopes": key.scopes.texts(),
        "networks": key.networks.listed(),
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "secret": {"set": true},
    })
}

fn subject(key: &Key) -> Subject {
    Subject { kind: "key", id: key.id.to_string(), name: Some(key.name.clone()) }
}

fn read(row: &Row) -> Result<Key, Error> {
    let scopes: Vec<String> = row.json("scopes")?;
    let networks: Vec<Network> = row.json("networks")?;
    let time = |column: &str| row.opt_int(column).map(|t| t.map(TimeMs));
    Ok(Key {
        id: row.parsed("id")?,
        prefix: row.text("prefix")?,
        name: row.text("name")?,
        scopes: Scopes::read(&scopes).map_err(|e| Error::Corrupt(e.to_string()))?,
        networks: if networks.is_empty() { Networks::All } else { Networks::Only(networks) },
        created_at: TimeMs(row.int("created_at")?),
        updated_at: TimeMs(row.opt_int("updated_at")?.map_or_else(|| row.int("created_at"), Ok)?),
        created_by_kind: row.text("created_by_kind")?,
        created_by: row.text("created_by")?,
        expires_at: time("expires_at")?,
        revoked_at: time("revoked_at")?,
        last_used_at: time("last_used_at")?,
        version: row.int("version")?,
    })
}
