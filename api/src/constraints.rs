//! What the OpenAPI document says of the parameters: the rules of [`crate::params`] in JSON Schema's words.
//!
//! Guarantee, in the tests here and in `routes`: every parameter of the document has its rule here, and what a rule lets
//! through, the parser takes. (A cursor besides has to be one of ours, which no pattern can say.)

use schemas::limits;
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OpenApi, RefOr, Schema, SchemaFormat, Type, path::Operation, schema::Object,
};

use crate::{cursor, door::describe::operations, params};

const SLUG: &str = "^[a-z0-9][a-z0-9-]{0,63}$";
const HASH: &str = "^(0x)?[0-9a-fA-F]{64}$";
/// Heights of up to 19 digits fit into 64 bits, whatever they are.
const BLOCK: &str = "^([0-9]{1,19}|(0x)?[0-9a-fA-F]{64})$";
/// An EVM address, or letters and digits that do not look like the beginning of one.
const ADDRESS: &str = "^(0x[0-9a-fA-F]{40}|([1-9A-Za-z][0-9A-Za-z]|0[0-9A-Za-wyz])[0-9A-Za-z]{12,88})$";
/// A selector, a name, or a name with what the types of its parameters are written with.
const METHOD: &str = r"^(0x[0-9a-fA-F]{8}|[A-Za-z_$][0-9A-Za-z_$]*(\([0-9A-Za-z_$, ()\[\]]*\))?)$";
const WORD: &str = "^[a-z0-9_]{1,64}$";
/// Metrics, with commas between them; the server knows which there are.
const METRICS: &str = "^[a-z0-9_]+(,[a-z0-9_]+)*$";
const METRICS_BYTES: usize = 256;
/// Words with commas between them; each list has its own.
const WORDS: &str = "^[a-z]+(,[a-z]+)*$";
const WORDS_BYTES: usize = 64;
const HEX: &str = "^([0-9a-f]{2})+$";
/// A ULID.
const ID: &str = "^[0-9A-HJKMNP-TV-Z]{26}$";
const AUDIT_WORD: &str = "^[0-9A-Za-z._-]+$";
const TAGS: &str = r#"^(\*|(W/)?"[^"]*"( *, *(W/)?"[^"]*")*)$"#;
const VISIBLE: &str = "^[!-~]+$";
const WS_KEY: &str = "^[0-9A-Za-z+/]{21}[AQgw]==$";

fn text(pattern: &str, shortest: usize, longest: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .min_length(Some(shortest))
        .max_length(Some(longest))
}

fn one_of(words: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied()))
}

/// The rule of a parameter.
pub fn rule(name: &str) -> Option<Object> {
    let object = match name {
        "network" => text(SLUG, 1, limits::NETWORK_SLUG_BYTES),
        "block" => text(BLOCK, 1, 66),
        "method" => text(METHOD, 1, limits::SIGNATURE_BYTES),
        "hash" => text(HASH, 64, 66),
        "address" | "contract" => text(ADDRESS, 14, 90),
        "provider" => text("^[a-z0-9-]+$", 1, limits::people::PROVIDER_ID),
        "back" => text("^/[!-~]*$", 1, limits::people::BACK),
        "invitation" => text(VISIBLE, 1, 200),
        "name" => ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)),
        "cause" => text(WORD, 1, 64),
        "found_by" => one_of(&["trace", "call", "receipt", "budget"]),
        "window" => one_of(&["1h", "24h", "7d"]).default(Some("24h".into())),
        "metric" => text(METRICS, 3, METRICS_BYTES),
        "step" => one_of(&["1m", "5m", "1h", "1d"]).default(Some("1m".into())),
        "q" => text(r"\S", 1, limits::finding::SEARCH_BYTES),
        "id" | "export" => text(ID, 26, 26),
        "actor" | "action" | "resource" => text(AUDIT_WORD, 1, limits::control::AUDIT_WORD_CHARACTERS),
        "rule" | "monitor" | "channel" | "alert" => text(ID, 26, 26),
        "state" | "severity" => text(WORDS, 1, WORDS_BYTES),
        "If-Match" => text(TAGS, 1, 1_024),
        "Idempotency-Key" => text(VISIBLE, 1, limits::control::IDEMPOTENCY_CHARACTERS),
        "cursor" => text(HEX, cursor::LEAST_CHARS, cursor::MAX_CHARS),
        "status" => one_of(&["success", "failed", "unknown"]),
        "format" => one_of(&["csv", "json", "ndjson"]),
        "sort" => one_of(&["newest", "oldest"]).default(Some("newest".into())),
        "from" | "to" | "at" | "since" => ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .min_length(Some(20)),
        "limit" => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(limits::PAGE_ITEMS_MAX))
            .default(Some(limits::PAGE_ITEMS_DEFAULT.into())),
        "inputs_from" | "outputs_from" => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0))
            .maximum(Some(params::POSITION))
            .default(Some(0_u32.into())),
        "Connection" => one_of(&["Upgrade"]),
        "Upgrade" => one_of(&["websocket"]),
        "Sec-WebSocket-Version" => one_of(&["13"]),
        "Sec-WebSocket-Key" => text(WS_KEY, 24, 24),
        _ => return None,
    };
    Some(object.build())
}

/// The rule of a parameter of a route, where that has one of its own.
fn rule_of(path: &str, name: &str) -> Option<Object> {
    match (path, name) {
        ("/api/v1/metrics/overview", "window") => {
            let words = crate::windows::Trailing::ALL.map(crate::windows::Trailing::word);
            return Some(one_of(&words).default(Some("1h".into())).build());
        }
        ("/api/v1/metrics/series", "format") => {
            return Some(one_of(&["json", "csv"]).default(Some("json".into())).build());
        }
        ("/api/v1/monitors/{id}/matches", "state") => return Some(one_of(&["live", "retracted"]).build()),
        _ => {}
    }
    let (most, default) = match (path, name) {
        ("/api/v1/txs/export", "limit") => limits::EXPORT_ROWS,
        ("/api/v1/failures", "limit") => limits::finding::FAILURE_GROUPS,
        ("/api/v1/txs/{network}/{hash}/similar", "limit") => limits::finding::SIMILAR,
        _ => return rule(name),
    };
    let items = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(most));
    Some(items.default(Some(default.into())).build())
}

/// Puts the rules into the document.
pub fn describe(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let operations = operations(item).map(|(_, operation)| operation);
        for parameter in operations.filter_map(|o: &mut Operation| o.parameters.as_mut()).flatten() {
            let RefOr::T(parameter) = parameter else { continue };
            if let Some(rule) = rule_of(path, &parameter.name) {
                parameter.schema = Some(RefOr::T(Schema::Object(rule)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};

    use super::*;
    use crate::params::Params;

    /// Texts that fit the rule of a parameter.
    fn fits(name: &str) -> impl Strategy<Value = String> + use<> {
        let rule = rule(name).expect("a rule");
        let pattern = rule.pattern.expect("a pattern");
        let (least, most) = (rule.min_length.unwrap_or(0), rule.max_length.unwrap_or(usize::MAX));
        let texts = string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).expect("a pattern");
        texts.prop_filter("length", move |t| (least..=most).contains(&t.len()))
    }

    proptest! {
        #[test]
        fn what_fits_a_rule_is_taken(
            network in fits("network"), block in fits("block"), hash in fits("hash"), address in fits("address"),
        ) {
            prop_assert!(params::path_network(&network).is_ok(), "{}", network);
            prop_assert!(params::path_block(&block).is_ok(), "{}", block);
            prop_assert!(params::path_hash(&hash).is_ok(), "{}", hash);
            let query = format!("address={address}");
            let params = Params::parse(Some(&query), &["address"]).expect("known");
            prop_assert!(params.address("address").is_ok(), "{}", address);
        }

        #[test]
        fn what_the_parser_takes_fits_the_rule(text in "[0-9a-z-]{0,70}|(0x)?[0-9a-fA-F]{63,65}|[0-9]{0,21}|.{0,9}") {
            let long_height = text.len() > 19 && text.bytes().all(|b| b.is_ascii_digit());
            let fits = |name: &str| {
                let pattern = rule(name).and_then(|r| r.pattern).expect("a pattern");
                regex::Regex::new(&pattern).expect("a pattern").is_match(&text)
            };
            prop_assert_eq!(params::path_network(&text).is_ok(), fits("network"), "{}", text);
            prop_assert!(long_height || params::path_block(&text).is_ok() == fits("block"), "{}", text);
            prop_assert_eq!(params::path_hash(&text).is_ok(), fits("hash"), "{}", text);
        }
    }
}
