//! Another secret in the place of the present one.
//!
//! Guarantee: everything that is sealed in the database is sealed anew under the present secret in one transaction, with its entry in the
//! audit, or nothing is; each channel that was is told to the stages again. What is kept as a hash cannot be hashed anew: it stays under the
//! first secret, which is then in the database too, sealed under the present one ([`marks`]). While the former secret is written beside the
//! present one, what was sealed and given out with it is good for reading; nothing new is made with it. Done again, it does what is left: what
//! processes that had not been started again sealed meanwhile.
//!
//! Who has the first secret and the database of later knows what passwords are hashed with, and could write entries of the audit that fit: that
//! is what a rotation does not undo.

mod files;
mod marks;

pub(crate) use marks::marks;
use runtime::config::Control as Settings;
use serde_json::json;

use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Dialect, Tx, Value},
    error::Error,
    id::Id,
    migrations::ALONE,
    open::{Control, owner},
    outbox,
    sealer::Sealer,
    secret,
    sql::{Sql, SystemSql},
    tenant::{Actor, Caller},
};

/// Rows that are read at a time.
const ROWS: i64 = 256;

const TENANTS: SystemSql = SystemSql("SELECT tenant_id FROM tenants WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2");
const THINGS: Sql = Sql::of_tenant(
    "SELECT kind, id, sealed FROM tenant_definitions WHERE tenant_id = $1 AND (kind, id) > ($2, $3) AND sealed IS NOT NULL \
     ORDER BY kind, id LIMIT $4",
);
const SEAL_THING: Sql =
    Sql::of_tenant("UPDATE tenant_definitions SET sealed = $4 WHERE tenant_id = $1 AND kind = $2 AND id = $3");
const PEOPLE: SystemSql =
    SystemSql("SELECT user_id, totp FROM users WHERE user_id > $1 AND totp IS NOT NULL ORDER BY user_id LIMIT $2");
const SEAL_PERSON: SystemSql = SystemSql("UPDATE users SET totp = $2 WHERE user_id = $1");
/// Those that are over too: there are few.
const SIGNING: SystemSql = SystemSql("SELECT kid, sealed FROM signing_keys ORDER BY kid LIMIT $1");
const SEAL_SIGNING: SystemSql = SystemSql("UPDATE signing_keys SET sealed = $2 WHERE kid = $1");

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[("rotation: things", THINGS), ("rotation: seal a thing", SEAL_THING)];
pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] =
    &[("rotation: tenants", TENANTS), ("rotation: people", PEOPLE), ("rotation: seal a person", SEAL_PERSON)];

/// How far a rotation is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Seals everything under the present secret. Beside SQLite without `[control] secret` the present one is made here.
    Begin,
    /// Every process knows the present secret: what they sealed under the former one meanwhile is sealed anew, and beside SQLite the file with
    /// the former one is removed.
    Finish,
}

/// What was sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotated {
    /// Channels, and whatever else of tenants has secrets.
    pub things: usize,
    /// People's second factors.
    pub people: usize,
    /// Keys that sign access tokens.
    pub signing_keys: usize,
    /// Whether the database was of the former secret until now.
    pub marked: bool,
}

/// Puts the secret of these settings in the place of the former one. `name` is who runs the command, for the audit. On PostgreSQL as the role
/// that owns the tables.
///
/// # Errors
/// There is no former secret, or the database is of neither ([`Error::Settings`]); something cannot be opened with either
/// ([`Error::Corrupt`], which names it); the store is away. Nothing is changed then.
pub async fn rotate_secret(settings: &Settings, name: &str, rotation: Rotation) -> Result<Rotated, Error> {
    if rotation == Rotation::Begin {
        files::begin(settings)?;
    }
    let control = Control::open_as_owner(settings).await?;
    let done = rotate(&control, settings, name).await;
    control.close().await;
    let rotated = done?;
    if rotation == Rotation::Finish {
        files::finish(settings)?;
    }
    Ok(rotated)
}

async fn rotate(control: &Control, settings: &Settings, name: &str) -> Result<Rotated, Error> {
    let secrets = secret::of_settings(settings)?;
    let operator = owner(Id::DEFAULT_TENANT, Actor::Operator { name: name.to_owned() });
    let mut change = Change::begin(&control.db, &control.pepper, Caller::here(&operator)).await?;
    let done = async {
        let tx = change.tx();
        if tx.dialect() == Dialect::Postgres {
            tx.script(ALONE).await?;
        }
        let sealer = Sealer::new(&control.pepper);
        let mut rotated = Rotated {
            things: things(tx, &sealer).await?,
            people: people(tx, &sealer).await?,
            signing_keys: signing_keys(tx, &sealer).await?,
            marked: false,
        };
        rotated.marked = marks::write(tx, &sealer, &secrets).await?;
        if rotated != Rotated::default() {
            tx.enter(&Id::DEFAULT_TENANT).await?;
            let subject = Subject { kind: "secret", id: "control".to_owned(), name: None };
            let after = json!({
                "things": rotated.things, "people": rotated.people, "signing_keys": rotated.signing_keys,
                "secret": {"set": true},
            });
            change.audit(Action::SecretRotate, &subject, None, Some(after), Outcome::Done).await?;
        }
        Ok(rotated)
    };
    let done = done.await;
    change.end(done).await
}

/// The same under the present secret; `None`: it is.
fn anew(sealer: &Sealer, of: &[&str], sealed: &str) -> Result<Option<String>, Error> {
    if sealer.present().open_for(of, sealed).is_ok() {
        return Ok(None);
    }
    sealer.seal_for(of, &sealer.open_for(of, sealed)?).map(Some)
}

/// What tenants have, tenant by tenant.
async fn things(tx: &mut Tx, sealer: &Sealer) -> Result<usize, Error> {
    let (mut last, mut many) = (String::new(), 0);
    loop {
        tx.set("headwater.operator", "on").await?;
        let rows = tx.system(TENANTS, &[Value::from(last.as_str()), ROWS.into()]).await?;
        tx.set("headwater.operator", "off").await?;
        for row in &rows {
            let tenant: Id = row.parsed("tenant_id")?;
            tx.enter(&tenant).await?;
            many += things_of(tx, sealer, &tenant).await?;
            last = tenant.to_string();
        }
        if rows.is_empty() {
            return Ok(many);
        }
    }
}

async fn things_of(tx: &mut Tx, sealer: &Sealer, tenant: &Id) -> Result<usize, Error> {
    let (mut last, mut many) = ((String::new(), String::new()), 0);
    loop {
        let values = [Value::from(last.0.as_str()), last.1.as_str().into(), ROWS.into()];
        let rows = tx.rows(THINGS, &values).await?;
        for row in &rows {
            let (kind, id): (String, Id) = (row.text("kind")?, row.parsed("id")?);
            if let Some(anew) = anew(sealer, &[tenant.as_str(), &kind, id.as_str()], &row.text("sealed")?)? {
                tx.rows(SEAL_THING, &[Value::from(kind.as_str()), (&id).into(), anew.into()]).await?;
                outbox::changed(tx, &kind, &id).await?;
                many += 1;
            }
            last = (kind, id.to_string());
        }
        if rows.is_empty() {
            return Ok(many);
        }
    }
}

async fn people(tx: &mut Tx, sealer: &Sealer) -> Result<usize, Error> {
    let (mut last, mut many) = (String::new(), 0);
    loop {
        let rows = tx.system(PEOPLE, &[Value::from(last.as_str()), ROWS.into()]).await?;
        for row in &rows {
            last = row.text("user_id")?;
            if let Some(anew) = anew(sealer, &[crate::totp::SEALED, &last], &row.text("totp")?)? {
                tx.system(SEAL_PERSON, &[Value::from(last.as_str()), anew.into()]).await?;
                many += 1;
            }
        }
        if rows.is_empty() {
            return Ok(many);
        }
    }
}

async fn signing_keys(tx: &mut Tx, sealer: &Sealer) -> Result<usize, Error> {
    let mut many = 0;
    for row in &tx.system(SIGNING, &[Value::from(schemas::limits::accounts::SIGNING_KEYS)]).await? {
        let kid = row.text("kid")?;
        match anew(sealer, &[crate::sessions::SIGNING_KEY, &kid], &row.text("sealed")?) {
            Ok(Some(anew)) => {
                tx.system(SEAL_SIGNING, &[Value::from(kid), anew.into()]).await?;
                many += 1;
            }
            Ok(None) => {}
            // Somebody put it there who has not the secret: it verifies nothing, and keeps nothing from going on.
            Err(Error::Corrupt(problem)) => tracing::error!(problem, "a signing key is passed over"),
            Err(error) => return Err(error),
        }
    }
    Ok(many)
}
