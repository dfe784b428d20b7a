//! An endpoint as configured, and how patient to be with it.

use std::{fmt, time::Duration};

use url::Url;

use crate::mask::masked_url;

/// An endpoint as configured. Its `Debug` shows no credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name for people and metrics.
    pub name: String,
    /// `http` or `https`.
    pub url: Url,
    /// `ws` or `wss`, for new heads.
    pub ws: Option<Url>,
    /// Sent with every HTTP request; with a WebSocket's handshake only `authorization`, or the credentials of the URL of the same host.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("url", &masked_url(&self.url))
            .field("ws", &self.ws.as_ref().map(masked_url))
            .field("headers", &self.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())
            .finish()
    }
}

/// Deadlines and retries of an endpoint.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// Connecting, TLS included.
    pub connect_timeout: Duration,
    /// One try of one call.
    pub call_timeout: Duration,
    /// Tries of one call, the first included.
    pub tries: usize,
    /// First wait between tries; grows twofold, with jitter.
    pub backoff_min: Duration,
    /// Longest wait between tries.
    pub backoff_max: Duration,
    /// Shortest period of polling for heads.
    pub poll_min: Duration,
    /// Longest period of polling for heads.
    pub poll_max: Duration,
    /// One question for a block or header, whatever it takes, where somebody else can be asked.
    pub ask_within: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(15),
            tries: 4,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            poll_min: Duration::from_millis(100),
            poll_max: Duration::from_secs(5),
            ask_within: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_shown() {
        let endpoint = Endpoint {
            name: "paid".into(),
            url: "https://bob:hunter22@rpc.example/v2/abcdef0123456789abcdef?apikey=s3cr3t".parse().unwrap(),
            ws: Some("wss://rpc.example/ws/abcdef0123456789abcdeg?token=t0ken".parse().unwrap()),
            headers: vec![("authorization".into(), "Bearer tok_123456".into())],
        };
        let shown = format!("{endpoint:?} {endpoint:#?}");
        for secret in ["bob", "hunter22", "s3cr3t", "abcdef0123", "t0ken", "tok_123456"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for known in ["paid", "rpc.example", "authorization"] {
            assert!(shown.contains(known), "{shown}");
        }
    }
}
