//! A new session, and what its person gets.

use std::{sync::Arc, time::Duration};

use runtime::{config::Secret, private};
use schemas::{TimeMs, limits::accounts as limits};

use super::{PersonSession, SignedIn, after, jwt, member_of, person, standing};
use crate::{
    db::{Tx, Value},
    error::{Denied, Error},
    id::Id,
    open::Control,
    secret::Which,
    sql::SystemSql,
    tenant::Authenticated,
};

/// Where a person was last.
pub(super) const LATEST: SystemSql =
    SystemSql("SELECT tenant_id FROM sessions WHERE user_id = $1 ORDER BY session_id DESC LIMIT 1");
const INSERT: SystemSql = SystemSql(
    "INSERT INTO sessions (session_id, user_id, tenant_id, generation, counter, rotated_at, created_at, ends_at, revoked_at) \
     VALUES ($1, $2, $3, $4, 1, $5, $5, $6, NULL)",
);
/// Those that are over, but for the last, by which it is known where the person was.
pub(super) const SWEEP: SystemSql =
    SystemSql("DELETE FROM sessions WHERE user_id = $1 AND (ends_at <= $2 OR revoked_at IS NOT NULL)");
/// The oldest, where there are too many.
pub(super) const CAP: SystemSql = SystemSql(
    "DELETE FROM sessions WHERE user_id = $1 AND session_id IN \
     (SELECT session_id FROM sessions WHERE user_id = $1 ORDER BY session_id DESC LIMIT 1000 OFFSET $2)",
);

/// Takes the row of a session that goes on, and holds it.
pub(super) const GOING_ON: SystemSql = SystemSql(
    "UPDATE sessions SET counter = counter WHERE session_id = $1 AND user_id = $2 AND revoked_at IS NULL AND ends_at > $3 \
     RETURNING generation, ends_at",
);

/// A session that was begun or went on.
pub struct Begun {
    /// Who, and what that may.
    pub who: Arc<Authenticated>,
    /// The session.
    pub session: PersonSession,
    /// The cookie's value.
    pub cookie: Secret,
    /// What gets the next access token, once.
    pub refresh_token: Secret,
}

/// An access token.
pub struct AccessToken {
    /// All of it.
    pub text: Secret,
    /// How long it is good.
    pub expires_in: Duration,
}

impl Control {
    /// Begins a session of a person who proved to be it, in this organisation, or in the one where he was last.
    ///
    /// # Errors
    /// No such person, or not in that organisation ([`Error::NotFound`]); in none that is not suspended ([`Error::NoOrganisation`]); the store is
    /// away.
    pub async fn begin_person_session(&self, user: &Id, tenant: Option<&Id>, life: Duration) -> Result<Begun, Error> {
        self.begin(user, None, tenant, life).await
    }

    /// The same of a person who proved it by a password.
    ///
    /// # Errors
    /// As of [`Self::begin_person_session`]; the password is another since ([`Error::WrongPassword`]).
    pub async fn begin_signed_in(&self, who: &SignedIn, tenant: Option<&Id>, life: Duration) -> Result<Begun, Error> {
        self.begin(&who.user, Some(who.generation), tenant, life).await
    }

    /// Begins a session in another organisation out of one that goes on, and that ends when that one would have. It is asked of the row and not
    /// of what is remembered: what was ended a moment ago begins nothing, and whoever took a session over makes it no longer.
    ///
    /// # Errors
    /// The session is over, or the person is not in that organisation ([`Error::NotFound`]); it is suspended ([`Error::NoOrganisation`]); the
    /// store is away.
    pub async fn switch_person_session(&self, user: &Id, former: &PersonSession, tenant: &Id) -> Result<Begun, Error> {
        let now = TimeMs::now();
        let id = Id::new(now)?;
        let mut tx = self.db.system(true).await?;
        let done = switch(&mut tx, (user, former), tenant, (id, now)).await;
        let (who, ends) = tx.end(done).await?;
        Ok(self.begun(Arc::new(who), id, 1, ends))
    }

    async fn begin(
        &self,
        user: &Id,
        generation: Option<i64>,
        tenant: Option<&Id>,
        life: Duration,
    ) -> Result<Begun, Error> {
        let now = TimeMs::now();
        let (id, ends) = (Id::new(now)?, after(now, life));
        let mut tx = self.db.system(true).await?;
        let done = begin(&mut tx, (user, generation), tenant, (id, now, ends)).await;
        let who = tx.end(done).await?;
        Ok(self.begun(Arc::new(who), id, 1, ends))
    }

    pub(super) fn begun(&self, who: Arc<Authenticated>, id: Id, counter: i64, ends: TimeMs) -> Begun {
        let csrf = Some(self.mac_of(Which::Present, b"person csrf", &id));
        Begun {
            who,
            session: PersonSession { id, csrf, ends },
            cookie: Secret::new(self.cookie_of(&id)),
            refresh_token: self.refresh_token(&id, counter),
        }
    }

    /// An access token of a session; it lasts no longer than that.
    ///
    /// # Errors
    /// The store is away, where a new key is wanted.
    pub async fn access_token(
        &self,
        who: &Authenticated,
        session: &PersonSession,
        life: Duration,
    ) -> Result<AccessToken, Error> {
        let user = who.user().ok_or(Error::NotFound)?;
        let now = TimeMs::now();
        let key = self.signing_key(now).await?;
        let number = private::random::<12>().map_err(|e| Error::Settings(format!("no random numbers: {e}")))?;
        let iat = now.0.div_euclid(1_000);
        let exp = (iat + life.as_secs() as i64).min(session.ends.0.div_euclid(1_000));
        let claims = jwt::Claims {
            iss: self.issuer().to_owned(),
            aud: jwt::AUDIENCE.to_owned(),
            sub: user.to_string(),
            org: who.tenant().id().to_string(),
            sid: session.id.to_string(),
            iat,
            exp,
            jti: const_hex::encode(number),
        };
        let text = jwt::sign(&key.kid, &key.pair, &claims)
            .map_err(|e| Error::Settings(format!("an access token was not made: {e}")))?;
        Ok(AccessToken { text: Secret::new(text), expires_in: Duration::from_secs((exp - iat).max(0) as u64) })
    }
}

async fn begin(
    tx: &mut Tx,
    (user, generation): (&Id, Option<i64>),
    tenant: Option<&Id>,
    (id, now, ends): (Id, TimeMs, TimeMs),
) -> Result<Authenticated, Error> {
    let person = person(tx, user).await?;
    if generation.is_some_and(|proven| proven != person.generation) {
        return Err(Error::WrongPassword);
    }
    let who = match tenant {
        Some(tenant) => match standing(tx, &person, tenant, &id).await? {
            Ok(who) => who,
            Err(Denied::Suspended) => return Err(Error::NoOrganisation),
            Err(_) => return Err(Error::NotFound),
        },
        None => anywhere(tx, &person, &id).await?.ok_or(Error::NoOrganisation)?,
    };
    tx.system(SWEEP, &[Value::from(user), now.0.into()]).await?;
    tx.system(CAP, &[Value::from(user), Value::from(limits::SESSIONS - 1)]).await?;
    let values = [
        Value::from(&id),
        user.into(),
        who.tenant().id().into(),
        person.generation.into(),
        now.0.into(),
        ends.0.into(),
    ];
    tx.system(INSERT, &values).await?;
    Ok(who)
}

async fn switch(
    tx: &mut Tx,
    (user, former): (&Id, &PersonSession),
    tenant: &Id,
    (id, now): (Id, TimeMs),
) -> Result<(Authenticated, TimeMs), Error> {
    let rows = tx.system(GOING_ON, &[Value::from(&former.id), user.into(), now.0.into()]).await?;
    let row = rows.first().ok_or(Error::NotFound)?;
    let (generation, ends) = (row.int("generation")?, TimeMs(row.int("ends_at")?));
    match begin(tx, (user, Some(generation)), Some(tenant), (id, now, ends)).await {
        Ok(who) => Ok((who, ends)),
        // It is of another generation: a password was changed, or all sessions were ended.
        Err(Error::WrongPassword) => Err(Error::NotFound),
        Err(error) => Err(error),
    }
}

/// Where a person was last, else where he first may.
async fn anywhere(tx: &mut Tx, person: &super::Person, session: &Id) -> Result<Option<Authenticated>, Error> {
    let rows = tx.system(LATEST, &[Value::from(&person.id)]).await?;
    let last: Option<Id> = rows.first().map(|row| row.parsed("tenant_id")).transpose()?;
    let all = member_of(tx, &person.id).await?;
    for tenant in last.iter().filter(|last| all.contains(last)).chain(&all) {
        if let Ok(who) = standing(tx, person, tenant, session).await? {
            return Ok(Some(who));
        }
    }
    Ok(None)
}
