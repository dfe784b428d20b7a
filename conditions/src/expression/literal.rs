//! What is written as a value, as the kind of what it stands beside: `0xff` is a number beside a number and a byte beside bytes.

use serde_json::Value as Json;

use super::{
    WrongAt,
    lexer::cut,
    value::{Kind, Value},
};
use crate::number::Number;

/// A value as it is written, and where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Literal {
    pub at: usize,
    pub what: Written,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    Number(Number),
    /// `0x…`
    Hex(String),
    /// Between quotes; or, where `bare`, a word that names no variable.
    Text {
        text: String,
        bare: bool,
    },
    Flag(bool),
}

impl Literal {
    /// As a value of a kind.
    pub(super) fn of(&self, kind: &Kind) -> Result<Value, WrongAt> {
        self.read(kind).ok_or_else(|| self.wrong(kind))
    }

    /// The same; `None` where it is none.
    pub(super) fn read(&self, kind: &Kind) -> Option<Value> {
        match (kind, &self.what) {
            (Kind::Number, Written::Number(number)) => Some(Value::number(*number)),
            (Kind::Number, Written::Hex(text) | Written::Text { text, bare: false }) => {
                Number::read(text).map(Value::number)
            }
            (Kind::Flag, Written::Flag(flag)) => Some(Value::Flag(*flag)),
            (Kind::Flag, Written::Text { text, .. }) => match text {
                text if text.eq_ignore_ascii_case("true") => Some(Value::Flag(true)),
                text if text.eq_ignore_ascii_case("false") => Some(Value::Flag(false)),
                _ => None,
            },
            (Kind::Bytes(length), Written::Hex(text) | Written::Text { text, .. }) => {
                let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
                let bytes = const_hex::decode(digits).ok()?;
                length.is_none_or(|length| length == bytes.len()).then(|| Value::Bytes(bytes.into()))
            }
            (Kind::Text, Written::Hex(text) | Written::Text { text, .. }) => Some(Value::Text(text.as_str().into())),
            (Kind::Text, Written::Number(number)) => Some(Value::Text(number.to_string().into())),
            (Kind::Text, Written::Flag(flag)) => Some(Value::Text(flag.to_string().into())),
            (Kind::List(_) | Kind::Tuple(_), Written::Text { text, bare: false }) => {
                self.of_json(&serde_json::from_str(text).ok()?, kind)
            }
            _ => None,
        }
    }

    /// A list or a tuple is written as a text of JSON: `'["0x…", "0x…"]'`.
    fn of_json(&self, json: &Json, kind: &Kind) -> Option<Value> {
        let text = |text: String| Literal { at: self.at, what: Written::Text { text, bare: false } };
        match (kind, json) {
            (Kind::List(inner), Json::Array(list)) => {
                list.iter().map(|json| self.of_json(json, inner)).collect::<Option<_>>().map(Value::List)
            }
            (Kind::Tuple(members), Json::Array(list)) if list.len() == members.len() => {
                let each = list.iter().zip(members).map(|(json, (_, kind))| self.of_json(json, kind));
                each.collect::<Option<_>>().map(Value::List)
            }
            (Kind::Tuple(members), Json::Object(object)) if object.len() == members.len() => {
                let each = members.iter().map(|(name, kind)| self.of_json(object.get(name)?, kind));
                each.collect::<Option<_>>().map(Value::List)
            }
            (Kind::List(_) | Kind::Tuple(_), _) => None,
            (kind, Json::String(string)) => text(string.clone()).read(kind),
            (kind, Json::Number(number)) => text(number.to_string()).read(kind),
            (Kind::Flag, Json::Bool(flag)) => Some(Value::Flag(*flag)),
            _ => None,
        }
    }

    /// As it is looked for in a text, or in the hex of bytes.
    pub(super) fn needle(&self) -> Value {
        Value::Text(match &self.what {
            Written::Number(number) => number.to_string().into(),
            Written::Hex(text) | Written::Text { text, .. } => text.as_str().into(),
            Written::Flag(flag) => flag.to_string().into(),
        })
    }

    fn shown(&self) -> String {
        match &self.what {
            Written::Number(number) => number.to_string(),
            Written::Hex(text) | Written::Text { text, .. } => cut(text),
            Written::Flag(flag) => flag.to_string(),
        }
    }

    fn wrong(&self, kind: &Kind) -> WrongAt {
        let problem = format!("`{}` is not {}", self.shown(), kind.words());
        let cure = match (kind, &self.what) {
            (_, Written::Text { bare: true, .. }) => {
                "no variable has this name; put a text into quotes: 'text'".to_owned()
            }
            (Kind::Number, _) => "write a number: 1000, 0x3e8, 1.5 ether".to_owned(),
            (Kind::Flag, _) => "write `true` or `false`".to_owned(),
            (Kind::Bytes(Some(n)), _) => format!("write 0x and {} hex digits", 2 * n),
            (Kind::Bytes(None), _) => "write 0x and an even number of hex digits".to_owned(),
            (Kind::Text, _) => "write a text in quotes: 'text'".to_owned(),
            (Kind::List(_), _) => {
                "write it as JSON in quotes, '[1, 2]', or look for one element: `list contains 1`".to_owned()
            }
            (Kind::Tuple(_), _) => "name a member of the tuple: `a.b`".to_owned(),
        };
        WrongAt::new(self.at, problem, cure)
    }
}
