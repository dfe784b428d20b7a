//! A tree as text.

use fastrand::Rng;

use super::tree::{NUMBERS, Number, TEXTS, Truth};

pub(super) fn bracket(rng: &mut Rng, needed: bool, text: String) -> String {
    if needed || rng.u8(..12) == 0 { format!("({text})") } else { text }
}

/// Strength: 1 sum, 2 product, 3 sign, 4 value.
pub(super) fn show_number(rng: &mut Rng, n: &Number, least: u8) -> String {
    let (strength, text) = match n {
        Number::Written(text, _) => (4, text.clone()),
        Number::Variable(at) => (4, NUMBERS[*at].to_owned()),
        Number::Element(at) => (4, format!("list[{at}]")),
        Number::Negative(inner) => (3, format!("-{}", show_number(rng, inner, 3))),
        Number::Reckon(sign, left, right) => {
            let strength = if matches!(sign, '+' | '-') { 1 } else { 2 };
            let blank = if rng.bool() { " " } else { "" };
            let (left, right) = (show_number(rng, left, strength), show_number(rng, right, strength + 1));
            (strength, format!("{left}{blank}{sign}{blank}{right}"))
        }
    };
    bracket(rng, strength < least, text)
}

pub(super) fn quoted(rng: &mut Rng, text: &str) -> String {
    match rng.bool() {
        true => format!("'{}'", text.replace('\'', "\\'")),
        false => format!("\"{text}\""),
    }
}

/// Strength: 1 OR, 2 AND, 3 NOT and comparisons.
pub(super) fn show(rng: &mut Rng, t: &Truth, least: u8) -> String {
    let not = |is: &bool| if *is { " NOT" } else { "" };
    let (strength, text) = match t {
        Truth::Or(parts) => (1, parts.iter().map(|part| show(rng, part, 2)).collect::<Vec<_>>().join(" OR ")),
        Truth::And(parts) => (2, parts.iter().map(|part| show(rng, part, 3)).collect::<Vec<_>>().join(" AND ")),
        Truth::Not(inner) => (3, format!("NOT {}", show(rng, inner, 3))),
        Truth::Flag => (3, "ok".to_owned()),
        Truth::Compare(relation, left, right) => {
            let blank = if rng.bool() { " " } else { "" };
            (3, format!("{}{blank}{relation}{blank}{}", show_number(rng, left, 1), show_number(rng, right, 1)))
        }
        Truth::Text(how, at, text) => (3, format!("{} {how} {}", TEXTS[*at], quoted(rng, text))),
        Truth::TextIn(is_turned, at, list) => {
            let list: Vec<String> = list.iter().map(|text| quoted(rng, text)).collect();
            (3, format!("{}{} in [{}]", TEXTS[*at], not(is_turned), list.join(",")))
        }
        Truth::NumberIn(is_turned, n, list) => {
            let list: Vec<&str> = list.iter().map(|(text, _)| text.as_str()).collect();
            (3, format!("{}{} in [{}]", show_number(rng, n, 1), not(is_turned), list.join(", ")))
        }
        Truth::Bytes(how, text) => (3, format!("data {how} {}", quoted(rng, text))),
        Truth::HasNumber(text, _) => (3, format!("list contains {text}")),
        Truth::HasText(text) => (3, format!("names contains {}", quoted(rng, text))),
    };
    bracket(rng, strength < least, text)
}
