//! Providers that say who somebody is (OpenID Connect Core 1.0, the code flow with PKCE, RFC 7636).
//!
//! Guarantee: what is believed is an ID token that the provider's token endpoint gave for the code of this very visit, signed with one of the
//! provider's own published keys by an asymmetric algorithm, for this client alone, with this visit's nonce, and not over. What the browser
//! brings along is believed only where it fits the sealed visit in its cookie. The provider's own words of itself are kept for an hour, and
//! asked for anew when a key is not among them, but no more often than every ten seconds.

mod http;
mod provider;

use runtime::{
    config::Auth,
    targets::{PORTS, Targets},
};
use url::Url;

use self::http::Http;
pub use self::provider::{Provider, Stranger};

/// Why somebody does not come in by a provider: a word for the page, which has a sentence for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The provider does not answer.
    Away,
    /// Whoever was there, or the provider, said no.
    Refused,
    /// What came back is not for us, or not of this visit.
    Answer,
    /// The provider names no address that is known to be his.
    EmailMissing,
    /// There is an account of this address, which another way of logging in is for.
    EmailTaken,
    /// Nobody makes an account like this here.
    SignUp,
    /// The invitation is not good (any more).
    Invitation,
    /// The identity is another person's.
    Linked,
    /// As many organisations were founded from that address as may be in a day.
    Later,
    /// The account is shut, or is in no organisation that works.
    Account,
}

impl Problem {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Away => "provider-away",
            Self::Refused => "provider-refused",
            Self::Answer => "provider-answer",
            Self::EmailMissing => "email-missing",
            Self::EmailTaken => "email-taken",
            Self::SignUp => "sign-up",
            Self::Invitation => "invitation",
            Self::Linked => "linked",
            Self::Later => "later",
            Self::Account => "account",
        }
    }
}

/// All providers.
#[derive(Default)]
pub struct Providers {
    all: Vec<Provider>,
}

impl Providers {
    /// Those of the configuration, which come back to `public_url`.
    pub fn new(auth: &Auth, public_url: Option<&Url>) -> Self {
        let Some(base) = public_url.filter(|_| !auth.providers.is_empty()) else { return Self::default() };
        let targets = Targets::new(&auth.allow_targets, &PORTS).unwrap_or_default().listed_in("[auth] allow_targets");
        let http = match Http::new(targets) {
            Ok(http) => http,
            Err(error) => {
                tracing::error!(error, "nobody can log in by a provider");
                return Self::default();
            }
        };
        let made = auth.providers.iter().filter_map(|provider| Provider::new(provider.clone(), http.clone(), base));
        Self { all: made.collect() }
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Provider> {
        self.all.iter().find(|provider| provider.id() == id)
    }
}
