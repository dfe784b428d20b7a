//! `alerts.state`: one row per alert that is remembered.

use crate::{
    records::AlertState,
    wire::{Column, Columns, Datum, Malformed, Row, columns, concat},
};

/// [`AlertState`] on the wire.
#[derive(Default)]
struct StateRow {
    tenant: String,
    source_id: String,
    group: String,
    revision: u64,
    state: String,
}
columns! { StateRow, AlertState {
    must tenant: String,
    must source_id: String,
    must group: String,
    must revision: u64,
    must state: String,
} }

impl Row for AlertState {
    fn columns() -> Vec<Column> {
        concat([StateRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        StateRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = StateRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            tenant: row.tenant,
            source_id: row.source_id,
            group: row.group,
            revision: row.revision,
            state: row.state,
        })
    }

    fn size_hint(&self) -> usize {
        256 + self.group.len() + self.state.len()
    }
}
