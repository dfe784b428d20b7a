//! Who somebody is at a provider (OpenID Connect): known again by issuer and subject, never by an e-mail address.
//!
//! Guarantee: an identity is one person's and stays that one's. That a provider names an address of an account here opens nothing: its person
//! logs in by password, and links the identity himself, with that password: a session alone, which may be stolen, links nothing. What a browser carries to a provider and back ([`Visit`]) is sealed, and is worth
//! nothing with another provider, in another browser, or after ten minutes.

use runtime::config::Secret;
use schemas::{TimeMs, limits::people as limits};
use serde::{Deserialize, Serialize};

use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::Value,
    error::Error,
    id::Id,
    open::Control,
    sealer::Sealer,
    sql::SystemSql,
    tenant::Caller,
};

const FIND: SystemSql = SystemSql("SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2");
const LIST: SystemSql =
    SystemSql("SELECT issuer, subject FROM identities WHERE user_id = $1 ORDER BY issuer, subject LIMIT $2");
pub(crate) const ADD: SystemSql = SystemSql(
    "INSERT INTO identities (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (issuer, subject) DO NOTHING \
     RETURNING user_id",
);

pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] =
    &[("identities: find", FIND), ("identities: of a person", LIST)];

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
}
