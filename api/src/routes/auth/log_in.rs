//! `POST /auth/login`: with a key, or with e-mail address and password.
//!
//! Guarantee: a key is given once, and a cookie comes back that names it and is none ([`control::Session`]). Of an account it is told only
//! whether address and password together are right.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use control::{Mode, SignIn};
use runtime::config::Secret;
use schemas::limits;
use utoipa::ToSchema;

use super::{
    answer::{self, Tokens, with_cookie},
    me::{Me, me},
};
use crate::{
    app::App,
    body::{Body, Fields},
    door::{self, From, Peer, RequestId},
    error::ApiError,
    routes::answer::{Live, Refused},
};

/// What is sent to log in: a key, or (with `mode = "accounts"`) e-mail address and password.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct LogIn {
    /// The key, whole.
    #[schema(max_length = 64, example = "hw_…")]
    key: Option<String>,
    /// The address of the account.
    #[schema(max_length = 254)]
    email: Option<String>,
    /// Its password.
    #[schema(max_length = 512)]
    password: Option<String>,
    /// The code of its authenticator, or a recovery code, where it has a second factor.
    #[schema(max_length = 64)]
    code: Option<String>,
    /// An invitation that is accepted besides: whoever is in no organisation comes in by it.
    #[schema(max_length = 256)]
    invitation: Option<String>,
}

/// What comes back.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "documentation")]
pub enum LoggedIn {
    /// With a key.
    Key(Box<Me>),
    /// With an account.
    Account(Tokens),
}

/// Begins a session with a key, or with e-mail address and password.
///
/// Where everybody is let in there is nothing to log in to, and the answer is the same without a cookie. An account that has a second factor
/// is asked for a code by a problem of its own (`/problems/code-required`), which only who knows the password sees.
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = "access",
    request_body = LogIn,
    responses(
        (status = 200, description = "Logged in; `Set-Cookie` has the session", body = LoggedIn),
        (status = 401, description = "Not good, or a code is wanted", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 403, description = "The account is in no organisation", body = crate::error::Problem, content_type = "application/problem+json"),
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
    request_id: Option<Extension<RequestId>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let accounts = app.config.control.mode() == Mode::Accounts;
    let mut fields = body.fields()?;
    let key = fields.value("key");
    let with_key = key.is_some() || !accounts;
    let read = match with_key {
        true => {
            let key = match key {
                Some(serde_json::Value::String(text)) => Some(text),
                Some(_) => {
                    fields.mistake("key", "is no text", "write the key in quotes");
                    None
                }
                None => fields.required("key", Fields::text),
            };
            (key, None, None, None)
        }
        false => {
            let email = fields.required("email", Fields::text);
            let password = fields.required("password", Fields::text);
            (email, password, fields.text("code"), fields.text("invitation"))
        }
    };
    fields.finish()?;
    let control = app.control()?;
    if let Some(anyone) = control.anyone() {
        return Ok(Live(Json(me(&app, &anyone, None).await)).into_response());
    }
    let ip = super::count(&app, from)?;
    let secure = super::is_tls(&app, peer, &headers);
    let (first, password, code, invitation) = read;
    let (first, password) = (first.unwrap_or_default(), Secret::new(password.unwrap_or_default()));
    if with_key {
        let life = limits::SESSION;
        let (who, session) = control.begin_session(&first, life).await.map_err(door::denied)?;
        let cookie = door::set_cookie(&session.cookie, life.as_secs(), secure);
        let answer = Live(Json(me(&app, &who, Some(session.csrf)).await));
        return with_cookie(answer.into_response(), &cookie);
    }
    let refused = |e| ApiError::of_control(e, "account");
    let with = SignIn { email: &first, password: &password, code: code.as_deref(), ip };
    let who = control.sign_in(with).await.map_err(refused)?;
    let joined = match invitation {
        Some(token) => {
            let origin = super::origin(ip, request_id.as_ref());
            let accepted = control.accept_coming_in(origin, &who.user, &token).await;
            Some(accepted.map_err(|e| ApiError::of_control(e, "invitation"))?.organisation.id)
        }
        None => None,
    };
    let life = app.config.auth.session;
    let begun = control.begin_signed_in(&who, joined.as_ref(), life).await.map_err(refused)?;
    answer::began(&app, &control, secure, &begun).await
}
