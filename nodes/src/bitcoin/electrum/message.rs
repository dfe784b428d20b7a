//! What a server sends, a line at a time, and what it is asked. Pure.
//!
//! Guarantee: whatever a line holds is read or refused in time linear in its length; nothing of it is kept that was not asked for. JSON-RPC
//! 1.0 and 2.0, ids that came back as texts, batches that nobody asked for, and errors that are a bare text are all understood.

use std::fmt;

use schemas::limits::bitcoin as limits;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::mask::Mask;

/// What a message keeps of an error's text, bytes.
const ERROR_TEXT: usize = 512;
/// Errors that are longer than this are not looked into, bytes.
const ERROR_BYTES: usize = 64 << 10;

/// Something that a server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// An answer: which request's, and the result as JSON or the error.
    Answer(u64, Result<&'a str, Refusal>),
    /// An error that belongs to no request: about the connection.
    Complaint(Refusal),
    /// A notification: the method that was subscribed to, and its parameters as JSON.
    Notice(String, &'a str),
}

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its code; 0 where it has none.
    pub code: i64,
    /// What it says, cut.
    pub text: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<String>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// A list of not too many messages.
struct Few<'a>(Vec<Envelope<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Few<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Vec<Envelope<'de>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element::<Envelope<'de>>()? {
                    if all.len() == limits::ELECTRUM_MESSAGES_PER_LINE {
                        return Err(A::Error::custom("too many messages at once"));
                    }
                    all.push(one);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(List).map(Few)
    }
}

/// An error's words, which may hold whatever a server wrote: cut to a length that fits a message.
pub(super) fn words(e: impl fmt::Display) -> String {
    Mask::default().scrub(e.to_string())
}

/// Reads a line: a message, or a list of them.
///
/// # Errors
///
/// Why it is none, in words.
pub fn read(line: &[u8]) -> Result<Vec<Message<'_>>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('[') {
        let Few(all): Few<'_> = serde_json::from_str(text).map_err(words)?;
        return all.into_iter().map(message).collect();
    }
    let one: Envelope<'_> = serde_json::from_str(text).map_err(words)?;
    Ok(vec![message(one)?])
}

fn message(envelope: Envelope<'_>) -> Result<Message<'_>, String> {
    let Envelope { id, method, params, result, error } = envelope;
    if let Some(method) = method {
        return Ok(Message::Notice(method, params.map_or("[]", RawValue::get)));
    }
    match (id.map(|id| number(id.get())), error) {
        (Some(Some(id)), Some(error)) => Ok(Message::Answer(id, Err(refusal(error.get())))),
        // `null` is a result too.
        (Some(Some(id)), None) => Ok(Message::Answer(id, Ok(result.map_or("null", RawValue::get)))),
        (_, Some(error)) => Ok(Message::Complaint(refusal(error.get()))),
        (Some(None), None) => Err("its id is none of ours".into()),
        (None, None) => Err("it is no JSON-RPC message".into()),
    }
}

/// An id: a number, or a text that is one.
fn number(json: &str) -> Option<u64> {
    json.trim_matches('"').parse().ok()
}

fn refusal(json: &str) -> Refusal {
    let value = if json.len() > ERROR_BYTES { Value::Null } else { serde_json::from_str(json).unwrap_or_default() };
    let (code, text) = match value {
        Value::Object(error) => {
            let code = error.get("code").and_then(|code| code.as_i64().or_else(|| code.as_str()?.parse().ok()));
            let text = match error.get("message") {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => Value::Object(error.clone()).to_string(),
            };
            (code.unwrap_or_default(), text)
        }
        Value::String(text) => (0, text),
        Value::Null => (0, "an error of many words".to_owned()),
        other => (0, other.to_string()),
    };
    let end = text.floor_char_boundary(ERROR_TEXT);
    let text = text.get(..end).unwrap_or_default();
    Refusal { code, text: text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() }
}

/// A request, with its end. `params` is a JSON list; `method` has no character that JSON would escape.
pub fn request(id: u64, method: &str, params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Message<'_>, String> {
        read(line.as_bytes()).map(|mut all| all.remove(0))
    }

    fn refused(code: i64, text: &str) -> Refusal {
        Refusal { code, text: text.into() }
    }

    #[test]
    fn answers_are_read_in_every_form_that_servers_write() {
        assert_eq!(
            one(r#"{"jsonrpc":"2.0","id":7,"result":{"height":1}}"#),
            Ok(Message::Answer(7, Ok(r#"{"height":1}"#)))
        );
        assert_eq!(one(r#"{"id":"7","result":null,"error":null}"#), Ok(Message::Answer(7, Ok("null"))));
        assert_eq!(one("\u{feff} {\"id\":7,\"result\":[]} \r"), Ok(Message::Answer(7, Ok("[]"))));
        let busy = refused(-102, "server busy - request timed out");
        assert_eq!(
            one(r#"{"jsonrpc":"2.0","error":{"code":-102,"message":"server busy - request timed out"},"id":1}"#),
            Ok(Message::Answer(1, Err(busy)))
        );
        assert_eq!(
            one(r#"{"id":1,"error":"history too large"}"#),
            Ok(Message::Answer(1, Err(refused(0, "history too large"))))
        );
        assert_eq!(
            one(r#"{"id":1,"error":{"code":"2","message":["x"]}}"#),
            Ok(Message::Answer(1, Err(refused(2, "[\"x\"]"))))
        );
        let complaint = refused(1, "use server.version to identify client");
        assert_eq!(
            one(r#"{"jsonrpc":"2.0","error":{"code":1,"message":"use server.version to identify client"},"id":null}"#),
            Ok(Message::Complaint(complaint))
        );
        let both = read(br#"[{"id":2,"result":1},{"method":"blockchain.headers.subscribe","params":[{"height":3}]}]"#);
        let notice = Message::Notice("blockchain.headers.subscribe".into(), r#"[{"height":3}]"#);
        assert_eq!(both, Ok(vec![Message::Answer(2, Ok("1")), notice]));
        assert_eq!(read(b"[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for line in [
            "",
            "{}",
            "null",
            "7",
            "{\"id\":1,\"id\":2,\"result\":3}",
            "{\"id\":{},\"result\":3}",
            "HTTP/1.1 400 Bad",
            "[[]]",
        ] {
            assert!(read(line.as_bytes()).is_err(), "{line}");
        }
        assert!(read(&[0xff, 0xfe]).is_err());
        let deep = format!("{{\"id\":1,\"error\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
        assert_eq!(one(&deep), Ok(Message::Answer(1, Err(refused(0, "an error of many words")))));
        let long = format!("{{\"id\":1,\"error\":\"{}\"}}", "ä".repeat(20_000));
        let Ok(Message::Answer(1, Err(long))) = one(&long) else { panic!("an error") };
        assert!(long.text.len() <= ERROR_TEXT && long.text.starts_with('ä'));
    }

    #[test]
    fn a_line_is_bounded_in_messages_and_in_what_is_said_of_it() {
        let list = |count: usize| format!("[{}]", vec![r#"{"method":"x"}"#; count].join(","));
        let most = limits::ELECTRUM_MESSAGES_PER_LINE;
        assert_eq!(read(list(most).as_bytes()).map(|all| all.len()), Ok(most));
        assert!(read(list(most + 1).as_bytes()).is_err());
        for line in [format!("[\"{}\"]", "x".repeat(1 << 20)), format!("\"{}\"", "x\\n".repeat(1 << 20))] {
            let said = read(line.as_bytes()).expect_err("no message");
            assert!(said.len() < 1_000 && !said.contains('\n'), "{} bytes", said.len());
        }
    }

    #[test]
    fn a_request_is_one_line() {
        let line = request(3, "server.version", r#"["x",["1.4","1.6"]]"#);
        assert_eq!(
            line,
            "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"server.version\",\"params\":[\"x\",[\"1.4\",\"1.6\"]]}\n"
        );
        assert!(serde_json::from_str::<Value>(&line).is_ok());
    }
}
