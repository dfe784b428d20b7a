//! Who asks, and under which name they call us.
//!
//! Guarantee: no statement runs without a user and its password, and a web page cannot reach the store by a host name of
//! its own that points to this machine (DNS rebinding): only known `Host` headers are answered.

use super::super::credentials::{ANALYST, Credentials};
use super::super::describe::ANALYSTS_COMMENT;
use super::error::{Code, Failure};
use base64::Engine as _;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, StatusCode, Uri};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// The stages that write: everything.
    Stages,
    /// The API: reads, by statements of our own, within limits.
    Api,
    /// Reads, within limits.
    Analyst,
}

impl User {
    /// How the mark of a stage's or the API's statement begins; an analyst's is [`super::super::describe`]'s.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stages => "stages",
            Self::Api => "api",
            Self::Analyst => ANALYSTS_COMMENT,
        }
    }
}

/// The three users. Passwords are kept as hashes, which also makes comparing them take the same time whatever is wrong.
pub(super) struct Users {
    stages: (String, [u8; 32]),
    api: (String, [u8; 32]),
    /// `None`: there is no such user.
    analyst: Option<[u8; 32]>,
}

impl Users {
    /// The stages' and the API's names. `analyst`: whether there is the analysts' user.
    pub fn new(stages: &str, api: &str, credentials: &Credentials, analyst: bool) -> Self {
        Self {
            stages: (stages.to_owned(), digest(credentials.stages.expose())),
            api: (api.to_owned(), digest(credentials.api.expose())),
            analyst: analyst.then(|| digest(credentials.analyst.expose())),
        }
    }

    /// The user of a request, by `X-ClickHouse-User`/`-Key`, else Basic, else the parameters `user`/`password`.
    pub fn authenticate(&self, headers: &HeaderMap, parameters: &[(String, String)]) -> Result<User, Failure> {
        let Some((name, password)) = from_headers(headers).or_else(|| basic(headers)).or_else(|| from_url(parameters))
        else {
            let mut failure = Code::Authentication.failure("Authentication failed: a user and a password are required");
            failure.status = StatusCode::UNAUTHORIZED;
            return Err(failure);
        };
        let given = digest(&password);
        let stages = name == self.stages.0 && given == self.stages.1;
        let api = name == self.api.0 && given == self.api.1;
        let analyst = name == ANALYST && self.analyst == Some(given);
        match (stages, api, analyst) {
            (true, ..) => Ok(User::Stages),
            (_, true, _) => Ok(User::Api),
            (.., true) => Ok(User::Analyst),
            _ if name == ANALYST && self.analyst.is_none() => Err(Code::Authentication.failure(
                "analyst: Authentication failed: there is no analysts' user, since this kernel has no Landlock, which keeps the \
                 engine to its own files; `[store] analyst_without_landlock = true` makes one all the same",
            )),
            _ => Err(Code::Authentication.failure(format!(
                "{name}: Authentication failed: password is incorrect, or there is no user with such name"
            ))),
        }
    }
}

fn digest(password: &str) -> [u8; 32] {
    Sha256::digest(password.as_bytes()).into()
}

fn from_headers(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (user, key) = (text("x-clickhouse-user"), text("x-clickhouse-key"));
    (user.is_some() || key.is_some()).then(|| (user.unwrap_or_default(), key.unwrap_or_default()))
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), password.to_owned()))
}

fn from_url(parameters: &[(String, String)]) -> Option<(String, String)> {
    let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (user, password) = (get("user"), get("password"));
    (user.is_some() || password.is_some()).then(|| (user.unwrap_or_default(), password.unwrap_or_default()))
}

/// The names under which the store may be called.
pub(super) struct Hosts(runtime::hosts::Hosts);

impl Hosts {
    /// See [`runtime::hosts::Hosts::new`].
    pub fn new(listen: SocketAddr, configured: &[String]) -> Self {
        Self(runtime::hosts::Hosts::new(listen, configured))
    }

    /// Refuses a request that names another host, or none, and those of other sites' pages.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        if self.0.know(uri, headers) {
            return match runtime::hosts::is_foreign_page(headers) {
                false => Ok(()),
                true => Err(Code::AccessDenied
                    .failure("pages of other sites may not ask the store: ask from a program, or through the API")),
            };
        }
        let mut failure = Code::AccessDenied.failure(
            "this host name is not one of the store's: call it by localhost or its listen address, or add the name to \
             [store] hosts",
        );
        failure.status = StatusCode::MISDIRECTED_REQUEST;
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::config::Secret;

    fn credentials() -> Credentials {
        Credentials { stages: Secret::new("s"), api: Secret::new("p"), analyst: Secret::new("a") }
    }

    fn users() -> Users {
        Users::new("headwater", "api", &credentials(), true)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("name"), value.parse().expect("value"))).collect()
    }

    #[test]
    fn three_ways_to_say_who_one_is() {
        let users = users();
        let ours = headers(&[("x-clickhouse-user", "headwater"), ("x-clickhouse-key", "s")]);
        assert_eq!(users.authenticate(&ours, &[]), Ok(User::Stages));
        let api = headers(&[("x-clickhouse-user", "api"), ("x-clickhouse-key", "p")]);
        assert_eq!(users.authenticate(&api, &[]), Ok(User::Api));
        let basic = headers(&[("authorization", "Basic YW5hbHlzdDph")]);
        assert_eq!(users.authenticate(&basic, &[]), Ok(User::Analyst));
        let url = [("user".to_owned(), "analyst".to_owned()), ("password".to_owned(), "a".to_owned())];
        assert_eq!(users.authenticate(&HeaderMap::new(), &url), Ok(User::Analyst));
    }

    #[test]
    fn nothing_and_wrong_are_refused_with_code_516() {
        let users = users();
        let none = users.authenticate(&HeaderMap::new(), &[]).expect_err("none");
        assert_eq!((none.code, none.status), (516, StatusCode::UNAUTHORIZED));
        for (user, key) in [
            ("headwater", "a"),
            ("headwater", "p"),
            ("api", "s"),
            ("api", "a"),
            ("analyst", "s"),
            ("default", ""),
            ("", "s"),
            ("headwater", ""),
        ] {
            let wrong = headers(&[("x-clickhouse-user", user), ("x-clickhouse-key", key)]);
            let failure = users.authenticate(&wrong, &[]).expect_err("wrong");
            assert_eq!((failure.code, failure.status), (516, StatusCode::FORBIDDEN), "{user}");
        }
        let right_in_url = [("user".to_owned(), "analyst".to_owned()), ("password".to_owned(), "a".to_owned())];
        let wrong = headers(&[("x-clickhouse-user", "analyst"), ("x-clickhouse-key", "no")]);
        assert!(users.authenticate(&wrong, &right_in_url).is_err(), "headers win");
    }

    #[test]
    fn without_the_analysts_user_its_password_is_worth_nothing() {
        let basic = headers(&[("authorization", "Basic YW5hbHlzdDph")]);
        let failure =
            Users::new("headwater", "api", &credentials(), false).authenticate(&basic, &[]).expect_err("none");
        assert!(failure.message.contains("analyst_without_landlock"), "{}", failure.message);
    }

    #[test]
    fn foreign_hosts_are_refused_with_421_and_the_key() {
        let hosts = Hosts::new("127.0.0.1:8123".parse().expect("address"), &["store.local".to_owned()]);
        let check = |host: &str| hosts.check(&Uri::from_static("/"), &headers(&[("host", host)]));
        assert_eq!((check("store.local:8123"), check("127.0.0.1:8123")), (Ok(()), Ok(())));
        let failure = check("evil.example").expect_err("foreign");
        assert_eq!(failure.status, StatusCode::MISDIRECTED_REQUEST);
        assert!(failure.message.contains("[store] hosts"), "{}", failure.message);
    }
}
