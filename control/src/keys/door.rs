//! Who comes with a key.
//!
//! Guarantee: what is remembered of a key is believed for 2 s, asked for anew by one caller at a time, and by nobody used when it is older
//! than twice that while the store answers: a revoked key stops within 5 s. While the store is away, a key that was good goes on to work
//! for 10 minutes since it last was confirmed; an unknown one does not. A remembered key costs one HMAC and one look into a bounded map.
//! Guesses find a bounded number of look-ups, and push nothing good out of memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use schemas::{TimeMs, limits::control as limits};

use super::{
    USED,
    create::{self, makers},
    text,
};
use crate::{
    believed::Believed,
    db::{Tx, Value},
    error::{Denied, Error},
    id::Id,
    open::{Control, Trust},
    organisations, people,
    roles::Role,
    scopes::Scopes,
    secret::{self, Hash},
    sql::SystemSql,
    tenant::{Actor, Authenticated, Tenant},
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
    /// Whether its use is still to be written down.
    used: AtomicBool,
}

/// What a process remembers of keys.
pub(crate) struct Remembered(Believed<Prefix, Arc<Known>>);

impl Remembered {
    pub(crate) fn new(trust: Trust) -> Self {
        Self(Believed::new("keys", trust, limits::KNOWN_KEYS, limits::KEY_LOOK_UPS))
    }

    /// In this process at once; in others within their time.
    pub(crate) fn forget(&self, prefix: &str) {
        if let Ok(prefix) = Prefix::try_from(prefix.as_bytes()) {
            self.0.forget(&prefix);
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
        // No prefix is ever given to another secret, so that this needs no look-up.
        let fits = |known: &Arc<Known>| proof.holds(&known.hash);
        let known = self.remembered.0.get(prefix, fits, || self.ask(prefix).boxed()).await?;
        if known.used.load(Ordering::Relaxed)
            && known.used.swap(false, Ordering::Relaxed)
            && let Ok(who) = &known.verdict
            && let Some(id) = who.key()
        {
            self.used(who.tenant(), id).await;
        }
        if !proof.holds(&known.hash) {
            return Err(Denied::Unknown);
        }
        let let_in = known.verdict.clone()?;
        match known.until {
            Some(until) if until.0 <= TimeMs::now().0 => Err(Denied::Expired),
            _ => Ok((let_in, known.hash)),
        }
    }

    async fn ask(&self, prefix: Prefix) -> Result<Option<Arc<Known>>, Error> {
        let text = String::from_utf8_lossy(&prefix);
        let mut tx = self.db.system(false).await?;
        let found = look_up(&mut tx, &text).await;
        Ok(tx.end(found).await?.map(Arc::new))
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

/// What the store has of a prefix.
async fn look_up(tx: &mut Tx, prefix: &str) -> Result<Option<Known>, Error> {
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
    let platform = create::is_platform(&tenant, &chain);
    let own = reach;
    let reach = own.and(&organisations::entitled(tx).await?);
    let verdict = if suspended {
        Err(Denied::Suspended)
    } else if !standing || chain.iter().any(|key| key.revoked_at.is_some()) {
        Err(Denied::Revoked)
    } else {
        Ok(Arc::new(Authenticated {
            tenant: Tenant { id: tenant, reach, own },
            actor: Actor::Key { id, name: key.name.clone() },
            scopes,
            role: None,
            platform,
            expires_at: until.map(TimeMs),
            session: None,
        }))
    };
    let every = Duration::from_millis(key.last_used_at.map_or(u64::MAX, |t| (TimeMs::now().0 - t.0).max(0) as u64));
    let used = AtomicBool::new(verdict.is_ok() && every >= limits::KEY_USED_EVERY);
    Ok(Some(Known { hash, verdict, until: until.map(TimeMs), used }))
}
