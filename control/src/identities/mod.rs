//! Who somebody is at a provider (OpenID Connect): known again by issuer and subject, never by an e-mail address.
//!
//! Guarantee: an identity is one person's and stays that one's. That a provider names an address of an account here opens nothing: its person
//! logs in by password, and links the identity himself, with that password: a session alone, which may be stolen, links nothing, and takes none
//! away. Who takes one away has a password, so that none is ever the last way in, and ends all other sessions of his, since by which way they were
//! begun nobody knows. What a browser carries to a provider and back ([`Visit`]) is sealed, and is worth nothing with another provider, in another
//! browser, or after ten minutes.

use runtime::config::Secret;
use schemas::{TimeMs, limits::people as limits};
use serde::{Deserialize, Serialize};

use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Row, Value},
    error::Error,
    id::Id,
    open::Control,
    sealer::Sealer,
    secret::same_text,
    sessions::{PersonSession, end_others},
    sql::SystemSql,
    tenant::Caller,
};

const FIND: SystemSql = SystemSql("SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2");
const LIST: SystemSql = SystemSql(
    "SELECT issuer, subject, created_at FROM identities WHERE user_id = $1 ORDER BY issuer, subject LIMIT $2",
);
pub(crate) const ADD: SystemSql = SystemSql(
    "INSERT INTO identities (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (issuer, subject) DO NOTHING \
     RETURNING user_id",
);
/// Takes one away, where there is a password to come in by.
const REMOVE: SystemSql = SystemSql(
    "DELETE FROM identities WHERE issuer = $1 AND subject = $2 AND user_id = $3 \
     AND EXISTS (SELECT 1 FROM users WHERE user_id = $3 AND password IS NOT NULL) RETURNING user_id",
);

pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] =
    &[("identities: find", FIND), ("identities: of a person", LIST), ("identities: remove", REMOVE)];

/// Who a person is at a provider, as that person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Ours: a keyed hash of issuer and subject.
    pub id: String,
    /// The provider's issuer.
    pub issuer: String,
    /// What the provider calls the person.
    pub subject: String,
    /// Since when he signs in by it.
    pub created_at: TimeMs,
}

/// What a browser carries to a provider and back, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The provider's id in the configuration.
    pub provider: String,
    /// What the provider has to give back.
    pub state: String,
    /// What the token has to hold.
    pub nonce: String,
    /// The verifier of PKCE (RFC 7636).
    pub verifier: String,
    /// Where to go afterwards: a path of ours.
    pub back: String,
    /// An invitation that is to be accepted.
    pub invitation: Option<String>,
    /// The person who links an identity to his account; `None`: somebody signs in.
    pub links: Option<String>,
    /// When it ends, in milliseconds since 1970.
    pub ends: i64,
}

impl Control {
    /// Seals a visit for the browser's cookie.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn seal_visit(&self, visit: &Visit) -> Result<Secret, Error> {
        let json =
            serde_json::to_value(visit).map_err(|e| Error::Settings(format!("a visit cannot be written: {e}")))?;
        Sealer::new(&self.pepper).seal_for(&["visit", &visit.provider], &json).map(Secret::new)
    }

    /// Opens one of this provider; `None`: it is none of ours, of another provider, or too old.
    pub fn open_visit(&self, provider: &str, sealed: &str) -> Option<Visit> {
        let json = Sealer::new(&self.pepper).open_for(&["visit", provider], sealed).ok()?;
        let visit: Visit = serde_json::from_value(json).ok()?;
        (visit.ends > TimeMs::now().0 && visit.provider == provider).then_some(visit)
    }

    /// Whose identity it is; `None`: nobody's yet.
    ///
    /// # Errors
    /// The store is away.
    pub async fn person_of_identity(&self, issuer: &str, subject: &str) -> Result<Option<Id>, Error> {
        let mut tx = self.db.system(false).await?;
        let rows = tx.system(FIND, &[Value::from(issuer), subject.into()]).await;
        tx.end(rows).await?.first().map(|row| row.parsed("user_id")).transpose()
    }

    /// Gives an identity to whoever asks, who from then on signs in by it too. `false`: it is another person's.
    ///
    /// # Errors
    /// There are too many of his ([`Error::Full`]); as of every change.
    pub async fn link_identity(&self, by: Caller<'_>, issuer: &str, subject: &str) -> Result<bool, Error> {
        let user = *by.who.user().ok_or(Error::NotFound)?;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            let most = limits::IDENTITIES;
            let his = change.system(LIST, &[Value::from(&user), (most as i64).into()]).await?;
            let found = change.system(FIND, &[Value::from(issuer), subject.into()]).await?;
            if let Some(row) = found.first() {
                return Ok(row.parsed::<Id>("user_id")? == user);
            }
            if his.len() >= most {
                return Err(Error::Full { what: "identities of one account", most });
            }
            let values = [Value::from(issuer), subject.into(), Value::from(&user), change.at().0.into()];
            if change.system(ADD, &values).await?.is_empty() {
                return Ok(false);
            }
            let actor = by.who.actor();
            let subject = Subject { kind: "user", id: user.to_string(), name: Some(actor.name().to_owned()) };
            let after = serde_json::json!({"issuer": issuer});
            change.audit(Action::IdentityLink, &subject, None, Some(after), Outcome::Done).await?;
            Ok(true)
        };
        let done = done.await;
        change.end(done).await
    }

    /// The identities of a person.
    ///
    /// # Errors
    /// The store is away.
    pub async fn identities_of(&self, user: &Id) -> Result<Vec<Identity>, Error> {
        let mut tx = self.db.system(false).await?;
        let rows = tx.system(LIST, &[Value::from(user), (limits::IDENTITIES as i64).into()]).await;
        tx.end(rows).await?.iter().map(|row| self.identity(row)).collect()
    }

    /// Takes an identity away from whoever asks and knows his password; all sessions of his but this one end.
    ///
    /// # Errors
    /// It is not there, or not his; the password is wrong, or there is none ([`Error::Invalid`]); too many attempts ([`Error::Wait`]); as of
    /// every change.
    pub async fn unlink_identity(
        &self,
        by: Caller<'_>,
        session: &PersonSession,
        id: &str,
        password: &Secret,
    ) -> Result<(), Error> {
        let user = *by.who.user().ok_or(Error::NotFound)?;
        let email = self.confirm_password(by, password).await?;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            let rows = change.system(LIST, &[Value::from(&user), (limits::IDENTITIES as i64).into()]).await?;
            let his = rows.iter().map(|row| self.identity(row)).collect::<Result<Vec<_>, _>>()?;
            let found = his.into_iter().find(|identity| same_text(&identity.id, id)).ok_or(Error::NotFound)?;
            let values = [Value::from(&found.issuer), Value::from(&found.subject), Value::from(&user)];
            if change.system(REMOVE, &values).await?.is_empty() {
                return Err(Error::NotFound);
            }
            end_others(&mut change, Some(session)).await?;
            let subject = Subject { kind: "user", id: user.to_string(), name: Some(email) };
            let before = serde_json::json!({"issuer": found.issuer});
            change.audit(Action::IdentityUnlink, &subject, Some(before), None, Outcome::Done).await
        };
        let done = done.await;
        change.end(done).await
    }

    fn identity(&self, row: &Row) -> Result<Identity, Error> {
        let (issuer, subject) = (row.text("issuer")?, row.text("subject")?);
        let hash = self.pepper.of_kept([&b"identity"[..], issuer.as_bytes(), subject.as_bytes()]);
        let created_at = TimeMs(row.int("created_at")?);
        Ok(Identity { id: const_hex::encode(&hash[..16]), issuer, subject, created_at })
    }
}
