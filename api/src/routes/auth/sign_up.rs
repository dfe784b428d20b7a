//! `POST /auth/sign-up`: an account, with an organisation of its own or in one that invited it.
//!
//! Guarantee: who may is `[auth] sign_up`'s word; roles, ids and the organisation of an invitation are never the body's. An attempt costs as much
//! as a login, and is counted with those. Where letters are sent (`[auth.mail]`), it is answered the same, before anybody has looked, whether or not
//! there is an account of the address, and the rest is in a letter to it: the link that makes the account, or that somebody tried. Without letters it
//! is told (409): there is no other way to tell the owner.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use control::{Control, Joining, Mode, NewPerson, SignedUp};
use runtime::config::{Secret, SignUp};
use utoipa::ToSchema;

use super::answer::{self, Tokens};
use crate::{
    app::App,
    body::{Body, Fields},
    door::{From, Peer, RequestId},
    error::ApiError,
    letters::Wish,
    routes::answer::{Changed, Live, Refused},
};

/// What is sent for an account.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct NewAccount {
    /// The address.
    #[schema(max_length = 254)]
    email: String,
    /// The password, 10 to 128 characters.
    #[schema(min_length = 10, max_length = 128)]
    password: String,
    /// What the person is called; left out: what stands before the `@`.
    #[schema(max_length = 100)]
    name: Option<String>,
    /// What the person's organisation is called; with an invitation it is left out.
    #[schema(max_length = 100)]
    organisation: Option<String>,
    /// The invitation into an organisation.
    #[schema(max_length = 256)]
    invitation: Option<String>,
}

/// What is sent to make the account of a letter's link.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct ConfirmAccount {
    /// What the link has.
    #[schema(max_length = 4096)]
    token: String,
    /// The password that was chosen.
    #[schema(max_length = 512)]
    password: String,
}

/// Makes an account, and logs in; where a mail server is configured, sends a letter whose link does.
///
/// With a mail server the answer is 202 whether or not there is an account of the address: whoever has it is told by the letter.
#[utoipa::path(
    post,
    path = "/auth/sign-up",
    tag = "access",
    request_body = NewAccount,
    responses(
        (status = 200, description = "Logged in; `Set-Cookie` has the session", body = Tokens),
        (status = 202, description = "A letter is on its way to the address; its link leads to `/auth/sign-up/confirm`"),
        (status = 403, description = "Not like that: see `/auth/ways`", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such invitation, or it is over", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is an account of this address; where a mail server is configured, it is not told", body = crate::error::Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn sign_up(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    from: Option<Extension<From>>,
    request_id: Option<Extension<RequestId>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let mut fields = body.fields()?;
    let email = fields.required("email", Fields::text).unwrap_or_default();
    let password = Secret::new(fields.required("password", Fields::text).unwrap_or_default());
    let name = fields.text("name");
    let (organisation, invitation) = (fields.text("organisation"), fields.text("invitation"));
    if organisation.is_some() && invitation.is_some() {
        fields.mistake("organisation", "stands beside an invitation", "leave one of the two out");
    }
    if organisation.is_none() && invitation.is_none() {
        fields.mistake(
            "organisation",
            "is missing",
            "write what your organisation is called, or the invitation into one",
        );
    }
    let mut mistakes = Vec::new();
    control::email("email", &email, &mut mistakes);
    for mistake in mistakes {
        fields.mistake(mistake.path, mistake.problem, mistake.cure);
    }
    fields.finish()?;
    let into = joining(&app, organisation, invitation)?;
    let ip = super::count(&app, from)?;
    let control = app.control()?;
    let refused = |e| ApiError::of_control(e, "invitation");
    // Before a password is hashed: that is for whom it may be of use.
    if let Joining::Invitation(token) = &into {
        control.check_invitation(&email, token).await.map_err(refused)?;
    }
    let hash = control.hash_password(&password, &[&email]).await.map_err(refused)?;
    let name = name.unwrap_or_default();
    let origin = super::origin(ip, request_id.as_ref());
    let new = NewPerson { email, name, password: Some(hash), verified: false, identity: None };
    if let Some(letters) = &app.letters {
        let mistakes = new.mistakes(&into);
        if !mistakes.is_empty() {
            return Err(ApiError::InvalidBody { mistakes });
        }
        control.count_sign_up(ip).await.map_err(refused)?;
        letters.wish(Wish::SignUp { new, into });
        return Ok(Live(StatusCode::ACCEPTED).into_response());
    }
    let made = control.sign_up(origin, new, into).await.map_err(refused)?;
    let secure = super::is_tls(&app, peer, &headers);
    in_at_once(&app, &control, secure, &made).await
}

/// Makes the account of a letter's link, and logs in.
#[utoipa::path(
    post,
    path = "/auth/sign-up/confirm",
    tag = "access",
    request_body = ConfirmAccount,
    responses(
        (status = 200, description = "Logged in; `Set-Cookie` has the session", body = Tokens),
        (status = 403, description = "Nobody signs up here, or only who was invited", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 404, description = "The invitation is over", body = crate::error::Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn confirm(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    from: Option<Extension<From>>,
    request_id: Option<Extension<RequestId>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let mut fields = body.fields()?;
    let token = fields.required("token", Fields::text).unwrap_or_default();
    let password = Secret::new(fields.required("password", Fields::text).unwrap_or_default());
    fields.finish()?;
    is_open(&app)?;
    let ip = super::count(&app, from)?;
    let control = app.control()?;
    // It is good for two days, and the operator may have shut that since.
    if control.founds_by_letter(&token) {
        may_found(&app)?;
    }
    let origin = super::origin(ip, request_id.as_ref());
    let made = control.finish_sign_up_by_letter(origin, &token, &password).await;
    let made = made.map_err(|e| ApiError::of_control(e, "invitation"))?;
    let secure = super::is_tls(&app, peer, &headers);
    in_at_once(&app, &control, secure, &made).await
}

/// Whoever signed up is logged in.
async fn in_at_once(app: &App, control: &Control, secure: bool, made: &SignedUp) -> Result<Response, ApiError> {
    let life = app.config.auth.session;
    let begun = control.begin_person_session(&made.person.id, Some(&made.organisation), life).await;
    let begun = begun.map_err(|e| ApiError::of_control(e, "invitation"))?;
    answer::began(app, control, secure, &begun).await
}

fn closed(problem: &'static str) -> Result<(), ApiError> {
    Err(ApiError::SignUpClosed { problem })
}

/// Whether anybody signs up here at all.
fn is_open(app: &App) -> Result<(), ApiError> {
    if app.config.control.mode() != Mode::Accounts {
        return closed("there are no accounts here: `[auth] mode` is not \"accounts\"");
    }
    match app.config.auth.sign_up {
        SignUp::Closed => closed("nobody can sign up here: `[auth] sign_up` is \"closed\""),
        SignUp::Open | SignUp::Invitation => Ok(()),
    }
}

/// What the operator lets come about.
fn joining(app: &App, organisation: Option<String>, invitation: Option<String>) -> Result<Joining, ApiError> {
    is_open(app)?;
    match invitation {
        Some(token) => Ok(Joining::Invitation(token)),
        None => may_found(app).map(|()| Joining::Found(organisation.unwrap_or_default())),
    }
}

/// Whether who has no invitation founds an organisation here.
fn may_found(app: &App) -> Result<(), ApiError> {
    match app.config.auth.sign_up {
        SignUp::Open => Ok(()),
        SignUp::Invitation | SignUp::Closed => closed("only who was invited can sign up here: send the invitation"),
    }
}
