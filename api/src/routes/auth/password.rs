//! `POST /auth/password`: another password for whoever is here.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use control::PersonSession;
use runtime::config::Secret;
use utoipa::ToSchema;

use super::person;
use crate::{
    app::App,
    body::{Body, Fields},
    door::{From, Who},
    error::ApiError,
    routes::answer::{Changed, Refused},
};

/// What is sent for another password.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct NewPassword {
    /// The present one.
    #[schema(max_length = 512)]
    password: String,
    /// The other, 10 to 128 characters.
    #[schema(min_length = 10, max_length = 128)]
    new: String,
}

/// Gives the account another password, and ends its other sessions.
#[utoipa::path(
    post,
    path = "/auth/password",
    tag = "access",
    request_body = NewPassword,
    responses((status = 204, description = "It holds from now on"), Changed, Refused)
)]
pub async fn change(
    State(app): State<Arc<App>>,
    who: Who,
    session: Option<Extension<PersonSession>>,
    from: Option<Extension<From>>,
    body: Body,
) -> Result<Response, ApiError> {
    person(&who.who)?;
    let Some(Extension(session)) = session else { return Err(ApiError::NoPerson) };
    let mut fields = body.fields()?;
    let (present, new) = (fields.required("password", Fields::text), fields.required("new", Fields::text));
    fields.finish()?;
    super::count(&app, from)?;
    let (present, new) = (Secret::new(present.unwrap_or_default()), Secret::new(new.unwrap_or_default()));
    let changed = app.control()?.change_password(who.caller(), &session, &present, &new).await;
    changed.map_err(|e| ApiError::of_control(e, "account"))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
