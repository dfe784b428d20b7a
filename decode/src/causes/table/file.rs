//! A file of rows, read and checked whole: TOML.

use alloy_json_abi::Error as AbiError;
use schemas::{
    Mistake,
    limits::{control::MISTAKES, traces as limits},
};
use toml_span::{
    Span, Value,
    value::{Array, Table as Keys, ValueInner},
};

use super::{Layer, Row, Wrapper, matcher::Patterns, plain};
use crate::causes::{Cause, sentence::Sentence};

const KINDS: &str = "`[[panic]]`, `[[text]]`, `[[error]]`, `[[word]]`, `[[message]]`, `[[call]]` or `[[wrapper]]`";

/// Reads one.
///
/// # Errors
/// Every mistake, at most [`MISTAKES`].
pub(super) fn read(text: &str) -> Result<Layer, Vec<Mistake>> {
    let mut file = File { text, mistakes: Vec::new(), layer: Layer::default(), patterns: 0 };
    if text.len() > limits::TABLE_BYTES {
        let problem = format!("the table has {} bytes", text.len());
        file.mistake(0, problem, format!("at most {} are read", limits::TABLE_BYTES));
        return Err(file.mistakes);
    }
    match toml_span::parse(text) {
        Err(e) => {
            file.mistake(e.span.start, format!("is no TOML: {e}"), "quote texts, and write one `key = value` a line")
        }
        Ok(mut document) => match document.take() {
            ValueInner::Table(kinds) => {
                for (kind, mut rows) in kinds {
                    match rows.take() {
                        ValueInner::Array(rows) => file.rows(&kind.name, rows),
                        _ => file.mistake(
                            kind.span.start,
                            format!("`{}` is no list of rows", kind.name),
                            format!("write {KINDS}"),
                        ),
                    }
                }
            }
            _ => file.mistake(0, "it is no table", format!("write {KINDS}")),
        },
    }
    if file.mistakes.is_empty() { Ok(file.layer) } else { Err(file.mistakes) }
}

struct File<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
    layer: Layer,
    /// Patterns of all rows.
    patterns: usize,
}

impl File<'_> {
    fn mistake(&mut self, at: usize, problem: impl Into<String>, cure: impl Into<String>) {
        if self.mistakes.len() < MISTAKES {
            let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
            let line = before.iter().filter(|b| **b == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
            self.mistakes.push(Mistake::new(format!("line {line}, column {column}"), problem, cure));
        }
    }

    fn rows(&mut self, kind: &str, rows: Array<'_>) {
        for mut row in rows {
            let at = row.span.start;
            let ValueInner::Table(keys) = row.take() else {
                self.mistake(at, format!("a row of `{kind}` is none"), format!("write {KINDS}, then its keys"));
                continue;
            };
            let of = Of { kind, at };
            match kind {
                "panic" => self.panic(&of, keys),
                "text" | "error" | "word" | "message" | "call" => self.matched(&of, keys),
                "wrapper" => self.wrapper(&of, keys),
                _ => self.mistake(at, format!("`[[{kind}]]` is no kind of row"), format!("write {KINDS}")),
            }
        }
    }

    fn panic(&mut self, of: &Of<'_>, mut keys: Keys<'_>) {
        let codes = match keys.remove("code").map(|mut code| (code.span, code.take())) {
            Some((_, ValueInner::Integer(code))) => vec![code],
            Some((_, ValueInner::Array(codes))) => codes.iter().filter_map(Value::as_integer).collect(),
            Some((span, _)) => return self.mistake(span.start, "a panic's code is a number", "such as `code = 0x11`"),
            None => {
                return self.mistake(of.at, "a row of `[[panic]]` has no `code`", "write one, such as `code = 0x11`");
            }
        };
        let Some(row) = self.row(of, &mut keys) else { return };
        self.rest(of, &keys);
        for code in codes {
            match u64::try_from(code) {
                Ok(code) => self.layer.panics.push((code, row.clone())),
                Err(_) => self.mistake(of.at, format!("{code} is no panic's code"), "codes are 0 and more"),
            }
        }
    }

    fn matched(&mut self, of: &Of<'_>, mut keys: Keys<'_>) {
        let mut patterns = Patterns::default();
        for (key, texts) in [
            ("is", &mut patterns.is),
            ("starts", &mut patterns.starts),
            ("like", &mut patterns.like),
            ("holds", &mut patterns.holds),
        ] {
            *texts = self.texts(of, &mut keys, key);
        }
        let count = patterns.is.len() + patterns.starts.len() + patterns.like.len() + patterns.holds.len();
        self.patterns += count;
        if count == 0 {
            let cure = "write `is = \"…\"` (the whole text), `starts`, `like` (with `*`) or `holds`";
            self.mistake(of.at, format!("a row of `[[{}]]` matches nothing", of.kind), cure);
        }
        if self.patterns > limits::TABLE_ROWS {
            self.mistake(of.at, "there are too many patterns", format!("at most {} are read", limits::TABLE_ROWS));
        }
        let Some(row) = self.row(of, &mut keys) else { return };
        self.rest(of, &keys);
        let layer = &mut self.layer;
        if matches!(of.kind, "word" | "message") {
            for texts in [&mut patterns.is, &mut patterns.starts, &mut patterns.holds] {
                texts.iter_mut().for_each(|text| *text = plain(text));
            }
            for text in &mut patterns.like {
                *text = text.split('*').map(plain).collect::<Vec<_>>().join("*");
            }
        }
        let matcher = match of.kind {
            "text" => &mut layer.texts,
            "error" => &mut layer.errors,
            "word" => &mut layer.words,
            "message" => &mut layer.messages,
            _ => &mut layer.calls,
        };
        matcher.add(patterns, row);
    }

    fn wrapper(&mut self, of: &Of<'_>, mut keys: Keys<'_>) {
        let cure = "write it with its types, such as `error = \"WrappedError(address,bytes4,bytes,bytes)\"`";
        let Some(signature) = self.texts(of, &mut keys, "error").pop() else {
            return self.mistake(of.at, "a row of `[[wrapper]]` has no `error`", cure);
        };
        let Ok(error) = AbiError::parse(&signature) else {
            return self.mistake(of.at, format!("`{signature}` is no error"), cure);
        };
        let mut position = |key: &str, is: &str| {
            let mut value = keys.remove(key)?;
            let at = value.span.start;
            let position = match value.take() {
                ValueInner::Integer(position) => usize::try_from(position).ok(),
                _ => None,
            };
            let good = position.filter(|position| error.inputs.get(*position).is_some_and(|input| input.ty == is));
            if good.is_none() {
                let cure = format!("write the position of a parameter of type `{is}`, from 0");
                self.mistake(at, format!("`{key}` is no such position in `{signature}`"), cure);
            }
            good
        };
        let (data, text) = (position("data", "bytes"), position("text", "string"));
        if data.is_none() && text.is_none() {
            self.mistake(
                of.at,
                "a row of `[[wrapper]]` has neither `data` nor `text`",
                "say which parameter holds the other error",
            );
        }
        self.rest(of, &keys);
        self.layer.wrappers.push(Wrapper { signature: error.signature(), data, text });
    }

    /// What all rows have.
    fn row(&mut self, of: &Of<'_>, keys: &mut Keys<'_>) -> Option<Row> {
        let words = || Cause::ALL.iter().map(|cause| cause.word()).collect::<Vec<_>>().join(", ");
        let cause = match keys.remove("class") {
            Some(value) => match value.as_str().and_then(Cause::of) {
                Some(cause) => cause,
                None => {
                    let said = value.as_str().unwrap_or(value.as_ref().type_str()).to_owned();
                    self.mistake(
                        value.span.start,
                        format!("`{said}` is no class"),
                        format!("write one of {}", words()),
                    );
                    return None;
                }
            },
            None => {
                self.mistake(
                    of.at,
                    format!("a row of `[[{}]]` has no `class`", of.kind),
                    format!("write one of {}", words()),
                );
                return None;
            }
        };
        let say = match keys.remove("say") {
            None => None,
            Some(value) => match value.as_str().ok_or("it is no text".to_owned()).and_then(Sentence::read) {
                Ok(say) => Some(say),
                Err(problem) => {
                    let cure = "write a sentence; values stand in `{…}`, what may lack in `[…]`";
                    self.mistake(value.span.start, problem, cure);
                    None
                }
            },
        };
        let inner = match keys.remove("inner") {
            None => false,
            Some(value) => value.as_bool().unwrap_or_else(|| {
                self.mistake(
                    value.span.start,
                    "`inner` is neither true nor false",
                    "write `inner = true`, or leave it out",
                );
                false
            }),
        };
        let within = self.texts(of, keys, "within");
        Some(Row { cause, say, inner, within })
    }

    /// A text or several.
    fn texts(&mut self, of: &Of<'_>, keys: &mut Keys<'_>, key: &str) -> Vec<String> {
        let Some(mut value) = keys.remove(key) else { return Vec::new() };
        let at = value.span.start;
        let mut texts = Vec::new();
        let values = match value.take() {
            ValueInner::Array(values) => values,
            other => vec![Value::with_span(other, Span::new(at, at))],
        };
        for value in &values {
            match value.as_str() {
                Some(text) if !text.is_empty() => texts.push(text.to_owned()),
                _ => {
                    let cure = format!("write `{key} = \"…\"` or `{key} = [\"…\", \"…\"]`");
                    self.mistake(
                        value.span.start,
                        format!("`{key}` of `[[{}]]` has something that is no text", of.kind),
                        cure,
                    );
                }
            }
        }
        texts
    }

    /// Keys that nobody knows.
    fn rest(&mut self, of: &Of<'_>, keys: &Keys<'_>) {
        let known = match of.kind {
            "panic" => "`code`, `class`, `say`, `within`",
            "wrapper" => "`error`, `data`, `text`",
            _ => "`is`, `starts`, `like`, `holds`, `class`, `say`, `inner`, `within`",
        };
        for key in keys.keys() {
            self.mistake(
                key.span.start,
                format!("`{}` is no key of `[[{}]]`", key.name, of.kind),
                format!("its keys are {known}"),
            );
        }
    }
}

/// Which row.
struct Of<'k> {
    kind: &'k str,
    at: usize,
}
