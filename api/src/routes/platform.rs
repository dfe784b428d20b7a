//! `/platform/organisations`, `/organisations/{id}/suspend` and `/resume`: what operators of the platform see of organisations, and do to
//! them.
//!
//! Guarantee: they see that there is one, what it is called and what it may use; nothing that is in it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use control::{Error, Id, Networks};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, paging, path_id, unknown_network},
};
use crate::{
    app::App,
    body::{Body, MaybeBody},
    conditional, cursor,
    door::Who,
    error::ApiError,
    items::{Page, PlatformOrganisationItem},
    params::Params,
};

const WHAT: &str = "organisation";
const LIST: &str = "platform-organisations";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What is to change of an organisation; what is left out stays.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct PlatformPatchBody {
    /// The plan: `default`, or one of `[plans.NAME]` in the configuration.
    plan: Option<String>,
    /// The networks that it is entitled to; empty: all.
    networks: Option<Vec<String>>,
}

/// Why an organisation is suspended.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct SuspendBody {
    /// For its people, at most 500 characters.
    reason: Option<String>,
}

/// All organisations, by age.
#[utoipa::path(
    get,
    path = "/platform/organisations",
    tag = "access",
    params(Query),
    responses((status = 200, body = Page<PlatformOrganisationItem>), Refused)
)]
pub async fn organisations(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["limit", "cursor"])?;
    let page = app.control()?.organisations(&who.who, &paging(&params, LIST)?).await.map_err(refused)?;
    let items = page.items.into_iter().map(|(info, members)| PlatformOrganisationItem::listed(info, members)).collect();
    Ok(Live(Json(Page { items, next: page.next.map(|c| cursor::encode(LIST, &c.as_str())), note: None })))
}

/// One organisation.
#[utoipa::path(
    get,
    path = "/platform/organisations/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 200, body = PlatformOrganisationItem, headers(("ETag" = String))), Missing, Refused)
)]
pub async fn organisation(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    show(&app, &who, &path_id(&id, WHAT)?).await
}

/// Changes what an organisation may use. It holds within 5 seconds.
#[utoipa::path(
    patch,
    path = "/platform/organisations/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id")),
    request_body = PlatformPatchBody,
    responses((status = 200, body = PlatformOrganisationItem, headers(("ETag" = String))), Missing, Changed, Refused)
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let mut fields = body.fields()?;
    let (plan, networks) = (fields.text("plan"), fields.networks("networks"));
    for (i, network) in networks.iter().flatten().enumerate() {
        if let Some(mistake) = unknown_network(&app, format!("networks.{i}"), network.as_str()).await? {
            fields.mistake(mistake.path, mistake.problem, mistake.cure);
        }
    }
    fields.finish()?;
    let control = app.control()?;
    if let Some(plan) = plan {
        control.plan_across(who.caller(), &id, &plan).await.map_err(refused)?;
    }
    if let Some(networks) = networks {
        let networks = if networks.is_empty() { Networks::All } else { Networks::Only(networks) };
        control.entitle(who.caller(), &id, &networks).await.map_err(refused)?;
    }
    show(&app, &who, &id).await
}

/// Shuts an organisation out: its people and keys are refused within 5 seconds, nothing of it is evaluated or sent, and nothing is lost.
#[utoipa::path(
    post,
    path = "/organisations/{id}/suspend",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id")),
    request_body = SuspendBody,
    responses((status = 200, body = PlatformOrganisationItem, headers(("ETag" = String))), Missing, Changed, Refused)
)]
pub async fn suspend(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let mut fields = body.fields()?;
    let reason = fields.text("reason").unwrap_or_default();
    fields.finish()?;
    app.control()?.suspend_organisation(who.caller(), &id, Some(&reason)).await.map_err(refused)?;
    show(&app, &who, &id).await
}

/// Lets an organisation in again.
#[utoipa::path(
    post,
    path = "/organisations/{id}/resume",
    tag = "access",
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 200, body = PlatformOrganisationItem, headers(("ETag" = String))), Missing, Changed, Refused)
)]
pub async fn resume(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    body.fields()?.finish()?;
    let id = path_id(&id, WHAT)?;
    app.control()?.suspend_organisation(who.caller(), &id, None).await.map_err(refused)?;
    show(&app, &who, &id).await
}

async fn show(app: &App, who: &Who, id: &Id) -> Result<Response, ApiError> {
    let (info, networks) = app.control()?.organisation_across(&who.who, id).await.map_err(refused)?;
    Ok(conditional::shown(info.version, PlatformOrganisationItem::alone(info, &networks)))
}

fn refused(error: Error) -> ApiError {
    ApiError::of_control(error, WHAT)
}
