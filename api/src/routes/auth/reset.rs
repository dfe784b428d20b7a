//! `/auth/reset`, `/auth/verify`: what letters are for.
//!
//! Guarantee: whoever asks for a letter is told nothing of whether there is an account: the answer is the same, and is given before anybody
//! has looked. Links are of `[api] public_url`, whatever a request says of its host. A link that shows an address wants its person logged in: by a
//! click nobody proves the address of an account that another made.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use runtime::config::Secret;
use schemas::limits::accounts;
use utoipa::ToSchema;

use super::person;
use crate::{
    app::App,
    body::{Body, Fields, MaybeBody},
    door::{From, RequestId, Who},
    error::ApiError,
    letters::{Letters, Wish},
    routes::answer::{Changed, Live, Refused},
};

/// What is sent for a letter.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct AskReset {
    /// The account's address.
    #[schema(max_length = 254)]
    email: String,
}

/// What is sent to set a new password.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct Reset {
    /// What the link has.
    #[schema(max_length = 64)]
    token: String,
    /// The new password, 10 to 128 characters.
    #[schema(min_length = 10, max_length = 128)]
    password: String,
}

/// What is sent to show an address to be one's own.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct Verify {
    /// What the link has.
    #[schema(max_length = 256)]
    token: String,
}

/// Where no mail server is configured there are no letters.
fn letters(app: &App) -> Result<&Letters, ApiError> {
    app.letters.as_ref().ok_or(ApiError::NotHere { what: "mail server" })
}

/// Asks for a link to set a new password.
///
/// It is sent to the address if there is an account of it; the answer does not tell.
#[utoipa::path(
    post,
    path = "/auth/reset",
    tag = "access",
    request_body = AskReset,
    responses(
        (status = 202, description = "If there is an account of this address, a letter is on its way"),
        (status = 404, description = "No mail server is configured", body = crate::error::Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn ask(State(app): State<Arc<App>>, from: Option<Extension<From>>, body: Body) -> Result<Response, ApiError> {
    let mut fields = body.fields()?;
    let email = fields.required("email", Fields::text).unwrap_or_default();
    if email.chars().count() > accounts::EMAIL_CHARACTERS {
        fields.mistake("email", "is too long for an address", "write the address of your account");
    }
    fields.finish()?;
    let letters = letters(&app)?;
    super::count(&app, from)?;
    letters.wish(Wish::Reset { email });
    Ok(Live(StatusCode::ACCEPTED).into_response())
}

/// Sets a new password by the link of a letter, and ends every session of the account.
///
/// Where the address was never proven before, all that was set until then ends with it: the second factor, identities at providers, keys and
/// invitations of that person.
#[utoipa::path(
    post,
    path = "/auth/reset/confirm",
    tag = "access",
    request_body = Reset,
    responses((status = 204, description = "It holds from now on"), Changed, Refused)
)]
pub async fn confirm(
    State(app): State<Arc<App>>,
    from: Option<Extension<From>>,
    request_id: Option<Extension<RequestId>>,
    body: Body,
) -> Result<Response, ApiError> {
    let mut fields = body.fields()?;
    let token = fields.required("token", Fields::text).unwrap_or_default();
    let password = Secret::new(fields.required("password", Fields::text).unwrap_or_default());
    fields.finish()?;
    let ip = super::count(&app, from)?;
    let origin = super::origin(ip, request_id.as_ref());
    let done = app.control()?.finish_reset(origin, &token, &password).await;
    done.map_err(|e| ApiError::of_control(e, "account"))?;
    Ok(Live(StatusCode::NO_CONTENT).into_response())
}

/// Asks for a link that shows the account's address to be one's own.
#[utoipa::path(
    post,
    path = "/auth/verify/send",
    tag = "access",
    responses(
        (status = 202, description = "A letter is on its way"),
        (status = 404, description = "No mail server is configured", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn send(
    State(app): State<Arc<App>>,
    who: Who,
    from: Option<Extension<From>>,
    body: MaybeBody,
) -> Result<Response, ApiError> {
    let user = *person(&who.who)?;
    body.0.fields()?.finish()?;
    let letters = letters(&app)?;
    super::count(&app, from)?;
    letters.wish(Wish::Verify { user });
    Ok(Live(StatusCode::ACCEPTED).into_response())
}

/// Shows an address to be one's own, by the link of a letter, which is good for the person who is logged in.
#[utoipa::path(
    post,
    path = "/auth/verify",
    tag = "access",
    request_body = Verify,
    responses((status = 204, description = "It is known to be yours"), Changed, Refused)
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    who: Who,
    from: Option<Extension<From>>,
    body: Body,
) -> Result<Response, ApiError> {
    person(&who.who)?;
    let mut fields = body.fields()?;
    let token = fields.required("token", Fields::text).unwrap_or_default();
    fields.finish()?;
    super::count(&app, from)?;
    let done = app.control()?.finish_verification(&who.who, &token).await;
    done.map_err(|e| ApiError::of_control(e, "account"))?;
    Ok(Live(StatusCode::NO_CONTENT).into_response())
}
