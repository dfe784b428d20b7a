//! `/alerts`: what rules and monitors told, now and before, and taking one on.
//!
//! Guarantee: whoever asks sees the alerts of its own tenant and of the networks that it reaches; what is not there and what is another's are
//! one answer. An alert is taken on by the alerts' stage; the answer waits for that, and says so where it takes longer.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use control::{Action, Allowed, Resource, Subject};
use schemas::{
    TimeMs,
    limits::alerts as limits,
    records::{AlertPhase, Severity},
};
use serde_json::Value;
use store::query::AlertFilter;
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{Changed, Live, Refused, problem},
    things::{Missing, path_id},
};
use crate::{
    alerts::{self, Acknowledged, Shown, WHAT, audited, by, whose},
    app::App,
    body::{Fields, MaybeBody},
    cursor,
    door::Who,
    error::ApiError,
    items::{AlertItem, Page},
    params::{Params, words},
};

const KNOWN: &[&str] = &["state", "rule", "monitor", "network", "contract", "severity", "since", "limit", "cursor"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Only in one of these states: pending, firing, acknowledged, resolved, retracted; several with commas between them.
    state: Option<String>,
    /// Only of this rule, by id.
    rule: Option<String>,
    /// Only of this monitor, by id.
    monitor: Option<String>,
    /// Only of this network.
    network: Option<String>,
    /// Only about this contract.
    contract: Option<String>,
    /// Only of one of these severities: critical, warning, info; several with commas between them.
    severity: Option<String>,
    /// Only those of which something happened at this time or later.
    since: Option<String>,
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What is said when an alert is taken on.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct AcknowledgeBody {
    /// For the others: what is being done about it. At most 2,000 characters.
    note: Option<String>,
}

/// Alerts, the newest first.
///
/// `events` of each are its last hundred; GET /alerts/{id} has them all.
#[utoipa::path(
    get,
    path = "/alerts",
    tag = "alerts",
    params(Query),
    responses((status = 200, body = Page<AlertItem>), Refused)
)]
pub async fn alerts(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let source = match (id(&params, "rule")?, id(&params, "monitor")?) {
        (Some(_), Some(monitor)) => {
            return Err(ApiError::invalid("monitor", &monitor, "nothing beside `rule`: an alert is of one of them"));
        }
        (Some(rule), None) => Some(("rule", rule)),
        (None, Some(monitor)) => Some(("monitor", monitor)),
        (None, None) => None,
    };
    let mut filter = AlertFilter {
        states: words::<AlertPhase>(&params, "state", "pending, firing, acknowledged, resolved, retracted")?,
        severities: words::<Severity>(&params, "severity", "critical, warning, info")?,
        source,
        network: params.network()?,
        contract: params.address("contract")?,
        since: params.time("since")?,
        limit: params.limit()?,
        ..AlertFilter::default()
    };
    reached(&who, &filter)?;
    let list = format!("alerts {filter:?}");
    filter.before = params.text("cursor")?.map(|text| cursor::decode(&list, text)).transpose()?;
    let page = app.store.alerts(&whose(who.tenant()), &filter).await.map_err(|e| ApiError::from_store(&e))?;
    let items = page.items.into_iter().map(|row| Ok::<_, ApiError>(item(&app, &who, Shown::of(row)?)));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    Ok(Live(Json(Page { items, next: page.next.map(|id| cursor::encode(&list, &id)), note: None })))
}

/// A network that is not reached is not there.
fn reached(who: &Who, filter: &AlertFilter) -> Result<(), ApiError> {
    match &filter.network {
        Some(network) if !who.tenant().reach().contains(network.as_str()) => {
            Err(ApiError::NetworkNotFound { network: network.to_string() })
        }
        _ => Ok(()),
    }
}

/// An id in a query.
pub fn id(params: &Params, name: &str) -> Result<Option<String>, ApiError> {
    let parse = |text: &str| text.parse::<control::Id>().ok().map(|id| id.to_string());
    params.parsed(name, "an id, as lists show it: 26 digits and upper-case letters", parse)
}

/// An alert as whoever asks sees it.
fn item(app: &App, who: &Who, shown: Shown) -> AlertItem {
    let may = who.who.allows(Resource::Alerts, Allowed::Write);
    // Without the control store there is no link; all else goes on.
    let tokens = if may { app.control().ok().map(|control| control.ack_tokens()) } else { None };
    let base = app.alerts.base();
    AlertItem::new(shown.alert, shown.events, base, |id| {
        let token = tokens?.sign(who.tenant().id().as_str(), id, "rest", TimeMs::now());
        Some(format!("{base}/ack/{token}"))
    })
}

/// One alert, with all that became of it.
#[utoipa::path(
    get,
    path = "/alerts/{id}",
    tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")),
    responses((status = 200, body = AlertItem), Missing, Refused)
)]
pub async fn alert(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let found = alerts::shown(&app, &whose(who.tenant()), id.as_str()).await?;
    let found = found.ok_or(ApiError::NotHere { what: WHAT })?;
    Ok(Live(Json(item(&app, &who, found))))
}

/// Takes an alert on.
///
/// Nothing more is sent that repeats it, and everybody sees who has it. Whoever comes second finds it acknowledged.
#[utoipa::path(
    post,
    path = "/alerts/{id}/acknowledge",
    tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")),
    request_body = AcknowledgeBody,
    responses(
        (status = 200, description = "It is acknowledged", body = AlertItem),
        (status = 202, description = "It will be: the command is kept, and the alerts' stage did not answer in time", body = AlertItem),
        Over,
        Missing,
        Changed,
        Refused
    )
)]
pub async fn acknowledge(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let whose = whose(who.tenant());
    let found = alerts::open(&app, &whose, id.as_str()).await?;
    let mut fields = body.fields()?;
    let note = note(&mut fields);
    fields.finish()?;
    if found.alert.state == AlertPhase::Acknowledged {
        return Ok(Live(Json(item(&app, &who, found))).into_response());
    }
    let subject = Subject { kind: WHAT, id: id.to_string(), name: Some(found.alert.source.name.clone()) };
    let work = alerts::acknowledge(&app, &whose, id.as_str(), by(&who.who), note);
    Ok(match audited(&app, &who, (Action::AlertAcknowledge, &subject), work).await? {
        Acknowledged::Done(now) => Live(Json(item(&app, &who, now))).into_response(),
        Acknowledged::Later(before) => (StatusCode::ACCEPTED, Live(Json(item(&app, &who, before)))).into_response(),
    })
}

/// What somebody says with it; null and an empty text are nothing.
fn note(fields: &mut Fields) -> Option<String> {
    let text = match fields.value("note")? {
        Value::Null => return None,
        Value::String(text) => text.trim().to_owned(),
        _ => {
            fields.mistake("note", "is no text", "write a text in quotes, or leave it out");
            return None;
        }
    };
    let characters = text.chars().count();
    if characters > limits::NOTE_CHARACTERS {
        let most = limits::NOTE_CHARACTERS;
        fields.mistake("note", format!("has {characters} characters"), format!("write {most} at most"));
        return None;
    }
    Some(text).filter(|text| !text.is_empty())
}

/// The refusal of what is over, for the document.
pub struct Over;

impl utoipa::IntoResponses for Over {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        [("409".to_owned(), problem("The alert is over"))].into()
    }
}
