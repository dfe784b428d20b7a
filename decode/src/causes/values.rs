//! Values for sentences: arguments of an error or of a call, by name and by position.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// In their order.
#[derive(Debug, Default)]
pub(super) struct Values(Vec<(String, Value)>);

impl Values {
    /// Of JSON as [`crate::Decoded::arguments`]; of anything else nothing.
    pub(super) fn of(json: &str) -> Self {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = Vec<(String, Value)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut values = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    values.push(entry);
                }
                Ok(values)
            }
        }
        Self(serde_json::Deserializer::from_str(json).deserialize_map(Ordered).unwrap_or_default())
    }

    /// The one at a position.
    pub(super) fn at(&self, at: usize) -> Option<String> {
        self.0.get(at).map(|(_, value)| shown(value))
    }

    /// The one of a name, or at a position that is written as a number.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match name.parse() {
            Ok(at) => self.at(at),
            Err(_) => self.0.iter().find(|(of, _)| of == name).map(|(_, value)| shown(value)),
        }
    }

    /// All of them: `until: 17, who: 0x…`.
    pub(super) fn all(&self) -> String {
        let each = self.0.iter().map(|(name, value)| match name.parse::<usize>() {
            Ok(_) => shown(value),
            Err(_) => format!("{name}: {}", shown(value)),
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
