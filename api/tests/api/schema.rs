//! A strict reader of the part of JSON Schema that our document uses: unknown keywords fail, fields that are not documented
//! fail, and every documented field must be there.

use serde_json::Value;

/// Everything that is wrong with a value; empty when it is as documented.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    walk(document, schema, value, "$", &mut problems);
    problems
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(path) => {
            let target = document.pointer(path.trim_start_matches('#'));
            resolve(document, target.unwrap_or_else(|| panic!("{path} is not in the document")))
        }
        None => schema,
    }
}

/// Properties of an object schema with all its parts.
fn properties<'a>(document: &'a Value, schema: &'a Value, into: &mut Vec<(&'a String, &'a Value)>) {
    let schema = resolve(document, schema);
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        properties(document, part, into);
    }
    into.extend(schema.get("properties").and_then(Value::as_object).into_iter().flatten());
}

fn walk(document: &Value, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    let schema = resolve(document, schema);
    let fields = schema.as_object().expect("a schema is an object");
    for key in fields.keys() {
        let known = [
            "type",
            "properties",
            "required",
            "items",
            "oneOf",
            "allOf",
            "format",
            "pattern",
            "minimum",
            "description",
            "example",
            "enum",
            "maximum",
            "additionalProperties",
            "propertyNames",
        ];
        assert!(known.contains(&key.as_str()), "this test does not know `{key}`");
    }
    if let Some(choices) = fields.get("oneOf").and_then(Value::as_array) {
        if choices.iter().filter(|c| check(document, c, value).is_empty()).count() != 1 {
            problems.push(format!("{at}: {value} fits not exactly one of {choices:?}"));
        }
        return;
    }
    let types: Vec<&str> = match fields.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ if fields.contains_key("allOf") => vec!["object"],
        _ => panic!("{at}: no type in {schema}"),
    };
    let fits = types.iter().any(|t| match *t {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("this test does not know type {other}"),
    });
    if !fits {
        problems.push(format!("{at}: {value} is none of {types:?}"));
        return;
    }
    match value {
        Value::Object(object) => {
            let mut documented = Vec::new();
            properties(document, schema, &mut documented);
            if let Some(each) = fields.get("additionalProperties").filter(|each| each.is_object()) {
                for (name, field) in object {
                    walk(document, each, field, &format!("{at}.{name}"), problems);
                }
            }
            // Free-form objects (decoded arguments) are documented as such.
            if documented.is_empty() {
                return;
            }
            for (name, schema) in &documented {
                match object.get(*name) {
                    Some(field) => walk(document, schema, field, &format!("{at}.{name}"), problems),
                    None => problems.push(format!("{at}: `{name}` is documented and missing")),
                }
            }
            for name in object.keys().filter(|n| documented.iter().all(|(d, _)| d != n)) {
                problems.push(format!("{at}: `{name}` is there and not documented"));
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                walk(document, &fields["items"], item, &format!("{at}[{i}]"), problems);
            }
        }
        Value::String(text) => {
            if fields.get("format").and_then(Value::as_str) == Some("date-time") && !is_time(text) {
                problems.push(format!("{at}: {text} is no time with milliseconds"));
            }
            match fields.get("pattern").and_then(Value::as_str) {
                Some("^[0-9]+$") if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) => {
                    problems.push(format!("{at}: {text} is no amount"));
                }
                Some("^(success|failed|unknown)$") if !["success", "failed", "unknown"].contains(&text.as_str()) => {
                    problems.push(format!("{at}: {text} is no status"));
                }
                _ => {}
            }
            let words = fields.get("enum").and_then(Value::as_array);
            if words.is_some_and(|words| !words.contains(value)) {
                problems.push(format!("{at}: {text} is none of {words:?}"));
            }
        }
        _ => {}
    }
}

/// `2026-01-31T12:00:00.250Z`.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

#[test]
fn the_reader_finds_what_is_wrong() {
    use serde_json::json;
    let document = json!({"components": {"schemas": {"A": {"type": "object", "required": ["n"], "properties": {
        "n": {"type": "integer"}, "t": {"type": ["string", "null"], "format": "date-time"}}}}}});
    let a = json!({"$ref": "#/components/schemas/A"});
    let problems = |value| check(&document, &a, &value).len();
    assert_eq!(problems(json!({"n": 1, "t": "2026-01-31T12:00:00.250Z"})), 0);
    assert_eq!(problems(json!({"n": 1, "t": null})), 0);
    assert_eq!(problems(json!({"n": "1", "t": null})), 1);
    assert_eq!(problems(json!({"n": 1})), 1);
    assert_eq!(problems(json!({"n": 1, "t": "2026-01-31"})), 1);
    assert_eq!(problems(json!({"n": 1, "t": null, "x": 0})), 1);
}
