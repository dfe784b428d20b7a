//! What whoever came in gets: a cookie for the page, tokens for programs.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use control::{Begun, Control};
use schemas::TimeMs;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, door, error::ApiError, routes::answer::Live};

/// Tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// For `Authorization: Bearer`: a JWT (RFC 9068), signed by a key of `/.well-known/jwks.json`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// Gets the next ones at `POST /auth/refresh`, once.
    refresh_token: String,
    /// What changes by the cookie say in `X-Headwater-Csrf`.
    csrf: Option<String>,
    /// The organisation that they are for.
    organisation: String,
}

/// The tokens of a session.
pub async fn tokens(app: &App, control: &Control, begun: &Begun) -> Result<Tokens, ApiError> {
    let life = app.config.auth.access_token;
    let token = control.access_token(&begun.who, &begun.session, life).await;
    let token = token.map_err(|e| ApiError::of_control(e, "session"))?;
    Ok(Tokens {
        access_token: token.text.expose().to_owned(),
        token_type: "Bearer",
        expires_in: token.expires_in.as_secs(),
        refresh_token: begun.refresh_token.expose().to_owned(),
        csrf: begun.session.csrf.clone(),
        organisation: begun.who.tenant().id().to_string(),
    })
}

/// Answers with tokens, and sets the cookie; `secure`: the client speaks TLS.
pub async fn began(app: &App, control: &Control, secure: bool, begun: &Begun) -> Result<Response, ApiError> {
    let answer = Live(Json(tokens(app, control, begun).await?)).into_response();
    with_cookie(answer, &cookie(begun, secure))
}

/// `Set-Cookie` of a session that was begun.
pub fn cookie(begun: &Begun, secure: bool) -> String {
    let seconds = (begun.session.ends.0 - TimeMs::now().0).max(0) / 1_000;
    door::set_cookie(begun.cookie.expose(), seconds.unsigned_abs(), secure)
}

/// Adds a cookie to an answer that nobody may keep.
pub fn with_cookie(mut answer: Response, cookie: &str) -> Result<Response, ApiError> {
    let cookie = HeaderValue::from_str(cookie).map_err(|_| ApiError::Internal)?;
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
