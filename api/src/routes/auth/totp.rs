//! `/auth/totp`: the second factor of whoever is here.
//!
//! Guarantee: nothing is set before the authenticator has shown a code, nothing lifted without one, and a key does neither. What is secret in
//! the answers is told once, and may be kept by nobody on the way.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use runtime::config::Secret;
use serde::Serialize;
use utoipa::ToSchema;

use super::person;
use crate::{
    app::App,
    body::{Body, Fields},
    door::{From, Who},
    error::ApiError,
    routes::answer::{Changed, Live, Refused},
};

/// What is sent to begin.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct BeginFactor {
    /// The account's password.
    #[schema(max_length = 512)]
    password: String,
}

/// What an authenticator is told.
#[derive(Serialize, ToSchema)]
pub struct Factor {
    /// The secret in base 32, to be typed.
    secret: String,
    /// The same as an `otpauth:` address, to be shown as a picture.
    uri: String,
    /// To be sent back as it is with the first code, within ten minutes.
    enrolment: String,
}

/// What is sent to set it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct SetFactor {
    /// As it came.
    #[schema(max_length = 1024)]
    enrolment: String,
    /// What the authenticator shows.
    #[schema(max_length = 16)]
    code: String,
}

/// What is to be written down.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each is good once, in the place of a code.
    recovery_codes: Vec<String>,
}

/// What is sent to lift it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct LiftFactor {
    /// What the authenticator shows, or a code that was written down.
    #[schema(max_length = 64)]
    code: String,
}

/// Begins a second factor: what an authenticator has to be told.
///
/// Nothing is kept before `POST /auth/totp/confirm`.
#[utoipa::path(
    post,
    path = "/auth/totp",
    tag = "access",
    request_body = BeginFactor,
    responses((status = 200, body = Factor), Changed, Refused)
)]
pub async fn begin(
    State(app): State<Arc<App>>,
    who: Who,
    from: Option<Extension<From>>,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    person(&who.who)?;
    let mut fields = body.fields()?;
    let password = Secret::new(fields.required("password", Fields::text).unwrap_or_default());
    fields.finish()?;
    super::count(&app, from)?;
    let begun = app.control()?.begin_second_factor(who.caller(), &password).await;
    let begun = begun.map_err(|e| ApiError::of_control(e, "account"))?;
    Ok(Live(Json(Factor {
        secret: begun.secret.expose().to_owned(),
        uri: begun.uri.expose().to_owned(),
        enrolment: begun.sealed.expose().to_owned(),
    })))
}

/// Sets the second factor: from now on logging in by password wants a code.
#[utoipa::path(
    post,
    path = "/auth/totp/confirm",
    tag = "access",
    request_body = SetFactor,
    responses((status = 200, description = "It is set; the codes are told this once", body = RecoveryCodes), Changed, Refused)
)]
pub async fn set(
    State(app): State<Arc<App>>,
    who: Who,
    from: Option<Extension<From>>,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    person(&who.who)?;
    let mut fields = body.fields()?;
    let enrolment = fields.required("enrolment", Fields::text).unwrap_or_default();
    let code = fields.required("code", Fields::text).unwrap_or_default();
    fields.finish()?;
    super::count(&app, from)?;
    let codes = app.control()?.set_second_factor(who.caller(), &enrolment, &code).await;
    let codes = codes.map_err(|e| ApiError::of_control(e, "account"))?;
    let recovery_codes = codes.iter().map(|code| code.expose().to_owned()).collect();
    Ok(Live(Json(RecoveryCodes { recovery_codes })))
}

/// Lifts the second factor.
#[utoipa::path(
    delete,
    path = "/auth/totp",
    tag = "access",
    request_body = LiftFactor,
    responses(
        (status = 204, description = "Logging in wants the password alone"),
        (status = 404, description = "There is none", body = crate::error::Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn lift(
    State(app): State<Arc<App>>,
    who: Who,
    from: Option<Extension<From>>,
    body: Body,
) -> Result<Response, ApiError> {
    person(&who.who)?;
    let mut fields = body.fields()?;
    let code = fields.required("code", Fields::text).unwrap_or_default();
    fields.finish()?;
    super::count(&app, from)?;
    let lifted = app.control()?.lift_second_factor(who.caller(), &code).await;
    lifted.map_err(|e| ApiError::of_control(e, "second factor"))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
