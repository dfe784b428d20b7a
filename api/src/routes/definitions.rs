//! `/rules`, `/monitors`, `/channels`, `/silences`: what a tenant wants to be told, where, and when not. One implementation for the four.
//!
//! Guarantee: what is not there, is another tenant's, or is of a network that the key does not reach, is one answer. A change names the
//! version that it was made from; a request with an idempotency key is carried out once; a body with a mistake changes nothing, and each
//! mistake is told with its path, and inside of an expression with its character. No answer has a secret in it, but for one that was made
//! here, in the answer to the request that made it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use control::Error;
use schemas::records::DefinitionKind;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, Stale, Versionless, paging, path_id, unknown_network},
};
use crate::{
    app::App,
    body::Body,
    conditional, cursor,
    door::Who,
    error::{ApiError, Problem},
    items::{
        Page,
        definition::{
            ChannelBody, ChannelItem, MonitorBody, MonitorItem, RuleBody, RuleItem, SilenceBody, SilenceItem, item,
        },
    },
    params::Params,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Items of a page: 1 to 1,000, 50 by default. A page with long definitions is shorter.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The five operations of a kind.
macro_rules! kind {
    (
        $module:ident: $kind:ident, $Item:ident, $Body:ident,
        $all:tt, $one:tt,
        [$list_id:tt $list:tt] [$create_id:tt $create:tt] [$show_id:tt $show:tt] [$patch_id:tt $patch:tt] [$delete_id:tt $delete:tt]
    ) => {
        #[doc = concat!("`", $all, "`.")]
        pub mod $module {
            use super::*;

            const KIND: DefinitionKind = DefinitionKind::$kind;

            #[doc = $list]
            #[utoipa::path(
                get,
                path = $all,
                operation_id = $list_id,
                tag = "alerts",
                params(Query),
                responses((status = 200, body = Page<$Item>), Refused)
            )]
            pub async fn list(
                State(app): State<Arc<App>>,
                who: Who,
                RawQuery(query): RawQuery,
            ) -> Result<Response, ApiError> {
                listed(&app, &who, query.as_deref(), KIND).await
            }

            #[doc = $create]
            #[utoipa::path(
                post,
                path = $all,
                operation_id = $create_id,
                tag = "alerts",
                params(("Idempotency-Key" = Option<String>, Header, description = "The same for a request that is sent again")),
                request_body = $Body,
                responses(
                    (status = 201, body = $Item, headers(("ETag" = String), ("Location" = String))),
                    (status = 409, description = "The name is there already; `id` is the other's", body = Problem, content_type = "application/problem+json"),
                    Changed,
                    Refused
                )
            )]
            pub async fn create(
                State(app): State<Arc<App>>,
                who: Who,
                RawQuery(query): RawQuery,
                headers: HeaderMap,
                body: Body,
            ) -> Result<Response, ApiError> {
                Params::parse(query.as_deref(), &[])?;
                made(&app, &who, &headers, body, KIND, concat!("/api/v1", $all)).await
            }

            #[doc = $show]
            #[utoipa::path(
                get,
                path = $one,
                operation_id = $show_id,
                tag = "alerts",
                params(("id" = String, Path, description = "Its id")),
                responses((status = 200, body = $Item, headers(("ETag" = String))), Missing, Refused)
            )]
            pub async fn show(
                State(app): State<Arc<App>>,
                who: Who,
                Path(id): Path<String>,
                RawQuery(query): RawQuery,
            ) -> Result<Response, ApiError> {
                Params::parse(query.as_deref(), &[])?;
                shown(&app, &who, &id, KIND).await
            }

            #[doc = $patch]
            #[utoipa::path(
                patch,
                path = $one,
                operation_id = $patch_id,
                tag = "alerts",
                params(
                    ("id" = String, Path, description = "Its id"),
                    ("If-Match" = String, Header, description = "The `ETag` of what was read"),
                ),
                request_body(content = $Body, description = "What is to change (RFC 7396): what is left out stays"),
                responses(
                    (status = 200, body = $Item, headers(("ETag" = String))),
                    (status = 409, description = "The name is another's; `id` says whose", body = Problem, content_type = "application/problem+json"),
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
                changed(&app, &who, &id, &headers, body, KIND).await
            }

            #[doc = $delete]
            #[utoipa::path(
                delete,
                path = $one,
                operation_id = $delete_id,
                tag = "alerts",
                params(
                    ("id" = String, Path, description = "Its id"),
                    ("If-Match" = String, Header, description = "The `ETag` of what was read"),
                ),
                responses(
                    (status = 204, description = "It is gone"),
                    (status = 409, description = "Something names it", body = Problem, content_type = "application/problem+json"),
                    Missing,
                    Stale,
                    Versionless,
                    Refused
                )
            )]
            pub async fn delete(
                State(app): State<Arc<App>>,
                who: Who,
                Path(id): Path<String>,
                RawQuery(query): RawQuery,
                headers: HeaderMap,
            ) -> Result<Response, ApiError> {
                Params::parse(query.as_deref(), &[])?;
                removed(&app, &who, &id, &headers, KIND).await
            }
        }
    };
}

kind! {
    rules: Rule, RuleItem, RuleBody,
    "/rules", "/rules/{id}",
    ["rules" "Rules by age."]
    ["create_rule" "Makes a rule. A contract that it names is one of yours from now on, and is watched."]
    ["rule" "One rule."]
    ["patch_rule" "Changes a rule."]
    ["delete_rule" "Removes a rule. What it raised stays."]
}
kind! {
    monitors: Monitor, MonitorItem, MonitorBody,
    "/monitors", "/monitors/{id}",
    ["monitors" "Monitors by age."]
    ["create_monitor" "Makes a monitor."]
    ["monitor" "One monitor."]
    ["patch_monitor" "Changes a monitor."]
    ["delete_monitor" "Removes a monitor. What it raised stays, and is taken back where the chain takes it back."]
}
kind! {
    channels: Channel, ChannelItem, ChannelBody,
    "/channels", "/channels/{id}",
    ["channels" "Channels by age, without their secrets."]
    ["create_channel" "Makes a channel. A signing secret that was left out is made, and is in this answer only."]
    ["channel" "One channel, without its secrets."]
    ["patch_channel" "Changes a channel. A secret that is left out, or reads `{\"set\":true}`, stays."]
    ["delete_channel" "Removes a channel that no rule and no monitor names."]
}
kind! {
    silences: Silence, SilenceItem, SilenceBody,
    "/silences", "/silences/{id}",
    ["silences" "Silences by age, those that are over too."]
    ["create_silence" "Makes a silence. It begins at once where it does not say when."]
    ["silence" "One silence."]
    ["patch_silence" "Changes a silence."]
    ["delete_silence" "Removes a silence, which ends it."]
}

async fn listed(app: &App, who: &Who, query: Option<&str>, kind: DefinitionKind) -> Result<Response, ApiError> {
    let params = Params::parse(query, &["limit", "cursor"])?;
    let list = format!("{}s", kind.as_str());
    let paging = paging(&params, &list)?;
    let page = app.control()?.definitions(who.tenant(), kind, &paging).await.map_err(|e| refused(e, kind))?;
    let items: Vec<Value> = page.items.into_iter().map(|thing| item(thing, None)).collect();
    let next = page.next.map(|c| cursor::encode(&list, &c.as_str()));
    Ok(Live(Json(json!({"items": items, "next": next, "note": null}))).into_response())
}

async fn made(
    app: &App,
    who: &Who,
    headers: &HeaderMap,
    body: Body,
    kind: DefinitionKind,
    place: &str,
) -> Result<Response, ApiError> {
    let once = conditional::once(headers)?;
    let body = body.into_value();
    networks_are_known(app, kind, &body).await?;
    let (control, bounds) = (app.control()?, app.bounds());
    let made = control.create_definition(who.caller(), kind, &body, once.as_ref(), &bounds).await;
    let made = made.map_err(|e| refused(e, kind))?;
    let location = format!("{place}/{}", made.made.id);
    Ok(conditional::made(made.made.version, location, item(made.made, made.secrets)))
}

async fn shown(app: &App, who: &Who, id: &str, kind: DefinitionKind) -> Result<Response, ApiError> {
    let id = path_id(id, kind.as_str())?;
    let found = app.control()?.definition(who.tenant(), kind, &id).await.map_err(|e| refused(e, kind))?;
    Ok(conditional::shown(found.version, item(found, None)))
}

async fn changed(
    app: &App,
    who: &Who,
    id: &str,
    headers: &HeaderMap,
    body: Body,
    kind: DefinitionKind,
) -> Result<Response, ApiError> {
    let id = path_id(id, kind.as_str())?;
    let expected = conditional::must_match(headers)?;
    let patch = body.into_value();
    networks_are_known(app, kind, &patch).await?;
    let (control, bounds) = (app.control()?, app.bounds());
    let done = control.patch_definition(who.caller(), kind, &id, &expected, &patch, &bounds).await;
    let done = done.map_err(|e| refused(e, kind))?;
    Ok(conditional::shown(done.made.version, item(done.made, done.secrets)))
}

async fn removed(
    app: &App,
    who: &Who,
    id: &str,
    headers: &HeaderMap,
    kind: DefinitionKind,
) -> Result<Response, ApiError> {
    let id = path_id(id, kind.as_str())?;
    let expected = conditional::must_match(headers)?;
    app.control()?.delete_definition(who.caller(), kind, &id, &expected).await.map_err(|e| refused(e, kind))?;
    Ok(conditional::gone())
}

/// Each network that is named is one that is followed, or was.
async fn networks_are_known(app: &App, kind: DefinitionKind, body: &Value) -> Result<(), ApiError> {
    let mut mistakes = Vec::new();
    for (path, slug) in networks(kind, body) {
        mistakes.extend(unknown_network(app, path.as_str(), slug).await?);
    }
    if mistakes.is_empty() { Ok(()) } else { Err(ApiError::InvalidBody { mistakes }) }
}

/// The networks that a body names, with their paths; of a long list the first.
pub(super) fn networks(kind: DefinitionKind, body: &Value) -> Vec<(String, &str)> {
    if kind == DefinitionKind::Silence {
        let named = body.get("match").and_then(|fits| fits.get("network")).and_then(Value::as_str);
        return named.map(|slug| ("match.network".to_owned(), slug)).into_iter().collect();
    }
    let one = body.get("network").and_then(Value::as_str).map(|slug| ("network".to_owned(), slug));
    let many = body.get("networks").and_then(Value::as_array).into_iter().flatten().enumerate();
    let many = many.filter_map(|(at, slug)| Some((format!("networks.{at}"), slug.as_str()?)));
    one.into_iter().chain(many).take(schemas::limits::control::KEY_NETWORKS).collect()
}

fn refused(error: Error, kind: DefinitionKind) -> ApiError {
    ApiError::of_control(error, kind.as_str())
}
