//! `/auth/…`: the page's way in. A key is given once, and a cookie comes back that names it and is none ([`control::Session`]).
//!
//! Guarantee: the key is kept nowhere; attempts are few for an address ([`limits::LOG_INS`] a minute); the cookie is shut to scripts and to
//! other sites, and what it changes wants `X-Headwater-Csrf` besides.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{Authenticated, Mode};
use runtime::config::Secret;
use schemas::limits;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Live, Refused};
use crate::{
    app::App,
    body::{Body, Fields},
    door::{self, Counted, From, Peer, Who},
    error::ApiError,
    params::Params,
};

/// What is sent to log in.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct LogIn {
    /// The key, whole.
    #[schema(max_length = 64, example = "hw_…")]
    key: String,
}

/// Who is here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// `none`: everybody may everything. `keys`: who has a key.
    mode: &'static str,
    /// Who.
    actor: MyActor,
    /// The key, where it came with one.
    key: Option<MyKey>,
    /// What it may.
    scopes: Vec<String>,
    /// Which networks it reaches; empty: all.
    networks: Vec<String>,
    /// What changes by the session say in `X-Headwater-Csrf`; null without a session, when none is wanted.
    csrf: Option<String>,
}

/// An actor, as the audit has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyActor {
    /// `key`, `user`, `operator` or `system`.
    kind: &'static str,
    /// A key's id; a word for others.
    id: String,
    /// For people.
    name: String,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyKey {
    /// Its id.
    id: String,
    /// Its visible prefix; null while the control store is away.
    prefix: Option<String>,
    /// Its name.
    name: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Begins a session with a key.
///
/// Where everybody is let in there is nothing to log in to, and the answer is the same without a cookie.
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = "access",
    request_body = LogIn,
    responses(
        (status = 200, description = "Logged in; `Set-Cookie` has the session", body = Me),
        (status = 401, description = "The key is not good", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not of the form", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn log_in(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    from: Option<Extension<From>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let mut fields = body.fields()?;
    let key = fields.required("key", Fields::text);
    fields.finish()?;
    let key = Secret::new(key.unwrap_or_default());
    let control = app.control()?;
    if let Some(anyone) = control.anyone() {
        return Ok(Live(Json(me(&app, &anyone, None).await)).into_response());
    }
    if let Some(Extension(From(ip))) = from {
        app.budgets
            .count(Counted::LogIn(Counted::at(ip)))
            .map_err(|(standing, wait)| ApiError::TooFast { standing, wait })?;
    }
    let life = limits::SESSION;
    let (who, session) = control.begin_session(key.expose(), life).await.map_err(door::denied)?;
    let secure = peer.is_some_and(|Extension(peer)| app.config.is_tls(&peer, &headers));
    let cookie = door::set_cookie(&session.cookie, life.as_secs(), secure);
    let answer = Live(Json(me(&app, &who, Some(session.csrf)).await));
    with_cookie(answer.into_response(), &cookie)
}

/// Ends the session.
///
/// This process refuses its cookie from now on; the browser forgets it.
#[utoipa::path(
    post,
    path = "/auth/logout",
    tag = "access",
    responses((status = 204, description = "There is no session any more"), Refused)
)]
pub async fn log_out(
    State(app): State<Arc<App>>,
    session: Option<Extension<control::Session>>,
) -> Result<Response, ApiError> {
    if let Some(Extension(session)) = session {
        app.ended.insert(session.nonce, ());
    }
    with_cookie(StatusCode::NO_CONTENT.into_response(), &door::set_cookie("", 0, false))
}

/// Who is here, and what that may.
#[utoipa::path(get, path = "/auth/me", tag = "access", responses((status = 200, body = Me), Refused))]
pub async fn who_is_here(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    who: Who,
    session: Option<Extension<control::Session>>,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    Ok(Live(Json(me(&app, &who.who, session.map(|Extension(s)| s.csrf)).await)))
}

/// How long the prefix is waited for: it is for people's eyes only.
const PREFIX: Duration = Duration::from_secs(1);

async fn me(app: &App, who: &Authenticated, csrf: Option<String>) -> Me {
    let actor = who.actor();
    let key = match (who.key(), app.control()) {
        (Some(id), Ok(control)) => {
            let key = tokio::time::timeout(PREFIX, control.key(who.tenant(), id)).await.ok().and_then(Result::ok);
            Some(MyKey {
                id: id.to_string(),
                prefix: key.map(|k| k.prefix),
                name: actor.name().to_owned(),
                expires_at: who.expires_at().map(|at| at.rfc3339()),
            })
        }
        _ => None,
    };
    Me {
        mode: match app.config.control.mode() {
            Mode::None => "none",
            Mode::Keys => "keys",
            Mode::Accounts => "accounts",
        },
        actor: MyActor { kind: actor.kind(), id: actor.id().to_owned(), name: actor.name().to_owned() },
        key,
        scopes: who.scopes().texts(),
        networks: who.tenant().reach().listed().into_iter().map(str::to_owned).collect(),
        csrf,
    }
}

fn with_cookie(mut answer: Response, cookie: &str) -> Result<Response, ApiError> {
    let cookie = HeaderValue::from_str(cookie).map_err(|_| ApiError::Internal)?;
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
