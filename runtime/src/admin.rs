//! The admin port: `/healthz` (the process lives), `/readyz` (it can do its work, else 503 with the reasons) and `/metrics`
//! (Prometheus). Listens on loopback unless configured otherwise; never exposed to tenants.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::telemetry;

/// What is not ready yet, by name, and why.
pub type NotReady = BTreeMap<String, String>;

/// Parts report here; the admin port answers from it.
#[derive(Clone)]
pub struct Readiness(Arc<watch::Sender<NotReady>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(NotReady::new())))
    }
}

impl Readiness {
    /// The part is not ready, for this reason.
    pub fn not_ready(&self, part: &str, reason: impl Into<String>) {
        let reason = reason.into();
        self.0.send_if_modified(|m| m.insert(part.to_owned(), reason.clone()).as_ref() != Some(&reason));
    }

    /// The part is ready.
    pub fn ready(&self, part: &str) {
        self.0.send_if_modified(|m| m.remove(part).is_some());
    }

    /// What is missing now.
    pub fn missing(&self) -> NotReady {
        self.0.borrow().clone()
    }

    /// Waits until nothing is missing.
    pub async fn all_ready(&self) {
        // The sender lives in self, so the channel cannot close.
        let _ = self.0.subscribe().wait_for(NotReady::is_empty).await;
    }
}

/// Serves the admin port until told to stop. `more` adds routes of the process, such as reading topics.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    more: Router,
    stop: CancellationToken,
) -> Result<(), std::io::Error> {
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(readiness)
        .merge(more);
    let graceful = stop.clone();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move { graceful.cancelled().await });
    tokio::select! {
        result = server => result,
        // A reader that follows a topic never ends by itself: it is cut off shortly after the request to stop.
        () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_millis(200)).await } => Ok(()),
    }
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let missing = readiness.missing();
    let code = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(missing))
}

async fn metrics() -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4")], telemetry::render_metrics())
}
