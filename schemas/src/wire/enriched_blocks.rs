//! `enriched.blocks`: envelope, the EVM header, then the summary (both null on reverts and finality).

use alloy_primitives::U256;

use super::{
    Column, Columns, Datum, Group, Malformed, Row, columns, concat,
    envelopes::{self, HEADER, HeaderRow},
    raw_blocks::put_header,
};
use crate::records::{BlockSummary, EnrichedBlock, EvmHeader};

columns! { BlockSummary, BlockSummary {
    null transactions: u32,
    null failed: u32,
    null unknown: u32,
    null unreadable: u32,
    null logs: u32,
    null token_transfers: u32,
    null contracts_created: u32,
    null gas_used as "receipts_gas_used": u64,
    null fee_total: U256,
    null fee_unknown: u32,
    null gas_price_sum: U256,
    null gas_price_count: u32,
    null gas_price_min: U256,
    null gas_price_max: U256,
    null value_total: U256,
} }

impl Row for EnrichedBlock {
    fn columns() -> Vec<Column> {
        concat([HeaderRow::specs(), EvmHeader::specs(), BlockSummary::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        HeaderRow::put(&self.envelope, out);
        put_header(self.evm.as_deref(), out);
        match &self.summary {
            Some(summary) => <BlockSummary as Columns>::put(summary, out),
            None => BlockSummary::put_nulls(out),
        }
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut envelope, mut evm) = (Group::<HeaderRow>::new(), Group::<EvmHeader>::new());
        let mut summary = Group::<BlockSummary>::new();
        datum.walk(|column, input, step| match column.checked_sub(HEADER) {
            None => envelope.read(column, input, step),
            Some(column) => match column.checked_sub(EvmHeader::COUNT) {
                None => evm.read(column, input, step),
                Some(column) => summary.read(column, input, step),
            },
        })?;
        Ok(Self {
            envelope: envelopes::header(envelope)?,
            evm: evm.finish()?.map(Box::new),
            summary: summary.finish()?,
        })
    }

    fn size_hint(&self) -> usize {
        2560
    }
}
