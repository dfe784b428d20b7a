//! `GET /auth/identities`, `DELETE /auth/identities/{id}`: providers by which a person comes in.
//!
//! Guarantee: a person sees and takes away his own, a key none; taking one away wants the password, by which the person comes in afterwards, so
//! that it is never the last way.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use control::PersonSession;
use runtime::config::Secret;
use serde::Serialize;
use utoipa::ToSchema;

use super::person;
use crate::{
    app::App,
    body::{Fields, MaybeBody},
    door::{From, Who},
    error::ApiError,
    params::Params,
    routes::{
        answer::{Changed, Live, Refused},
        things::Missing,
    },
};

const WHAT: &str = "identity";

/// Identities of a person.
#[derive(Serialize, ToSchema)]
pub struct Identities {
    /// All of them.
    items: Vec<IdentityItem>,
    /// There is one page.
    next: Option<String>,
}

/// Who a person is at a provider.
#[derive(Serialize, ToSchema)]
pub struct IdentityItem {
    /// Ours.
    id: String,
    /// The provider's id in `/auth/ways`; null of one that is configured no more, by which nobody comes in.
    provider: Option<String>,
    /// What people call the provider.
    name: Option<String>,
    /// The provider's issuer.
    issuer: String,
    /// What the provider calls the person.
    subject: String,
    /// Since when the person comes in by it.
    #[schema(format = DateTime)]
    created_at: String,
}

/// What is sent to take one away.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct Unlink {
    /// The account's password.
    #[schema(max_length = 512)]
    password: String,
}

/// The identities at providers by which the person comes in.
#[utoipa::path(get, path = "/auth/identities", tag = "access", responses((status = 200, body = Identities), Refused))]
pub async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    who: Who,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let user = person(&who.who)?;
    let identities = app.control()?.identities_of(user).await.map_err(|e| ApiError::of_control(e, "account"))?;
    let items = identities.into_iter().map(|identity| {
        let provider = app.config.auth.providers.iter().find(|provider| provider.issuer == identity.issuer);
        IdentityItem {
            id: identity.id,
            provider: provider.map(|provider| provider.id.clone()),
            name: provider.map(|provider| provider.name.clone()),
            issuer: identity.issuer,
            subject: identity.subject,
            created_at: identity.created_at.rfc3339(),
        }
    });
    Ok(Live(Json(Identities { items: items.collect(), next: None })))
}

/// Takes an identity away, and ends the other sessions of the person.
#[utoipa::path(
    delete,
    path = "/auth/identities/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The identity's id")),
    request_body = Unlink,
    responses((status = 204, description = "Nobody comes in by it any more"), Missing, Changed, Refused)
)]
pub async fn unlink(
    State(app): State<Arc<App>>,
    who: Who,
    session: Option<Extension<PersonSession>>,
    from: Option<Extension<From>>,
    Path(id): Path<String>,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    let user = person(&who.who)?;
    let Some(Extension(session)) = session else { return Err(ApiError::NoPerson) };
    let control = app.control()?;
    let refused = |e| ApiError::of_control(e, WHAT);
    // What is not his is not there, whatever else is sent.
    if !control.identities_of(user).await.map_err(refused)?.iter().any(|identity| identity.id == id) {
        return Err(ApiError::NotHere { what: WHAT });
    }
    let mut fields = body.fields()?;
    let password = Secret::new(fields.required("password", Fields::text).unwrap_or_default());
    fields.finish()?;
    super::count(&app, from)?;
    control.unlink_identity(who.caller(), &session, &id, &password).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
