//! Who comes with a session: by the page's cookie, or by an access token.
//!
//! Guarantee: a cookie is `s.SESSION.MAC`, and proves nothing but that we gave it out for this session; a token is looked at by
//! [`super::jwt`] once, and remembered by its hash until it is over. Both are as good as the session's row says now.

use std::sync::Arc;

use futures::FutureExt as _;
use quick_cache::sync::Cache;
use schemas::{TimeMs, limits::accounts as limits};
use sha2::{Digest as _, Sha256};

use super::{Person, away, jwt, standing};
use crate::{
    believed::Believed,
    db::{Tx, Value},
    error::{Denied, Error},
    id::Id,
    open::{Control, Mode, Trust},
    secret::{self, Which},
    sql::SystemSql,
    tenant::Authenticated,
};

pub(super) const SESSION: SystemSql = SystemSql(
    "SELECT s.user_id, s.tenant_id, s.generation, s.ends_at, s.revoked_at, u.email, u.generation AS present, u.platform, u.disabled_at \
     FROM sessions s JOIN users u ON u.user_id = s.user_id WHERE s.session_id = $1",
);

/// What a cookie of a person begins with.
const COOKIE: &str = "s.";

/// A session as it was when the store was last asked.
pub(super) struct Seen {
    verdict: Result<Arc<Authenticated>, Denied>,
    user: Id,
    tenant: Id,
    ends: TimeMs,
}

/// A token whose signature was checked.
struct Proven {
    session: Id,
    user: Id,
    tenant: Id,
    /// Seconds since 1970.
    ends: i64,
}

/// What a process remembers of sessions and tokens.
pub(crate) struct Remembered {
    sessions: Believed<Id, Arc<Seen>>,
    tokens: Cache<[u8; 32], Arc<Proven>>,
}

impl Remembered {
    pub(crate) fn new(trust: Trust) -> Self {
        Self {
            sessions: Believed::new("sessions", trust, limits::KNOWN_SESSIONS, limits::SESSION_LOOK_UPS),
            tokens: Cache::new(limits::KNOWN_TOKENS),
        }
    }

    pub(super) fn forget(&self, session: &Id) {
        self.sessions.forget(session);
    }

    pub(crate) fn forget_all(&self) {
        self.sessions.clear();
    }
}

/// The session that somebody came with.
#[derive(Clone)]
pub struct PersonSession {
    /// Its id.
    pub id: Id,
    /// What a change by the cookie has to say in a header; `None` where it came with a token, which no page sends unasked.
    pub csrf: Option<String>,
    /// When it ends at the latest.
    pub ends: TimeMs,
}

impl std::fmt::Debug for PersonSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonSession").field("id", &self.id).field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Control {
    /// Whether a cookie's value has the form of a person's.
    pub fn is_person_cookie(cookie: &str) -> bool {
        cookie.starts_with(COOKIE)
    }

    /// Takes a person's session up again by its cookie.
    ///
    /// # Errors
    /// Why not. What is answered to who came is the same for all but [`Denied::Away`] and [`Denied::Busy`].
    pub async fn resume_person(&self, cookie: &str) -> Result<(Arc<Authenticated>, PersonSession), Denied> {
        let (id, mac) = cookie.strip_prefix(COOKIE).and_then(|rest| rest.split_once('.')).ok_or(Denied::Malformed)?;
        let id: Id = id.parse().map_err(|_| Denied::Malformed)?;
        let mut good = self.pepper.good();
        let which = good.find(|which| secret::same_text(mac, &self.mac_of(*which, b"person", &id)));
        let which = which.ok_or(Denied::Unknown)?;
        let (who, seen) = self.resume(id).await?;
        let csrf = Some(self.mac_of(which, b"person csrf", &id));
        Ok((who, PersonSession { id, csrf, ends: seen.ends }))
    }

    /// Lets in whoever has an access token.
    ///
    /// # Errors
    /// As of [`Self::resume_person`].
    pub async fn resume_token(&self, token: &str) -> Result<(Arc<Authenticated>, PersonSession), Denied> {
        if self.mode() != Mode::Accounts || token.len() > limits::ACCESS_TOKEN_CHARACTERS {
            return Err(Denied::Malformed);
        }
        let now = TimeMs::now();
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let proven = match self.people.tokens.get(&hash) {
            Some(proven) => proven,
            None => {
                let proven = Arc::new(self.prove(token, now).await?);
                self.people.tokens.insert(hash, Arc::clone(&proven));
                proven
            }
        };
        if proven.ends <= now.0.div_euclid(1_000) {
            return Err(Denied::Expired);
        }
        let (who, seen) = self.resume(proven.session).await?;
        match seen.user == proven.user && seen.tenant == proven.tenant {
            true => Ok((who, PersonSession { id: proven.session, csrf: None, ends: seen.ends })),
            false => Err(Denied::Unknown),
        }
    }

    async fn prove(&self, token: &str, now: TimeMs) -> Result<Proven, Denied> {
        let unproven = jwt::read(token)?;
        let key = self.verifying_key(&unproven.kid, now).await.map_err(away)?.ok_or(Denied::Unknown)?;
        let claims = unproven.prove(&key.public, self.issuer(), now)?;
        let id = |text: &str| text.parse::<Id>().map_err(|_| Denied::Malformed);
        Ok(Proven { session: id(&claims.sid)?, user: id(&claims.sub)?, tenant: id(&claims.org)?, ends: claims.exp })
    }

    /// A session whose id was proven.
    pub(super) async fn resume(&self, id: Id) -> Result<(Arc<Authenticated>, Arc<Seen>), Denied> {
        if self.mode() != Mode::Accounts {
            return Err(Denied::Unknown);
        }
        let seen = self.people.sessions.get(id, |_| true, || self.look(id).boxed()).await?;
        if seen.ends <= TimeMs::now() {
            return Err(Denied::Expired);
        }
        Ok((seen.verdict.clone()?, seen))
    }

    async fn look(&self, id: Id) -> Result<Option<Arc<Seen>>, Error> {
        let mut tx = self.db.system(false).await?;
        let found = look_up(&mut tx, &id).await;
        Ok(tx.end(found).await?.map(Arc::new))
    }

    /// A secret that stands for a session.
    pub(super) fn mac_of(&self, which: Which, what: &[u8], id: &Id) -> String {
        const_hex::encode(self.pepper.of_session(which, [what, id.as_str().as_bytes()]))
    }

    /// The cookie of a session.
    pub(super) fn cookie_of(&self, id: &Id) -> String {
        format!("{COOKIE}{id}.{}", self.mac_of(Which::Present, b"person", id))
    }
}

impl Seen {
    pub(super) fn ends(&self) -> TimeMs {
        self.ends
    }
}

async fn look_up(tx: &mut Tx, id: &Id) -> Result<Option<Seen>, Error> {
    let rows = tx.system(SESSION, &[Value::from(id)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (user, tenant): (Id, Id) = (row.parsed("user_id")?, row.parsed("tenant_id")?);
    let ends = TimeMs(row.int("ends_at")?);
    let generation = row.int("present")?;
    let over = row.opt_int("revoked_at")?.is_some() || row.int("generation")? != generation;
    let person = Person {
        id: user,
        email: row.text("email")?,
        password: None,
        totp: false,
        generation,
        platform: row.int("platform")? != 0,
        disabled: row.opt_int("disabled_at")?.is_some(),
    };
    let verdict = match over {
        true => Err(Denied::Revoked),
        false => standing(tx, &person, &tenant, id).await?.map(Arc::new),
    };
    Ok(Some(Seen { verdict, user, tenant, ends }))
}
