//! `POST /auth/sign-up`: an account, with an organisation of its own or in one that invited it.
//!
//! Guarantee: who may is `[auth] sign_up`'s word; roles, ids and the organisation of an invitation are never the body's. An attempt costs as much
//! as a login, and is counted with those.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use control::{Joining, Mode, NewPerson, Origin};
use runtime::config::{Secret, SignUp};
use utoipa::ToSchema;

use super::answer::{self, Tokens};
use crate::{
    app::App,
    body::{Body, Fields},
    door::{From, Peer, RequestId},
    error::ApiError,
    letters::Wish,
    routes::answer::{Changed, Refused},
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

/// Makes an account, and logs in.
#[utoipa::path(
    post,
    path = "/auth/sign-up",
    tag = "access",
    request_body = NewAccount,
    responses(
        (status = 200, description = "Logged in; `Set-Cookie` has the session", body = Tokens),
        (status = 403, description = "Not like that: see `/auth/ways`", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such invitation, or it is over", body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is an account of this address", body = crate::error::Problem, content_type = "application/problem+json"),
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
    let origin = Origin { ip, request_id: request_id.as_ref().map(|Extension(id)| &*id.0) };
    let new = NewPerson { email, name, password: Some(hash), verified: false, identity: None };
    let made = control.sign_up(origin, new, into).await.map_err(refused)?;
    if let Some(letters) = &app.letters {
        letters.wish(Wish::Verify { user: made.person.id });
    }
    let life = app.config.auth.session;
    let begun = control.begin_person_session(&made.person.id, Some(&made.organisation), life).await.map_err(refused)?;
    let secure = peer.is_some_and(|Extension(peer)| app.config.is_tls(&peer, &headers));
    answer::began(&app, &control, secure, &begun).await
}

/// What the operator lets come about.
fn joining(app: &App, organisation: Option<String>, invitation: Option<String>) -> Result<Joining, ApiError> {
    let closed = |problem| Err(ApiError::SignUpClosed { problem });
    if app.config.control.mode() != Mode::Accounts {
        return closed("there are no accounts here: `[auth] mode` is not \"accounts\"");
    }
    match (app.config.auth.sign_up, invitation) {
        (SignUp::Closed, _) => closed("nobody can sign up here: `[auth] sign_up` is \"closed\""),
        (SignUp::Open | SignUp::Invitation, Some(token)) => Ok(Joining::Invitation(token)),
        (SignUp::Invitation, None) => closed("only who was invited can sign up here: send the invitation"),
        (SignUp::Open, None) => Ok(Joining::Found(organisation.unwrap_or_default())),
    }
}
