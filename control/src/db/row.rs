//! Values that go in, and rows that come out: text and whole numbers, each of which may be missing, and nothing else.

use sqlx::{ColumnIndex, Row as _, postgres::PgRow, sqlite::SqliteRow};

use crate::error::Error;

/// A value of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}
impl From<&crate::id::Id> for Value {
    fn from(id: &crate::id::Id) -> Self {
        Self::from(id.as_str())
    }
}
impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}
impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}
impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(crate) fn text(&self, column: &str) -> Result<String, Error> {
        self.get(column)
    }
    pub(crate) fn opt_text(&self, column: &str) -> Result<Option<String>, Error> {
        self.get(column)
    }
    pub(crate) fn int(&self, column: &str) -> Result<i64, Error> {
        self.get(column)
    }
    pub(crate) fn opt_int(&self, column: &str) -> Result<Option<i64>, Error> {
        self.get(column)
    }
    /// A text that is parsed.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, column: &str) -> Result<T, Error> {
        let text = self.text(column)?;
        text.parse().map_err(|_| Error::Corrupt(format!("`{text}` in column {column}")))
    }
    /// JSON as text.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|e| Error::Corrupt(format!("column {column}: {e}")))
    }

    fn get<'r, T>(&'r self, column: &str) -> Result<T, Error>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
        T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
        for<'c> &'c str: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        let got = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        got.map_err(|e| Error::Corrupt(e.to_string()))
    }
}
