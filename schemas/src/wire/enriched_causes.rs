//! `enriched.causes`: one row per failed transaction of an applied block.

use alloy_primitives::{Address, B256, Bytes, FixedBytes};

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, required};
use crate::{
    primitives::{BlockHash, Network, TimeMs},
    records::{CauseEvidence, EnrichedCause},
};

/// [`EnrichedCause`] on the wire.
#[derive(Default)]
struct CauseRow {
    network: Option<Network>,
    sequence: u64,
    height: u64,
    block_hash: Option<BlockHash>,
    block_time: TimeMs,
    transaction_index: u32,
    transaction_hash: B256,
    revision: u8,
    cause: String,
    reason: String,
    rule: Option<String>,
    found_by: CauseEvidence,
    approximate: bool,
    from_address: Option<Address>,
    contract: Option<Address>,
    method: Option<FixedBytes<4>>,
    entry: Option<Address>,
    frame_address: Option<Address>,
    frame_depth: Option<u16>,
    error: Option<String>,
    error_selector: Option<FixedBytes<4>>,
    error_signature: Option<String>,
    error_arguments: Option<String>,
    output: Bytes,
    calls: Option<String>,
    group: Option<String>,
    found_at: TimeMs,
}
columns! { CauseRow, EnrichedCause {
    must network: Network,
    must sequence: u64,
    must height: u64,
    must block_hash: BlockHash,
    must block_time: TimeMs,
    must transaction_index: u32,
    must transaction_hash: B256,
    must revision: u8,
    must cause: String,
    must reason: String,
    null rule: String,
    must found_by: CauseEvidence,
    must approximate: bool,
    null from_address: Address,
    null contract: Address,
    null method: FixedBytes<4>,
    null entry: Address,
    null frame_address: Address,
    null frame_depth: u16,
    null error: String,
    null error_selector: FixedBytes<4>,
    null error_signature: String,
    null error_arguments: String,
    must output: Bytes,
    null calls: String,
    null group: String,
    must found_at: TimeMs,
} }

impl Row for EnrichedCause {
    fn columns() -> Vec<Column> {
        concat([CauseRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        CauseRow::put(self, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = CauseRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        Ok(Self {
            network: required("network", row.network)?,
            sequence: row.sequence,
            height: row.height,
            block_hash: required("block_hash", row.block_hash)?,
            block_time: row.block_time,
            transaction_index: row.transaction_index,
            transaction_hash: row.transaction_hash,
            revision: row.revision,
            cause: row.cause,
            reason: row.reason,
            rule: row.rule,
            found_by: row.found_by,
            approximate: row.approximate,
            from_address: row.from_address,
            contract: row.contract,
            method: row.method,
            entry: row.entry,
            frame_address: row.frame_address,
            frame_depth: row.frame_depth,
            error: row.error,
            error_selector: row.error_selector,
            error_signature: row.error_signature,
            error_arguments: row.error_arguments,
            output: row.output,
            calls: row.calls,
            group: row.group,
            found_at: row.found_at,
        })
    }

    fn size_hint(&self) -> usize {
        let texts = [&self.error_arguments, &self.calls, &self.error_signature];
        768 + self.reason.len() + 2 * self.output.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }
}
