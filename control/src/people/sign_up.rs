//! A new account.
//!
//! Guarantee: the person, the organisation that it founds or joins, its identity at a provider and the entries of the audit are one
//! transaction: nobody is left without an organisation, and no organisation without an owner.

use schemas::{TimeMs, names};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Person, email, get};
use crate::{
    attempts::Daily,
    audit::{Action, Change, Outcome, Subject},
    db::{Tx, Value},
    error::{Error, Mistake},
    id::Id,
    identities, invitations,
    open::Control,
    organisations,
    roles::Role,
    sql::SystemSql,
    tenant::{Authenticated, Origin},
};

/// A person that is to be.
#[derive(Clone)]
pub struct NewPerson {
    /// The e-mail address, as it was written.
    pub email: String,
    /// How the person wants to be called; empty: what stands before the `@`.
    pub name: String,
    /// The password's argon2id hash (PHC string); `None`: signs in by a provider.
    pub password: Option<String>,
    /// Whether the address is proven.
    pub verified: bool,
    /// Issuer and subject at a provider.
    pub identity: Option<(String, String)>,
}

impl std::fmt::Debug for NewPerson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPerson").field("email", &self.email).finish_non_exhaustive()
    }
}

/// Where a new person goes. It is written nowhere but, sealed, into the link of a letter.
#[derive(Clone, Serialize, Deserialize)]
pub enum Joining {
    /// Into a new organisation of this name, as its owner.
    Found(String),
    /// Where this invitation leads.
    Invitation(String),
}

impl std::fmt::Debug for Joining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Found(name) => f.debug_tuple("Found").field(name).finish(),
            Self::Invitation(_) => f.debug_tuple("Invitation").finish_non_exhaustive(),
        }
    }
}

/// Who signed up, and where that led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUp {
    /// The person.
    pub person: Person,
    /// The organisation.
    pub organisation: Id,
    /// What the person is there.
    pub role: Role,
}

pub(super) const INSERT: SystemSql = SystemSql(
    "INSERT INTO users (user_id, email, name, password, verified_at, created_at, updated_at, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $6, 1) ON CONFLICT (email) DO NOTHING RETURNING user_id",
);

impl Control {
    /// Makes an account.
    ///
    /// # Errors
    /// What was written has mistakes; there is an account of this address, or of this identity ([`Error::EmailTaken`]); the invitation is not
    /// good ([`Error::NoInvitation`]); as many organisations were founded from there as may be in a day ([`Error::TooOften`]); or as of every
    /// change.
    pub async fn sign_up(&self, origin: Origin<'_>, new: NewPerson, into: Joining) -> Result<SignedUp, Error> {
        let now = TimeMs::now();
        let mut tx = self.db.system(true).await?;
        let ready = self.begin_sign_up(&mut tx, origin, new, &into, now).await;
        let (person, who, invitation) = match ready {
            Ok(ready) => ready,
            Err(e) => return tx.end(Err(e)).await,
        };
        let mut change = Change::within(tx, &self.pepper, origin.by(&who)).await?;
        let done = async {
            let joined = match invitation {
                Some(id) => invitations::join(&mut change, &person, &id).await?,
                None => {
                    organisations::founded(&mut change, Some(&person.id)).await?;
                    Role::Owner
                }
            };
            let subject = Subject { kind: "user", id: person.id.to_string(), name: Some(person.email.clone()) };
            let after = json!({"email": person.email, "role": joined.as_str()});
            change.audit(Action::PersonSignUp, &subject, None, Some(after), Outcome::Done).await?;
            Ok(SignedUp { person, organisation: *who.tenant().id(), role: joined })
        };
        let done = done.await;
        change.end(done).await
    }

    /// The person's row, and the organisation as whose this goes on.
    async fn begin_sign_up(
        &self,
        tx: &mut Tx,
        origin: Origin<'_>,
        new: NewPerson,
        into: &Joining,
        now: TimeMs,
    ) -> Result<(Person, Authenticated, Option<Id>), Error> {
        match into {
            Joining::Found(name) => {
                let person = insert(tx, new, now).await?;
                Daily::Founding.count(tx, &self.pepper, origin.ip, now).await?;
                let id = organisations::insert(tx, name, now).await?;
                let who = organisations::owner_of(id, &person);
                Ok((person, who, None))
            }
            Joining::Invitation(token) => {
                // First of all: whoever has none hears of no address whether there is an account of it.
                let found = invitations::of_token(tx, &self.pepper, token, now).await?;
                if !found.is_for(&new.email) {
                    return Err(Error::NoInvitation);
                }
                let person = insert(tx, new, now).await?;
                let who = found.who(&person);
                Ok((person, who, Some(found.id)))
            }
        }
    }
}

impl NewPerson {
    /// What is wrong with what was written of a person and of where it goes; a password is looked at when it is hashed.
    pub fn mistakes(&self, into: &Joining) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        email("email", &self.email, &mut mistakes);
        if !self.name.trim().is_empty() {
            names::name("name", &self.name, &mut mistakes);
        }
        if let Joining::Found(name) = into {
            names::name("organisation", name, &mut mistakes);
        }
        mistakes
    }
}

async fn insert(tx: &mut Tx, new: NewPerson, now: TimeMs) -> Result<Person, Error> {
    let mut mistakes = Vec::new();
    let email = email("email", &new.email, &mut mistakes);
    let name = match new.name.trim() {
        "" => email.split('@').next().unwrap_or_default().to_owned(),
        name => names::name("name", name, &mut mistakes),
    };
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    let id = Id::new(now)?;
    let verified = new.verified.then_some(now.0);
    let values =
        [Value::from(&id), Value::from(&email), Value::from(&name), new.password.into(), verified.into(), now.0.into()];
    if tx.system(INSERT, &values).await?.is_empty() {
        return Err(Error::EmailTaken);
    }
    if let Some((issuer, subject)) = &new.identity {
        let values = [Value::from(issuer), Value::from(subject), Value::from(&id), now.0.into()];
        if tx.system(identities::ADD, &values).await?.is_empty() {
            return Err(Error::EmailTaken);
        }
    }
    get(tx, &id).await
}
