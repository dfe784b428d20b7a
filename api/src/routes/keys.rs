//! `/keys`: who may come in, and what for.
//!
//! Guarantee: a key's secret is in the answer to the request that made or rotated it, once, and in nothing that is kept. A key never does
//! more than whoever makes or changes it; that somebody tried is in the audit.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use control::{Action, Error, Expected, KeyPatch, Networks, NewKey, Scopes, Subject};
use schemas::Network;
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, Stale, Versionless, noted, paging, path_id},
};
use crate::{
    app::App,
    body::{Body, Fields, MaybeBody},
    conditional, cursor,
    door::Who,
    error::ApiError,
    items::{KeyItem, MadeKeyItem, Page},
    params::Params,
};

const WHAT: &str = "key";
/// How long the former secret of a rotated key goes on to work, unless it is said.
const OVERLAP: Duration = Duration::from_secs(3_600);

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A key that is to be made.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct NewKeyBody {
    /// What it is called, 1 to 100 characters.
    name: String,
    /// What it may: `contracts:write`, `*:read`, `*:*`. Never more than yours.
    scopes: Vec<String>,
    /// The networks that it reaches; left out or empty: all that you reach.
    networks: Option<Vec<String>>,
    /// When it ends; left out or null: when it is revoked, or with who made it.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The same from now on, `1m` to `3650d`; one of the two.
    #[schema(example = "90d")]
    expires_in: Option<String>,
}

/// What is to change of a key; what is left out stays.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct KeyPatchBody {
    /// What it is called.
    name: Option<String>,
    /// What it may.
    scopes: Option<Vec<String>>,
    /// The networks that it reaches; empty: all.
    networks: Option<Vec<String>>,
    /// When it ends; null: when it is revoked.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// How a key is to be rotated.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct RotateBody {
    /// How long the former secret goes on to work, at most `7d`; `1h` where it is left out.
    #[schema(example = "1h")]
    overlap: Option<String>,
}

/// Keys by age, revoked ones too.
#[utoipa::path(
    get,
    path = "/keys",
    tag = "control",
    params(Query),
    responses((status = 200, body = Page<KeyItem>), Refused)
)]
pub async fn keys(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["limit", "cursor"])?;
    let page = app.control()?.keys(who.tenant(), &paging(&params, "keys")?).await.map_err(refused)?;
    let items = page.items.into_iter().map(KeyItem::from).collect();
    Ok(Live(Json(Page { items, next: page.next.map(|c| cursor::encode("keys", &c.as_str())), note: None })))
}

/// Makes a key. Its secret is `key` of this answer, and is never shown again.
#[utoipa::path(
    post,
    path = "/keys",
    tag = "control",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same for a request that is sent again")),
    request_body = NewKeyBody,
    responses((status = 201, body = MadeKeyItem, headers(("ETag" = String), ("Location" = String))), Changed, Refused)
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
    let scopes = fields.required("scopes", scopes).unwrap_or_default();
    let networks = fields.networks("networks");
    let until = fields.time("expires_at").flatten();
    let expires_in = match fields.value("expires_in") {
        None | Some(serde_json::Value::Null) => None,
        Some(value) => fields.duration_of("expires_in", value),
    };
    if until.is_some() && expires_in.is_some() {
        fields.mistake("expires_in", "stands beside `expires_at`", "leave one of the two out");
    }
    fields.finish()?;
    // Left out: as far as whoever makes it reaches, which is all for who reaches all.
    let networks = match networks.filter(|list| !list.is_empty()) {
        Some(list) => Networks::Only(list),
        None => who.tenant().reach().clone(),
    };
    let control = app.control()?;
    let new = NewKey { name: name.clone(), scopes, networks, expires_in };
    let made = control.create_key_once(who.caller(), new, until, once.as_ref()).await;
    let made = noted(&control, &who, Action::KeyCreate, subject(None, Some(name)), made).await?;
    let location = format!("/api/v1/keys/{}", made.key.id);
    Ok(conditional::made(made.key.version, location, MadeKeyItem::from(made)))
}

/// One key.
#[utoipa::path(
    get,
    path = "/keys/{id}",
    tag = "control",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 200, body = KeyItem, headers(("ETag" = String))),
        Missing,
        Refused
    )
)]
pub async fn key(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let found = app.control()?.key(who.tenant(), &path_id(&id, WHAT)?).await.map_err(refused)?;
    Ok(conditional::shown(found.version, KeyItem::from(found)))
}

/// Changes a key; what is taken from it stops within 5 seconds.
#[utoipa::path(
    patch,
    path = "/keys/{id}",
    tag = "control",
    params(
        ("id" = String, Path, description = "The key's id"),
        ("If-Match" = String, Header, description = "The `ETag` of what was read"),
    ),
    request_body = KeyPatchBody,
    responses(
        (status = 200, body = KeyItem, headers(("ETag" = String))),
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
    let patch = KeyPatch {
        name: fields.text("name"),
        scopes: scopes(&mut fields, "scopes"),
        networks: fields.networks("networks").map(reach),
        expires_at: fields.time("expires_at"),
    };
    fields.finish()?;
    let control = app.control()?;
    let changed = control.patch_key(who.caller(), &id, &expected, patch).await;
    let changed = noted(&control, &who, Action::KeyChange, subject(Some(&id), None), changed).await?;
    Ok(conditional::shown(changed.version, KeyItem::from(changed)))
}

/// Revokes a key, and with it what it made. It stays in the list, with `revoked_at`.
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    tag = "control",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 204, description = "Every process refuses it within 5 seconds"),
        Missing,
        Refused
    )
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    app.control()?.revoke_key(who.caller(), &path_id(&id, WHAT)?).await.map_err(refused)?;
    Ok(conditional::gone())
}

/// Gives a key another secret, which is `key` of this answer, and is never shown again.
#[utoipa::path(
    post,
    path = "/keys/{id}/rotate",
    tag = "control",
    params(
        ("id" = String, Path, description = "The key's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what was read, where that matters"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same for a request that is sent again"),
    ),
    request_body = RotateBody,
    responses(
        (status = 200, body = MadeKeyItem, headers(("ETag" = String))),
        Missing,
        Stale,
        Changed,
        Refused
    )
)]
pub async fn rotate(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let (once, expected) = (conditional::once(&headers)?, conditional::if_match(&headers)?);
    let mut fields = body.fields()?;
    let overlap = fields.duration("overlap").unwrap_or(OVERLAP);
    fields.finish()?;
    let (control, expected) = (app.control()?, expected.unwrap_or(Expected::Any));
    let rotated = control.rotate_key_once(who.caller(), &id, &expected, overlap, once.as_ref()).await;
    let rotated = noted(&control, &who, Action::KeyRotate, subject(Some(&id), None), rotated).await?;
    Ok(conditional::shown(rotated.key.version, MadeKeyItem::from(rotated)))
}

/// Scopes of a body.
fn scopes(fields: &mut Fields, name: &'static str) -> Option<Scopes> {
    let texts = fields.texts(name)?;
    let mut all = Vec::with_capacity(texts.len().min(64));
    for (i, text) in texts.iter().enumerate() {
        match Scopes::read(&[text]) {
            Ok(_) => all.push(text),
            Err(e) => fields.mistake(format!("{name}.{i}"), format!("`{}` is not a scope", e.text), e.cure),
        }
        if i == schemas::limits::control::MISTAKES * 4 {
            break;
        }
    }
    (all.len() == texts.len()).then(|| Scopes::read(&all).unwrap_or_default())
}

fn reach(list: Vec<Network>) -> Networks {
    if list.is_empty() { Networks::All } else { Networks::Only(list) }
}

fn refused(error: Error) -> ApiError {
    ApiError::of_control(error, WHAT)
}

fn subject(id: Option<&control::Id>, name: Option<String>) -> Subject {
    let name = name.map(|name| name.chars().take(schemas::limits::control::NAME_CHARACTERS).collect());
    Subject { kind: WHAT, id: id.map(ToString::to_string).unwrap_or_default(), name }
}
