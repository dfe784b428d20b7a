//! A receiver of webhooks that remembers every request, and refuses some messages the first time that they come.

use super::judge::Got;
use crate::failure::Failure;
use crate::receiver::Serving;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// One message in so many is refused once.
const REFUSED: u64 = 20;

type All = Arc<Mutex<Vec<Got>>>;

/// Listens until it is dropped.
pub struct Receiver {
    all: All,
    serving: Serving,
}

impl Receiver {
    /// On a port of its own.
    ///
    /// # Errors
    /// It cannot listen.
    pub async fn start() -> Result<Self, Failure> {
        let all = All::default();
        let app = Router::new().route("/hook", post(take)).with_state(all.clone());
        Ok(Self { serving: Serving::start(app).await?, all })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.serving.address()
    }

    /// What came so far, in its order.
    #[must_use]
    pub fn got(&self) -> Vec<Got> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(all): State<All>, headers: HeaderMap, body: String) -> StatusCode {
    let at = Instant::now();
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else { return StatusCode::BAD_REQUEST };
    let Ok(body) = serde_json::from_str::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    let alert = &body["data"]["alert"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let comes_first = all.iter().all(|former| former.id != id);
    let answered = !(comes_first && id.bytes().map(u64::from).sum::<u64>() % REFUSED == 0);
    all.push(Got {
        at,
        id: id.to_owned(),
        kind: text(&body["type"]).unwrap_or_default(),
        alert: text(&alert["id"]),
        transaction: text(&alert["group"]["transaction"]),
        answered,
    });
    if answered { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
