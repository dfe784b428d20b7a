//! What stands before every route: the host name, limits on length, number and time, security headers on every answer,
//! measurements.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use schemas::limits;
use tokio::sync::Semaphore;

use crate::{
    app::App,
    body::lines,
    door,
    error::{ApiError, cut},
    metrics,
    tenants::{Account, Places},
};

/// On every answer. Pages with scripts set a policy of their own.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The id of a request, on its answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Routes whose answers are rows of the store.
const ROWS: [&str; 13] = [
    "/api/v1/blocks",
    "/api/v1/txs",
    "/api/v1/networks",
    "/api/v1/providers",
    "/api/v1/failures",
    "/api/v1/search",
    "/api/v1/metrics",
    "/api/v1/diagnosis",
    "/api/v1/alerts",
    "/api/v1/annotations",
    "/api/v1/deliveries",
    "/api/v1/rules/preview",
    "/api/v1/channels/preview",
];
/// One among them that is answered from memory.
const NO_ROWS: &str = "/api/v1/providers/health";

/// The outermost: who is called, headers and measurements of every answer.
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = door::request_id();
    request.extensions_mut().insert(id.clone());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let (secure, chunked) = (is_secured(&app, &request), request.headers().contains_key(header::TRANSFER_ENCODING));
    let mut response = match app.hosts.know(request.uri(), request.headers()) {
        true => next.run(request).await,
        false => {
            let host = request.headers().get(header::HOST).map(|h| String::from_utf8_lossy(h.as_bytes()));
            ApiError::ForeignHost { host: cut(&host.unwrap_or_default()) }.into_response()
        }
    };
    let headers = response.headers_mut();
    if chunked {
        // Whatever somebody in between made of its length, nothing that follows it on this connection is taken for a request (RFC 9112,
        // section 6.1).
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if secure {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(HSTS);
    }
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    metrics::answered(&route, response.status().as_u16(), started.elapsed());
    response
}

/// For a year, this name.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Whether browsers are to come by TLS only from now on. Never of `localhost`, which is the name of much else on a machine.
fn is_secured(app: &App, request: &Request) -> bool {
    let Some(peer) = request.extensions().get::<door::Peer>() else { return false };
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default().trim_end_matches('.');
    app.config.is_tls(peer, request.headers()) && !name.eq_ignore_ascii_case("localhost")
}

/// What a request may cost. Inside of CORS, so that an allowed page can read the refusal.
pub async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match admitted(&app, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn admitted(app: &App, request: Request, next: Next) -> Result<Response, ApiError> {
    let bytes = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    if bytes > limits::HTTP_URI_BYTES {
        return Err(ApiError::UriTooLong { bytes });
    }
    let (most, deadline) = match lines::is_streamed(request.method(), request.uri().path(), request.headers()) {
        true => (limits::control::IMPORT_BYTES, limits::control::IMPORT_TIME),
        false => (limits::HTTP_BODY_BYTES, app.config.request_deadline),
    };
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|l| l > most) {
        return Err(ApiError::BodyTooLarge { limit: most });
    }
    // Nothing that is held while the request is answered may refer to it.
    let account = request.extensions().get::<Arc<Account>>().cloned();
    let share = |of: Places, places: &Semaphore, all: usize| {
        let places = (places.available_permits(), all);
        account.as_ref().map(|account| account.place(of, places, app.tenants.are_several())).transpose()
    };
    let _share = share(Places::Requests, &app.requests, app.config.concurrent_requests)?;
    let _permit = app.requests.try_acquire().map_err(|_| ApiError::Overloaded { what: "requests" })?;
    // Those that ask the store for rows leave some places to the others, however slow it is: health, documents, the page.
    let _place = match request.uri().path() != NO_ROWS && ROWS.iter().any(|rows| request.uri().path().starts_with(rows))
    {
        true => {
            let share = share(Places::Rows, &app.row_requests, app.config.row_requests())?;
            let place = app.row_requests.try_acquire();
            Some((share, place.map_err(|_| ApiError::Overloaded { what: "requests for rows" })?))
        }
        false => None,
    };
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => Ok(response),
        Err(_) => Err(ApiError::Deadline { seconds: deadline.as_secs() }),
    }
}

/// For paths that exist, but not for this method. The router adds `Allow`.
pub async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::MethodNotAllowed { method: cut(method.as_str()), allow: String::new() }
}
