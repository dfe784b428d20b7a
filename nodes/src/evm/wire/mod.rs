//! What EVM nodes send, read leniently: every field optional, unknown fields and transaction types accepted, both bare
//! results and whole JSON-RPC envelopes. A value that does not fit is an error that names the field and shows the value.
//!
//! These are our own types because they cost about a tenth of the general ones, and because one odd field of one chain must
//! not fail a whole block (Ethereum execution-apis; OP-stack, Arbitrum and Mantle extensions).

pub mod block;
mod object;
pub mod receipt;
pub mod transaction;
pub mod value;

use serde::de::{Deserialize as _, Error as _};
use serde_json::value::RawValue;

pub use self::{
    block::{Block, Head},
    receipt::{Log, Receipt},
    transaction::Transaction,
    value::{Count, Lenient, Text, Wire},
};

object::wire_object! {
    /// The error object of JSON-RPC 2.0, section 5.1.
    pub struct ErrorObject {
        /// Number of the error.
        code: i64 = "code",
        /// What the node says.
        message: Text = "message",
        /// What it adds.
        data: Remark = "data",
    }
}

/// Any value, as the node wrote it, up to [`Remark::BYTES`]; a text without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark(pub String);

impl Remark {
    /// What is kept of it.
    pub const BYTES: usize = 1 << 10;
}

impl Wire for Remark {
    fn wire<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
        let raw = Box::<RawValue>::deserialize(d)?;
        let text = raw.get().trim_matches('"');
        Ok((text != "null").then(|| Self(text[..text.floor_char_boundary(Self::BYTES)].to_owned())))
    }
}

/// `error` of an envelope. Some proxies put a text there.
struct AnyError(ErrorObject);

impl Wire for AnyError {
    fn wire<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
        let raw = Box::<RawValue>::deserialize(d)?;
        if raw.get().starts_with('{') || raw.get() == "null" {
            let object: Lenient<ErrorObject> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
            return Ok(object.0.map(AnyError));
        }
        let text = Remark::wire(&*raw).map_err(D::Error::custom)?.map(|remark| Text(remark.0));
        Ok(Some(AnyError(ErrorObject { message: text, ..ErrorObject::default() })))
    }
}

/// An answer: the result, nothing (`null`), or the node's error.
#[derive(Debug)]
pub enum Answer<T> {
    /// `result`, or the bare value.
    Result(T),
    /// `"result": null`.
    Null,
    /// `error`.
    Error(ErrorObject),
}

/// Reads an answer in one pass: an envelope, or a bare result.
pub fn parse_answer<T: Wire>(text: &str) -> Result<Answer<T>, serde_json::Error> {
    if text.trim_start().starts_with('{') {
        let envelope: Lenient<Envelope<T>> = serde_json::from_str(text)?;
        match envelope.0 {
            Some(Envelope { error: Some(e), .. }) => return Ok(Answer::Error(e)),
            Some(Envelope { result: Some(r), .. }) => return Ok(r.map_or(Answer::Null, Answer::Result)),
            _ => {}
        }
    }
    serde_json::from_str::<Lenient<T>>(text).map(|l| l.0.map_or(Answer::Null, Answer::Result))
}

/// A JSON-RPC 2.0 envelope. `result` is `Some(None)` when it is there and `null`.
pub struct Envelope<T> {
    /// The request's number.
    pub id: Option<u64>,
    /// The result.
    pub result: Option<Option<T>>,
    /// The error.
    pub error: Option<ErrorObject>,
}

struct EnvelopeVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Wire> serde::de::Visitor<'de> for EnvelopeVisitor<T> {
    type Value = Option<Envelope<T>>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON-RPC answer")
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut out = Envelope { id: None, result: None, error: None };
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "result" => {
                    let read = map.next_value::<Lenient<T>>();
                    out.result = Some(read.map_err(|e| A::Error::custom(format_args!("result: {e}")))?.0);
                }
                "error" => out.error = map.next_value::<Lenient<AnyError>>()?.0.map(|e| e.0),
                "id" => out.id = map.next_value::<serde_json::Value>()?.as_u64(),
                _ => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        Ok(Some(out))
    }
}

impl<T: Wire> Wire for Envelope<T> {
    fn wire<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
        d.deserialize_any(EnvelopeVisitor(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_and_bare_results_are_told_apart() {
        let number = |t: &str| match parse_answer::<Head>(t).unwrap() {
            Answer::Result(h) => h.number,
            other => panic!("{other:?}"),
        };
        assert_eq!(number(r#"{"jsonrpc":"2.0","id":1,"result":{"number":"0x7"}}"#), Some(7));
        assert_eq!(number(r#"{"number":"0x7"}"#), Some(7));
        assert!(matches!(parse_answer::<Head>(r#"{"jsonrpc":"2.0","id":1,"result":null}"#), Ok(Answer::Null)));
        assert!(matches!(parse_answer::<Head>("null"), Ok(Answer::Null)));
        match parse_answer::<Head>(r#"{"id":1,"error":{"code":-32601,"message":"no"},"result":null}"#).unwrap() {
            Answer::Error(e) => assert_eq!((e.code, e.message), (Some(-32601), Some(Text("no".into())))),
            other => panic!("{other:?}"),
        }
        match parse_answer::<Head>(r#"{"error":"too many","id":1}"#).unwrap() {
            Answer::Error(e) => assert_eq!((e.code, e.message), (None, Some(Text("too many".into())))),
            other => panic!("{other:?}"),
        }
        match parse_answer::<Head>(r#"{"error":{"code":1,"message":"m","data":{"a":[1]}}}"#).unwrap() {
            Answer::Error(e) => assert_eq!(e.data, Some(Remark(r#"{"a":[1]}"#.into()))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn errors_name_field_and_value() {
        let text = r#"{"result":[{"transactionHash":"0x","logs":[{"topics":[]},{"topics":["0x1"]}]}]}"#;
        let e = parse_answer::<Vec<Receipt>>(text).unwrap_err().to_string();
        for part in ["element 0", "field `logs`", "element 1", "field `topics`", "`0x1` is not 32 bytes"] {
            assert!(e.contains(part), "{e} lacks {part}");
        }
        assert!(parse_answer::<Block>(r#"{"result":{"number":"0x1","trans"#).is_err());
        let strings = r#"{"transactions":["0x12"]}"#;
        assert!(parse_answer::<Block>(strings).is_err(), "hashes are not full transactions");
    }
}
