//! Links of letters: to set a new password, and to show that an address is one's own.
//!
//! Guarantee: a link that sets a password is good once and for an hour, has 190 random bits, and is kept as a keyed hash; whoever uses it ends
//! every session of that person and every other such link, and it stands in the audit of each organisation that he is in (none: in the log alone).
//!
//! Whoever makes an account may take an address that is not his. What he may leave behind: **when a letter's link sets the password of an account
//! whose address was never proven before, all that its holder had set is ended with it, in the same transaction**: the password, sessions, the second
//! factor with its recovery codes, enrolments that were begun, identities that were linked, and in each organisation of the person the keys that
//! he made (with what these made) and the invitations that he wrote. Whoever was let in before changes nothing any more in these organisations, in
//! no process, from the moment of the commit ([`crate::sessions::still_on`]). What is of the organisations stays: their members, channels and rules are for who
//! owns them now to look at.
//!
//! A link that shows an address proves one thing more than a mailbox: it is good for the person who is logged in alone. So nobody proves by a click
//! the address of an account that another made; and what is proven has one holder, of whom nothing needs to be ended. It is a MAC over
//! person, address and time: nothing is kept, and it is worth nothing once the address is another.
//!
//! That somebody has an account is told to his own address alone: what asks for a letter answers before anybody has looked.

use runtime::config::Secret;
use schemas::{Mistake, TimeMs, limits::people as limits};

use serde_json::json;

use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Tx, Value},
    error::Error,
    id::Id,
    invitations, keys,
    open::Control,
    people::{self, Person},
    random,
    secret::{Which, same_text},
    sessions::{member_of, person, person_by_email, still_on},
    sql::SystemSql,
    tenant::{Authenticated, Origin},
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
/// Until the address is proven, what was linked is nobody's.
const UNLINK: SystemSql = SystemSql(
    "DELETE FROM identities WHERE user_id = $1 AND EXISTS (SELECT 1 FROM users WHERE user_id = $1 AND verified_at IS NULL)",
);
/// Who reads the letter has the address too; until then a second factor is nobody's either.
const SET: SystemSql = SystemSql(
    "UPDATE users SET password = $2, generation = generation + 1, totp = CASE WHEN verified_at IS NULL THEN NULL ELSE totp END, \
     verified_at = COALESCE(verified_at, $3), updated_at = $3, version = version + 1 WHERE user_id = $1 AND disabled_at IS NULL RETURNING user_id",
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

    /// Sets a new password by a letter's link, ends every session of that person, and, where the address was never proven before, all that was
    /// set by whoever held the account.
    ///
    /// # Errors
    /// The link is not good (any more), or the password will not do ([`Error::Invalid`]); too many passwords are hashed ([`Error::Busy`]);
    /// the store is away.
    pub async fn finish_reset(&self, origin: Origin<'_>, token: &str, password: &Secret) -> Result<(), Error> {
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
        let ended = self.reset(origin, &hash, &found.id, kept).await?;
        self.people.forget_all();
        for prefix in &ended {
            self.remembered.forget(prefix);
        }
        tracing::info!(user = %found.id, "a password was set by a letter's link; every session of its person has ended");
        Ok(())
    }

    /// All of it in one transaction; the prefixes of keys that were ended. The rows of organisations come before the person's, as in every change.
    async fn reset(&self, origin: Origin<'_>, hash: &str, user: &Id, kept: String) -> Result<Vec<String>, Error> {
        let now = TimeMs::now().0;
        let mut tx = self.db.system(true).await?;
        let begun = async {
            if tx.system(USE, &[Value::from(hash), now.into()]).await?.is_empty() {
                return Err(bad_link());
            }
            tx.system(VOID, &[Value::from(user), now.into()]).await?;
            let person = people::get(&mut tx, user).await?;
            let organisations = member_of(&mut tx, user).await?;
            Ok((person, organisations))
        };
        let begun = begun.await;
        let (person, organisations) = match begun {
            Ok(begun) => begun,
            Err(e) => return tx.end(Err(e)).await,
        };
        let mut keys = Vec::new();
        for organisation in &organisations {
            let who = match people::within(&mut tx, &person, organisation).await {
                Ok(Some(who)) => who,
                Ok(None) => continue,
                Err(e) => return tx.end(Err(e)).await,
            };
            let mut change = Change::within(tx, &self.pepper, origin.by(&who)).await?;
            match told(&mut change, &person).await {
                Ok(ended) => keys.extend(ended),
                Err(e) => return change.end(Err(e)).await,
            }
            tx = change.leave().await?;
        }
        let done = async {
            tx.system(UNLINK, &[Value::from(user)]).await?;
            match tx.system(SET, &[Value::from(user), kept.into(), now.into()]).await?.is_empty() {
                true => Err(bad_link()),
                false => Ok(keys),
            }
        };
        let done = done.await;
        tx.end(done).await
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

    /// Takes a person's address for his own, by a letter's link that he follows while he is logged in: `by` is who that is.
    ///
    /// # Errors
    /// The link is not good (any more), or is another person's ([`Error::Invalid`]); his session is over ([`Error::SessionOver`]); the store is
    /// away.
    pub async fn finish_verification(&self, by: &Authenticated, token: &str) -> Result<(), Error> {
        let mut parts = token.split('.');
        let (user, ends, mac) = (parts.next(), parts.next(), parts.next());
        let user: Id = user.and_then(|user| user.parse().ok()).ok_or_else(bad_link)?;
        let ends: i64 = ends.filter(|t| t.len() <= 15).and_then(|t| t.parse().ok()).ok_or_else(bad_link)?;
        let (mac, now) = (mac.ok_or_else(bad_link)?, TimeMs::now().0);
        if parts.next().is_some() || ends <= now || by.user() != Some(&user) {
            return Err(bad_link());
        }
        let mut tx = self.db.system(true).await?;
        let done = async {
            still_on(&mut tx, by).await?;
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

/// What a reset means to one of the person's organisations; the prefixes of keys that were ended there.
async fn told(change: &mut Change<'_>, person: &Person) -> Result<Vec<String>, Error> {
    let unproven = person.verified_at.is_none();
    let mut ended = Vec::new();
    if unproven {
        invitations::delete_of(change, &person.id).await?;
        ended = keys::revoke_of(change, &person.id).await?;
    }
    let subject = Subject { kind: "user", id: person.id.to_string(), name: Some(person.email.clone()) };
    let after = unproven
        .then(|| json!({"address": "proven", "ended": {"keys": ended.len(), "second_factor": person.second_factor}}));
    change.audit(Action::PasswordReset, &subject, None, after, Outcome::Done).await?;
    Ok(ended)
}

/// One answer for a link that was never there, was used, or is too old.
pub(crate) fn bad_link() -> Error {
    Error::Invalid(vec![Mistake::new(
        "token",
        "is not good (any more)",
        "ask for another letter, and follow its link whole",
    )])
}

fn no_random(e: std::io::Error) -> Error {
    Error::Settings(format!("no random numbers: {e}"))
}
