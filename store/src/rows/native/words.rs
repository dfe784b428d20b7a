//! `LowCardinality(String)`: each text once, and a number per row.

use std::collections::HashMap;

use super::{Column, Values, put_text};

/// State in front of such a column: texts come with the rows that use them.
const ADDITIONAL_KEYS: u64 = 1;
/// A block's flags, besides the width of its numbers: it has texts, and the reader's are to be replaced by them.
const HAS_KEYS: u64 = 1 << 9 | 1 << 10;

/// `LowCardinality(String)`. Texts are numbered in the order in which they come, so that the same rows give the same bytes.
pub struct Words {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    rows: Vec<u32>,
}

impl Words {
    fn number(&mut self, text: &str) -> u32 {
        // Mostly it is the one of the row before.
        if let Some(last) = self.rows.last().filter(|last| *self.texts[**last as usize] == *text) {
            return *last;
        }
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }
}

impl Column for Words {
    fn kind() -> String {
        "LowCardinality(String)".into()
    }
    fn with_rows(rows: usize) -> Self {
        Self { texts: Vec::new(), numbers: HashMap::new(), rows: Vec::with_capacity(rows) }
    }
    fn rows(&self) -> usize {
        self.rows.len()
    }
    fn parts(self, out: &mut dyn FnMut(Vec<u8>)) {
        if self.rows.is_empty() {
            return;
        }
        let width = match self.texts.len() {
            0..=0x100 => 0,
            0x101..=0x1_0000 => 1,
            _ => 2,
        };
        let mut bytes = Vec::with_capacity(64 + (self.rows.len() << width));
        bytes.extend_from_slice(&ADDITIONAL_KEYS.to_le_bytes());
        bytes.extend_from_slice(&(HAS_KEYS | width).to_le_bytes());
        bytes.extend_from_slice(&(self.texts.len() as u64).to_le_bytes());
        self.texts.iter().for_each(|text| put_text(&mut bytes, text.as_bytes()));
        bytes.extend_from_slice(&(self.rows.len() as u64).to_le_bytes());
        for number in &self.rows {
            bytes.extend_from_slice(&number.to_le_bytes()[..1 << width]);
        }
        out(bytes);
    }
}

impl Values for Words {
    type Value<'v> = &'v str;
    fn push(&mut self, text: &str) {
        let number = self.number(text);
        self.rows.push(number);
    }
    fn push_empty(&mut self) {
        self.push("");
    }
}
