//! The admin port: `/healthz` (the process lives), `/readyz` (it can do its work, else 503 with the reasons) and `/metrics`
//! (Prometheus). Listens on loopback unless configured otherwise; never exposed to tenants.
//!
//! Guarantee: only known host names are answered (see [`Hosts`]), and no page of another site; where the port is not on loopback, other
//! machines need what the [`Gate`] wants, but for `/healthz`, which says nothing. Every refusal is an RFC 9457 problem in words of ours, and
//! no answer is taken for another type than it has.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::BoxFuture;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    hosts::{Hosts, is_foreign_page},
    telemetry,
};

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

/// A refusal of this port (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// What is wrong and what to do.
    pub detail: String,
}

impl Problem {
    /// A refusal with these words.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = serde_json::json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail,
        });
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Whether a request of another machine may come in: it is given the method and `Authorization: Bearer`'s token.
pub type Gate = Arc<dyn Fn(Method, Option<String>) -> BoxFuture<'static, Result<(), Problem>> + Send + Sync>;

/// What stands before every route.
struct Door {
    hosts: Hosts,
    /// Where the port listens.
    listen: IpAddr,
    gate: Option<Gate>,
}

impl Door {
    async fn admit(&self, peer: SocketAddr, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        if !self.hosts.know(uri, headers) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this host name is not one of the admin port's: call it by localhost or its listen address, or add the name to \
                 `[admin] hosts`",
            ));
        }
        if is_foreign_page(headers) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "pages of other sites have no business here"));
        }
        let Some(gate) = self.gate.as_ref().filter(|_| uri.path() != "/healthz") else { return Ok(()) };
        // Who is on this machine may do what its operator may; but not for somebody else, whom it brings along.
        let (peer, forwarded) = (peer.ip().to_canonical(), ["forwarded", "x-forwarded-for", "via"]);
        if (peer.is_loopback() || peer == self.listen) && forwarded.iter().all(|name| !headers.contains_key(*name)) {
            return Ok(());
        }
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let token = match (all.next(), all.next()) {
            (Some(value), None) => {
                value.to_str().ok().and_then(|v| v.strip_prefix("Bearer ")).map(|t| t.trim().to_owned())
            }
            _ => None,
        };
        gate(method.clone(), token).await
    }
}

/// Serves the admin port until told to stop. `gate`: what other machines need, where they reach it. `hosts` are names under which it may be called besides its own; `more` adds routes
/// of the process, such as reading topics.
pub async fn serve(
    listener: TcpListener,
    hosts: &[String],
    gate: Option<Gate>,
    readiness: Readiness,
    more: Router,
    stop: CancellationToken,
) -> Result<(), std::io::Error> {
    let listen = listener.local_addr()?;
    let door = Arc::new(Door { hosts: Hosts::new(listen, hosts), listen: listen.ip().to_canonical(), gate });
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(measured))
        .with_state(readiness)
        .merge(more)
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_way)
        .layer(middleware::from_fn_with_state(door, guard))
        .into_make_service_with_connect_info::<SocketAddr>();
    let graceful = stop.clone();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move { graceful.cancelled().await });
    tokio::select! {
        result = server => result,
        // A reader that follows a topic never ends by itself: it is cut off shortly after the request to stop.
        () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_millis(200)).await } => Ok(()),
    }
}

/// Stands before every route.
async fn guard(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match door.admit(peer, request.method(), request.uri(), request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            metrics::counter!("headwater_admin_refusals_total", "status" => problem.status.as_u16().to_string())
                .increment(1);
            problem.into_response()
        }
    };
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn nothing_here(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(80).collect();
    let detail = format!(
        "there is nothing at {path}; there are /healthz, /readyz, /metrics, /lag, /log/TOPIC and, to be posted to, /reload"
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn not_this_way(method: Method) -> Problem {
    let method: String = method.as_str().chars().take(80).collect();
    let words = format!("{method} is not possible here: GET or HEAD, and POST to /reload");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, words)
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let missing = readiness.missing();
    let code = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(missing))
}

async fn measured() -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4")], telemetry::render_metrics())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// The answer to a request, head and body.
    async fn ask(at: std::net::SocketAddr, line: &str, host: &str) -> String {
        let mut stream = TcpStream::connect(at).await.expect("connects");
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer.to_lowercase()
    }

    #[tokio::test]
    async fn only_known_names_are_answered_and_every_refusal_is_a_problem() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("address");
        let stop = CancellationToken::new();
        let served = tokio::spawn({
            let stop = stop.clone();
            async move {
                serve(listener, &["Ops.Example".to_owned()], None, Readiness::default(), Router::new(), stop).await
            }
        });
        let own = at.to_string();
        for host in [own.as_str(), "localhost", "ops.example:9090"] {
            let answer = ask(at, "GET /healthz", host).await;
            assert!(
                answer.starts_with("http/1.1 200") && answer.contains("x-content-type-options: nosniff"),
                "{answer}"
            );
        }
        for (line, host, status, words) in [
            ("GET /metrics", "evil.example", 421, "[admin] hosts"),
            ("GET /nothing", own.as_str(), 404, "/metrics"),
            ("POST /metrics", own.as_str(), 405, "get or head"),
        ] {
            let answer = ask(at, line, host).await;
            assert!(answer.starts_with(&format!("http/1.1 {status}")), "{answer}");
            assert!(
                answer.contains("content-type: application/problem+json") && answer.contains("nosniff"),
                "{answer}"
            );
            assert!(answer.contains(words), "{answer}");
        }
        stop.cancel();
        served.await.expect("no panic").expect("a clean end");
    }

    #[tokio::test]
    async fn beyond_loopback_other_machines_need_what_the_gate_wants() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("address");
        let gate: Gate = Arc::new(|method, token| {
            Box::pin(async move {
                match token.as_deref() {
                    Some("good") if method == Method::GET => Ok(()),
                    Some("good") => Err(Problem::new(StatusCode::FORBIDDEN, "reads only")),
                    _ => Err(Problem::new(StatusCode::UNAUTHORIZED, "a key is wanted")),
                }
            })
        });
        let stop = CancellationToken::new();
        let served = tokio::spawn({
            let stop = stop.clone();
            async move { serve(listener, &[], Some(gate), Readiness::default(), Router::new(), stop).await }
        });
        // Whoever is on this machine comes in; what a proxy on it brings along is somebody else's.
        let own = at.to_string();
        let through = format!("{own}\r\nX-Forwarded-For: 203.0.113.9");
        for (line, host, status) in [
            ("GET /metrics", own.clone(), 200),
            ("GET /metrics", through.clone(), 401),
            ("GET /readyz", through.clone(), 401),
            ("GET /healthz", through.clone(), 200),
            ("GET /metrics", format!("{through}\r\nAuthorization: Bearer good"), 200),
            ("GET /metrics", format!("{through}\r\nAuthorization: Bearer good\r\nAuthorization: Bearer good"), 401),
            ("POST /metrics", format!("{through}\r\nAuthorization: Bearer good"), 403),
            ("GET /metrics", format!("{own}\r\nOrigin: http://evil.example"), 403),
            ("GET /metrics", format!("{own}\r\nSec-Fetch-Site: cross-site"), 403),
            ("GET /metrics", format!("{own}\r\nOrigin: http://{own}"), 200),
        ] {
            let answer = ask(at, line, &host).await;
            assert!(answer.starts_with(&format!("http/1.1 {status}")), "{line} {host}: {answer}");
            assert_eq!(answer.contains("www-authenticate: bearer"), status == 401, "{answer}");
        }
        stop.cancel();
        served.await.expect("no panic").expect("a clean end");
    }
}
