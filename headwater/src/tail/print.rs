//! Prints lines of JSON as they are, or as a table for people.

use std::io::{ErrorKind, StdoutLock, Write};

use serde_json::Value;

use crate::arguments::Format;

/// Columns of the table: name, where in the record, width.
const COLUMNS: [(&str, &str, usize); 7] = [
    ("NETWORK", "/value/network", 18),
    ("SEQUENCE", "/value/sequence", 9),
    ("OP", "/value/op", 8),
    ("HEIGHT", "/value/height", 10),
    ("INDEX", "/value/transaction_index", 5),
    ("STATUS", "/value/status", 7),
    ("HASH", "", 66),
];

/// Writes to standard output.
pub struct Printer {
    format: Format,
    out: StdoutLock<'static>,
    headed: bool,
}

impl Printer {
    /// A printer of a format.
    pub fn new(format: Format) -> Self {
        Self { format, out: std::io::stdout().lock(), headed: false }
    }

    /// Prints one line of JSON; false when nobody reads any more.
    pub fn line(&mut self, json: &str) -> std::io::Result<bool> {
        let written = match self.format {
            Format::Json => writeln!(self.out, "{json}"),
            Format::Table => self.row(json),
        };
        match written.and_then(|()| self.out.flush()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn row(&mut self, json: &str) -> std::io::Result<()> {
        let record: Value = serde_json::from_str(json).unwrap_or(Value::Null);
        if !self.headed {
            self.headed = true;
            let heads: Vec<String> = COLUMNS.iter().map(|(name, _, width)| format!("{name:<width$}")).collect();
            writeln!(self.out, "{}", heads.join("  ").trim_end())?;
        }
        let hash = ["/value/hash", "/value/block_hash", "/key"].iter().find_map(|at| record.pointer(at)?.as_str());
        let cells: Vec<String> = COLUMNS
            .iter()
            .map(|(_, at, width)| {
                let text = match record.pointer(at) {
                    _ if at.is_empty() => hash.unwrap_or("-").to_owned(),
                    None | Some(Value::Null) => "-".to_owned(),
                    Some(Value::String(s)) => s.clone(),
                    Some(other) => other.to_string(),
                };
                format!("{text:<width$}")
            })
            .collect();
        writeln!(self.out, "{}", cells.join("  ").trim_end())
    }
}
