//! The admin port's routes for requests: `PUT /requests/ID` writes one, `DELETE /requests/ID` removes it, for commands on this machine
//! while this process owns the log.
//!
//! Guarantee: no web page can ask. Beside the port's own names (`runtime::hosts`), what a browser marks as its own is refused, and only
//! methods and a content type are taken that no page may send to another site unasked.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, State, rejection::JsonRejection},
    http::{StatusCode, header, request::Parts},
    routing::put,
};
use runtime::{
    admin::Problem,
    log::{Log, LogError},
};
use schemas::{codec::Codec, records::Request};

use super::{row::RequestRow, write};
use crate::tail::route::unavailable;

/// Bytes of a request, at most.
const BODY_BYTES: usize = 16 << 10;

/// Where a request is written and removed.
pub fn url(base: &str, id: &str) -> String {
    format!("{base}/requests/{id}")
}

/// The routes.
pub fn routes(log: Arc<dyn Log>, codec: Arc<Codec>) -> Router {
    Router::new()
        .route("/requests/{id}", put(store).delete(remove))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state((log, codec))
}

/// A caller that is no web page.
struct NoPage;

impl<S: Sync> FromRequestParts<S> for NoPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let of_a_browser = [header::ORIGIN.as_str(), header::REFERER.as_str(), "sec-fetch-site"];
        match of_a_browser.into_iter().find(|name| parts.headers.contains_key(*name)) {
            None => Ok(Self),
            Some(name) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!(
                    "requests are not taken from web pages (`{name}` is set): use the commands, such as `headwater backfill`"
                ),
            )),
        }
    }
}

type Open = (Arc<dyn Log>, Arc<Codec>);

async fn store(
    _: NoPage,
    State((log, codec)): State<Open>,
    Path(id): Path<String>,
    row: Result<Json<RequestRow>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(row) = row.map_err(|e| Problem::new(e.status(), e.body_text()))?;
    let request = row.request().map_err(|words| Problem::new(StatusCode::BAD_REQUEST, words))?;
    if request.id != id {
        let words = format!("the request's id is `{}`, the path says `{id}`", request.id);
        return Err(Problem::new(StatusCode::BAD_REQUEST, words));
    }
    written(write::put(&*log, &codec, &request).await)
}

async fn remove(_: NoPage, State((log, _)): State<Open>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    if !Request::is_id(&id) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "this is no id of a request: 1 to 64 of a–z, 0–9 and -"));
    }
    written(write::remove(&*log, &id).await)
}

fn written(outcome: Result<(), LogError>) -> Result<StatusCode, Problem> {
    outcome.map(|()| StatusCode::NO_CONTENT).map_err(unavailable)
}

#[cfg(test)]
mod tests {
    use runtime::{
        admin::{self, Readiness},
        log::embedded::{EmbeddedConfig, EmbeddedLog},
    };
    use schemas::{
        TimeMs,
        records::{Asks, Wanted},
        topics,
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::requests::state;
    use crate::way::Way;

    #[tokio::test]
    async fn commands_are_served_and_pages_are_not() {
        // An error means that another test has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a folder");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        log.ensure_topics(&topics::ALL, 2).await.expect("topics");
        let codec = Arc::new(Codec::builtin());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("address"));
        let stop = CancellationToken::new();
        let more = routes(log.clone(), codec.clone()).merge(crate::tail::route::routes(log.clone(), codec));
        let served = tokio::spawn({
            let stop = stop.clone();
            async move { admin::serve(listener, &[], None, Readiness::default(), more, stop).await }
        });
        let client = reqwest::Client::new();
        let there = Way::There { client: client.clone(), base: base.clone() };
        let request = Request {
            id: "n-1".into(),
            network: "n".parse().expect("a slug"),
            asks: Asks::AcceptReorg,
            wanted: Wanted::Run,
            asked_at: TimeMs(1),
        };
        there.put(&request).await.expect("written");
        let read = state::requests(&there).await.expect("read");
        assert_eq!(read.0.values().collect::<Vec<_>>(), [&request]);

        let body = || serde_json::to_string(&RequestRow::of(&request)).expect("JSON");
        let ask = |id: &str| client.put(url(&base, id)).header("content-type", "application/json");
        for (name, asked, status) in [
            ("a page", ask("n-1").header("origin", "https://evil.example").body(body()), 403),
            ("a page of this port", ask("n-1").header("sec-fetch-site", "same-origin").body(body()), 403),
            ("a form", client.put(url(&base, "n-1")).header("content-type", "text/plain").body(body()), 415),
            ("a foreign host", ask("n-1").header("host", "evil.example").body(body()), 421),
            ("another id", ask("n-2").body(body()), 400),
            ("no request", ask("n-1").body("{}"), 422),
            ("too much", ask("n-1").body("x".repeat(BODY_BYTES + 1)), 413),
            ("a page that removes", client.delete(url(&base, "n-1")).header("origin", "null"), 403),
            ("no id", client.delete(url(&base, "A")), 400),
            ("a post", client.post(url(&base, "n-1")).body(body()), 405),
        ] {
            assert_eq!(asked.send().await.expect("an answer").status(), status, "{name}");
        }
        assert_eq!(state::requests(&there).await.expect("read"), read, "nothing was changed");
        there.remove("n-1").await.expect("removed");
        assert!(state::requests(&there).await.expect("read").0.is_empty());
        stop.cancel();
        served.await.expect("no panic").expect("a clean end");
        log.close().await.expect("closed");
    }
}
