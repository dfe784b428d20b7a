//! By what the database knows its secret, and the first secret where it is not the present one.
//!
//! Guarantee: `control_meta` has a mark of the present secret, by which a wrong one is told at the start; on PostgreSQL no working role can
//! change it. After a rotation it has the first secret too, sealed under the present one.

use runtime::config::Secret;
use serde_json::json;

use crate::{
    db::{Db, Tx, Value},
    error::Error,
    sealer::Sealer,
    secret::{self, Pepper, Secrets, Which},
    sql::SystemSql,
};

const MARK: SystemSql =
    SystemSql("INSERT INTO control_meta (name, value) VALUES ('secret', $1) ON CONFLICT (name) DO NOTHING");
const MARKED: SystemSql = SystemSql("SELECT name, value FROM control_meta WHERE name IN ('secret', 'first secret')");
const SET: SystemSql = SystemSql(
    "INSERT INTO control_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value",
);
/// As what the first secret is sealed.
const FIRST: &str = "first secret";

/// What the database says of its secrets.
pub(crate) struct Marks {
    /// What hashes that are kept were made with.
    pub(crate) first: Secret,
    /// Of which the database is.
    which: Which,
}

/// Reads them; a new database is marked.
pub(crate) async fn marks(db: &Db, secrets: &Secrets) -> Result<Marks, Error> {
    let mut tx = db.system(false).await?;
    let found = read(&mut tx, secrets).await;
    let found = tx.end(found).await?;
    let found = match found {
        Some(found) => found,
        None => {
            let mut tx = db.system(true).await?;
            let done = async {
                tx.system(MARK, &[Value::from(secret::mark(&secrets.present))]).await?;
                read(&mut tx, secrets).await?.ok_or_else(|| Error::Corrupt("no mark of the secret".to_owned()))
            };
            let done = done.await;
            tx.end(done).await?
        }
    };
    if found.which == Which::Former {
        tracing::warn!(
            "the control store is of `[control] former_secret` still: run `headwater control rotate-secret` once every process knows both"
        );
    }
    Ok(found)
}

async fn read(tx: &mut Tx, secrets: &Secrets) -> Result<Option<Marks>, Error> {
    let (mut mark, mut first) = (None, None);
    for row in &tx.system(MARKED, &[]).await? {
        let value = row.text("value")?;
        match row.text("name")?.as_str() {
            "secret" => mark = Some(value),
            _ => first = Some(value),
        }
    }
    let Some(mark) = mark else { return Ok(None) };
    let marked = |secret: &Secret| secret::same_text(&secret::mark(secret), &mark);
    let (which, own) = match &secrets.former {
        _ if marked(&secrets.present) => (Which::Present, &secrets.present),
        Some(former) if marked(former) => (Which::Former, former),
        _ => {
            return Err(Error::Settings(
                "the control store was made with another secret, or its secret was changed: with this one no key would work and no entry \
                 of the audit would fit; put back `[control] secret`, or the file `secret` that was beside the database"
                    .to_owned(),
            ));
        }
    };
    // Where there is none, the secret was never changed.
    let first = first.map_or_else(|| Ok(own.clone()), |sealed| open(secrets, &sealed))?;
    Ok(Some(Marks { first, which }))
}

fn open(secrets: &Secrets, sealed: &str) -> Result<Secret, Error> {
    // What is sealed needs no first secret to be opened.
    let sealer = Sealer::new(&Pepper::of(secrets, &secrets.present));
    let opened = sealer.open_for(&[FIRST], sealed)?;
    let text = opened.as_str().ok_or_else(|| Error::Corrupt("the first secret of the control store".to_owned()))?;
    Ok(Secret::new(text))
}

/// From here on the database is of the present secret. `false`: it was.
pub(super) async fn write(tx: &mut Tx, sealer: &Sealer, secrets: &Secrets) -> Result<bool, Error> {
    let found = read(tx, secrets).await?.ok_or_else(|| Error::Corrupt("no mark of the secret".to_owned()))?;
    if found.which == Which::Present {
        return Ok(false);
    }
    let sealed = sealer.seal_for(&[FIRST], &json!(found.first.expose()))?;
    tx.system(SET, &[Value::from(FIRST), sealed.into()]).await?;
    tx.system(SET, &[Value::from("secret"), secret::mark(&secrets.present).into()]).await?;
    Ok(true)
}
