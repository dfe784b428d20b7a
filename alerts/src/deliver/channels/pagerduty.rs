//! PagerDuty's Events API v2 (PagerDuty/developer-docs, `docs/events-API-v2`).

use std::time::Duration;

use schemas::{TimeMs, records::Severity};
use serde_json::{Value, json};

use super::{
    super::words::{Mood, cut},
    Answer, Judge, Method, Outgoing, Plan, Request, Step, Verdict, secret, url_of, usual,
};

/// A summary, in characters.
const SUMMARY: usize = 1_024;
/// The key by which events belong together, in characters.
const KEY: usize = 255;

pub(super) fn plan(secrets: &Value, out: &Outgoing<'_>) -> Result<Plan, String> {
    let url = url_of(&out.services.pagerduty)?;
    let routing_key = secret(secrets, "routing_key")?;
    let key = cut(out.alert_id.unwrap_or(out.id), KEY);
    let severity = match out.words.severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let event = |action: &str| {
        let mut event =
            json!({"routing_key": routing_key, "event_action": action, "dedup_key": key, "client": "Headwater"});
        if action == "trigger" {
            let details: serde_json::Map<String, Value> =
                out.words.facts.iter().map(|(name, value)| ((*name).to_owned(), value.bare().into())).collect();
            let source = out.body.get("network").and_then(Value::as_str).unwrap_or("headwater");
            event["payload"] = json!({
                "summary": cut(&out.words.title.bare(), SUMMARY), "source": source, "severity": severity,
                "timestamp": out.created_at.rfc3339(), "custom_details": details,
            });
            event["links"] = out.words.links.iter().map(|(name, url)| json!({"href": url, "text": name})).collect();
        }
        Step::needed(Request::json(Method::Post, url.clone(), &event), Judge::Pagerduty)
    };
    Ok(match (out.kind, out.words.mood) {
        ("alerts.settled", _) => Plan::Nothing,
        // It is seen, and wakes nobody for long: nothing else would ever resolve it.
        ("channel.test" | "channel.summary", _) => Plan::Http(vec![event("trigger"), event("resolve")]),
        (_, Mood::Firing | Mood::Note) => Plan::Http(vec![event("trigger")]),
        (_, Mood::Taken) => Plan::Http(vec![event("acknowledge")]),
        (_, Mood::Over) => Plan::Http(vec![event("resolve")]),
    })
}

pub(super) fn verdict(answer: &Answer, now: TimeMs) -> Verdict {
    match answer.status {
        429 => Verdict::slower(Some(answer.retry_after(now).unwrap_or(Duration::from_secs(30))), answer.told()),
        401 | 403 => Verdict::disable(answer.told()),
        400 if answer.text().to_ascii_lowercase().contains("routing key") || answer.text().contains("routing_key") => {
            Verdict::disable(answer.told())
        }
        _ => usual(answer, now),
    }
}
