//! What an EVM node's refusal means. Pure.
//!
//! Guarantee: whatever a node refuses with (an error object, a bare text under HTTP 200, a page of a proxy), the same thing has the
//! same kind. The spellings are those of clients (geth, Erigon, Nethermind, reth, Besu), of EIP-1474's table, and of providers, as
//! their documents and public reports of routers before us (eRPC, dshackle) list them.

use std::time::Duration;

use schemas::limits;
use serde_json::Value;

use super::wire::ErrorObject;
use crate::error::{Missing, NodeErrorKind};

/// Shorter answers than this are looked at for words of a proxy, bytes.
const SHORT: usize = 4 << 10;
/// What a message shows of an answer that is no JSON, in characters.
const SHOWN: usize = 120;

const NO_METHOD: &[&str] = &[
    "method not found",
    "method not supported",
    "does not exist/is not available",
    "unsupported method",
    "method is not available",
    "method is not supported",
    "method not available",
    "method not allowed",
    "not whitelisted",
    "unknown method",
    "not included in your current plan",
    "module is disabled",
    "method is disabled",
    "method disabled",
    "namespace is disabled",
    "not available on the free tier",
    "not available on your",
    "not available for your",
    "not available on this plan",
    "not supported on your",
    "not supported on this plan",
    "not enabled for your",
    "requires a paid plan",
];
const NO_BLOCK: &[&str] = &["null round"];
const TOO_MANY: &[&str] = &[
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate exceeded",
    "call rate",
    "too many requests",
    "too many connections",
    "request limit",
    "requests limited",
    "request rate",
    "request count exceeded",
    "exceeded its",
    "has exceeded",
    "exceeded the quota",
    "reached the quota",
    "quota exceeded",
    "over quota",
    "compute units",
    "capacity exceeded",
    "capacity limit",
    "throughput limit",
    "usage limit",
    "reached the free tier",
    "too much load",
    "throttl",
    "error code: 1015",
    "credits limit",
];
const PRUNED: &[&str] = &[
    "prun",
    "missing trie node",
    "history unavailable",
    "historical state",
    "historical data",
    "old data not available",
    "archive",
    "state is not available",
    "state not available",
    "proof window",
    "lowest height is",
    "earliest available",
];
const NOT_YET: &[&str] = &[
    "header not found",
    "block not found",
    "block is not found",
    "unknown block",
    "could not find block",
    "cannot find block",
    "unable to find block",
    "unfinalized data",
    "not yet available",
    "not available yet",
    "future block",
    "current blockchain height",
    "resource not found",
];

/// What a JSON-RPC error means, its `data` read together with its message.
pub fn classify(error: &ErrorObject) -> NodeErrorKind {
    let message = error.message.as_ref().map_or("", |t| t.0.as_str());
    let data = error.data.as_ref().map_or("", |d| d.0.as_str());
    let shown = if data.is_empty() || data == "null" { message.to_owned() } else { format!("{message}: {data}") };
    of(error.code.unwrap_or_default(), shown)
}

/// What a number and a text mean.
fn of(code: i64, shown: String) -> NodeErrorKind {
    let text = shown.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if code == -32601 || says(NO_METHOD) {
        NodeErrorKind::Missing(Missing::Method, shown)
    } else if says(NO_BLOCK) {
        NodeErrorKind::NoBlock(shown)
    } else if (matches!(code, -32005 | -32016 | -32029 | -32090 | 429) || says(TOO_MANY)) && !about_the_question(&text)
    {
        NodeErrorKind::Throttled(wait_in(&text), shown)
    } else if says(PRUNED) {
        NodeErrorKind::Missing(Missing::Pruned, shown)
    } else if code == -32001 && text.is_empty() || says(NOT_YET) {
        NodeErrorKind::Empty
    } else {
        NodeErrorKind::Rpc(code, shown)
    }
}

/// Limits of one question, which some nodes tell with the numbers and words of limits of rate: another question may be answered.
fn about_the_question(text: &str) -> bool {
    ["batch", "more than 10000 results", "block range", "response size", "too big", "too large"]
        .iter()
        .any(|word| text.contains(word))
}

/// How long to wait, as the text of a refusal says it: `retry in 10s`, `try again in 588ms`, `backoff_seconds: 30`.
fn wait_in(text: &str) -> Option<Duration> {
    const BEFORE: [&str; 7] =
        ["retry in", "retry after", "try again in", "again after", "backoff_seconds", "try_again_in", "retry_after"];
    let rest = BEFORE.iter().find_map(|words| Some(text.split_once(words)?.1))?;
    let rest = rest.trim_start_matches(['"', '\\', ':', '=', ' ']);
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let number: f64 = rest[..end].parse().ok().filter(|n: &f64| n.is_finite())?;
    let unit = rest[end..].trim_start();
    let seconds = match unit {
        u if u.starts_with("ms") || u.starts_with("millis") => number / 1000.0,
        u if u.starts_with("min") || u.starts_with("m ") || u == "m" => number * 60.0,
        u if u.starts_with('h') => number * 3600.0,
        _ => number,
    };
    Some(Duration::from_secs_f64(seconds.min(1e6)).min(limits::NODE_RETRY_AFTER))
}

/// What an answer is that is no JSON-RPC: `{"message": "Too many requests"}`, `{"error": "…"}`, `error code: 1015`, a page. `None` for
/// what may be an answer, bare results among them.
pub fn classify_foreign(body: &str) -> Option<NodeErrorKind> {
    let body = body.trim_start_matches('\u{feff}').trim();
    match body.bytes().next() {
        None => return Some(NodeErrorKind::Malformed("the answer is empty".into())),
        Some(b'{') if body.len() <= SHORT => {}
        // Numbers, texts, lists, `null`: what is wanted decides.
        Some(b'{' | b'[' | b'"' | b'n' | b't' | b'f' | b'0'..=b'9' | b'-') if body != "null" || body.len() > SHORT => {
            return None;
        }
        Some(b'n') => return None,
        Some(_) => {
            let shown: String = body.chars().take(SHOWN).collect();
            return Some(match of(0, shown.clone()) {
                throttled @ NodeErrorKind::Throttled(..) => throttled,
                _ => NodeErrorKind::Malformed(format!("no JSON but: {shown}")),
            });
        }
    }
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(body) else { return None };
    if object.contains_key("result") || object.get("error").is_some_and(Value::is_object) {
        return None;
    }
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let number = |name: &str| object.get(name).and_then(Value::as_i64);
    let said = text("error").or_else(|| text("message")).or_else(|| text("detail")).or_else(|| text("title"))?;
    let code = number("code").or_else(|| number("status")).or_else(|| number("statusCode")).unwrap_or_default();
    Some(of(code, said.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::{Class, NodeError};

    fn kind(error: &str) -> NodeErrorKind {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
        match super::super::wire::parse_answer::<super::super::wire::Head>(&text) {
            Ok(super::super::wire::Answer::Error(e)) => classify(&e),
            other => panic!("{error}: {other:?}"),
        }
    }

    fn class(error: &str) -> Class {
        NodeError { endpoint: "a".into(), call: "eth_x".into(), kind: kind(error) }.class()
    }

    #[test]
    fn one_thing_has_one_kind_however_it_is_spelled() {
        for missing in [
            r#"{"code":-32601,"message":"no"}"#,
            r#"{"code":-32000,"message":"missing trie node ab"}"#,
            r#"{"code":4444,"message":"pruned history unavailable"}"#,
            r#"{"code":-32701,"message":"History has been pruned for this block."}"#,
            r#"{"code":-32000,"message":"old data not available due to pruning"}"#,
            r#"{"code":-32603,"message":"eth_getBlockReceipts is not included in your current plan"}"#,
            r#"{"code":-32004,"message":"Method not supported"}"#,
        ] {
            assert_eq!(class(missing), Class::Missing, "{missing}");
        }
        for empty in [
            r#"{"code":-32000,"message":"header not found"}"#,
            r#"{"code":-39001,"message":"Unknown block"}"#,
            r#"{"code":-32001,"message":"Unable to find block"}"#,
            r#"{"code":-32000,"message":"cannot query unfinalized data"}"#,
            r#"{"code":-32603,"message":"finalized block not found"}"#,
        ] {
            assert_eq!(class(empty), Class::Empty, "{empty}");
        }
        assert_eq!(class(r#"{"code":12,"message":"requested epoch was a null round (7)","data":7}"#), Class::NoBlock);
        for failing in [r#"{"code":-32000,"message":"boom"}"#, r#"{"code":-32008,"message":"Response is too big"}"#] {
            assert!(matches!(kind(failing), NodeErrorKind::Rpc(..)), "{failing}");
        }
    }

    #[test]
    fn too_many_requests_are_told_from_too_large_ones() {
        let waits = [
            (r#"{"code":-32005,"message":"slow down"}"#, None),
            (r#"{"code":-32016,"message":"over rate limit"}"#, None),
            (r#"{"code":-32007,"message":"50/second request limit reached - reduce calls per second"}"#, None),
            (
                r#"{"code":-32090,"message":"Too many requests, reason: call rate limit exhausted, retry in 10s"}"#,
                Some(10_000),
            ),
            (r#"{"code":429,"message":"Your app has exceeded its compute units per second capacity."}"#, None),
            (
                r#"{"code":-32005,"message":"project ID request rate exceeded","data":{"rate":{"allowed_rps":5,"backoff_seconds":30,"current_rps":7.6}}}"#,
                Some(30_000),
            ),
            (r#"{"code":-32029,"message":"Too Many Requests","data":{"try_again_in":"588.5ms"}}"#, Some(588)),
            (r#"{"code":-32000,"message":"rate limited, try again in 2 minutes"}"#, Some(120_000)),
            (r#"{"code":-32000,"message":"rate limit: retry after 99999999999"}"#, Some(300_000)),
        ];
        for (error, wait) in waits {
            match kind(error) {
                NodeErrorKind::Throttled(found, _) => assert_eq!(found.map(|w| w.as_millis()), wait, "{error}"),
                other => panic!("{error}: {other:?}"),
            }
        }
        for question in [
            r#"{"code":-32005,"message":"query returned more than 10000 results"}"#,
            r#"{"code":31,"message":"Batch of more than 3 requests are not allowed on free tier"}"#,
            r#"{"code":-32005,"message":"batch item count exceeded"}"#,
        ] {
            assert!(matches!(kind(question), NodeErrorKind::Rpc(..)), "{question}");
        }
    }

    #[test]
    fn what_is_no_json_rpc_is_told_from_answers() {
        for throttled in [
            r#"{"message":"Too Many Requests"}"#,
            r#"{"error":"rate limit exceeded"}"#,
            r#"{"status":429,"title":"slow"}"#,
            "error code: 1015",
            "<html><title>429 Too Many Requests</title></html>",
        ] {
            let kind = classify_foreign(throttled);
            assert!(matches!(kind, Some(NodeErrorKind::Throttled(..))), "{throttled}: {kind:?}");
        }
        for malformed in ["<!doctype html><title>Welcome</title>", "upstream connect error", "", "  "] {
            let kind = classify_foreign(malformed);
            assert!(matches!(kind, Some(NodeErrorKind::Malformed(_))), "{malformed}: {kind:?}");
        }
        for answer in [
            r#"{"jsonrpc":"2.0","id":1,"result":{"number":"0x1"}}"#,
            r#"{"id":1,"error":{"code":-32005,"message":"x"}}"#,
            r#"{"number":"0x1","hash":"0x11"}"#,
            "null",
            "[]",
            r#""0x1""#,
            "7",
        ] {
            assert_eq!(classify_foreign(answer), None, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_meaning(code in any::<i64>(), text in "\\PC{0,60}", number in "[0-9.]{0,30}", unit in "[a-z ]{0,3}") {
            let _ = (of(code, text.clone()), classify_foreign(&text));
            let wait = wait_in(&format!("{text} retry in {number}{unit}"));
            prop_assert!(wait.is_none_or(|wait| wait <= limits::NODE_RETRY_AFTER));
        }
    }
}
