//! `/members`: who is in the organisation, and who was invited.
//!
//! Guarantee: an invitation is answered the same whether or not there is an account of the address; its token is in that answer, once, and in
//! the letter. Nobody gives a role that may more than he may, and nobody but owners says who is one.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use control::{Action, Error, Role, Subject};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, Stale, Versionless, noted, paging, path_id},
};
use crate::{
    app::App,
    body::{Body, Fields},
    conditional, cursor,
    door::Who,
    error::{ApiError, cut},
    items::{InvitedItem, MemberItem, Page},
    letters::Wish,
    params::Params,
};

const WHAT: &str = "member";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Somebody who is to be invited.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct InviteBody {
    /// The e-mail address; only an account of this address can accept.
    email: String,
    /// `owner`, `admin`, `editor` or `viewer`.
    role: String,
}

/// What is to change of a member.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct MemberPatchBody {
    /// `owner`, `admin`, `editor` or `viewer`.
    role: String,
}

/// Members, and behind them who was invited and has not come yet.
#[utoipa::path(
    get,
    path = "/members",
    tag = "access",
    params(Query),
    responses((status = 200, body = Page<MemberItem>), Refused)
)]
pub async fn members(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["limit", "cursor"])?;
    let page = app.control()?.members(who.tenant(), &paging(&params, "members")?).await.map_err(refused)?;
    let items = page.items.into_iter().map(MemberItem::from).collect();
    Ok(Live(Json(Page { items, next: page.next.map(|c| cursor::encode("members", &c.as_str())), note: None })))
}

/// Invites somebody. Whoever was invited before gets a new invitation in the place of that one.
#[utoipa::path(
    post,
    path = "/members",
    tag = "access",
    request_body = InviteBody,
    responses((status = 201, body = InvitedItem, headers(("ETag" = String), ("Location" = String))), Changed, Refused)
)]
pub async fn invite(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let mut fields = body.fields()?;
    let email = fields.required("email", Fields::text).unwrap_or_default();
    let role = fields.required("role", role).unwrap_or(Role::Viewer);
    fields.finish()?;
    let control = app.control()?;
    let invited = control.invite(who.caller(), &email, role).await;
    let invited = noted(&control, &who, Action::InvitationCreate, subject(""), invited).await?;
    let sent = match &app.letters {
        Some(letters) => {
            let organisation = control.organisation(who.tenant()).await.map_err(refused)?.name;
            let email = invited.invitation.email.clone();
            letters.wish(Wish::Invitation { email, organisation, token: invited.token.clone() });
            true
        }
        None => false,
    };
    let (version, location) = (invited.invitation.version, format!("/api/v1/members/{}", invited.invitation.id));
    Ok(conditional::made(version, location, InvitedItem::of(invited, sent)))
}

/// Gives a member another role.
#[utoipa::path(
    patch,
    path = "/members/{id}",
    tag = "access",
    params(
        ("id" = String, Path, description = "The member's id"),
        ("If-Match" = String, Header, description = "The member's version, in quotes"),
    ),
    request_body = MemberPatchBody,
    responses(
        (status = 200, body = MemberItem, headers(("ETag" = String))),
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
    let id = path_id(&id, WHAT)?;
    let expected = conditional::must_match(&headers)?;
    let mut fields = body.fields()?;
    let role = fields.required("role", role).unwrap_or(Role::Viewer);
    fields.finish()?;
    let control = app.control()?;
    let changed = control.change_member(who.caller(), &id, &expected, role).await;
    let changed = noted(&control, &who, Action::MemberChange, subject(id.as_str()), changed).await?;
    Ok(conditional::shown(changed.version, MemberItem::from(changed)))
}

/// Removes a member, or takes an invitation back. Your own id: you leave.
#[utoipa::path(
    delete,
    path = "/members/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The member's id, or the invitation's")),
    responses(
        (status = 204, description = "Every process refuses the person's sessions and keys within 5 seconds"),
        (status = 409, description = "It is the last owner", body = crate::error::Problem, content_type = "application/problem+json"),
        Missing,
        Refused
    )
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let control = app.control()?;
    let removed = control.remove_member(who.caller(), &id).await;
    noted(&control, &who, Action::MemberRemove, subject(id.as_str()), removed).await?;
    Ok(conditional::gone())
}

/// A role of a body.
fn role(fields: &mut Fields, name: &'static str) -> Option<Role> {
    let text = fields.text(name)?;
    match text.parse() {
        Ok(role) => Some(role),
        Err(_) => {
            fields.mistake(name, format!("`{}` is not a role", cut(&text)), "write owner, admin, editor or viewer");
            None
        }
    }
}

fn subject(id: &str) -> Subject {
    Subject { kind: WHAT, id: id.to_owned(), name: None }
}

fn refused(error: Error) -> ApiError {
    ApiError::of_control(error, WHAT)
}
