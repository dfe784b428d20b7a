//! Reads one object of a definition strictly: what is missing, of another kind or not known is a mistake with its path, and all of them are
//! told at once.
//!
//! Every getter says nothing (`None`, an empty list, the default) where a field is left out or null, and after it has told a mistake.

use std::time::Duration;

use schemas::{Mistake, limits::control::MISTAKES};
use serde_json::{Map, Value};

use crate::span;

/// An object that is being read.
#[derive(Debug)]
pub struct Fields<'v> {
    path: String,
    object: Option<&'v Map<String, Value>>,
    known: Vec<&'static str>,
    mistakes: Vec<Mistake>,
}

impl<'v> Fields<'v> {
    /// Of a definition.
    pub fn of(definition: &'v Value) -> Self {
        Self::at(definition, String::new())
    }

    /// Of an object at a path: `addresses.0`.
    pub fn at(value: &'v Value, path: String) -> Self {
        let mut fields = Self { path, object: value.as_object(), known: Vec::new(), mistakes: Vec::new() };
        if fields.object.is_none() {
            let path = if fields.path.is_empty() { "body" } else { fields.path.as_str() };
            let mistake = Mistake::new(path, format!("is {}", kind(value)), "write an object: `{…}`");
            fields.mistakes.push(mistake);
        }
        fields
    }

    /// The path of a field.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Tells a mistake at a field.
    pub fn mistake(&mut self, key: &str, problem: impl Into<String>, cure: impl Into<String>) {
        let path = self.path(key);
        self.tell(Mistake::new(path, problem, cure));
    }

    /// Tells a mistake that has its whole path.
    pub fn tell(&mut self, mistake: Mistake) {
        if self.mistakes.len() < MISTAKES {
            self.mistakes.push(mistake);
        }
    }

    /// Takes over what a part found.
    pub fn tell_all(&mut self, mistakes: Vec<Mistake>) {
        mistakes.into_iter().for_each(|mistake| self.tell(mistake));
    }

    /// Takes over what a part found, and gives what it made.
    pub fn part<T>(&mut self, part: Result<T, Vec<Mistake>>) -> Option<T> {
        part.map_err(|mistakes| self.tell_all(mistakes)).ok()
    }

    /// Whether a field is there and not null.
    pub fn has(&self, key: &str) -> bool {
        self.object.and_then(|object| object.get(key)).is_some_and(|value| !value.is_null())
    }

    /// Whether it is an object at all.
    pub fn is_object(&self) -> bool {
        self.object.is_some()
    }

    /// Whether nothing was wrong so far.
    pub fn is_good(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// A field as it is; null is none.
    pub fn value(&mut self, key: &'static str) -> Option<&'v Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.object?.get(key).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub fn wanted(&mut self, key: &'static str, cure: &str) -> Option<&'v Value> {
        let value = self.value(key);
        if value.is_none() && self.object.is_some() {
            self.mistake(key, "is missing", cure);
        }
        value
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.mistake(key, format!("is {}", kind(other)), "write `true` or `false`");
                default
            }
        }
    }

    /// A text of 1 to so many characters, without control characters other than line breaks and tabs.
    pub fn text(&mut self, key: &'static str, characters: usize) -> Option<String> {
        let value = self.value(key)?;
        match good_text(value, characters) {
            Ok(text) => Some(text.to_owned()),
            Err((problem, cure)) => {
                self.mistake(key, problem, cure);
                None
            }
        }
    }

    /// The thing's name: must be there, 1 to 100 characters.
    pub fn name(&mut self) -> String {
        let characters = schemas::limits::conditions::NAME_CHARACTERS;
        if self.wanted("name", "give it a name of its own").is_none() {
            return String::new();
        }
        self.text("name", characters).unwrap_or_default()
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let value = self.value(key)?;
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.mistake(key, format!("is {}", shown(value)), format!("write one of: {}", all.join(", ")));
        }
        found.map(|(_, what)| *what)
    }

    /// A duration within bounds.
    pub fn span(&mut self, key: &'static str, least: Duration, most: Duration) -> Option<Duration> {
        let value = self.value(key)?;
        match value.as_str().and_then(span::read) {
            None => self.mistake(key, format!("is {}", shown(value)), span::CURE),
            Some(span) if span < least || span > most => {
                let cure = format!("write at least \"{}\" and at most \"{}\"", span::text(least), span::text(most));
                self.mistake(key, format!("is {}", shown(value)), cure);
            }
            Some(span) => return Some(span),
        }
        None
    }

    /// A whole number within bounds.
    pub fn number(&mut self, key: &'static str, least: u64, most: u64) -> Option<u64> {
        let value = self.value(key)?;
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let cure = format!("write a whole number of at least {least} and at most {most}");
            self.mistake(key, format!("is {}", shown(value)), cure);
        }
        number
    }

    /// An array of at most so many elements.
    pub fn list(&mut self, key: &'static str, most: usize) -> &'v [Value] {
        match self.value(key) {
            None => &[],
            Some(Value::Array(list)) if list.len() > most => {
                self.mistake(key, format!("has {} elements", list.len()), format!("write at most {most}"));
                &[]
            }
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.mistake(key, format!("is {}", kind(other)), "write an array: `[…]`");
                &[]
            }
        }
    }

    /// An array of texts, each once.
    pub fn texts(&mut self, key: &'static str, most: usize, characters: usize) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for (at, value) in self.list(key, most).iter().enumerate() {
            let path = format!("{key}.{at}");
            match good_text(value, characters) {
                Ok(text) if texts.iter().any(|known| known == text) => {
                    self.mistake(&path, format!("`{text}` is there twice"), "leave one of the two out");
                }
                Ok(text) => texts.push(text.to_owned()),
                Err((problem, cure)) => self.mistake(&path, problem, cure),
            }
        }
        texts
    }

    /// An object in it, to be read in the same way; [`end`](Self::end) of it must come before the next question here.
    pub fn object(&mut self, key: &'static str) -> Option<Fields<'v>> {
        let value = self.value(key)?;
        Some(Fields::at(value, self.path(key)))
    }

    /// The end: fields that nobody asked for are not known.
    pub fn end(mut self) -> Vec<Mistake> {
        let keys = self.object.into_iter().flat_map(|object| object.keys());
        let unknown: Vec<&String> = keys.filter(|key| !self.known.contains(&key.as_str())).collect();
        for key in unknown {
            let near = self.known.iter().map(|known| (strsim::damerau_levenshtein(known, key), *known));
            let cure = match near.min().filter(|(far, _)| *far <= 2) {
                Some((_, known)) => format!("write `{known}`"),
                None => format!("leave it out; known here: {}", self.known.join(", ")),
            };
            let cut: String = key.chars().take(80).collect();
            self.mistake(&cut, "is not known", cure);
        }
        self.mistakes
    }
}

/// The end of reading a thing: it, or what is wrong with it.
pub fn ended<T>(fields: Fields<'_>, thing: Option<T>) -> Result<T, Vec<Mistake>> {
    let path = (if fields.path.is_empty() { "body" } else { fields.path.as_str() }).to_owned();
    let mistakes = fields.end();
    match thing {
        Some(thing) if mistakes.is_empty() => Ok(thing),
        _ if mistakes.is_empty() => {
            Err(vec![Mistake::new(path, "cannot be read", "write it as the documentation shows")])
        }
        _ => Err(mistakes),
    }
}

fn good_text(value: &Value, characters: usize) -> Result<&str, (String, String)> {
    let Value::String(text) = value else {
        return Err((format!("is {}", kind(value)), "write a text: \"…\"".to_owned()));
    };
    let count = text.chars().count();
    if count == 0 || count > characters {
        return Err((format!("has {count} characters"), format!("write 1 to {characters}")));
    }
    if text.trim() != text {
        return Err(("begins or ends with a blank".to_owned(), "leave it away".to_owned()));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(("has control characters".to_owned(), "leave them out".to_owned()));
    }
    Ok(text)
}

/// What a value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value as a message shows it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", text.chars().take(80).collect::<String>()),
        Value::Number(number) => format!("`{number}`"),
        other => kind(other).to_owned(),
    }
}
