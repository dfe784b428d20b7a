//! Links of letters: to set a new password, and to show that an address is one's own.
//!
//! Guarantee: a link that sets a password is good once and for an hour, has 190 random bits, and is kept as a keyed hash; whoever uses it ends
//! every session of that person and every other such link, and takes away identities that were linked before the address was proven. A link
//! that shows an address is a MAC over person, address and time: nothing is kept, and it is worth nothing once the address is another. That
//! somebody has an account is told to his own address alone: what asks for a letter answers before anybody has looked.

use runtime::config::Secret;
use schemas::{Mistake, TimeMs, limits::people as limits};

use crate::{
    db::{Tx, Value},
    error::Error,
    id::Id,
    open::Control,
    random,
    secret::{Which, same_text},
    sessions::{person, person_by_email},
    sql::SystemSql,
};

const OPEN: SystemSql =
    SystemSql("SELECT COUNT(*) AS open FROM password_resets WHERE user_id = $1 AND expires_at > $2");
const ADD: SystemSql = SystemSql("INSERT INTO password_resets (hash, user_id, expires_at) VALUES ($1, $2, $3)");
const FIND: SystemSql =
    SystemSql("SELECT user_id FROM password_resets WHERE hash = $1 AND used_at IS NULL AND expires_at > $2");
const USE: SystemSql = SystemSql(
    "UPDATE password_resets SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING user_id",
);
/// They stay counted until their time is over, so that nobody is sent more letters by using them.
const VOID: SystemSql = SystemSql("UPDATE password_resets SET used_at = $2 WHERE user_id = $1 AND used_at IS NULL");
const SWEEP: SystemSql = SystemSql("DELETE FROM password_resets WHERE expires_at < $1");
/// Whoever made the account may have taken an address that is not his, and linked an identity of his own; until the address is proven, what was
/// linked is nobody's.
const UNLINK: SystemSql = SystemSql(
    "DELETE FROM identities WHERE user_id = $1 AND EXISTS (SELECT 1 FROM users WHERE user_id = $1 AND verified_at IS NULL)",
);
/// Who reads the letter has the address too.
const SET: SystemSql = SystemSql(
    "UPDATE users SET password = $2, generation = generation + 1, verified_at = COALESCE(verified_at, $3), updated_at = $3, \
     version = version + 1 WHERE user_id = $1 AND disabled_at IS NULL RETURNING user_id",
);
const VERIFY: SystemSql = SystemSql(
    "UPDATE users SET verified_at = COALESCE(verified_at, $3), updated_at = $3 WHERE user_id = $1 AND email = $2 \
     AND disabled_at IS NULL RETURNING user_id",
);

pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[
    ("resets: open ones", OPEN),
    ("resets: find", FIND),
    ("resets: use", USE),
    ("resets: void", VOID),
    ("resets: sweep", SWEEP),
    ("resets: unlink", UNLINK),
    ("resets: set the password", SET),
    ("resets: verify", VERIFY),
];

/// A letter that is to be sent.
pub struct Letter {
    /// To whom: the address as the account has it.
    pub to: String,
    /// What the link has: a secret.
    pub token: Secret,
}

impl Control {
    /// A link to set a new password, for the account of this address; nothing where there is none, or too many were sent.
    ///
    /// # Errors
    /// The store is away.
    pub async fn begin_reset(&self, email: &str) -> Result<Option<Letter>, Error> {
        let token = Secret::new(random::base62(limits::LINK_CHARACTERS).map_err(no_random)?);
        let mut tx = self.db.system(true).await?;
        let done = self.add_reset(&mut tx, &email.trim().to_lowercase(), &token).await;
        Ok(tx.end(done).await?.map(|to| Letter { to, token }))
    }

    async fn add_reset(&self, tx: &mut Tx, email: &str, token: &Secret) -> Result<Option<String>, Error> {
        let now = TimeMs::now().0;
        tx.system(SWEEP, &[Value::from(now)]).await?;
        let Some(person) = person_by_email(tx, email).await?.filter(|person| !person.disabled) else {
            return Ok(None);
        };
        let open = tx.system(OPEN, &[Value::from(&person.id), now.into()]).await?;
        if open.first().map(|row| row.int("open")).transpose()?.unwrap_or(0) >= limits::LETTERS_OF_ONE.0 {
            tracing::info!(user = %person.id, "no further letter to set a password: enough were sent in the last hour");
            return Ok(None);
        }
        let ends = now + limits::RESET_LIFE.as_millis() as i64;
        tx.system(ADD, &[self.hash_of_reset(token.expose()).into(), Value::from(&person.id), ends.into()]).await?;
        Ok(Some(person.email))
    }

    /// Sets a new password by a letter's link, and ends every session of that person.
    ///
    /// # Errors
    /// The link is not good (any more), or the password will not do ([`Error::Invalid`]); too many passwords are hashed ([`Error::Busy`]);
    /// the store is away.
    pub async fn finish_reset(&self, token: &str, password: &Secret) -> Result<(), Error> {
        let hash = self.hash_of_reset(token);
        let mut tx = self.db.system(false).await?;
        let found = async {
            let rows = tx.system(FIND, &[Value::from(&hash), TimeMs::now().0.into()]).await?;
            let user: Id = rows.first().ok_or_else(bad_link)?.parsed("user_id")?;
            person(&mut tx, &user).await
        };
        let found = found.await;
        let found = tx.end(found).await?;
        let kept = self.hash_password(password, &[&found.email]).await?;
        let mut tx = self.db.system(true).await?;
        let done = async {
            let now = TimeMs::now().0;
            if tx.system(USE, &[Value::from(&hash), now.into()]).await?.is_empty() {
                return Err(bad_link());
            }
            tx.system(VOID, &[Value::from(&found.id), now.into()]).await?;
            tx.system(UNLINK, &[Value::from(&found.id)]).await?;
            match tx.system(SET, &[Value::from(&found.id), kept.into(), now.into()]).await?.is_empty() {
                true => Err(bad_link()),
                false => Ok(()),
            }
        };
        let done = done.await;
        tx.end(done).await?;
        self.people.forget_all();
        tracing::info!(user = %found.id, "a password was set by a letter's link; every session of its person has ended");
        Ok(())
    }

    /// A link that shows a person's address to be his.
    ///
    /// # Errors
    /// There is no such person; the store is away.
    pub async fn begin_verification(&self, user: &Id) -> Result<Letter, Error> {
        let mut tx = self.db.system(false).await?;
        let found = person(&mut tx, user).await;
        let found = tx.end(found).await?;
        let ends = TimeMs::now().0 + limits::VERIFY_LIFE.as_millis() as i64;
        let mac = self.mac_of_verification(Which::Present, user, &found.email, ends);
        Ok(Letter { to: found.email, token: Secret::new(format!("{user}.{ends}.{mac}")) })
    }

    /// Takes a person's address for his own, by a letter's link.
    ///
    /// # Errors
    /// The link is not good (any more) ([`Error::Invalid`]); the store is away.
    pub async fn finish_verification(&self, token: &str) -> Result<(), Error> {
        let mut parts = token.split('.');
        let (user, ends, mac) = (parts.next(), parts.next(), parts.next());
        let user: Id = user.and_then(|user| user.parse().ok()).ok_or_else(bad_link)?;
        let ends: i64 = ends.filter(|t| t.len() <= 15).and_then(|t| t.parse().ok()).ok_or_else(bad_link)?;
        let (mac, now) = (mac.ok_or_else(bad_link)?, TimeMs::now().0);
        if parts.next().is_some() || ends <= now {
            return Err(bad_link());
        }
        let mut tx = self.db.system(true).await?;
        let done = async {
            let found =
                person(&mut tx, &user).await.map_err(|e| if matches!(e, Error::NotFound) { bad_link() } else { e })?;
            let made = |which| self.mac_of_verification(which, &user, &found.email, ends);
            if !self.pepper.good().any(|which| same_text(mac, &made(which))) {
                return Err(bad_link());
            }
            let rows = tx.system(VERIFY, &[Value::from(&user), found.email.into(), now.into()]).await?;
            if rows.is_empty() { Err(bad_link()) } else { Ok(()) }
        };
        let done = done.await;
        tx.end(done).await
    }

    fn hash_of_reset(&self, token: &str) -> String {
        const_hex::encode(self.pepper.of_kept([&b"reset"[..], token.as_bytes()]))
    }

    fn mac_of_verification(&self, which: Which, user: &Id, email: &str, ends: i64) -> String {
        let ends = ends.to_be_bytes();
        let parts = [&b"verify"[..], user.as_str().as_bytes(), email.as_bytes(), &ends[..]];
        const_hex::encode(self.pepper.of_session(which, parts))
    }
}

/// One answer for a link that was never there, was used, or is too old.
fn bad_link() -> Error {
    Error::Invalid(vec![Mistake::new(
        "token",
        "is not good (any more)",
        "ask for another letter, and follow its link whole",
    )])
}

fn no_random(e: std::io::Error) -> Error {
    Error::Settings(format!("no random numbers: {e}"))
}
