//! A new account that comes into being by the link of a letter.
//!
//! Guarantee: of whoever has not followed the link nothing is kept: what he is to be stands in the link itself, sealed, and is good for two
//! days. It wants the password besides that was chosen: so whoever asks for an account of another's address has none when that one follows the
//! link, and that one has none that another knows the password of. One link makes one account, whose address is proven: from then on the
//! address is taken. That it is taken already is told to the address alone.

use runtime::config::Secret;
use schemas::{Mistake, TimeMs, limits::people as limits};
use serde::{Deserialize, Serialize};

use super::{Joining, NewPerson, SignedUp, by_email, email};
use crate::{error::Error, open::Control, resets::bad_link, sealer::Sealer, tenant::Origin};

/// What it is sealed as.
const SEALED: [&str; 2] = ["sign-up", "by letter"];

/// An account that is to be.
#[derive(Serialize, Deserialize)]
struct Waiting {
    email: String,
    name: String,
    /// The argon2id hash.
    password: String,
    into: Joining,
    /// When the link ends, in milliseconds since 1970.
    ends: i64,
}

/// What is written to an address of which somebody wants an account.
pub enum SignUpLetter {
    /// The link's text, a secret: by it and the password the account comes into being.
    Link(Secret),
    /// There is an account: its owner is told that somebody tried.
    Taken,
}

impl Control {
    /// What is to be written to the address of a person that is to be, whose password is hashed.
    ///
    /// # Errors
    /// What was written has mistakes, or there is no password ([`Error::Invalid`]); the store is away.
    pub async fn begin_sign_up_by_letter(&self, new: NewPerson, into: Joining) -> Result<SignUpLetter, Error> {
        let mut mistakes = new.mistakes(&into);
        if new.password.is_none() {
            mistakes.push(Mistake::new("password", "is missing", "write the one that you want to log in with"));
        }
        if !mistakes.is_empty() {
            return Err(Error::Invalid(mistakes));
        }
        let email = email("email", &new.email, &mut mistakes);
        let mut tx = self.db.system(false).await?;
        let found = by_email(&mut tx, &email).await;
        if tx.end(found).await?.is_some() {
            return Ok(SignUpLetter::Taken);
        }
        let waiting = Waiting {
            email,
            name: new.name,
            password: new.password.unwrap_or_default(),
            into,
            ends: TimeMs::now().0 + limits::SIGN_UP_LIFE.as_millis() as i64,
        };
        let json = serde_json::to_value(&waiting)
            .map_err(|e| Error::Settings(format!("an account that is to be cannot be written: {e}")))?;
        let sealed = Sealer::new(&self.pepper).seal_for(&SEALED, &json)?;
        Ok(SignUpLetter::Link(Secret::new(in_url(&sealed))))
    }

    /// Whether a link is good and founds an organisation, instead of going where an invitation leads: whether anybody may is asked when it is
    /// followed, and not only when it was sent.
    pub fn founds_by_letter(&self, token: &str) -> bool {
        self.open_waiting(token).is_some_and(|waiting| matches!(waiting.into, Joining::Found(_)))
    }

    /// Makes the account of a letter's link, for whoever knows its password.
    ///
    /// # Errors
    /// The link is not good (any more), or the password is not the one that was chosen ([`Error::Invalid`]); too many passwords are hashed
    /// ([`Error::Busy`]); or as of [`Control::sign_up`].
    pub async fn finish_sign_up_by_letter(
        &self,
        origin: Origin<'_>,
        token: &str,
        password: &Secret,
    ) -> Result<SignedUp, Error> {
        let waiting = self.open_waiting(token).ok_or_else(bad_link)?;
        if !self.passwords.check(password, Some(waiting.password.as_str())).await? {
            let cure =
                "write the password that you chose when you signed up; if that was somebody else, sign up yourself";
            return Err(Error::Invalid(vec![Mistake::new("password", "is not the one that was chosen", cure)]));
        }
        let (email, name, password) = (waiting.email, waiting.name, Some(waiting.password));
        let new = NewPerson { email, name, password, verified: true, identity: None };
        self.sign_up(origin, new, waiting.into).await.map_err(|e| match e {
            // By this link, or by another that came first.
            Error::EmailTaken => bad_link(),
            e => e,
        })
    }

    fn open_waiting(&self, token: &str) -> Option<Waiting> {
        let sealed = of_url(token)?;
        let json = Sealer::new(&self.pepper).open_for(&SEALED, &sealed).ok()?;
        let waiting: Waiting = serde_json::from_value(json).ok()?;
        (waiting.ends > TimeMs::now().0).then_some(waiting)
    }
}

/// Base64 as it may stand in an address (RFC 4648, section 5), and back.
fn in_url(sealed: &str) -> String {
    sealed.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn of_url(token: &str) -> Option<String> {
    let plain = token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !plain || token.is_empty() || token.len() > limits::SIGN_UP_CHARACTERS {
        return None;
    }
    let padding = "=".repeat((4 - token.len() % 4) % 4);
    Some(format!("{}{padding}", token.replace('-', "+").replace('_', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_stands_in_an_address_and_comes_back() {
        for sealed in ["", "ab==", "abc=", "a+/d", "abcdefg="] {
            let text = in_url(sealed);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
            assert_eq!(of_url(&text).as_deref(), Some(sealed).filter(|s| !s.is_empty()));
        }
        for wrong in ["a b", "a=", "a+b", "ä", &"a".repeat(limits::SIGN_UP_CHARACTERS + 1)] {
            assert_eq!(of_url(wrong), None, "{wrong}");
        }
    }
}
