//! Keys that access tokens are signed with.
//!
//! Guarantee: a key signs for a day, and verifies until the last token that it signed is over. It is kept sealed, and its public half is taken
//! from what was sealed: whoever has the database alone can neither read a key nor put in one of his own. Every process knows a key as soon as
//! a token names it; a name that nobody knows costs one look a second, whoever sends how many.

use std::{collections::HashMap, sync::Arc, time::Instant};

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use runtime::private;
use schemas::{TimeMs, limits::accounts as limits};
use serde_json::json;
use tokio::sync::{Mutex, watch};

use crate::{
    db::{Row, Tx, Value},
    error::Error,
    open::Control,
    sealer::Sealer,
    sql::SystemSql,
};

const KEYS: SystemSql = SystemSql(
    "SELECT kid, sealed, created_at, retires_at FROM signing_keys WHERE retires_at > $1 ORDER BY created_at DESC, kid LIMIT $2",
);
const ADD: SystemSql =
    SystemSql("INSERT INTO signing_keys (kid, sealed, public, created_at, retires_at) VALUES ($1, $2, $3, $4, $5)");
const DROP: SystemSql = SystemSql("DELETE FROM signing_keys WHERE retires_at <= $1");

/// What a key is sealed as.
pub(crate) const KIND: &str = "signing key";

/// A key, opened.
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) pair: Ed25519KeyPair,
    pub(super) public: [u8; 32],
    created_at: i64,
    retires_at: i64,
}

/// Those that are known, the newest first.
#[derive(Default)]
struct Known {
    keys: Vec<Arc<Key>>,
    by_kid: HashMap<String, Arc<Key>>,
    /// When they were last read; never yet.
    read: Option<Instant>,
}

/// The keys of a process.
pub(crate) struct Signing {
    known: watch::Sender<Arc<Known>>,
    /// One reads at a time.
    reading: Mutex<()>,
}

impl Default for Signing {
    fn default() -> Self {
        Self { known: watch::Sender::new(Arc::default()), reading: Mutex::new(()) }
    }
}

/// A public key that may still verify, as RFC 7517 and RFC 8037 have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name.
    pub kid: String,
    /// The 32 bytes of the key.
    pub public: [u8; 32],
}

impl Control {
    /// The key that signs now; where the last one has had its day, a new one.
    pub(super) async fn signing_key(&self, now: TimeMs) -> Result<Arc<Key>, Error> {
        let fresh = |known: &Known| known.keys.first().filter(|key| key.signs(now)).cloned();
        if let Some(key) = fresh(&self.signing.known.borrow()) {
            return Ok(key);
        }
        let _reading = self.signing.reading.lock().await;
        if let Some(key) = fresh(&self.signing.known.borrow()) {
            return Ok(key);
        }
        let known = self.read_keys(now).await?;
        if let Some(key) = fresh(&known) {
            return Ok(key);
        }
        self.add_key(now).await?;
        let known = self.read_keys(now).await?;
        fresh(&known).ok_or_else(|| Error::Database("a signing key was not written".to_owned()))
    }

    /// The key of this name, if tokens that it signed may still be good.
    pub(super) async fn verifying_key(&self, kid: &str, now: TimeMs) -> Result<Option<Arc<Key>>, Error> {
        let find = |known: &Known| known.by_kid.get(kid).filter(|key| key.retires_at > now.0).cloned();
        let recent = |known: &Known| known.read.is_some_and(|at| at.elapsed() < limits::SIGNING_KEYS_EVERY);
        {
            let known = self.signing.known.borrow();
            let found = find(&known);
            if found.is_some() || recent(&known) {
                return Ok(found);
            }
        }
        let _reading = self.signing.reading.lock().await;
        let known = Arc::clone(&self.signing.known.borrow());
        if recent(&known) {
            return Ok(find(&known));
        }
        let known = self.read_keys(now).await?;
        Ok(find(&known))
    }

    /// The public keys that may still verify, the newest first: for `/.well-known/jwks.json`. One is made where there is none yet.
    ///
    /// # Errors
    /// The store is away.
    pub async fn public_keys(&self) -> Result<Vec<PublicKey>, Error> {
        let now = TimeMs::now();
        self.signing_key(now).await?;
        let known = {
            let _reading = self.signing.reading.lock().await;
            let known = Arc::clone(&self.signing.known.borrow());
            match known.read.is_some_and(|at| at.elapsed() < limits::SIGNING_KEYS_EVERY) {
                true => known,
                false => self.read_keys(now).await?,
            }
        };
        let good = known.keys.iter().filter(|key| key.retires_at > now.0);
        Ok(good.map(|key| PublicKey { kid: key.kid.clone(), public: key.public }).collect())
    }

    async fn read_keys(&self, now: TimeMs) -> Result<Arc<Known>, Error> {
        let read = Instant::now();
        let mut tx = self.db.system(false).await?;
        let rows = tx.system(KEYS, &[Value::from(now.0), limits::SIGNING_KEYS.into()]).await;
        let rows = tx.end(rows).await?;
        let sealer = Sealer::new(&self.pepper);
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            match open(&sealer, row) {
                Ok(key) => keys.push(Arc::new(key)),
                // Somebody put it there who has not the secret; the others are still good.
                Err(error) => tracing::error!(%error, "a signing key is passed over"),
            }
        }
        let by_kid = keys.iter().map(|key| (key.kid.clone(), Arc::clone(key))).collect();
        let known = Arc::new(Known { keys, by_kid, read: Some(read) });
        self.signing.known.send_replace(Arc::clone(&known));
        Ok(known)
    }

    /// Two processes that do this at once add one each, and both are good.
    async fn add_key(&self, now: TimeMs) -> Result<(), Error> {
        let no_random = |e: std::io::Error| Error::Settings(format!("no random numbers: {e}"));
        let seed = private::random::<32>().map_err(no_random)?;
        let kid = const_hex::encode(private::random::<8>().map_err(no_random)?);
        let pair = pair(&seed)?;
        let sealed = Sealer::new(&self.pepper).seal_for(&[KIND, &kid], &json!({ "seed": const_hex::encode(seed) }))?;
        let life = limits::SIGNING_KEY_LIFE + limits::ACCESS_TOKEN_LIFE.1 + limits::CLOCK_SKEW * 2;
        let values = [
            Value::from(&kid),
            sealed.into(),
            const_hex::encode(pair.public_key().as_ref()).into(),
            now.0.into(),
            (now.0 + life.as_millis() as i64).into(),
        ];
        let mut tx = self.db.system(true).await?;
        let done = add(&mut tx, &values, now).await;
        tx.end(done).await
    }
}

async fn add(tx: &mut Tx, values: &[Value], now: TimeMs) -> Result<(), Error> {
    tx.system(DROP, &[Value::from(now.0)]).await?;
    tx.system(ADD, values).await.map(drop)
}

impl Key {
    fn signs(&self, now: TimeMs) -> bool {
        now.0 - self.created_at < limits::SIGNING_KEY_LIFE.as_millis() as i64
    }
}

fn pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair, Error> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|e| Error::Settings(format!("a signing key cannot be used: {e}")))
}

fn open(sealer: &Sealer, row: &Row) -> Result<Key, Error> {
    let kid = row.text("kid")?;
    let broken = || Error::Corrupt(format!("the signing key {kid} cannot be read"));
    let sealed = sealer.open_for(&[KIND, &kid], &row.text("sealed")?)?;
    let mut seed = [0; 32];
    let text = sealed.get("seed").and_then(|seed| seed.as_str()).ok_or_else(broken)?;
    const_hex::decode_to_slice(text, &mut seed).map_err(|_| broken())?;
    let pair = pair(&seed)?;
    let public = pair.public_key().as_ref().try_into().map_err(|_| broken())?;
    Ok(Key { kid, pair, public, created_at: row.int("created_at")?, retires_at: row.int("retires_at")? })
}
