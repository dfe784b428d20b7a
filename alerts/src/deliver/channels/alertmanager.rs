//! Prometheus' Alertmanager, API v2 (prometheus/alertmanager, `api/v2/openapi.yaml`).

use schemas::TimeMs;
use serde_json::{Map, Value, json};

use super::{super::words::Mood, Judge, Method, Outgoing, Plan, Request, Step, url_of};

/// How long an alert stays open there without another word, in milliseconds: its end is told.
const OPEN_MS: i64 = 7 * 86_400_000;
/// The same of a test.
const TEST_MS: i64 = 60_000;

pub(super) fn plan(url: &str, out: &Outgoing<'_>) -> Result<Plan, String> {
    if out.kind == "alerts.settled" {
        return Ok(Plan::Nothing);
    }
    let base = url.trim_end_matches('/');
    let url = url_of(&if base.ends_with("/alerts") { base.to_owned() } else { format!("{base}/api/v2/alerts") })?;
    let text = |path: &str| out.body.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut labels = Map::new();
    let name =
        text("/source/name").unwrap_or(if out.kind == "channel.test" { "HeadwaterTest" } else { "HeadwaterSummary" });
    labels.insert("alertname".to_owned(), name.into());
    labels.insert("severity".to_owned(), out.words.severity.as_str().into());
    labels.insert("headwater_alert".to_owned(), out.alert_id.unwrap_or(out.id).into());
    for (label, path) in [("network", "/network"), ("contract", "/contract"), ("source", "/source/id")] {
        if let Some(value) = text(path) {
            labels.insert(label.to_owned(), value.into());
        }
    }
    let facts: Vec<String> = out.words.facts.iter().map(|(name, value)| format!("{name}: {}", value.bare())).collect();
    let description = out.words.body.as_ref().map_or_else(|| facts.join("\n"), |body| body.bare());
    let starts = text("/fired_at").or(text("/started_at")).map_or_else(|| out.created_at.rfc3339(), str::to_owned);
    let ends = match (out.words.mood, out.kind) {
        (Mood::Over, _) => out.created_at,
        (_, "channel.test" | "channel.summary") => TimeMs(out.now.0.saturating_add(TEST_MS)),
        _ => TimeMs(out.now.0.saturating_add(OPEN_MS)),
    };
    let mut alert = json!({
        "labels": labels, "annotations": {"summary": out.words.title.bare(), "description": description},
        "startsAt": starts, "endsAt": ends.rfc3339(),
    });
    if let Some(link) = text("/links/dashboard") {
        alert["generatorURL"] = link.into();
    }
    let request = Request::json(Method::Post, url, &json!([alert]));
    Ok(Plan::Http(vec![Step::needed(request, Judge::Alertmanager)]))
}
