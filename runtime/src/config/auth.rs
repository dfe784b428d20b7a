//! `[auth]`: whom the doors let in, and where they may listen.
//!
//! Guarantee: where everybody is let in, no door listens beyond loopback unless the file says in so many words that it may
//! ([`Auth::open_doors`]); that holds for addresses of the command line too. What is of accounts alone is refused in other modes, so that
//! nobody believes a sign-up to be shut that is not there.

use std::{net::SocketAddr, time::Duration};

use schemas::limits::accounts as limits;
use url::Url;

use super::{
    mail::{self, AuthMail},
    mistakes::Mistake,
    oidc::{self, Provider},
    source::{Collector, Section},
};
use crate::targets::Allowed;

/// `[auth] mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Everybody is owner of the tenant `default`.
    None,
    /// Who has a key.
    Keys,
    /// Who has a key or an account.
    Accounts,
}

impl AuthMode {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Keys => "keys",
            Self::Accounts => "accounts",
        }
    }
}

/// `[auth] sign_up`: who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUp {
    /// Whoever comes, with an organisation of its own.
    Open,
    /// Whoever was invited into one.
    Invitation,
    /// Nobody; those that are there are invited by who holds the machine.
    Closed,
}

impl SignUp {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invitation => "invitation",
            Self::Closed => "closed",
        }
    }
}

/// `[auth]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Whom the doors let in.
    pub mode: AuthMode,
    /// Whether other machines may come in where everybody is let in.
    pub allow_remote: bool,
    /// Who may make an account.
    pub sign_up: SignUp,
    /// How long a person's session lasts.
    pub session: Duration,
    /// How long an access token lasts.
    pub access_token: Duration,
    /// Who else says who somebody is.
    pub providers: Vec<Provider>,
    /// The server by which people get letters about their account; `None`: they get none.
    pub mail: Option<AuthMail>,
    /// Private places that providers and the mail server may be at all the same, as in `[alerts] allow_targets`.
    pub allow_targets: Vec<String>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: AuthMode::None,
            allow_remote: false,
            sign_up: SignUp::Invitation,
            session: limits::SESSION,
            access_token: limits::ACCESS_TOKEN,
            providers: Vec::new(),
            mail: None,
            allow_targets: Vec::new(),
        }
    }
}

/// Whether only this machine reaches an address.
pub fn is_near(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl Auth {
    /// Those of the doors (`api`, where it listens) that would let everybody of other machines in without being told to: bad
    /// configuration. `line` and `column` are left at 1: who has the document knows better.
    pub fn open_doors(&self, doors: &[(&str, SocketAddr)]) -> Vec<Mistake> {
        if self.mode != AuthMode::None || self.allow_remote {
            return Vec::new();
        }
        let open = doors.iter().filter(|(_, address)| !is_near(*address));
        open.map(|(section, address)| Mistake {
            line: 1,
            column: 1,
            key: format!("{section}.listen"),
            problem: format!("{address} is reached from other machines, and `[auth] mode` is \"none\": whoever comes may do everything"),
            cure: "listen on 127.0.0.1, or write `mode = \"keys\"` or `mode = \"accounts\"` under `[auth]` (or `allow_remote = true`, where \
                   something else keeps strangers out)"
                .to_owned(),
        })
        .collect()
    }

    /// The mistake where people are to be sent to us by others (a provider, a letter) and nothing says where that is. What a request says
    /// of its host is never believed for it. `line` and `column` as above.
    pub fn without_url(&self, public_url: Option<&Url>) -> Option<Mistake> {
        let wants = if self.mail.is_some() { "[auth.mail]" } else { "[[auth.oidc]]" };
        let missing = public_url.is_none() && (self.mail.is_some() || !self.providers.is_empty());
        missing.then(|| Mistake {
            line: 1,
            column: 1,
            key: "api.public_url".to_owned(),
            problem: format!("is missing, and `{wants}` sends people to it"),
            cure: "write how people reach it, such as \"https://headwater.example.org\"".to_owned(),
        })
    }

    /// What is no mistake but should be known, of these doors.
    pub fn warnings(&self, doors: &[(&str, SocketAddr)]) -> Vec<String> {
        if self.mode != AuthMode::None || !self.allow_remote {
            return Vec::new();
        }
        let open: Vec<String> =
            doors.iter().filter(|(_, a)| !is_near(*a)).map(|(s, a)| format!("`[{s}]` at {a}")).collect();
        let words = format!(
            "[auth] allow_remote: whoever reaches {} may do everything, without a key; write `mode = \"keys\"` unless something else keeps \
             strangers out",
            open.join(" and ")
        );
        (!open.is_empty()).then_some(words).into_iter().collect()
    }
}

/// Keys that mean something with accounts only.
const OF_ACCOUNTS: [&str; 6] = ["sign_up", "session", "access_token", "oidc", "mail", "allow_targets"];
/// Targets that one file may list.
const LISTED: usize = 100;

/// Reads the section.
pub(super) fn read(mut s: Section, c: &mut Collector) -> Auth {
    let default = Auth::default();
    let mode = s.string("mode", c).map_or(default.mode, |p| match p.value.as_str() {
        "none" => AuthMode::None,
        "keys" => AuthMode::Keys,
        "accounts" => AuthMode::Accounts,
        other => {
            let problem = format!("`{}` is not a mode", other.chars().take(40).collect::<String>());
            let cure = "write \"none\" (everybody, on loopback only), \"keys\" (API keys) or \"accounts\" (people too)";
            c.mistake(p.at, &s.key("mode"), problem, cure);
            AuthMode::Accounts
        }
    });
    if mode != AuthMode::Accounts {
        for name in OF_ACCOUNTS.into_iter().filter(|name| s.has(name)) {
            let problem = format!("means nothing with `mode = \"{}\"`", mode.as_str());
            c.mistake(s.place(name), &s.key(name), problem, "write `mode = \"accounts\"`, or leave it out");
        }
    }
    let allow_remote = s.boolean("allow_remote", c).unwrap_or(default.allow_remote);
    let sign_up = s.string("sign_up", c).map_or(default.sign_up, |p| match p.value.as_str() {
        "open" => SignUp::Open,
        "invitation" => SignUp::Invitation,
        "closed" => SignUp::Closed,
        other => {
            let problem = format!("`{}` is no way to sign up", other.chars().take(40).collect::<String>());
            let cure = "write \"open\" (whoever comes), \"invitation\" (whoever was invited) or \"closed\" (nobody)";
            c.mistake(p.at, &s.key("sign_up"), problem, cure);
            default.sign_up
        }
    });
    let session = s.duration("session", "7d", limits::SESSION_LIFE, c).unwrap_or(default.session);
    let at = s.place("access_token");
    let access_token = match s.duration("access_token", "10m", limits::ACCESS_TOKEN_LIFE, c) {
        Some(written) => {
            if written > session {
                let problem = "is longer than `session`, which ends every token";
                c.mistake(at, &s.key("access_token"), problem, "write a shorter one");
            }
            written
        }
        None => default.access_token.min(session),
    };
    let providers = oidc::read_all(s.sections("oidc", c), c);
    let mail = s.has("mail").then(|| s.section("mail", c)).and_then(|mail| mail::read(mail, c));
    let listed = s.list("allow_targets", LISTED, "[\"10.0.0.5:8443\"]", c);
    let mut allow_targets = Vec::with_capacity(listed.len());
    for p in listed {
        let target = p.value.trim().to_owned();
        if let Err(problem) = target.parse::<Allowed>() {
            c.mistake(p.at, &s.key("allow_targets"), problem, Allowed::CURE);
        }
        allow_targets.push(target);
    }
    s.finish(c);
    Auth { mode, allow_remote, sign_up, session, access_token, providers, mail, allow_targets }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn read(text: &str) -> Result<Auth, Vec<Mistake>> {
        parse(&format!("[auth]\n{text}"), Path::new(""), &|_| None).map(|config| config.auth)
    }

    #[test]
    fn accounts_are_by_invitation_unless_it_is_said() {
        let auth = read("mode = \"accounts\"").expect("good");
        assert_eq!((auth.mode, auth.sign_up), (AuthMode::Accounts, SignUp::Invitation));
        assert_eq!((auth.session, auth.access_token), (limits::SESSION, limits::ACCESS_TOKEN));
        let auth =
            read("mode = \"accounts\"\nsign_up = \"open\"\nsession = \"12h\"\naccess_token = \"5m\"").expect("good");
        assert_eq!((auth.sign_up, auth.session.as_secs(), auth.access_token.as_secs()), (SignUp::Open, 43_200, 300));
        let short = read("mode = \"accounts\"\nsession = \"5m\"").expect("good");
        assert_eq!(short.access_token, short.session, "no token outlives its session");
        assert!(auth.open_doors(&[("api", "0.0.0.0:80".parse().expect("address"))]).is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_at_its_key() {
        for (text, key) in [
            ("mode = \"people\"", "auth.mode"),
            ("mode = \"keys\"\nsign_up = \"open\"", "auth.sign_up"),
            ("session = \"1h\"", "auth.session"),
            ("mode = \"none\"\naccess_token = \"5m\"", "auth.access_token"),
            ("mode = \"accounts\"\nsign_up = \"everybody\"", "auth.sign_up"),
            ("mode = \"accounts\"\nsession = \"1s\"", "auth.session"),
            ("mode = \"accounts\"\naccess_token = \"1d\"", "auth.access_token"),
            ("mode = \"accounts\"\nsession = \"5m\"\naccess_token = \"10m\"", "auth.access_token"),
            ("mode = \"accounts\"\nsignup = \"open\"", "auth.signup"),
        ] {
            let mistakes = read(text).expect_err(text);
            assert!(mistakes.iter().any(|m| m.key == key && !m.cure.is_empty()), "{text}: {mistakes:?}");
        }
    }
}
