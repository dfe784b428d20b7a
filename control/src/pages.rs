//! Lists in pages.

use schemas::limits::control as limits;

use crate::error::{Error, Mistake};

/// Where a list goes on: opaque to who holds it, good only for the list that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) String);

impl Cursor {
    /// Reads one that came back from outside.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn read(text: &str) -> Result<Self, Error> {
        let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let cure = "take `next` of the page before, or leave it out to begin";
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| Error::Invalid(vec![Mistake::new("cursor", "is no cursor of this list", cure)]))
    }

    /// As it goes outside.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What part of a list is wanted.
#[derive(Debug, Clone, Default)]
pub struct Paging {
    /// Where it goes on; `None`: from the beginning.
    pub after: Option<Cursor>,
    /// How many at most; `None`: 50. More than 1,000 are 1,000.
    pub limit: Option<usize>,
}

impl Paging {
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(limits::PAGE.0).clamp(1, limits::PAGE.1)
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// Where it goes on; `None`: this was the end.
    pub next: Option<Cursor>,
}
