//! `/organisations`: those that somebody is in, what they are called, and whose they are.
//!
//! Guarantee: an organisation that is not the caller's is not there. Roles, plans and networks are no field of a body here.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use control::{Error, Id, Membership, OrganisationPatch, Role};
use utoipa::ToSchema;

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, Stale, Versionless, path_id},
};
use crate::{
    app::App,
    body::{Body, Fields},
    conditional,
    door::Who,
    error::ApiError,
    items::{MemberItem, OrganisationItem, Page},
    params::Params,
};

const WHAT: &str = "organisation";

/// An organisation that is to be founded.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct NewOrganisationBody {
    /// What it is called, 1 to 100 characters.
    name: String,
}

/// What is to change of an organisation; what is left out stays.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct OrganisationPatchBody {
    /// What it is called.
    name: Option<String>,
}

/// Who is to be owner.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct TransferBody {
    /// The member's id.
    member: String,
}

/// An invitation.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct AcceptBody {
    /// As it came.
    invitation: String,
}

/// The organisations that you are in, by age, those included that are suspended; of a key, its own.
#[utoipa::path(
    get,
    path = "/organisations",
    tag = "access",
    responses((status = 200, body = Page<OrganisationItem>), Refused)
)]
pub async fn organisations(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let control = app.control()?;
    let items = match who.who.user() {
        Some(user) => {
            let mine = control.organisations_of(user).await.map_err(refused)?;
            mine.into_iter().map(OrganisationItem::from).collect()
        }
        None => vec![own(&app, &who).await?],
    };
    Ok(Live(Json(Page { items, next: None, note: None })))
}

/// Founds an organisation, and makes you its owner. Sessions go into it by `POST /auth/switch`.
#[utoipa::path(
    post,
    path = "/organisations",
    tag = "access",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same for a request that is sent again")),
    request_body = NewOrganisationBody,
    responses((status = 201, body = OrganisationItem, headers(("ETag" = String), ("Location" = String))), Changed, Refused)
)]
pub async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let once = conditional::once(&headers)?;
    let mut fields = body.fields()?;
    let name = fields.required("name", Fields::text).unwrap_or_default();
    fields.finish()?;
    let founded = app.control()?.found_organisation(who.caller(), &name, once.as_ref()).await.map_err(refused)?;
    let item = OrganisationItem::of(founded.organisation, Some(Role::Owner));
    Ok(conditional::made(item.version, format!("/api/v1/organisations/{}", item.id), item))
}

/// One organisation that you are in.
#[utoipa::path(
    get,
    path = "/organisations/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 200, body = OrganisationItem, headers(("ETag" = String))), Missing, Refused)
)]
pub async fn organisation(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let item = match who.who.user() {
        Some(user) => mine(&app, user, &id).await?.into(),
        None if id == *who.tenant().id() => own(&app, &who).await?,
        None => return Err(ApiError::NotHere { what: WHAT }),
    };
    Ok(conditional::shown(item.version, item))
}

/// Changes the organisation that you are working in.
#[utoipa::path(
    patch,
    path = "/organisations/{id}",
    tag = "access",
    params(
        ("id" = String, Path, description = "The organisation's id"),
        ("If-Match" = String, Header, description = "The `ETag` of what was read"),
    ),
    request_body = OrganisationPatchBody,
    responses(
        (status = 200, body = OrganisationItem, headers(("ETag" = String))),
        Missing,
        Stale,
        Versionless,
        Changed,
        Refused
    )
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    its_own(&who, &id)?;
    let expected = conditional::must_match(&headers)?;
    let mut fields = body.fields()?;
    let patch = OrganisationPatch { name: fields.text("name") };
    let elsewhere = "an operator of the platform changes it: PATCH /api/v1/platform/organisations/{id}";
    fields.fixed("plan", elsewhere);
    fields.fixed("networks", elsewhere);
    fields.finish()?;
    let changed = app.control()?.patch_organisation(who.caller(), &expected, patch).await.map_err(refused)?;
    Ok(conditional::shown(changed.version, OrganisationItem::of(changed, who.who.role())))
}

/// Makes another member owner, and you, an owner, admin.
#[utoipa::path(
    post,
    path = "/organisations/{id}/transfer",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id")),
    request_body = TransferBody,
    responses((status = 200, body = MemberItem), Missing, Changed, Refused)
)]
pub async fn transfer(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    its_own(&who, &id)?;
    let mut fields = body.fields()?;
    let member = fields.required("member", Fields::text).unwrap_or_default();
    fields.finish()?;
    let heir = app.control()?.transfer(who.caller(), &path_id(&member, "member")?).await;
    let heir = heir.map_err(|error| ApiError::of_control(error, "member"))?;
    Ok(conditional::shown(heir.version, MemberItem::from(heir)))
}

/// Takes you into the organisation that invited you.
#[utoipa::path(
    post,
    path = "/auth/accept",
    tag = "access",
    request_body = AcceptBody,
    responses((status = 200, body = OrganisationItem, headers(("ETag" = String))), Missing, Changed, Refused)
)]
pub async fn accept(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    who.who.user().ok_or(ApiError::NoPerson)?;
    let mut fields = body.fields()?;
    let invitation = fields.required("invitation", Fields::text).unwrap_or_default();
    fields.finish()?;
    let joined = app.control()?.accept_invitation(who.caller(), &invitation).await;
    let item = OrganisationItem::from(joined.map_err(|error| ApiError::of_control(error, "invitation"))?);
    Ok(conditional::shown(item.version, item))
}

/// What a path names has to be the organisation that the caller works in.
pub fn its_own(who: &Who, id: &str) -> Result<(), ApiError> {
    match path_id(id, WHAT)? == *who.tenant().id() {
        true => Ok(()),
        false => Err(ApiError::NotHere { what: WHAT }),
    }
}

async fn own(app: &App, who: &Who) -> Result<OrganisationItem, ApiError> {
    let info = app.control()?.organisation(who.tenant()).await.map_err(refused)?;
    Ok(OrganisationItem::of(info, who.who.role()))
}

async fn mine(app: &App, user: &Id, id: &Id) -> Result<Membership, ApiError> {
    let mine = app.control()?.organisations_of(user).await.map_err(refused)?;
    mine.into_iter().find(|one| one.organisation.id == *id).ok_or(ApiError::NotHere { what: WHAT })
}

fn refused(error: Error) -> ApiError {
    ApiError::of_control(error, WHAT)
}
