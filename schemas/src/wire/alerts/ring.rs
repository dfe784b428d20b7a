//! `alerts.ring`: one row per block event that is not final.

use crate::{
    primitives::{BlockHash, Network},
    records::AlertRing,
    wire::{Column, Columns, Datum, Malformed, Row, columns, concat, required},
};

/// [`AlertRing`] on the wire.
#[derive(Default)]
struct RingRow {
    network: Option<Network>,
    sequence: u64,
    height: u64,
    block_hash: Option<BlockHash>,
    given: String,
}
columns! { RingRow, AlertRing {
    must network: Network,
    must sequence: u64,
    must height: u64,
    must block_hash: BlockHash,
    must given: String,
} }

impl Row for AlertRing {
    fn columns() -> Vec<Column> {
        concat([RingRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        RingRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = RingRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            network: required("network", row.network)?,
            sequence: row.sequence,
            height: row.height,
            block_hash: required("block_hash", row.block_hash)?,
            given: row.given,
        })
    }

    fn size_hint(&self) -> usize {
        256 + self.given.len()
    }
}
