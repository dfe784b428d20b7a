//! Forms of an export: CSV (RFC 4180), a JSON array, or JSON lines.
//!
//! Guarantee: the same rows and values in each. In CSV, what a spreadsheet would take for a formula is not one: a text that begins with
//! `=`, `+`, `-`, `@`, a tab or a line's end gets a `'` in front (OWASP, CSV injection); reasons of failures are texts of strangers. No
//! amount, hash or time begins so.

use std::borrow::Cow;

use bytes::Bytes;

use crate::items::TransactionItem;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One array.
    Json,
    /// An object a line.
    Ndjson,
}

impl Format {
    /// All, by name.
    pub const ALL: [(&'static str, Self); 3] = [("csv", Self::Csv), ("json", Self::Json), ("ndjson", Self::Ndjson)];

    /// By name.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }

    /// What it ends a file's name with.
    pub fn ending(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// The columns of CSV, in their order.
pub const COLUMNS: [&str; 20] = [
    "network",
    "family",
    "height",
    "index",
    "hash",
    "block_hash",
    "block_time",
    "from",
    "to",
    "value",
    "status",
    "cause",
    "reason",
    "method",
    "signature",
    "gas_used",
    "gas_price",
    "fee",
    "sequence",
    "found_by",
];

/// Bytes of one piece, about.
const PIECE: usize = 64 << 10;

/// Writes rows into pieces.
pub struct Writer {
    format: Format,
    out: Vec<u8>,
    csv: csv::Writer<Vec<u8>>,
    rows: u64,
}

/// A writer of one piece of CSV.
fn csv_piece() -> csv::Writer<Vec<u8>> {
    let out = Vec::with_capacity(PIECE + (PIECE >> 2));
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out)
}

impl Writer {
    /// At the beginning.
    pub fn new(format: Format) -> Self {
        let mut writer = Self { format, out: Vec::new(), csv: csv_piece(), rows: 0 };
        match format {
            Format::Csv => writer.record(COLUMNS.map(Cow::Borrowed)),
            Format::Json => writer.out.push(b'['),
            Format::Ndjson => {}
        }
        writer
    }

    /// A row.
    pub fn write(&mut self, item: &TransactionItem) {
        match self.format {
            Format::Csv => self.record(fields(item)),
            Format::Json => {
                self.out.extend_from_slice(if self.rows > 0 { b",\n" } else { b"\n" });
                self.json(item);
            }
            Format::Ndjson => {
                self.json(item);
                self.out.push(b'\n');
            }
        }
        self.rows += 1;
    }

    /// The end.
    pub fn end(&mut self) {
        if self.format == Format::Json {
            self.out.extend_from_slice(b"\n]\n");
        }
    }

    /// Whether a piece is full.
    pub fn is_full(&self) -> bool {
        self.out.len() + self.csv.get_ref().len() >= PIECE
    }

    /// What was written since it was last taken.
    pub fn take(&mut self) -> Bytes {
        if self.format == Format::Csv {
            // Memory takes everything.
            return std::mem::replace(&mut self.csv, csv_piece()).into_inner().unwrap_or_default().into();
        }
        std::mem::replace(&mut self.out, Vec::with_capacity(PIECE + (PIECE >> 2))).into()
    }

    fn json(&mut self, item: &TransactionItem) {
        // Texts and numbers go into memory: nothing that fails.
        drop(serde_json::to_writer(&mut self.out, item));
    }

    fn record(&mut self, fields: [Cow<'_, str>; COLUMNS.len()]) {
        for field in &fields {
            drop(self.csv.write_field(field.as_bytes()));
        }
        drop(self.csv.write_record(None::<&[u8]>));
    }
}

/// A row's fields, in the order of [`COLUMNS`]; what is null is empty.
fn fields(item: &TransactionItem) -> [Cow<'_, str>; COLUMNS.len()] {
    fn maybe(text: &Option<String>) -> Cow<'_, str> {
        text.as_deref().map_or(Cow::Borrowed(""), safe)
    }
    let number = |n: u64| Cow::Owned(n.to_string());
    [
        safe(&item.network),
        safe(&item.family),
        number(item.height),
        number(item.index.into()),
        safe(&item.hash),
        safe(&item.block_hash),
        safe(&item.block_time),
        maybe(&item.from),
        maybe(&item.to),
        safe(&item.value),
        safe(&item.status),
        maybe(&item.cause),
        maybe(&item.reason),
        maybe(&item.method),
        maybe(&item.signature),
        item.gas_used.map_or(Cow::Borrowed(""), number),
        maybe(&item.gas_price),
        maybe(&item.fee),
        number(item.sequence),
        maybe(&item.found_by),
    ]
}

/// A text that no spreadsheet takes for a formula.
fn safe(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn item(reason: &str, height: u64) -> TransactionItem {
        TransactionItem {
            network: "ethereum".into(),
            family: "evm".into(),
            hash: "0x01".into(),
            height,
            block_hash: "0x02".into(),
            index: 3,
            from: Some("0x03".into()),
            to: None,
            value: "115792089237316195423570985008687907853269984665640564039457584007913129639935".into(),
            status: "failed".into(),
            cause: Some("revert".into()),
            reason: Some(reason.into()),
            found_by: Some("trace".into()),
            method: None,
            signature: Some("f(uint256 a, bytes[] b)".into()),
            gas_used: Some(21_000),
            gas_price: Some("7".into()),
            fee: None,
            block_time: "2026-01-01T00:00:00.000Z".into(),
            sequence: 9,
        }
    }

    fn written(format: Format, items: &[TransactionItem]) -> Vec<u8> {
        let mut writer = Writer::new(format);
        let mut all = Vec::new();
        for item in items {
            writer.write(item);
            if writer.is_full() {
                all.extend(writer.take());
            }
        }
        writer.end();
        all.extend(writer.take());
        all
    }

    proptest! {
        #[test]
        fn each_form_says_the_same(reasons in proptest::collection::vec("[=+@,'\"a\t\r\n-]{0,6}|\\PC{0,12}", 0..20), many in 0usize..3) {
            let items: Vec<TransactionItem> = (0..many * 200)
                .map(|n| item("x", n as u64))
                .chain(reasons.iter().enumerate().map(|(n, reason)| item(reason, n as u64)))
                .collect();
            let wanted: Vec<Value> = items.iter().map(|i| serde_json::to_value(i).expect("JSON")).collect();
            let array: Vec<Value> = serde_json::from_slice(&written(Format::Json, &items)).expect("an array");
            prop_assert_eq!(&array, &wanted);
            let lines = String::from_utf8(written(Format::Ndjson, &items)).expect("text");
            let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
            prop_assert_eq!(&lines, &wanted);
            let csv = written(Format::Csv, &items);
            let mut reader = csv::Reader::from_reader(&csv[..]);
            prop_assert_eq!(reader.headers().expect("a header").iter().collect::<Vec<_>>(), COLUMNS);
            let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
            prop_assert_eq!(rows.len(), wanted.len());
            for (row, item) in rows.iter().zip(&wanted) {
                for (field, column) in row.iter().zip(COLUMNS) {
                    prop_assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{}", field);
                    let told = match &item[column] {
                        Value::Null => String::new(),
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    prop_assert!(field == told || field == format!("'{told}"), "{} {}", column, field);
                }
            }
        }
    }

    #[test]
    fn every_field_of_a_row_has_its_column() {
        let Value::Object(fields) = serde_json::to_value(item("x", 1)).expect("JSON") else { panic!("an object") };
        let (mut told, mut columns): (Vec<&str>, Vec<&str>) =
            (fields.keys().map(String::as_str).collect(), COLUMNS.into());
        told.sort_unstable();
        columns.sort_unstable();
        assert_eq!(told, columns);
        assert_eq!(written(Format::Json, &[]), b"[\n]\n");
        assert_eq!(written(Format::Csv, &[]).split(|b| *b == b'\r').next(), Some(COLUMNS.join(",").as_bytes()));
    }
}
