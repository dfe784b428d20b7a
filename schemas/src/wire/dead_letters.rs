//! `dead.letters`: where a record came from, why it was given up, and its bytes as they were.

use bytes::Bytes;

use super::{Column, Columns, Datum, Malformed, Row, columns, concat};
use crate::{
    primitives::{Network, TimeMs},
    records::DeadLetter,
};

/// [`DeadLetter`] while it is read.
#[derive(Default)]
struct LetterRow {
    source_topic: String,
    source_partition: u32,
    source_offset: Option<u64>,
    stage: String,
    network: Option<Network>,
    sequence: Option<u64>,
    index: Option<u32>,
    reason: String,
    error: String,
    key: Option<Bytes>,
    value: Option<Bytes>,
    failed_at: TimeMs,
}
columns! { LetterRow, DeadLetter {
    must source_topic: String,
    must source_partition: u32,
    null source_offset: u64,
    must stage: String,
    null network: Network,
    null sequence: u64,
    null index: u32,
    must reason: String,
    must error: String,
    null key: Bytes,
    null value: Bytes,
    must failed_at: TimeMs,
} }

impl Row for DeadLetter {
    fn columns() -> Vec<Column> {
        concat([LetterRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        LetterRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = LetterRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            source_topic: row.source_topic,
            source_partition: row.source_partition,
            source_offset: row.source_offset,
            stage: row.stage,
            network: row.network,
            sequence: row.sequence,
            index: row.index,
            reason: row.reason,
            error: row.error,
            key: row.key,
            value: row.value,
            failed_at: row.failed_at,
        })
    }

    fn size_hint(&self) -> usize {
        512 + self.value.as_ref().map_or(0, Bytes::len)
    }
}
