//! Who comes with a key.
//!
//! Guarantee: what is remembered of a key is believed for 2 s, asked for anew by one caller at a time, and by nobody used when it is older
//! than twice that while the store answers: a revoked key stops within 5 s. While the store is away, a key that was good goes on to work
//! for 10 minutes since it last was confirmed; an unknown one does not. A remembered key costs one HMAC and one look into a bounded map.
//! Guesses find a bounded number of look-ups, and push nothing good out of memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;
use schemas::{TimeMs, limits::control as limits};
use tokio::sync::{Mutex, Semaphore};

use super::{
    USED,
    create::{self, makers},
    text,
};
use crate::{
    db::{Tx, Value},
    error::{Denied, Error},
    id::Id,
    open::{Control, Trust},
    organisations, people,
    roles::Role,
    scopes::Scopes,
    secret::{self, Hash},
    sql::SystemSql,
    tenant::{Actor, Authenticated, Networks, Tenant},
    tenants,
};

/// Who has this prefix: the one question that is asked before a tenant is known.
pub(super) const SECRET: SystemSql =
    SystemSql("SELECT tenant_id, key_id, hash, valid_until FROM api_key_secrets WHERE prefix = $1");

pub(super) type Prefix = [u8; 8];

/// How somebody shows to have the secret of a prefix.
pub(super) enum Proof<'a> {
    /// By its hash: it was sent.
    Key(&'a Hash),
    /// By what was made with its hash.
    Session(&'a (dyn Fn(&Hash) -> bool + Sync)),
}

impl Proof<'_> {
    fn holds(&self, hash: &Hash) -> bool {
        match self {
            Self::Key(presented) => secret::same(presented, hash),
            Self::Session(proof) => proof(hash),
        }
    }
}

/// A key as it was when the store was last asked.
struct Known {
    hash: Hash,
    verdict: Result<Arc<Authenticated>, Denied>,
    /// When this secret ends (after a rotation), or the key, or one of its makers.
    until: Option<TimeMs>,
    checked: Instant,
    /// One caller at a time asks anew.
    asking: Mutex<()>,
    /// Milliseconds after `checked` before which the store, being away, is not asked again.
    again: AtomicU64,
}

/// What a process remembers of keys.
pub(crate) struct Remembered {
    trust: Trust,
    known: Cache<Prefix, Arc<Known>>,
    /// Prefixes of nobody, apart from the others so that guesses push nothing good out.
    unknown: Cache<Prefix, Instant>,
    look_ups: Semaphore,
}

impl Remembered {
    pub(crate) fn new(trust: Trust) -> Self {
        Self {
            trust,
            known: Cache::new(limits::KNOWN_KEYS.0),
            unknown: Cache::new(limits::KNOWN_KEYS.1),
            look_ups: Semaphore::new(limits::KEY_LOOK_UPS),
        }
    }

    /// In this process at once; in others within their time.
    pub(crate) fn forget(&self, prefix: &str) {
        if let Ok(prefix) = Prefix::try_from(prefix.as_bytes()) {
            self.known.remove(&prefix);
        }
    }
}

impl Control {
    /// Lets in whoever has a key.
    ///
    /// # Errors
    /// Why not. What is answered to who came is the same for all but [`Denied::Away`] and [`Denied::Busy`].
    pub async fn authenticate(&self, presented: &str) -> Result<Arc<Authenticated>, Denied> {
        let prefix = text::prefix(presented).ok_or(Denied::Malformed)?;
        let hash = self.pepper.of_key(presented);
        Ok(self.let_in(prefix, Proof::Key(&hash)).await?.0)
    }

    /// Lets in whoever shows to have the secret of a prefix; the secret's hash comes along.
    pub(super) async fn let_in(&self, prefix: Prefix, proof: Proof<'_>) -> Result<(Arc<Authenticated>, Hash), Denied> {
        let known = match self.remembered.known.get(&prefix) {
            // No prefix is ever given to another secret, so that this needs no look-up.
            Some(known) if !proof.holds(&known.hash) => return Err(Denied::Unknown),
            Some(known) => self.present(prefix, known).await?,
            None => self.first(prefix).await?,
        };
        if !proof.holds(&known.hash) {
            return Err(Denied::Unknown);
        }
        let let_in = known.verdict.clone()?;
        match known.until {
            Some(until) if until.0 <= TimeMs::now().0 => Err(Denied::Expired),
            _ => Ok((let_in, known.hash)),
        }
    }

    /// A remembered key, asked for anew where that is due.
    async fn present(&self, prefix: Prefix, known: Arc<Known>) -> Result<Arc<Known>, Denied> {
        let Trust { fresh, while_away } = self.remembered.trust;
        let age = known.checked.elapsed();
        if age < fresh {
            return Ok(known);
        }
        let _asking = match known.asking.try_lock() {
            Ok(guard) => guard,
            // Somebody asks already.
            Err(_) if age < 2 * fresh => return Ok(known.clone()),
            Err(_) => known.asking.lock().await,
        };
        if let Some(newer) = self.remembered.known.get(&prefix)
            && newer.checked.elapsed() < fresh
        {
            return Ok(newer);
        }
        let age = known.checked.elapsed();
        let resting = known.again.load(Ordering::Relaxed) > age.as_millis() as u64;
        if !resting {
            match self.ask(prefix).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {
                    self.remembered.known.remove(&prefix);
                    return Err(Denied::Unknown);
                }
                Err(e) => {
                    tracing::warn!(error = %e, "keys cannot be looked up; those that are known go on to work for a while");
                    let again = known.checked.elapsed() + limits::KEY_LOOK_UP;
                    known.again.store(again.as_millis() as u64, Ordering::Relaxed);
                }
            }
        }
        if known.checked.elapsed() < while_away { Ok(known.clone()) } else { Err(Denied::Away) }
    }

    /// A key that is not remembered.
    async fn first(&self, prefix: Prefix) -> Result<Arc<Known>, Denied> {
        let remembered = &self.remembered;
        if remembered.unknown.get(&prefix).is_some_and(|at| at.elapsed() < remembered.trust.fresh) {
            return Err(Denied::Unknown);
        }
        let _turn = remembered.look_ups.try_acquire().map_err(|_| Denied::Busy)?;
        match self.ask(prefix).await {
            Ok(Some(known)) => Ok(known),
            Ok(None) => {
                remembered.unknown.insert(prefix, Instant::now());
                Err(Denied::Unknown)
            }
            Err(e) => {
                tracing::warn!(error = %e, "a key cannot be looked up");
                Err(Denied::Away)
            }
        }
    }

    async fn ask(&self, prefix: Prefix) -> Result<Option<Arc<Known>>, Error> {
        let text = String::from_utf8_lossy(&prefix).into_owned();
        // Counted from before the question: what is revoked while it is under way counts as not known yet.
        let checked = Instant::now();
        let look = async {
            let mut tx = self.db.system(false).await?;
            let found = look_up(&mut tx, &text, checked).await;
            tx.end(found).await
        };
        let found = tokio::time::timeout(limits::KEY_LOOK_UP, look).await;
        let found = found.map_err(|_| Error::Away(format!("no answer within {:?}", limits::KEY_LOOK_UP)))??;
        let Some((known, used)) = found else { return Ok(None) };
        let known = Arc::new(known);
        self.remembered.known.insert(prefix, known.clone());
        if let Some(id) = used
            && let Ok(who) = &known.verdict
        {
            self.used(who.tenant(), &id).await;
        }
        Ok(Some(known))
    }

    /// Remembers the use. Where that fails, the next minute's use is remembered.
    async fn used(&self, tenant: &Tenant, id: &Id) {
        let write = async {
            let mut tx = self.db.write(tenant).await?;
            let done = tx.rows(USED, &[Value::from(id), TimeMs::now().0.into()]).await;
            tx.end(done).await
        };
        let done = tokio::time::timeout(limits::KEY_LOOK_UP, write).await;
        if let Ok(Err(e)) = done {
            tracing::debug!(error = %e, "the use of a key was not written down");
        }
    }
}

/// What the store has of a prefix, and the key's id where its last use is to be written down.
async fn look_up(tx: &mut Tx, prefix: &str, checked: Instant) -> Result<Option<(Known, Option<Id>)>, Error> {
    tx.set("headwater.prefix", prefix).await?;
    let rows = tx.system(SECRET, &[Value::from(prefix)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (tenant, id): (Id, Id) = (row.parsed("tenant_id")?, row.parsed("key_id")?);
    let mut hash = Hash::default();
    const_hex::decode_to_slice(row.text("hash")?, &mut hash)
        .map_err(|e| Error::Corrupt(format!("a key's hash: {e}")))?;
    let mut until = row.opt_int("valid_until")?;
    tx.enter(&tenant).await?;
    let suspended = tenants::suspended(tx).await?;
    let chain = makers(tx, &id).await?;
    let (Some(key), Some(first)) = (chain.first(), chain.last()) else { return Ok(None) };
    let (mut scopes, mut reach) = (first.scopes, first.networks.clone());
    for maker in &chain {
        scopes = scopes.and(maker.scopes);
        reach = reach.and(&maker.networks);
        until = [until, maker.expires_at.map(|t| t.0)].into_iter().flatten().min();
    }
    let mut standing = true;
    // A key of a person never does more than the person may in this organisation now.
    if let Some(maker) = first.person() {
        let role = people::role(tx, &maker).await?;
        standing = role.is_some();
        scopes = scopes.and(role.map_or_else(Scopes::default, Role::scopes));
    }
    let platform = create::is_platform(&Tenant { id: tenant, reach: Networks::All }, &chain);
    reach = reach.and(&organisations::entitled(tx).await?);
    let verdict = if suspended {
        Err(Denied::Suspended)
    } else if !standing || chain.iter().any(|key| key.revoked_at.is_some()) {
        Err(Denied::Revoked)
    } else {
        Ok(Arc::new(Authenticated {
            tenant: Tenant { id: tenant, reach },
            actor: Actor::Key { id, name: key.name.clone() },
            scopes,
            role: None,
            platform,
            expires_at: until.map(TimeMs),
        }))
    };
    let every = Duration::from_millis(key.last_used_at.map_or(u64::MAX, |t| (TimeMs::now().0 - t.0).max(0) as u64));
    let used = (verdict.is_ok() && every >= limits::KEY_USED_EVERY).then_some(id);
    let until = until.map(TimeMs);
    Ok(Some((Known { hash, verdict, until, checked, asking: Mutex::new(()), again: AtomicU64::new(0) }, used)))
}
