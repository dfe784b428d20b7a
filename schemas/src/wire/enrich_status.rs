//! `enrich.status`: one row per network.

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, required};
use crate::{
    primitives::{Network, TimeMs},
    records::{EnrichState, EnrichStatus},
};

/// [`EnrichStatus`] while it is read.
#[derive(Default)]
struct StatusRow {
    network: Option<Network>,
    state: Option<EnrichState>,
    detail: Option<String>,
    at: TimeMs,
}
columns! { StatusRow, EnrichStatus {
    must network: Network,
    must state: EnrichState,
    null detail: String,
    must at: TimeMs,
} }

impl Row for EnrichStatus {
    fn columns() -> Vec<Column> {
        concat([StatusRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        StatusRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = StatusRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            network: required("network", row.network)?,
            state: required("state", row.state)?,
            detail: row.detail,
            at: row.at,
        })
    }
}
