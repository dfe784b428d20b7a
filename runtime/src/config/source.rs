//! Reads a TOML document key by key, remembers where each value stood, and collects every mistake instead of stopping at the
//! first. Parsing is `toml-span`'s; here are only places, `${NAME}` and words for people.

use std::{collections::BTreeSet, time::Duration};

use toml_span::{
    Span, Value,
    value::{Table, ValueInner},
};

use super::mistakes::Mistake;

/// Looks an environment variable up. Passed in, so that nothing here depends on the process.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Collects mistakes of one document.
pub struct Collector<'a> {
    text: &'a str,
    env: Env<'a>,
    mistakes: Vec<Mistake>,
}

impl<'a> Collector<'a> {
    /// For the document `text`.
    pub fn new(text: &'a str, env: Env<'a>) -> Self {
        Self { text, env, mistakes: Vec::new() }
    }

    /// Notes a mistake at a byte offset of the document.
    pub fn mistake(&mut self, at: usize, key: &str, problem: impl Into<String>, cure: impl Into<String>) {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        self.mistakes.push(Mistake { line, column, key: key.into(), problem: problem.into(), cure: cure.into() });
    }

    /// How many there were so far.
    pub fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// Whether there was none so far.
    pub fn is_clean(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// All of them, by line.
    pub fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|m| (m.line, m.column));
        self.mistakes
    }

    /// Replaces each `${NAME}` by the environment variable NAME.
    fn substitute(&mut self, raw: &str, at: usize, key: &str) -> Option<String> {
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(start) = rest.find("${") {
            out.push_str(&rest[..start]);
            let Some(len) = rest[start + 2..].find('}') else {
                self.mistake(at, key, "`${` without `}`", "write `${NAME}`, NAME being an environment variable");
                return None;
            };
            let name = &rest[start + 2..start + 2 + len];
            match (self.env)(name) {
                Some(value) => out.push_str(&value),
                None => {
                    self.mistake(
                        at,
                        key,
                        format!("the environment variable `{name}` is not set"),
                        format!("set it before the start, such as `export {name}=…`, or write the value itself"),
                    );
                    return None;
                }
            }
            rest = &rest[start + 3 + len..];
        }
        out.push_str(rest);
        Some(out)
    }
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Byte offset in the document.
    pub at: usize,
}

/// A table that is being read. Keys are taken out; what is left at the end was not known.
pub struct Section<'de> {
    table: Table<'de>,
    path: String,
    span: Span,
    known: BTreeSet<&'static str>,
}

impl<'de> Section<'de> {
    /// The document's root table.
    pub fn root(table: Table<'de>) -> Self {
        Self { table, path: String::new(), span: Span::new(0, 0), known: BTreeSet::new() }
    }

    fn of(value: &mut Value<'de>, path: String, c: &mut Collector) -> Option<Self> {
        let span = value.span;
        match value.take() {
            ValueInner::Table(table) => Some(Self { table, path, span, known: BTreeSet::new() }),
            other => {
                c.mistake(span.start, &path, format!("is {}", a(&other)), format!("write a table: `[{path}]`"));
                None
            }
        }
    }

    /// The full name of a key of this table.
    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Where the table stands.
    pub fn at(&self) -> usize {
        self.span.start
    }

    /// Whether the key stands there, right or wrong.
    pub fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Where a key stands; where its table does, when it is not there.
    pub fn place(&self, name: &str) -> usize {
        self.table.get(name).map_or(self.at(), |value| value.span.start)
    }

    fn take(&mut self, name: &'static str) -> Option<Value<'de>> {
        self.known.insert(name);
        self.table.remove(name)
    }

    /// A table below this one; empty when it is not there.
    pub fn section(&mut self, name: &'static str, c: &mut Collector) -> Self {
        let path = self.key(name);
        let found = self.take(name).and_then(|mut v| Section::of(&mut v, path.clone(), c));
        found.unwrap_or_else(|| Self { table: Table::new(), path, span: self.span, known: BTreeSet::new() })
    }

    /// An array of tables (`[[name]]`); empty when it is not there.
    pub fn sections(&mut self, name: &'static str, c: &mut Collector) -> Vec<Self> {
        let path = self.key(name);
        let Some(mut value) = self.take(name) else { return Vec::new() };
        let span = value.span;
        match value.take() {
            ValueInner::Array(items) => items
                .into_iter()
                .enumerate()
                .filter_map(|(i, mut v)| Section::of(&mut v, format!("{path}[{i}]"), c))
                .collect(),
            other => {
                c.mistake(span.start, &path, format!("is {}", a(&other)), format!("write `[[{path}]]`"));
                Vec::new()
            }
        }
    }

    /// A string with its `${NAME}` replaced.
    pub fn string(&mut self, name: &'static str, c: &mut Collector) -> Option<Placed<String>> {
        let key = self.key(name);
        let mut value = self.take(name)?;
        string_of(&mut value, &key, c)
    }

    /// A string that is parsed into `T`; `expected` says what to write.
    pub fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
        expected: &str,
        c: &mut Collector,
    ) -> Option<Placed<T>>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.string(name, c)?;
        match text.value.parse() {
            Ok(value) => Some(Placed { value, at: text.at }),
            Err(e) => {
                c.mistake(text.at, &self.key(name), format!("`{}`: {e}", text.value), format!("write {expected}"));
                None
            }
        }
    }

    /// A whole number from 0.
    pub fn number(&mut self, name: &'static str, c: &mut Collector) -> Option<Placed<u64>> {
        let key = self.key(name);
        let mut value = self.take(name)?;
        let at = value.span.start;
        match value.take() {
            ValueInner::Integer(i) if i >= 0 => Some(Placed { value: i.unsigned_abs(), at }),
            ValueInner::Integer(i) => {
                c.mistake(at, &key, format!("is {i}"), "write a whole number from 0");
                None
            }
            other => {
                c.mistake(at, &key, format!("is {}", a(&other)), "write a whole number without quotes");
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &'static str, c: &mut Collector) -> Option<bool> {
        let key = self.key(name);
        let mut value = self.take(name)?;
        let at = value.span.start;
        match value.take() {
            ValueInner::Boolean(value) => Some(value),
            other => {
                c.mistake(at, &key, format!("is {}", a(&other)), "write true or false, without quotes");
                None
            }
        }
    }

    /// A time with its unit, such as `30s`, within a range; `example` is such a time.
    pub fn duration(
        &mut self,
        name: &'static str,
        example: &str,
        (least, most): (Duration, Duration),
        c: &mut Collector,
    ) -> Option<Duration> {
        let key = self.key(name);
        let p = self.string(name, c)?;
        let cure = format!(
            "write a time from {} to {} with its unit (ms, s, m, h, d, w, y), such as \"{example}\"",
            short(least),
            short(most)
        );
        let Some(duration) = duration_of(&p.value) else {
            c.mistake(p.at, &key, format!("`{}` is no time", p.value), cure);
            return None;
        };
        if duration < least || duration > most {
            c.mistake(p.at, &key, format!("is {}", p.value), cure);
            return None;
        }
        Some(duration)
    }

    /// Bytes: a whole number, or a text with a unit, such as `200GiB`; `least` is the smallest that will do.
    pub fn bytes(&mut self, name: &'static str, example: &str, least: u64, c: &mut Collector) -> Option<u64> {
        let key = self.key(name);
        let p = self.text_or_number(name, c)?;
        let cure = format!(
            "write at least {least} bytes, with or without a unit (kB, MB, GB, TB, KiB, MiB, GiB, TiB), such as \"{example}\""
        );
        match bytes_of(&p.value) {
            None => c.mistake(p.at, &key, format!("`{}` is no number of bytes", p.value), cure),
            Some(bytes) if bytes < least => c.mistake(p.at, &key, format!("is {}", p.value), cure),
            bytes => return bytes,
        }
        None
    }

    /// Either a string or a whole number, as text.
    pub fn text_or_number(&mut self, name: &'static str, c: &mut Collector) -> Option<Placed<String>> {
        let key = self.key(name);
        let mut value = self.take(name)?;
        let at = value.span.start;
        if let Some(i) = value.as_integer() {
            return Some(Placed { value: i.to_string(), at });
        }
        string_of(&mut value, &key, c)
    }

    /// A list of strings, at most `most`, each with its place; `example` is such a list.
    pub fn list(&mut self, name: &'static str, most: usize, example: &str, c: &mut Collector) -> Vec<Placed<String>> {
        let key = self.key(name);
        let Some(mut value) = self.take(name) else { return Vec::new() };
        let at = value.span.start;
        match value.take() {
            ValueInner::Array(items) if items.len() <= most => {
                items.into_iter().filter_map(|mut item| string_of(&mut item, &key, c)).collect()
            }
            ValueInner::Array(items) => {
                c.mistake(at, &key, format!("has {} entries", items.len()), format!("write at most {most}"));
                Vec::new()
            }
            other => {
                c.mistake(at, &key, format!("is {}", a(&other)), format!("write a list such as `{name} = {example}`"));
                Vec::new()
            }
        }
    }

    /// A list of whole numbers from 0, at most `most`, each with its place; `example` is such a list.
    pub fn numbers(&mut self, name: &'static str, most: usize, example: &str, c: &mut Collector) -> Vec<Placed<u64>> {
        let key = self.key(name);
        let Some(mut value) = self.take(name) else { return Vec::new() };
        let at = value.span.start;
        let ValueInner::Array(items) = value.take() else {
            c.mistake(at, &key, "is no list", format!("write a list such as `{name} = {example}`"));
            return Vec::new();
        };
        if items.len() > most {
            c.mistake(at, &key, format!("has {} entries", items.len()), format!("write at most {most}"));
            return Vec::new();
        }
        let mut numbers = Vec::with_capacity(items.len());
        for mut item in items {
            let at = item.span.start;
            match item.take() {
                ValueInner::Integer(i) if i >= 0 => numbers.push(Placed { value: i.unsigned_abs(), at }),
                other => {
                    let problem = format!("has an entry that is {}", a(&other));
                    c.mistake(at, &key, problem, format!("write whole numbers, such as `{name} = {example}`"));
                }
            }
        }
        numbers
    }

    /// All keys of a table of strings, whatever they are called (HTTP headers, client properties).
    pub fn strings(mut self, c: &mut Collector) -> Vec<(String, Placed<String>)> {
        let table = std::mem::take(&mut self.table);
        table
            .into_iter()
            .filter_map(|(k, mut v)| {
                let key = self.key(&k.name);
                string_of(&mut v, &key, c).map(|s| (k.name.to_string(), s))
            })
            .collect()
    }

    /// All tables below this one by their names, whatever they are called, in the order of the names.
    pub fn named(mut self, c: &mut Collector) -> Vec<(Placed<String>, Self)> {
        let table = std::mem::take(&mut self.table);
        table
            .into_iter()
            .filter_map(|(k, mut v)| {
                let name = Placed { value: k.name.to_string(), at: k.span.start };
                Section::of(&mut v, self.key(&k.name), c).map(|section| (name, section))
            })
            .collect()
    }

    /// Reports what nobody asked for.
    pub fn finish(self, c: &mut Collector) {
        for key in self.table.keys() {
            let known: Vec<&str> = self.known.iter().copied().collect();
            let near = known
                .iter()
                .map(|k| (strsim::damerau_levenshtein(k, &key.name), k))
                .min()
                .filter(|(distance, _)| *distance <= 2)
                .map(|(_, k)| format!("did you mean `{k}`? "))
                .unwrap_or_default();
            let place = if self.path.is_empty() { "at the top".to_owned() } else { format!("in `{}`", self.path) };
            c.mistake(
                key.span.start,
                &self.key(&key.name),
                format!("is not known {place}"),
                format!("{near}known here: {}", known.join(", ")),
            );
        }
    }
}

fn string_of(value: &mut Value<'_>, key: &str, c: &mut Collector) -> Option<Placed<String>> {
    let at = value.span.start;
    match value.take() {
        ValueInner::String(s) => c.substitute(&s, at, key).map(|value| Placed { value, at }),
        other => {
            c.mistake(at, key, format!("is {}", a(&other)), "write a text in quotes");
            None
        }
    }
}

/// Units of a time, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
    ("y", 365 * 86_400_000),
];

/// A whole number and its unit.
pub(super) fn duration_of(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|ch: char| !ch.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = if unit.trim() == "min" { "m" } else { unit.trim() };
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*ms).map(Duration::from_millis)
}

/// Units of bytes.
const BYTES: [(&str, u64); 9] = [
    ("", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A whole number of bytes with its unit, in whichever case.
fn bytes_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|ch: char| !ch.is_ascii_digit() && ch != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, size) = BYTES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.replace('_', "").parse::<u64>().ok()?.checked_mul(*size)
}

/// A time in its largest whole unit.
pub(super) fn short(d: Duration) -> String {
    let ms = d.as_millis() as u64;
    // Nobody counts in weeks and years what is written in days.
    let (unit, size) = UNITS[..5].iter().rev().find(|(_, size)| ms.is_multiple_of(*size)).unwrap_or(&UNITS[0]);
    format!("{}{unit}", ms / size)
}

fn a(value: &ValueInner<'_>) -> &'static str {
    match value {
        ValueInner::String(_) => "a text",
        ValueInner::Integer(_) => "a whole number",
        ValueInner::Float(_) => "a number with a fraction",
        ValueInner::Boolean(_) => "true or false",
        ValueInner::Array(_) => "a list",
        ValueInner::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read() {
        let read = ["200GiB", " 3 kB ", "10", "1_000mb", "2TiB", "0gb"].map(bytes_of);
        assert_eq!(read, [200 << 30, 3_000, 10, 1_000_000_000, 2 << 40, 0].map(Some));
        for wrong in ["", "GiB", "1.5GiB", "-1", "3 apples", "99999999999999999999", "99999999999TiB"] {
            assert_eq!(bytes_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_read_and_written() {
        let ms = |text: &str| duration_of(text).map(|d| d.as_millis());
        assert_eq!(
            [ms("30s"), ms("10m"), ms(" 500 ms "), ms("2min"), ms("7d"), ms("1w"), ms("2y")],
            [30_000, 600_000, 500, 120_000, 604_800_000, 604_800_000, 63_072_000_000].map(Some)
        );
        for wrong in ["", "30", "s", "-3s", "1.5s", "3 weeks", "99999999999999999999s", "999999999999999999d"] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
        for (d, text) in [(500, "500ms"), (1_000, "1s"), (90_000, "90s"), (3_600_000, "1h"), (0, "0d")] {
            assert_eq!(short(Duration::from_millis(d)), text);
        }
    }
}
