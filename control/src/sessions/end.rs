//! The end of sessions, and the list of a person's.

use runtime::config::Secret;
use schemas::TimeMs;

use super::{PersonSession, person, still_on};
use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Row, Value},
    error::{Error, Mistake},
    id::Id,
    open::Control,
    passwords,
    sql::SystemSql,
    tenant::{Authenticated, Caller},
};

pub(super) const END: SystemSql =
    SystemSql("UPDATE sessions SET revoked_at = $2 WHERE session_id = $1 AND revoked_at IS NULL");
/// The same of a person's own; of another it is not there.
pub(super) const END_OF: SystemSql = SystemSql(
    "UPDATE sessions SET revoked_at = $3 WHERE session_id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING session_id",
);
pub(super) const LIST: SystemSql = SystemSql(
    "SELECT session_id, tenant_id, created_at, rotated_at, ends_at FROM sessions \
     WHERE user_id = $1 AND revoked_at IS NULL AND ends_at > $2 AND generation = (SELECT generation FROM users WHERE user_id = $1) \
     ORDER BY session_id DESC LIMIT $3",
);
const NEXT_GENERATION: SystemSql = SystemSql(
    "UPDATE users SET generation = generation + 1, updated_at = $2, version = version + 1 WHERE user_id = $1 RETURNING generation",
);
const KEEP: SystemSql = SystemSql("UPDATE sessions SET generation = $2 WHERE session_id = $1");
const PASSWORD: SystemSql = SystemSql("UPDATE users SET password = $2 WHERE user_id = $1");

/// A session of a person, for that person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub id: Id,
    /// The organisation that it is in.
    pub organisation: Id,
    /// When it was begun.
    pub created_at: TimeMs,
    /// When its tokens were last changed.
    pub rotated_at: TimeMs,
    /// When it ends by itself.
    pub ends_at: TimeMs,
}

impl Control {
    /// Ends a session; in this process at once, in others within 5 s.
    ///
    /// # Errors
    /// The store is away.
    pub async fn end_person_session(&self, session: &PersonSession) -> Result<(), Error> {
        let mut tx = self.db.system(true).await?;
        let done = tx.system(END, &[Value::from(&session.id), TimeMs::now().0.into()]).await;
        tx.end(done).await?;
        self.people.forget(&session.id);
        Ok(())
    }

    /// Ends a session of whoever asks, a person.
    ///
    /// # Errors
    /// It is not there, or not this person's; the session that he came with is over ([`Error::SessionOver`]); the store is away.
    pub async fn end_session_of(&self, by: &Authenticated, session: &Id) -> Result<(), Error> {
        let user = by.user().ok_or(Error::NotFound)?;
        let mut tx = self.db.system(true).await?;
        let done = async {
            still_on(&mut tx, by).await?;
            tx.system(END_OF, &[Value::from(session), user.into(), TimeMs::now().0.into()]).await
        };
        let done = done.await;
        let ended = tx.end(done).await?;
        self.people.forget(session);
        if ended.is_empty() { Err(Error::NotFound) } else { Ok(()) }
    }

    /// Ends all sessions of whoever asks, on every machine; `but` goes on.
    ///
    /// # Errors
    /// As of every change.
    pub async fn end_all_sessions(&self, by: Caller<'_>, but: Option<&PersonSession>) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = next_generation(&mut change, but, Action::SessionsEnd).await;
        change.end(done).await?;
        if but.is_none() {
            self.people.forget_all();
        }
        Ok(())
    }

    /// The sessions of a person that go on, the newest first.
    ///
    /// # Errors
    /// The store is away.
    pub async fn sessions_of(&self, user: &Id) -> Result<Vec<SessionInfo>, Error> {
        let values = [Value::from(user), TimeMs::now().0.into(), schemas::limits::accounts::SESSIONS.into()];
        let mut tx = self.db.system(false).await?;
        let rows = tx.system(LIST, &values).await;
        tx.end(rows).await?.iter().map(read).collect()
    }

    /// The address of whoever asks, if he knows the password of his account: a session that was stolen must not become an account.
    ///
    /// # Errors
    /// It is wrong, or there is none ([`Error::Invalid`]); too many attempts ([`Error::Wait`]); the store is away.
    pub async fn confirm_password(&self, by: Caller<'_>, present: &Secret) -> Result<String, Error> {
        let user = *by.who.user().ok_or(Error::NotFound)?;
        let mut tx = self.db.system(false).await?;
        let found = person(&mut tx, &user).await;
        let found = tx.end(found).await?;
        self.attempt(&found.email, by.ip, TimeMs::now()).await?;
        if found.password.is_none() {
            let cure = "have a link sent to your address (POST /api/v1/auth/reset), and choose one there";
            return Err(Error::Invalid(vec![Mistake::new("password", "there is none yet", cure)]));
        }
        if !self.passwords.check(present, found.password.as_deref()).await? {
            let mistake = Mistake::new("password", "is not the present one", "write the password that you log in with");
            return Err(Error::Invalid(vec![mistake]));
        }
        self.attempt_succeeded(&found.email, by.ip).await;
        Ok(found.email)
    }

    /// Gives whoever asks another password, and ends all other sessions of his.
    ///
    /// # Errors
    /// The present one is wrong or there is none, or the new one will not do ([`Error::Invalid`]); too many attempts ([`Error::Wait`]); as of every change.
    pub async fn change_password(
        &self,
        by: Caller<'_>,
        session: &PersonSession,
        present: &Secret,
        new: &Secret,
    ) -> Result<(), Error> {
        let user = *by.who.user().ok_or(Error::NotFound)?;
        let email = self.confirm_password(by, present).await?;
        let mistakes = passwords::mistakes("new", new, &[&email]);
        if !mistakes.is_empty() {
            return Err(Error::Invalid(mistakes));
        }
        let hash = self.passwords.hash(new).await?;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            change.system(PASSWORD, &[Value::from(&user), hash.into()]).await?;
            next_generation(&mut change, Some(session), Action::PasswordChange).await
        };
        let done = done.await;
        change.end(done).await
    }
}

/// From here on no session of whoever asks is good but this one; with its entry in the audit.
async fn next_generation(change: &mut Change<'_>, but: Option<&PersonSession>, action: Action) -> Result<(), Error> {
    end_others(change, but).await?;
    let who = change.by().who;
    let (user, name) = (*who.user().ok_or(Error::NotFound)?, who.actor().name().to_owned());
    let subject = Subject { kind: "user", id: user.to_string(), name: Some(name) };
    change.audit(action, &subject, None, None, Outcome::Done).await
}

/// The same, where another entry says it.
pub(crate) async fn end_others(change: &mut Change<'_>, but: Option<&PersonSession>) -> Result<(), Error> {
    let user = *change.by().who.user().ok_or(Error::NotFound)?;
    let now = change.at();
    let rows = change.system(NEXT_GENERATION, &[Value::from(&user), now.0.into()]).await?;
    let generation = rows.first().ok_or(Error::NotFound)?.int("generation")?;
    if let Some(session) = but {
        change.system(KEEP, &[Value::from(&session.id), generation.into()]).await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<SessionInfo, Error> {
    Ok(SessionInfo {
        id: row.parsed("session_id")?,
        organisation: row.parsed("tenant_id")?,
        created_at: TimeMs(row.int("created_at")?),
        rotated_at: TimeMs(row.int("rotated_at")?),
        ends_at: TimeMs(row.int("ends_at")?),
    })
}
