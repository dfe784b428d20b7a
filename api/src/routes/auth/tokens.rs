//! `POST /auth/refresh`, `POST /auth/switch`, `GET /.well-known/jwks.json`: tokens that follow, and what they are checked with.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use control::PersonSession;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    answer::{self, Tokens, tokens},
    person,
};
use crate::{
    app::App,
    body::{Body, Fields},
    door::{self, Peer, Who},
    error::ApiError,
    params::Params,
    routes::{
        answer::{Changed, Live, Refused},
        things::{Missing, path_id},
    },
};

/// What is sent for the next tokens.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct Refresh {
    /// The refresh token, whole.
    #[schema(max_length = 256, example = "hwr_…")]
    refresh_token: String,
}

/// What is sent to work in another organisation.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct Switch {
    /// Its id.
    organisation: String,
}

/// Gives the next access and refresh tokens for a refresh token, which is good no more.
///
/// The one before is answered the same again for ten seconds, for two tabs at once; an older one ends the session.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    tag = "access",
    request_body = Refresh,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "Not good (any more), or its session is over", body = crate::error::Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn refresh(State(app): State<Arc<App>>, body: Body) -> Result<Response, ApiError> {
    let mut fields = body.fields()?;
    let token = fields.required("refresh_token", Fields::text);
    fields.finish()?;
    let control = app.control()?;
    let begun = control.refresh_person(&token.unwrap_or_default()).await.map_err(door::denied)?;
    Ok(Live(Json(tokens(&app, &control, &begun).await?)).into_response())
}

/// Begins a session in another organisation of the person.
///
/// The session of a cookie ends with it, and its `csrf` too: a page that still shows the former organisation changes nothing in this one.
/// One of an access token goes on. The new one ends when the former would have.
#[utoipa::path(
    post,
    path = "/auth/switch",
    tag = "access",
    request_body = Switch,
    responses((status = 200, description = "`Set-Cookie` has the session", body = Tokens), Missing, Changed, Refused)
)]
pub async fn switch(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    who: Who,
    session: Option<Extension<PersonSession>>,
    body: Body,
) -> Result<Response, ApiError> {
    let user = person(&who.who)?;
    let mut fields = body.fields()?;
    let organisation = fields.required("organisation", Fields::text);
    fields.finish()?;
    let organisation = path_id(&organisation.unwrap_or_default(), "organisation")?;
    let control = app.control()?;
    let refused = |e| ApiError::of_control(e, "organisation");
    let Some(Extension(former)) = session else { return Err(ApiError::NoPerson) };
    let begun = control.switch_person_session(user, &former, &organisation).await.map_err(refused)?;
    match former.csrf.is_some() {
        true => {
            control.end_person_session(&former).await.map_err(refused)?;
            let secure = super::is_tls(&app, peer, &headers);
            answer::began(&app, &control, secure, &begun).await
        }
        false => Ok(Live(Json(tokens(&app, &control, &begun).await?)).into_response()),
    }
}

/// How long others may keep the keys: a token that names a key which they do not know is a reason to ask again.
const KEPT: &str = "public, max-age=300";

/// The keys that access tokens are checked with (RFC 7517).
pub async fn jwks(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let keys = match app.config.control.mode() {
        control::Mode::Accounts => app.control()?.public_keys().await.map_err(|e| ApiError::of_control(e, "key"))?,
        control::Mode::None | control::Mode::Keys => Vec::new(),
    };
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            let x = BASE64_URL_SAFE_NO_PAD.encode(key.public);
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": x})
        })
        .collect();
    Ok(([(header::CACHE_CONTROL, KEPT)], Json(json!({ "keys": keys }))).into_response())
}
