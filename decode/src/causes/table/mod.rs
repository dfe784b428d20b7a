//! The table of causes: `decode/causes.toml`, and a file of rows that go before it.
//!
//! Guarantee: what matches is a function of the rows and of the text. In a layer (a file's rows, then ours) whole texts go before
//! beginnings, those before patterns, and those before words that a text holds; of equals the one that stands first.

mod file;
mod matcher;

use std::sync::{Arc, LazyLock};

use alloy_primitives::U256;
use schemas::Mistake;

use self::matcher::Matcher;
use super::{Cause, sentence::Sentence};

static BUILTIN: LazyLock<Table> = LazyLock::new(|| {
    // What is wrong with it is found by the test, and an empty one is used.
    let layer = file::read(include_str!("../../../causes.toml")).unwrap_or_default();
    Table { layers: vec![Arc::new(layer)] }
});

/// Rows that say of an error, a text, a panic or a node's word which class it is, and the sentence for people.
#[derive(Debug, Clone)]
pub struct Table {
    /// The first goes before the next; ours is the last.
    layers: Vec<Arc<Layer>>,
}

/// The rows of one file.
#[derive(Debug, Default)]
struct Layer {
    panics: Vec<(u64, Row)>,
    texts: Matcher,
    errors: Matcher,
    words: Matcher,
    messages: Matcher,
    calls: Matcher,
    wrappers: Vec<Wrapper>,
}

/// What a row says.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) cause: Cause,
    pub(super) say: Option<Sentence>,
    /// It says that a call inside failed: what that one failed of counts, where it is known.
    pub(super) inner: bool,
    /// Only where the call that failed is of one of these functions.
    within: Vec<String>,
}

/// An error that wraps another: `WrappedError(address,bytes4,bytes,bytes)`.
#[derive(Debug, Clone)]
pub(super) struct Wrapper {
    /// With the types of its parameters.
    signature: String,
    /// Which parameter is the other error's data.
    pub(super) data: Option<usize>,
    /// Which parameter is a text, for which the table is asked where there is no data.
    pub(super) text: Option<usize>,
}

/// A row and what it matched by.
pub(super) struct Match<'t> {
    pub(super) row: &'t Row,
    pub(super) rule: String,
}

impl Table {
    /// Ours.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads a file of rows, which go before ours (docs/causes.md says how they are written).
    ///
    /// # Errors
    /// Every mistake, at most 20, with line and column, and what to write instead.
    pub fn parse(toml: &str) -> Result<Self, Vec<Mistake>> {
        let mut layers = vec![Arc::new(file::read(toml)?)];
        layers.extend(BUILTIN.layers.iter().cloned());
        Ok(Self { layers })
    }

    /// How many rows there are, ours included: for whoever tells people that a file was taken.
    pub fn len(&self) -> usize {
        let rows = |layer: &Layer| {
            let matchers = [&layer.texts, &layer.errors, &layer.words, &layer.messages, &layer.calls];
            layer.panics.len() + layer.wrappers.len() + matchers.iter().map(|it| it.len()).sum::<usize>()
        };
        self.layers.iter().map(|layer| rows(layer)).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of a panic's code; `function` is what the call was of.
    pub(super) fn panic(&self, code: U256, function: Option<&str>) -> Option<Match<'_>> {
        let code = u64::try_from(code).ok()?;
        self.each("panic", |layer| {
            let (_, row) = layer.panics.iter().find(|(of, row)| *of == code && matcher::fits(row, function))?;
            Some((row, format!("0x{code:02x}")))
        })
    }

    /// Of a text that a contract reverted with; `function` is what the call was of.
    pub(super) fn text(&self, text: &str, function: Option<&str>) -> Option<Match<'_>> {
        self.each("text", |layer| layer.texts.find(text, function))
    }

    /// Of a custom error by its signature with types.
    pub(super) fn error(&self, signature: &str, function: Option<&str>) -> Option<Match<'_>> {
        let name = signature.split('(').next().unwrap_or_default();
        self.each("error", |layer| {
            layer.errors.whole(signature, function).or_else(|| layer.errors.find(name, function))
        })
    }

    /// Of a node's word for how a call failed: letters and digits alone count, and not how large they are.
    pub(super) fn word(&self, word: &str) -> Option<Match<'_>> {
        let plain = plain(word);
        self.each("word", |layer| layer.words.find(&plain, None))
    }

    /// Of a node's message about a call that it did not make.
    pub(super) fn message(&self, message: &str) -> Option<Match<'_>> {
        let plain = plain(message);
        self.each("message", |layer| layer.messages.find(&plain, None))
    }

    /// What calls of a function fail of as a rule.
    pub(super) fn call(&self, function: &str) -> Option<Match<'_>> {
        self.each("call", |layer| layer.calls.find(function, None))
    }

    pub(super) fn wrapper(&self, signature: &str) -> Option<&Wrapper> {
        self.layers.iter().flat_map(|layer| &layer.wrappers).find(|wrapper| wrapper.signature == signature)
    }

    fn each<'t>(&'t self, kind: &str, find: impl Fn(&'t Layer) -> Option<(&'t Row, String)>) -> Option<Match<'t>> {
        self.layers.iter().enumerate().find_map(|(at, layer)| {
            let (row, by) = find(layer)?;
            let whose = if at + 1 == self.layers.len() { "" } else { "file:" };
            let mut rule = format!("{whose}{kind}:{by}");
            super::text::cut(&mut rule, schemas::limits::traces::RULE_BYTES);
            Some(Match { row, rule })
        })
    }
}

/// Letters and digits alone, lower-case: clients write `OutOfGas`, `out of gas` and `Out of gas`.
fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests;
