//! An endpoint as configured: Bitcoin Core by `http(s)://`, an Electrum server by `tcp://` or `ssl://`.

use std::{fmt, path::PathBuf};

use url::Url;

use crate::mask::masked_url;

/// What speaks at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bitcoin Core: JSON-RPC, REST and ZMQ. Gives bodies.
    Core,
    /// An Electrum server: headers only.
    Electrum,
}

impl Kind {
    /// By the scheme of its URL.
    pub fn of(url: &Url) -> Self {
        match url.scheme() {
            "tcp" | "ssl" => Self::Electrum,
            _ => Self::Core,
        }
    }

    /// The word for people and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Electrum => "electrum",
        }
    }
}

/// An endpoint as configured. Its `Debug` shows no credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name for people and metrics.
    pub name: String,
    /// `http` or `https` (Core, with `user:password@` where it wants them), `tcp` or `ssl` (Electrum).
    pub url: Url,
    /// Core: sent with every HTTP request.
    pub headers: Vec<(String, String)>,
    /// Core: its cookie file (`.cookie` in its data directory), read again whenever it refuses what it held.
    pub cookie: Option<PathBuf>,
    /// Core: where it publishes `hashblock` or `sequence`, `tcp://host:port`. A wake-up only.
    pub zmq: Option<Url>,
    /// Electrum over TLS: SHA-256 of the certificate (DER) that the server must show. Without it: the one that was seen first.
    pub fingerprint: Option<[u8; 32]>,
    /// Electrum over TLS: the folder in which certificates that were seen first are remembered; `None`: in memory only.
    pub certificates: Option<PathBuf>,
}

impl Endpoint {
    /// An endpoint of which nothing but its address is said.
    pub fn new(name: &str, url: Url) -> Self {
        Self {
            name: name.to_owned(),
            url,
            headers: Vec::new(),
            cookie: None,
            zmq: None,
            fingerprint: None,
            certificates: None,
        }
    }

    /// What speaks there.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.url)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("url", &masked_url(&self.url))
            .field("headers", &self.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())
            .field("cookie", &self.cookie)
            .field("zmq", &self.zmq.as_ref().map(masked_url))
            .field("fingerprint", &self.fingerprint.is_some())
            .field("certificates", &self.certificates)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_what_it_is_and_no_credential_is_shown() {
        let of = |url: &str| Endpoint::new("a", url.parse().unwrap());
        assert_eq!(of("tcp://e.example:50001").kind(), Kind::Electrum);
        assert_eq!(of("ssl://e.example:50002").kind(), Kind::Electrum);
        let core = of("http://bob:hunter22@127.0.0.1:8332/");
        assert_eq!(core.kind(), Kind::Core);
        let endpoint = Endpoint { headers: vec![("authorization".into(), "Bearer tok_123456".into())], ..core };
        let shown = format!("{endpoint:?}");
        for secret in ["bob", "hunter22", "tok_123456"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("127.0.0.1:8332") && shown.contains("authorization"), "{shown}");
    }
}
