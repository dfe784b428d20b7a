//! Columns around other columns.

use super::{Column, Numbers, Values, column::Plain};

/// `Array(…)`.
pub struct Arrays<C> {
    /// Where each row ends.
    ends: Numbers<u64>,
    items: C,
}

impl<C: Plain> Arrays<C> {
    /// Adds a row of these.
    pub fn push_all<'v>(&mut self, values: impl IntoIterator<Item = C::Value<'v>>) {
        values.into_iter().for_each(|value| self.items.push(value));
        self.ends.push(self.items.rows() as u64);
    }
}

impl<C: Plain> Column for Arrays<C> {
    fn kind() -> String {
        format!("Array({})", C::kind())
    }
    fn with_rows(rows: usize) -> Self {
        Self { ends: Numbers::with_rows(rows), items: C::with_rows(rows) }
    }
    fn rows(&self) -> usize {
        self.ends.rows()
    }
    fn parts(self, out: &mut dyn FnMut(Vec<u8>)) {
        self.ends.parts(out);
        self.items.parts(out);
    }
}

/// `Nullable(…)`.
pub struct Nullable<C> {
    /// 1 where there is nothing.
    nulls: Numbers<u8>,
    values: C,
}

impl<C: Plain> Column for Nullable<C> {
    fn kind() -> String {
        format!("Nullable({})", C::kind())
    }
    fn with_rows(rows: usize) -> Self {
        Self { nulls: Numbers::with_rows(rows), values: C::with_rows(rows) }
    }
    fn rows(&self) -> usize {
        self.values.rows()
    }
    fn parts(self, out: &mut dyn FnMut(Vec<u8>)) {
        self.nulls.parts(out);
        self.values.parts(out);
    }
}

impl<C: Plain> Values for Nullable<C> {
    type Value<'v> = Option<C::Value<'v>>;
    fn push(&mut self, value: Option<C::Value<'_>>) {
        self.nulls.push(u8::from(value.is_none()));
        match value {
            Some(value) => self.values.push(value),
            None => self.values.push_empty(),
        }
    }
    fn push_empty(&mut self) {
        self.push(None);
    }
}
