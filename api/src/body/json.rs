//! JSON as RFC 8259 has it, but no object with a key twice (where readers differ in which one counts), and none that nests too deep.

use std::cell::RefCell;

use schemas::{Mistake, limits::control as limits};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The longest path that is told, in characters.
const PATH: usize = 200;

/// Reads a text.
///
/// # Errors
/// Every key that stands twice, the first place that is too deep, or where it is no JSON.
pub fn read(text: &[u8]) -> Result<Value, Vec<Mistake>> {
    let mistakes = RefCell::new(Vec::new());
    let mut json = serde_json::Deserializer::from_slice(text);
    let at = At { above: None, name: Name::Top, depth: 0 };
    let read = Strict { at: &at, mistakes: &mistakes }.deserialize(&mut json).and_then(|v| json.end().map(|()| v));
    let mut mistakes = mistakes.into_inner();
    match read {
        Ok(value) if mistakes.is_empty() => Ok(value),
        Ok(_) => Err(mistakes),
        Err(_) if mistakes.iter().any(|m| m.problem == DEEP) => Err(mistakes),
        Err(e) => {
            let path = format!("line {}, column {}", e.line(), e.column());
            mistakes.push(Mistake::new(path, format!("is not JSON: {e}"), "send one JSON object (RFC 8259) in UTF-8"));
            Err(mistakes)
        }
    }
}

const DEEP: &str = "is nested too deep";

/// A place in the text.
struct At<'a> {
    above: Option<&'a At<'a>>,
    name: Name<'a>,
    depth: usize,
}

enum Name<'a> {
    Top,
    Key(&'a str),
    Place(usize),
}

impl At<'_> {
    /// `abi.3.inputs`.
    fn path(&self) -> String {
        let mut names = Vec::new();
        let mut at = Some(self);
        while let Some(here) = at {
            match here.name {
                Name::Top => {}
                Name::Key(key) => names.push(key.to_owned()),
                Name::Place(n) => names.push(n.to_string()),
            }
            at = here.above;
        }
        names.reverse();
        let path: String = names.join(".").chars().take(PATH).collect();
        if path.is_empty() { "body".to_owned() } else { path }
    }
}

struct Strict<'a> {
    at: &'a At<'a>,
    mistakes: &'a RefCell<Vec<Mistake>>,
}

impl Strict<'_> {
    fn mistake(&self, path: String, problem: &str, cure: String) {
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() < limits::MISTAKES {
            mistakes.push(Mistake::new(path, problem, cure));
        }
    }

    /// What is inside of this one.
    fn inside<E: serde::de::Error>(&self) -> Result<usize, E> {
        if self.at.depth < limits::JSON_DEPTH {
            return Ok(self.at.depth + 1);
        }
        let cure = format!("objects and lists may nest {} deep", limits::JSON_DEPTH);
        self.mistakes.borrow_mut().clear();
        self.mistake(self.at.path(), DEEP, cure);
        Err(E::custom(DEEP))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.inside()?;
        let mut items = Vec::new();
        loop {
            let at = At { above: Some(self.at), name: Name::Place(items.len()), depth };
            match seq.next_element_seed(Strict { at: &at, mistakes: self.mistakes })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.inside()?;
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = At { above: Some(self.at), name: Name::Key(&key), depth };
            let value = map.next_value_seed(Strict { at: &at, mistakes: self.mistakes })?;
            if fields.contains_key(&key) {
                self.mistake(at.path(), "stands more than once", "write it once".to_owned());
            } else {
                fields.insert(key, value);
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrong(text: &str) -> Vec<(String, String)> {
        read(text.as_bytes()).expect_err(text).into_iter().map(|m| (m.path, m.problem)).collect()
    }

    #[test]
    fn a_key_that_stands_twice_is_found_at_any_depth() {
        for (text, path) in [
            (r#"{"a": 1, "a": 1}"#, "a"),
            (r#"{"a": 1, "\u0061": 2}"#, "a"),
            (r#"{"abi": [{}, {"inputs": [{"name": 1, "type": 2, "name": 3}]}]}"#, "abi.1.inputs.0.name"),
            (r#"[{"": 1, "": 2}]"#, "0."),
        ] {
            assert_eq!(wrong(text), [(path.to_owned(), "stands more than once".to_owned())], "{text}");
        }
        assert_eq!(wrong(r#"{"a": 1, "a": 2, "b": {"c": 1, "c": 2}}"#).len(), 2, "all are told");
        let many = format!("{{{}\"a\":0}}", "\"a\":0,".repeat(1_000));
        assert_eq!(wrong(&many).len(), limits::MISTAKES);
    }

    #[test]
    fn what_is_too_deep_or_no_json_is_told_by_its_place() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read(nested(limits::JSON_DEPTH).as_bytes()).is_ok());
        let (path, problem) = wrong(&nested(limits::JSON_DEPTH + 1)).remove(0);
        assert!(problem == DEEP && path.starts_with("0.0.0"), "{path}");
        let (_, problem) = wrong(&"[".repeat(1 << 20)).remove(0);
        assert_eq!(problem, DEEP, "however deep: nothing is read on");
        for (text, path) in [
            ("", "line 1, column 0"),
            ("{\n  \"a\": }", "line 2, column 8"),
            ("{} {}", "line 1, column 4"),
            ("{\"a\": 1e999}", "line 1, column 11"),
            ("{\"a\": \"\\ud800\"}", "line 1, column 14"),
            ("{\"a\": NaN}", "line 1, column 7"),
        ] {
            let (at, problem) = wrong(text).remove(0);
            assert!(at == path && problem.starts_with("is not JSON"), "{text}: {at}: {problem}");
        }
        assert!(read(b"{\"a\": \"\xff\"}").is_err());
    }

    proptest! {
        #[test]
        fn what_is_good_is_read_as_everybody_reads_it(text in r#"[\[\]{}:,"a1 .e-]{0,40}|\{"[ab]":[0-9]{1,3},"[ab]":\[("[cd]"|null|true)\]\}"#) {
            match (read(text.as_bytes()), serde_json::from_str::<Value>(&text)) {
                (Ok(ours), theirs) => prop_assert_eq!(Some(ours), theirs.ok()),
                (Err(mistakes), Ok(_)) => prop_assert!(mistakes.iter().all(|m| m.problem == "stands more than once")),
                (Err(_), Err(_)) => {}
            }
        }
    }
}
