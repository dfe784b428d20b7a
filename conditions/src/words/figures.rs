//! What an alert's evidence says, as names and values.

use serde_json::Value;

use super::{Piece, Text, amounts};

/// Causes, matches and arguments that a message names; the rest is counted.
const NAMED: usize = 3;
/// Characters of one argument.
const ARGUMENT_CHARACTERS: usize = 120;

/// The facts of an alert.
pub(super) fn of_alert(kind: &str, alert: &Value) -> Vec<(&'static str, Text)> {
    let mut facts = Vec::new();
    let mut say = |name: &'static str, path: &str| {
        if let Some(text) = alert.pointer(path).and_then(shown) {
            facts.push((name, Text::value(text)));
        }
    };
    say("Severity", "/severity");
    say("Network", "/network");
    say("Contract", "/contract");
    let evidence = alert.get("evidence").unwrap_or(&Value::Null);
    if evidence.get("matches").is_some() {
        facts.extend(of_matches(evidence));
    } else {
        facts.extend(of_figure(evidence));
    }
    let ended = if matches!(kind, "alert.resolved" | "alert.retracted") { Some("/ended_at") } else { None };
    for (name, path) in [("Since", Some("/started_at")), ("Until", ended)] {
        if let Some(text) = path.and_then(|path| alert.pointer(path)).and_then(shown) {
            facts.push((name, Text::value(text)));
        }
    }
    facts
}

fn of_figure(evidence: &Value) -> Vec<(&'static str, Text)> {
    let mut facts = Vec::new();
    let text = |name: &str| evidence.get(name).and_then(shown);
    if let (Some(metric), Some(value)) = (text("metric"), text("value")) {
        let against = text("threshold").map(|threshold| format!(" (threshold {threshold})")).unwrap_or_default();
        facts.push(("Figure", Text::value(format!("{metric} = {value}{against}"))));
    }
    if let Some(reason) = text("reason") {
        facts.push(("Reason", Text::value(reason)));
    }
    if let Some(window) = text("window") {
        let span = match (text("from"), text("to")) {
            (Some(from), Some(to)) => format!("{window}: {from} to {to}"),
            _ => window,
        };
        facts.push(("Window", Text::value(span)));
    }
    let number = |name: &str| evidence.get(name).and_then(Value::as_u64);
    if let (Some(all), Some(failed)) = (number("transactions"), number("failed")) {
        let succeeded = all.saturating_sub(failed);
        facts.push(("Transactions", Text::plain(format!("{failed} failed, {succeeded} successful"))));
    }
    let causes = evidence.get("causes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !causes.is_empty() {
        let named = causes.iter().take(NAMED).map(|cause| {
            let name = cause.get("cause").and_then(shown).unwrap_or_else(|| "unknown".to_owned());
            let count = cause.get("count").and_then(shown).unwrap_or_default();
            format!("{name} ({count})")
        });
        facts.push(("Top causes", Text::value(listed(named.collect(), causes.len()))));
    }
    if let Some(hash) = evidence.pointer("/example/hash").and_then(shown) {
        facts.push(("Example", Text::value(hash)));
    }
    if let Some(height) = text("height") {
        facts.push(("Block", Text::value(height)));
    }
    facts
}

fn of_matches(evidence: &Value) -> Vec<(&'static str, Text)> {
    let mut facts = Vec::new();
    let matches = evidence.get("matches").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let known = u64::try_from(matches.len()).unwrap_or(u64::MAX);
    let count = evidence.get("count").and_then(Value::as_u64).unwrap_or(known).max(known);
    if count != 1 {
        facts.push(("Matches", Text::plain(count.to_string())));
    }
    for found in matches.iter().take(NAMED) {
        let text = |name: &str| found.get(name).and_then(shown);
        let arguments = found.get("arguments").and_then(Value::as_object);
        let of_transaction = arguments.filter(|_| text("signature").is_none()).and_then(amounts::of);
        if let Some(signature) = text("signature") {
            let mut pieces = Text::value(signature);
            if let Some(arguments) = arguments.filter(|arguments| !arguments.is_empty()) {
                let all = arguments.iter().map(|(name, value)| {
                    format!("{name}: {}", super::cut(&shown(value).unwrap_or_default(), ARGUMENT_CHARACTERS))
                });
                pieces = pieces.and(Piece::Plain("\n".to_owned()));
                pieces = pieces.and(Piece::Value(listed(all.take(8).collect(), arguments.len())));
            }
            let name = if text("kind").as_deref() == Some("function") { "Call" } else { "Event" };
            facts.push((name, pieces));
        }
        if let Some(hash) = text("transaction_hash") {
            let height = text("height").map(|height| format!(" in block {height}")).unwrap_or_default();
            facts.push(("Transaction", Text::value(format!("{hash}{height}"))));
        }
        facts.extend(of_transaction.map(|amounts| ("Amounts", Text::value(amounts))));
        facts.extend(text("cause").map(|cause| ("Cause", Text::value(cause))));
    }
    facts
}

/// The facts of what is of no alert.
pub(super) fn of_note(kind: &str, body: &Value) -> Vec<(&'static str, Text)> {
    let text = |name: &str| body.get(name).and_then(shown);
    let mut facts = Vec::new();
    match kind {
        "channel.test" => {
            facts.push(("Channel", Text::value(text("name").or_else(|| text("channel")).unwrap_or_default())));
            if let Some(by) = text("by") {
                facts.push(("Asked for by", Text::value(by)));
            }
            facts.push(("Result", Text::plain("this channel works")));
        }
        "channel.summary" => {
            if body.pointer("/kinds/channel.failed").is_some() {
                let name = body.pointer("/channel/name").and_then(shown).unwrap_or_default();
                facts.push(("Channel that cannot be reached", Text::value(name)));
                for (what, key) in [("Attempts", "attempts"), ("Last answer", "error")] {
                    facts.extend(text(key).map(|value| (what, Text::value(value))));
                }
                return facts;
            }
            // A monitor that finds more in a block than one may give, or a channel that has had its share of the hour.
            let has = |kind: &str| body.get("kinds").is_some_and(|kinds| kinds.get(kind).is_some());
            let what = match (has("left_out"), has("not_looked_at")) {
                (true, _) => "Matches left out: too many in a block",
                (_, true) => "Transactions not looked at: conditions of monitors cost too much",
                _ => "Messages held back",
            };
            facts.push((what, Text::value(text("count").unwrap_or_default())));
            if let (Some(since), Some(until)) = (text("since"), text("until")) {
                facts.push(("Between", Text::value(format!("{since} and {until}"))));
            }
            let alerts = body.get("alerts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for alert in alerts {
                let part = |path: &str| alert.pointer(path).and_then(shown).unwrap_or_default();
                let line = format!(
                    "{} on {} ({}, {})",
                    part("/source/name"),
                    part("/network"),
                    part("/severity"),
                    part("/state")
                );
                facts.push(("Alert", Text::value(line)));
            }
        }
        _ => {
            for (name, key) in [
                ("Network", "network"),
                ("Block", "height"),
                ("Taken back", "retracted"),
                ("Included again", "included_again"),
            ] {
                if let Some(value) = text(key) {
                    facts.push((name, Text::value(value)));
                }
            }
        }
    }
    facts
}

fn listed(named: Vec<String>, all: usize) -> String {
    let left = all.saturating_sub(named.len());
    let more = if left > 0 { format!(", … {left} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// A value as people read it; nothing for null and empty texts.
pub(super) fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_of_a_divergence_says_who_shows_what() {
        let alert = json!({
            "severity": "critical", "network": "bitcoin",
            "evidence": {
                "metric": "diverged", "value": 1, "threshold": 0, "window": null, "height": 840_000,
                "reason": "core shows 00…1 at 840001, electrum shows 00…2"
            }
        });
        let facts: Vec<(&str, String)> =
            of_alert("alert.firing", &alert).into_iter().map(|(name, text)| (name, text.bare())).collect();
        let wanted = [
            ("Severity", "critical"),
            ("Network", "bitcoin"),
            ("Figure", "diverged = 1 (threshold 0)"),
            ("Reason", "core shows 00…1 at 840001, electrum shows 00…2"),
            ("Block", "840000"),
        ];
        assert_eq!(facts, wanted.map(|(name, text)| (name, text.to_owned())));
    }
}
