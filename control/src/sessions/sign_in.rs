//! Signing in by e-mail address and password.
//!
//! Guarantee: whether there is an account of an address is told neither by the answer nor by its time: a password is hashed either way. Only
//! who knows the password hears that a code is wanted.

use std::net::IpAddr;

use runtime::config::Secret;
use schemas::{TimeMs, limits::accounts as limits};

use super::person_by_email;
use crate::{error::Error, id::Id, open::Control};

/// What somebody signs in with.
pub struct SignIn<'a> {
    /// The e-mail address, as it was written.
    pub email: &'a str,
    /// The password.
    pub password: &'a Secret,
    /// The second factor, where one is wanted.
    pub code: Option<&'a str>,
    /// From where.
    pub ip: Option<IpAddr>,
}

/// Who signed in. What another password ends is ended of this too, if it comes before the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn {
    /// The person.
    pub user: Id,
    pub(super) generation: i64,
}

impl Control {
    /// Who that is. A session is begun with it ([`Control::begin_signed_in`]).
    ///
    /// # Errors
    /// Wrong ([`Error::WrongPassword`], whatever of it), too soon after others ([`Error::Wait`]), a code is wanted or wrong; the store is away.
    pub async fn sign_in(&self, with: SignIn<'_>) -> Result<SignedIn, Error> {
        let email = with.email.trim().to_lowercase();
        if email.is_empty() || email.chars().count() > limits::EMAIL_CHARACTERS {
            return Err(Error::WrongPassword);
        }
        self.attempt(&email, with.ip, TimeMs::now()).await?;
        let mut tx = self.db.system(false).await?;
        let found = person_by_email(&mut tx, &email).await;
        let found = tx.end(found).await?.filter(|person| !person.disabled);
        let kept = found.as_ref().and_then(|person| person.password.as_deref());
        let good = self.passwords.check(with.password, kept).await?;
        let person = found.filter(|_| good).ok_or(Error::WrongPassword)?;
        if person.totp {
            let code = with.code.ok_or(Error::CodeWanted)?;
            if !self.second_factor(&person.id, code).await? {
                return Err(Error::CodeWrong);
            }
        }
        self.attempt_succeeded(&email, with.ip).await;
        Ok(SignedIn { user: person.id, generation: person.generation })
    }
}
