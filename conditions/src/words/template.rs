//! Templates: a monitor's own title and body, with `${…}` where something of the alert stands.
//!
//! A name is a path through the alert as REST shows it (`${source.name}`, `${evidence.matches.0.arguments.value}`), or one of the names that
//! monitors of the other product know (`${monitor.name}`, `${transaction.hash}`, `${events.0.args.value}`, `${functions.0.signature}`), and
//! `${transaction.cause}`. What leads nowhere stays as it is written, so that a mistake is seen.
//!
//! Guarantee: however often a template names its evidence, what it says is bounded ([`FILLED_CHARACTERS`]): a longer value is cut, and tells
//! how much is left out; what is behind the whole's end is left out.

use schemas::limits::conditions::FILLED_CHARACTERS;
use serde_json::Value;

use super::{Piece, Text, cut, figures::shown, length};
pub use crate::monitor::Template;

/// Stands for a cause that is not known (yet), or that there is none of.
const UNKNOWN: &str = "unknown";
/// Stands for what is behind the end.
const MORE: &str = " …";

/// The text with its names filled in.
pub fn render(template: &str, alert: &Value) -> Text {
    let mut text = Text::default();
    if fill(template, alert, &mut text).is_none() {
        text.0.push(Piece::Plain(MORE.to_owned()));
    }
    text
}

/// `None`: it is too long.
fn fill(template: &str, alert: &Value, text: &mut Text) -> Option<()> {
    let (of_value, mut room) = FILLED_CHARACTERS;
    let mut put = |piece: Piece| -> Option<()> {
        let (Piece::Plain(words) | Piece::Value(words)) = &piece;
        room = room.checked_sub(length(words))?;
        text.0.push(piece);
        Some(())
    };
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}') else { break };
        if !before.is_empty() {
            put(Piece::Plain(before.to_owned()))?;
        }
        put(match find(name.trim(), alert) {
            Some(value) => Piece::Value(cut(&value, of_value)),
            None => Piece::Plain(format!("${{{name}}}")),
        })?;
        rest = after;
    }
    if rest.is_empty() { Some(()) } else { put(Piece::Plain(rest.to_owned())) }
}

/// Names of a text that lead nowhere in this alert, each once.
pub fn missing(template: &str, alert: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = template;
    while let Some((name, after)) = rest.split_once("${").and_then(|(_, behind)| behind.split_once('}')) {
        let name = name.trim();
        if find(name, alert).is_none() && names.iter().all(|known| known != name) {
            names.push(name.to_owned());
        }
        rest = after;
    }
    names
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_lead_nowhere_stay_and_are_told_once() {
        let alert = json!({"source": {"name": "m"}, "evidence": {"matches": [
            {"kind": "event", "transaction_hash": "0x1", "arguments": {"value": "7"}}
        ]}});
        let template = "${source.name}: ${events.0.args.value} by ${who}, ${ who } or ${events.1.args.value} ${";
        let text = "m: 7 by ${who}, ${ who } or ${events.1.args.value} ${";
        assert_eq!(render(template, &alert).bare(), text);
        assert_eq!(missing(template, &alert), ["who", "events.1.args.value"]);
        assert_eq!(missing("plain, ${monitor.name}", &alert), [""; 0]);
    }

    #[test]
    fn however_often_a_template_names_its_evidence_it_says_so_much() {
        let alert = json!({"evidence": {"text": "x".repeat(50_000)}, "source": {"name": "m"}});
        let once = render("${evidence.text}!", &alert).bare();
        assert!(once.ends_with(" more!") && length(&once) <= FILLED_CHARACTERS.0 + 1, "{once}");
        let often = render(&"${evidence}".repeat(727), &alert).bare();
        assert!(often.ends_with(MORE) && length(&often) <= FILLED_CHARACTERS.1 + 2, "{}", length(&often));
        let names = "${source.name} ".repeat(500);
        assert_eq!(render(&names, &alert).bare(), "m ".repeat(500));
    }
}
