//! What somebody comes with: a key or an access token in `Authorization: Bearer`, or the page's session in a cookie.
//!
//! Guarantee: whatever comes twice, or in another form, is nobody's, and falls back to nothing else. Refusals say no more of keys than that
//! one is wanted: an unknown, a wrong, a revoked and an expired one get the same answer.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use control::{Authenticated, Control, Denied, PersonSession};
use runtime::config::Secret;

use crate::{error::ApiError, metrics};

/// The page's cookie.
pub const COOKIE: &str = "hw_session";
/// The header by which a page's change proves that it is the page's own.
pub const CSRF: &str = "x-headwater-csrf";

/// A credential as it came. Kept by what outlives its request (the WebSocket), to be looked at again.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A key.
    Key(Secret),
    /// A person's access token.
    Token(Secret),
    /// The cookie of a session that was begun with a key.
    Session(Secret),
    /// The cookie of a person's session.
    Person(Secret),
}

/// Who came with a credential.
pub struct Came {
    /// Who.
    pub who: Arc<Authenticated>,
    /// Its session, where it came with one that was begun with a key.
    pub session: Option<control::Session>,
    /// Its session, where it is a person.
    pub person: Option<PersonSession>,
}

impl Came {
    /// Whoever needs no credential, or a key.
    pub fn without_session(who: Arc<Authenticated>) -> Self {
        Self { who, session: None, person: None }
    }

    /// What a change has to say to prove that the page itself made it; `None` where a browser sends nothing unasked.
    pub fn csrf(&self) -> Option<&str> {
        let person = self.person.as_ref().and_then(|session| session.csrf.as_deref());
        person.or(self.session.as_ref().map(|session| session.csrf.as_str()))
    }
}

impl Credential {
    /// What a request has; nothing is no mistake yet.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        if let Some(token) = bearer(headers)? {
            // A key has no dots, a token has two.
            let is_token = token.contains('.');
            let secret = Secret::new(token);
            return Ok(Some(if is_token { Self::Token(secret) } else { Self::Key(secret) }));
        }
        let cookie = cookie(headers)?;
        Ok(cookie.map(|value| match Control::is_person_cookie(value) {
            true => Self::Person(Secret::new(value)),
            false => Self::Session(Secret::new(value)),
        }))
    }

    /// Who has it.
    pub async fn who(&self, control: &Control) -> Result<Came, Denied> {
        match self {
            Self::Key(key) => Ok(Came::without_session(control.authenticate(key.expose()).await?)),
            Self::Session(cookie) => {
                let (who, session) = control.resume_session(cookie.expose()).await?;
                Ok(Came { who, session: Some(session), person: None })
            }
            Self::Token(token) => {
                let (who, session) = control.resume_token(token.expose()).await?;
                Ok(Came { who, session: None, person: Some(session) })
            }
            Self::Person(cookie) => {
                let (who, session) = control.resume_person(cookie.expose()).await?;
                Ok(Came { who, session: None, person: Some(session) })
            }
        }
    }
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let wrong = |problem| Err(ApiError::Unauthenticated { problem });
    if all.next().is_some() {
        return wrong("`Authorization` stands more than once");
    }
    match value.to_str().ok().and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => wrong("`Authorization` is not of the form `Bearer hw_…`"),
    }
}

/// The value of our cookie. Two of the same name are somebody else's doing (a neighbour domain can set one too).
fn cookie(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    match cookies(headers, COOKIE) {
        (_, true) => Err(ApiError::Unauthenticated { problem: "the cookie `hw_session` stands more than once" }),
        (found, false) => Ok(found.filter(|value| !value.is_empty())),
    }
}

/// The value of another cookie of ours; none, where it stands more than once.
pub fn cookie_named<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let (found, more) = cookies(headers, name);
    found.filter(|value| !more && !value.is_empty())
}

/// The first value of this name, and whether there are more.
fn cookies<'h>(headers: &'h HeaderMap, name: &str) -> (Option<&'h str>, bool) {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    let mut ours = all.filter_map(|pair| pair.trim().split_once('=')).filter(|(named, _)| *named == name);
    let found = ours.next().map(|(_, value)| value);
    (found, ours.next().is_some())
}

/// `Set-Cookie` of a session.
pub fn set_cookie(value: &str, seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// What is told outside: nothing of why a credential is not good.
pub fn denied(denied: Denied) -> ApiError {
    let (reason, error) = match denied {
        Denied::Away => ("away", ApiError::ControlAway { problem: "keys cannot be looked up".to_owned() }),
        Denied::Busy => ("busy", ApiError::Overloaded { what: "unknown keys" }),
        Denied::Malformed => ("malformed", BAD),
        Denied::Unknown => ("unknown", BAD),
        Denied::Revoked => ("revoked", BAD),
        Denied::Expired => ("expired", BAD),
        Denied::Suspended => ("suspended", BAD),
    };
    metrics::denied(reason);
    error
}

const BAD: ApiError = ApiError::Unauthenticated { problem: "this key or session is not good (any more)" };

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, value.parse().expect("value"));
        }
        match Credential::of(&headers) {
            Ok(Some(Credential::Key(key))) => format!("key {}", key.expose()),
            Ok(Some(Credential::Token(token))) => format!("token {}", token.expose()),
            Ok(Some(Credential::Session(value))) => format!("session {}", value.expose()),
            Ok(Some(Credential::Person(value))) => format!("person {}", value.expose()),
            Ok(None) => "nothing".to_owned(),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn a_credential_is_one_and_of_the_form() {
        for (list, found) in [
            (&[][..], "nothing"),
            (&[("authorization", "Bearer a")], "key a"),
            (&[("authorization", "bearer a"), ("cookie", "hw_session=b")], "key a"),
            (&[("authorization", "Bearer a.b.c")], "token a.b.c"),
            (&[("authorization", "Bearer s.b.c")], "token s.b.c"),
            (&[("authorization", "Bearer a.b.c"), ("cookie", "hw_session=s.b.c")], "token a.b.c"),
            (&[("cookie", "hw_session=s.b.c")], "person s.b.c"),
            (&[("cookie", "hw_session=a.b.c.d")], "session a.b.c.d"),
            (&[("cookie", "x=y; hw_session=b; z=1")], "session b"),
            (&[("cookie", "x=y"), ("cookie", "hw_session=b")], "session b"),
            (&[("cookie", "hw_session=")], "nothing"),
            (&[("cookie", "hw_session_=b; Hw_session=c")], "nothing"),
            (&[("cookie", "hw_session=b; hw_session=c")], "refused"),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], "refused"),
            (&[("authorization", "Basic a"), ("cookie", "hw_session=b")], "refused"),
            (&[("authorization", "Bearer")], "refused"),
        ] {
            assert_eq!(of(list), found, "{list:?}");
        }
    }

    #[test]
    fn the_cookie_is_shut_to_scripts_and_other_sites() {
        assert_eq!(set_cookie("v", 9, true), "hw_session=v; Path=/; Max-Age=9; HttpOnly; SameSite=Lax; Secure");
        assert!(!set_cookie("v", 9, false).contains("Secure"));
    }
}
