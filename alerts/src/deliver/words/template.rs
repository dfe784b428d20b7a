//! Templates: a monitor's own title and body, with `${…}` where something of the alert stands.
//!
//! A name is a path through the alert as REST shows it (`${source.name}`, `${evidence.matches.0.arguments.value}`), or one of the names that
//! monitors of the other product know (`${monitor.name}`, `${transaction.hash}`, `${events.0.args.value}`, `${functions.0.signature}`), and
//! `${transaction.cause}`. What leads nowhere stays as it is written, so that a mistake is seen.

use serde_json::Value;

use super::{Piece, Text, figures::shown};

/// A monitor's template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// Instead of the name behind what is the matter.
    pub title: Option<String>,
    /// Instead of the facts.
    pub body: Option<String>,
}

/// Stands for a cause that is not known (yet), or that there is none of.
const UNKNOWN: &str = "unknown";

/// The text with its names filled in.
pub fn render(template: &str, alert: &Value) -> Text {
    let mut text = Text::default();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}') else { break };
        if !before.is_empty() {
            text.0.push(Piece::Plain(before.to_owned()));
        }
        match find(name.trim(), alert) {
            Some(value) => text.0.push(Piece::Value(value)),
            None => text.0.push(Piece::Plain(format!("${{{name}}}"))),
        }
        rest = after;
    }
    if !rest.is_empty() {
        text.0.push(Piece::Plain(rest.to_owned()));
    }
    text
}

fn find(name: &str, alert: &Value) -> Option<String> {
    let walk = |path: &str| -> Option<&Value> {
        path.split('.').try_fold(alert, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        })
    };
    if let Some(value) = walk(name) {
        return shown(value);
    }
    let first = || alert.pointer("/evidence/matches/0");
    match name {
        "monitor.name" | "rule.name" => return walk("source.name").and_then(shown),
        "transaction.hash" => return first()?.get("transaction_hash").and_then(shown),
        // Found out late, mostly: until then it is not a mistake of the template's.
        "transaction.cause" => {
            return Some(first()?.get("cause").and_then(shown).unwrap_or_else(|| UNKNOWN.to_owned()));
        }
        "block.number" | "block.height" => {
            return first()?.get("height").or(alert.pointer("/evidence/height")).and_then(shown);
        }
        "block.hash" => return first()?.get("block_hash").or(alert.pointer("/evidence/block_hash")).and_then(shown),
        _ => {}
    }
    // `events.N.args.NAME`: the Nth match of that kind.
    let mut parts = name.splitn(3, '.');
    let kind = match parts.next()? {
        "events" => "event",
        "functions" => "function",
        _ => return None,
    };
    let number: usize = parts.next()?.parse().ok()?;
    let matches = alert.pointer("/evidence/matches")?.as_array()?;
    let found = matches.iter().filter(|m| m.get("kind").and_then(Value::as_str) == Some(kind)).nth(number)?;
    match parts.next()? {
        "signature" => found.get("signature").and_then(shown),
        path => found.get("arguments")?.get(path.strip_prefix("args.")?).and_then(shown),
    }
}
