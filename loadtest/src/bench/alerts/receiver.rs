//! A receiver of webhooks on loopback: takes everything, and remembers when the first request of each message came.

use crate::failure::Failure;
use crate::receiver::Serving;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A message that says that an alert fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Firing {
    /// When its first request came.
    pub at: Instant,
    /// Which tenant's, by the path that it came to.
    pub tenant: usize,
    /// Height of the block that it tells of.
    pub height: u64,
    /// The transaction.
    pub transaction: String,
}

/// By the message's id: the same on every attempt.
type Firings = Arc<Mutex<HashMap<String, Firing>>>;

/// Listens until it is dropped.
pub(crate) struct Receiver {
    firings: Firings,
    serving: Serving,
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let firings = Firings::default();
        let app = Router::new().route("/{tenant}", post(take)).with_state(firings.clone());
        Ok(Self { serving: Serving::start(app).await?, firings })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.serving.address()
    }

    /// The URL of a tenant's channel.
    pub(crate) fn url(&self, tenant: usize) -> String {
        format!("http://{}/{tenant}", self.address())
    }

    /// Those that came so far.
    pub(crate) fn firings(&self) -> Vec<Firing> {
        self.firings.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

async fn take(State(firings): State<Firings>, Path(tenant): Path<usize>, headers: HeaderMap, body: String) {
    let at = Instant::now();
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else { return };
    let Ok(body) = serde_json::from_str::<Value>(&body) else { return };
    let height = body["data"]["alert"]["evidence"]["matches"][0]["height"].as_u64();
    if let ("alert.firing", Some(height)) = (body["type"].as_str().unwrap_or_default(), height) {
        let mut firings = firings.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = body["data"]["alert"]["group"]["transaction"].as_str().unwrap_or_default().to_owned();
        firings.entry(id.to_owned()).or_insert(Firing { at, tenant, height, transaction });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_message_counts_once_and_what_is_no_firing_does_not() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (receiver, client) = (Receiver::start().await.expect("listens"), reqwest::Client::new());
        let body = |kind: &str| json!({"type": kind, "data": {"alert": {"evidence": {"matches": [{"height": 7}]}}}});
        for (tenant, id, kind) in
            [(1, "a", "alert.firing"), (1, "a", "alert.firing"), (2, "b", "alert.firing"), (1, "c", "alert.amended")]
        {
            let sent = client.post(receiver.url(tenant)).header("webhook-id", id).body(body(kind).to_string());
            assert!(sent.send().await.expect("an answer").status().is_success());
        }
        let mut seen: Vec<_> = receiver.firings().into_iter().map(|f| (f.tenant, f.height)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 7), (2, 7)]);
    }
}
