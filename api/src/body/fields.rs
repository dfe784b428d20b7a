//! The fields of an object, each taken by name and type; what nobody took is a mistake.

use std::time::Duration;

use schemas::{Mistake, Network, TimeMs, limits::control as limits};
use serde_json::{Map, Value};

use crate::error::{ApiError, cut};

/// What answers show and no request sets.
const OURS: [&str; 18] = [
    "id",
    "tenant",
    "tenant_id",
    "organisation",
    "created_at",
    "created_by",
    "created_by_kind",
    "updated_at",
    "version",
    "source",
    "figures",
    "names",
    "prefix",
    "key",
    "hash",
    "secret",
    "last_used_at",
    "revoked_at",
];

/// An object that is being read. Each taking gives `None` where the field is not there, and where it is wrong, which is remembered.
pub struct Fields {
    map: Map<String, Value>,
    known: Vec<&'static str>,
    mistakes: Vec<Mistake>,
}

impl Fields {
    /// The fields of a value.
    ///
    /// # Errors
    /// It is no object.
    pub fn of(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self { map, known: Vec::new(), mistakes: Vec::new() }),
            other => {
                let mistakes = vec![Mistake::new("body", format!("is {}", a(&other)), "send a JSON object: `{…}`")];
                Err(ApiError::InvalidBody { mistakes })
            }
        }
    }

    /// Remembers a mistake.
    pub fn mistake(&mut self, path: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) {
        self.mistakes.push(Mistake::new(path, problem, cure));
    }

    /// As it came, `null` too.
    pub fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name)
    }

    /// A field of the route that this request cannot set.
    pub fn fixed(&mut self, name: &'static str, cure: &str) {
        if self.value(name).is_some() {
            self.mistake(name, "cannot be changed", cure);
        }
    }

    /// One that has to be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        take: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if !self.map.contains_key(name) {
            self.known.push(name);
            self.mistake(name, "is missing", format!("add `{name}`"));
            return None;
        }
        take(self, name)
    }

    /// A text; `null` is none.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text),
            other => self.wrong(name, &other, "a text in quotes"),
        }
    }

    /// A list of texts; `null` is an empty one.
    pub fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let items = match self.value(name)? {
            Value::Null => return Some(Vec::new()),
            Value::Array(items) => items,
            other => return self.wrong(name, &other, "a list of texts: `[\"…\"]`"),
        };
        let before = self.mistakes.len();
        let mut texts = Vec::with_capacity(items.len().min(1_024));
        for (i, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other if self.mistakes.len() < limits::MISTAKES => {
                    self.mistake(format!("{name}.{i}"), format!("is {}", a(&other)), "write a text in quotes");
                }
                _ => break,
            }
        }
        (self.mistakes.len() == before).then_some(texts)
    }

    /// Slugs of networks, each once.
    pub fn networks(&mut self, name: &'static str) -> Option<Vec<Network>> {
        let texts = self.texts(name)?;
        let mut networks: Vec<Network> = Vec::with_capacity(texts.len());
        let before = self.mistakes.len();
        for (i, text) in texts.iter().enumerate().take(limits::KEY_NETWORKS + 1) {
            match text.parse() {
                Ok(network) if networks.contains(&network) => {}
                Ok(network) => networks.push(network),
                Err(_) => {
                    let cure = "write a slug such as `mantle-mainnet`; GET /api/v1/health lists them";
                    self.mistake(format!("{name}.{i}"), format!("`{}` is no slug of a network", cut(text)), cure);
                }
            }
        }
        (self.mistakes.len() == before).then_some(networks)
    }

    /// A time (RFC 3339); the inner `None` is `null`.
    pub fn time(&mut self, name: &'static str) -> Option<Option<TimeMs>> {
        let cure = "a time such as \"2027-01-31T12:00:00Z\" (RFC 3339), or null";
        match self.value(name)? {
            Value::Null => Some(None),
            Value::String(text) => match chrono::DateTime::parse_from_rfc3339(&text) {
                Ok(time) => Some(Some(TimeMs(time.timestamp_millis()))),
                Err(_) => {
                    self.mistake(name, format!("`{}` is no time", cut(&text)), format!("write {cure}"));
                    None
                }
            },
            other => self.wrong(name, &other, cure),
        }
    }

    /// A span of time with its unit, such as `90d`.
    pub fn duration(&mut self, name: &'static str) -> Option<Duration> {
        let value = self.value(name)?;
        self.duration_of(name, value)
    }

    /// The same of a field that was taken.
    pub fn duration_of(&mut self, name: &'static str, value: Value) -> Option<Duration> {
        let Value::String(text) = value else { return self.wrong(name, &value, "a span of time such as \"90d\"") };
        match runtime::config::time(&text) {
            Ok(time) => Some(time),
            Err(cure) => {
                self.mistake(name, format!("`{}` is no span of time", cut(&text)), cure);
                None
            }
        }
    }

    fn wrong<T>(&mut self, name: &str, value: &Value, wanted: &str) -> Option<T> {
        self.mistake(name, format!("is {}", a(value)), format!("write {wanted}"));
        None
    }

    /// Ends it.
    ///
    /// # Errors
    /// There were mistakes, or fields that nobody took.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let fields = std::mem::take(&mut self.map);
        for name in fields.keys() {
            let known = self.known.join(", ");
            if OURS.contains(&name.as_str()) {
                self.mistake(name, "is set by the server alone", "leave it out");
                continue;
            }
            let near = self.known.iter().find(|k| strsim::damerau_levenshtein(k, &cut(name)) <= 2);
            let near = near.map(|k| format!("did you mean `{k}`? ")).unwrap_or_default();
            self.mistake(cut(name), "is not known here", format!("{near}known here: {known}"));
        }
        self.mistakes.truncate(limits::MISTAKES);
        match self.mistakes.is_empty() {
            true => Ok(()),
            false => Err(ApiError::InvalidBody { mistakes: self.mistakes }),
        }
    }
}

/// What a value is, in words.
fn a(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(error: ApiError) -> Vec<(String, String)> {
        match error {
            ApiError::InvalidBody { mistakes } => mistakes.into_iter().map(|m| (m.path, m.problem)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_path() {
        let body = json!({"nam": "x", "labels": ["a", 1], "tenant_id": "t", "expires_at": "soon", "overlap": "1 fortnight",
            "networks": ["a", "A!"], "text": {}, "address": "0x1"});
        let mut fields = Fields::of(body).expect("an object");
        assert_eq!(fields.required("name", Fields::text), None);
        assert_eq!((fields.texts("labels"), fields.networks("networks")), (None, None));
        assert_eq!((fields.time("expires_at"), fields.duration("overlap"), fields.text("text")), (None, None, None));
        fields.fixed("address", "make another");
        let found = paths(fields.finish().expect_err("mistakes"));
        let found: Vec<(&str, &str)> = found.iter().map(|(p, w)| (p.as_str(), w.as_str())).collect();
        assert_eq!(
            found,
            [
                ("name", "is missing"),
                ("labels.1", "is a number"),
                ("networks.1", "`A!` is no slug of a network"),
                ("expires_at", "`soon` is no time"),
                ("overlap", "`1 fortnight` is no span of time"),
                ("text", "is an object"),
                ("address", "cannot be changed"),
                ("nam", "is not known here"),
                ("tenant_id", "is set by the server alone"),
            ]
        );
        assert!(Fields::of(json!([])).is_err());
    }

    #[test]
    fn what_is_good_is_taken() {
        let body = json!({"name": "x", "labels": null, "networks": ["a", "a"], "expires_at": null, "overlap": "1h"});
        let mut fields = Fields::of(body).expect("an object");
        assert_eq!(fields.required("name", Fields::text).as_deref(), Some("x"));
        assert_eq!((fields.texts("labels"), fields.networks("networks").map(|n| n.len())), (Some(vec![]), Some(1)));
        assert_eq!(
            (fields.time("expires_at"), fields.duration("overlap")),
            (Some(None), Some(Duration::from_secs(3_600)))
        );
        assert_eq!(fields.time("other"), None);
        fields.finish().expect("no mistakes");
    }
}
