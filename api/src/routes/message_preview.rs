//! `POST /channels/preview`: what a message would say with a template, about a real alert where there is one. It keeps and sends nothing.
//!
//! Guarantee: the words are those that channels are sent, by the same code ([`conditions::words`]), before each escapes them in its own way.
//! What it is about is of whoever asks: an alert of its own tenant and of the networks that it reaches, or the example, and the answer says
//! which. What links of messages can do is not in it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use conditions::{
    fields::{Fields, ended},
    monitor::Template,
    words::{missing, words},
};
use control::{Allowed, Id, Resource};
use schemas::{
    Mistake, TimeMs,
    records::{Alert, AlertLinks, DefinitionKind, SourceKind},
};
use serde_json::{Value, json};
use store::query::{AlertFilter, MatchFilter};
use utoipa::ToSchema;

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, path_id},
};
use crate::{
    alerts::{self, Shown, WHAT, whose},
    app::App,
    body::Body,
    door::Who,
    error::ApiError,
    items::MessagePreviewItem,
    params::Params,
};

/// The message's type.
const KIND: &str = "alert.firing";
/// What else may be named.
const MONITOR: &str = "monitor";
/// Alerts among which one of a monitor is looked for.
const NEWEST: u32 = 50;
/// Characters of an id.
const ID_CHARACTERS: usize = 26;

/// A template, and what it is tried on.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct MessagePreviewBody {
    /// As in a monitor: `title` and `body`, with `${…}` where something of the alert stands. Left out: the message as it is without one.
    #[schema(value_type = Option<Object>)]
    template: Option<Value>,
    /// The alert that it is about, by id.
    alert: Option<String>,
    /// Instead: the newest alert of this monitor, by id, or its newest match where it has none.
    monitor: Option<String>,
}

/// What a message would say with this template, which is not kept; nothing is sent.
///
/// About the alert that is named, else the newest one of the monitor, else the newest one of any monitor. Where there is none it is about an
/// example; `of` says which.
#[utoipa::path(
    post,
    path = "/channels/preview",
    operation_id = "preview_message",
    tag = "alerts",
    request_body = MessagePreviewBody,
    responses((status = 200, body = MessagePreviewItem), Missing, Changed, Refused)
)]
pub async fn message(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let Asked { template, about } =
        Asked::read(&body.into_value()).map_err(|mistakes| ApiError::InvalidBody { mistakes })?;
    let found = match about {
        About::Alert(id) => {
            let id = path_id(&id, WHAT)?;
            let found = alerts::shown(&app, &whose(who.tenant()), id.as_str()).await?;
            let found = found.ok_or(ApiError::NotHere { what: WHAT })?;
            Some(found.alert)
        }
        About::Monitor(id) => newest(&app, &who, Some(path_id(&id, MONITOR)?)).await?,
        About::Whatever => newest(&app, &who, None).await?,
    };
    let (of, data) = match found {
        Some(alert) => {
            let links =
                AlertLinks { dashboard: format!("{}/alerts/{}", app.alerts.base(), alert.id), acknowledge: None };
            let of = if alert.id.is_empty() { "match" } else { "alert" };
            let links = (!alert.id.is_empty()).then_some(links);
            let data = serde_json::to_value(Alert { links, ..alert }).map_err(|error| {
                tracing::error!(%error, "an alert could not be written");
                ApiError::Internal
            })?;
            (of, data)
        }
        None => ("example", example()),
    };
    let mut lacking = Vec::new();
    for text in [&template.title, &template.body].into_iter().flatten() {
        let new = missing(text, &data).into_iter().filter(|name| !lacking.contains(name)).collect::<Vec<_>>();
        lacking.extend(new);
    }
    let id = data.get("id").and_then(Value::as_str).filter(|_| of == "alert").map(str::to_owned);
    let words = words(KIND, &data, TimeMs::now(), Some(&template));
    Ok(Live(Json(MessagePreviewItem::new((of, id), KIND, &words, lacking, data))))
}

/// What is asked for.
struct Asked {
    template: Template,
    about: About,
}

enum About {
    Alert(String),
    Monitor(String),
    Whatever,
}

impl Asked {
    fn read(body: &Value) -> Result<Self, Vec<Mistake>> {
        let mut f = Fields::of(body);
        let template = Template::read(&mut f).unwrap_or_default();
        let (alert, monitor) = (f.text("alert", ID_CHARACTERS), f.text("monitor", ID_CHARACTERS));
        let about = match (alert, monitor) {
            (Some(_), Some(_)) => {
                f.mistake("monitor", "stands beside `alert`", "leave one of the two out");
                None
            }
            (Some(alert), None) => Some(About::Alert(alert)),
            (None, Some(monitor)) => Some(About::Monitor(monitor)),
            (None, None) => Some(About::Whatever),
        };
        ended(f, about.map(|about| Self { template, about }))
    }
}

/// The newest alert of this monitor, or of any; of a monitor without one what it matched last, as an alert without an id.
async fn newest(app: &App, who: &Who, monitor: Option<Id>) -> Result<Option<Alert>, ApiError> {
    let whose = whose(who.tenant());
    let source = monitor.as_ref().map(|id| ("monitor", id.to_string()));
    let filter = AlertFilter { source, limit: NEWEST, ..AlertFilter::default() };
    let page = app.store.alerts(&whose, &filter).await.map_err(|e| ApiError::from_store(&e))?;
    for row in page.items {
        let alert = Shown::of(row)?.alert;
        if alert.source.kind == SourceKind::Monitor {
            return Ok(Some(alert));
        }
    }
    let Some(id) = monitor.filter(|_| who.who.allows(Resource::Monitors, Allowed::Read)) else { return Ok(None) };
    let defined = app.control()?.definition(who.tenant(), DefinitionKind::Monitor, &id).await;
    let defined = defined.map_err(|e| ApiError::of_control(e, MONITOR))?;
    let filter = MatchFilter { monitor: id.to_string(), live: None, limit: 1 };
    let found = app.store.matches(&whose, &filter).await.map_err(|e| ApiError::from_store(&e))?;
    let Some(found) = found.into_iter().next().map(|row| app.matched(row, None)) else { return Ok(None) };
    let severity = defined.definition.get("severity").cloned().unwrap_or_default();
    let alert = json!({
        "id": "",
        "source": {"kind": "monitor", "id": id.to_string(), "name": defined.name, "version": found.monitor_version},
        "network": found.network, "contract": null, "group": {}, "state": "firing", "severity": severity,
        "started_at": found.at, "fired_at": found.at, "ended_at": null, "silenced": false,
        "evidence": {"matches": [found], "count": 1},
    });
    serde_json::from_value(alert).map(Some).map_err(|error| {
        tracing::error!(%error, "a match cannot be shown as an alert");
        ApiError::Internal
    })
}

/// An alert for those who have none.
fn example() -> Value {
    let address = |digit: &str| format!("0x{}", digit.repeat(40));
    let (at, hash) = ("2026-01-31T12:00:00.000Z", format!("0x{}", "7e".repeat(32)));
    json!({
        "id": "01KG9XJ3QW0000000000000000",
        "source": {"kind": "monitor", "id": "01KG9XHZ8M0000000000000000", "name": "Large transfers", "version": 1},
        "network": "ethereum-mainnet", "contract": address("c"), "group": {"contract": address("c")},
        "state": "firing", "severity": "warning", "started_at": at, "fired_at": at, "ended_at": null, "silenced": false,
        "evidence": {"count": 1, "matches": [{
            "network": "ethereum-mainnet", "transaction_hash": hash, "kind": "event", "position": 0,
            "signature": "Transfer(address,address,uint256)",
            "arguments": {"from": address("a"), "to": address("b"), "value": "2500000000000000000"},
            "height": 24_350_000, "block_hash": format!("0x{}", "b1".repeat(32)), "monitor_version": 1, "state": "live", "at": at,
        }]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_an_alert_that_names_lead_into() {
        let alert: Alert = serde_json::from_value(example()).expect("an alert");
        assert_eq!(alert.source.kind, SourceKind::Monitor);
        let names = "${monitor.name} ${transaction.hash} ${events.0.args.value} ${events.0.signature} ${block.number}";
        assert_eq!(missing(names, &example()), [""; 0]);
    }

    #[test]
    fn what_is_asked_for_is_read_strictly() {
        let paths = |body: Value| {
            let mistakes = Asked::read(&body).err().unwrap_or_default();
            mistakes.into_iter().map(|mistake| mistake.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(json!({})), [""; 0]);
        assert_eq!(paths(json!({"template": {"title": "t", "body": null}, "alert": "x"})), [""; 0]);
        assert_eq!(paths(json!({"template": {"titel": "t"}})), ["template.titel"]);
        assert_eq!(paths(json!({"template": {"title": "t".repeat(201)}})), ["template.title"]);
        assert_eq!(paths(json!({"alert": "x", "monitor": "y"})), ["monitor"]);
    }
}
