//! `enriched.blocks`: envelope, the EVM header, then the summary (both null on reverts and finality), then what later versions added: what
//! watched contracts have of it, how far facts were known, the sketches, the Bitcoin header.

use alloy_primitives::{Address, U256};

use super::{
    Column, Columns, Datum, Group, Malformed, Row, columns, concat,
    envelopes::{self, HEADER, HeaderRow},
    items, put_nullable,
    raw_blocks::put_header,
};
use crate::{
    limits::windows::SKETCH_BYTES,
    primitives::TimeMs,
    records::{BitcoinHeader, BlockSummary, ContractSum, EnrichedBlock, EvmHeader, TokenFees},
    sketch::{Bins, Distinct},
};

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

columns! { ContractSum, ContractSum {
    must address: Address,
    must transactions: u32,
    must failed: u32,
    must unknown: u32,
    must logs: u32,
    must gas_used: u64,
    null token_transfers: u32,
    null fee_total: U256,
    null fee_unknown: u32,
    null value_total: U256,
    null gas_price_sum: U256,
    null gas_price_count: u32,
    null gas_price_min: U256,
    null gas_price_max: U256,
    null bins as "gas_price_bins": Bins,
    null senders as "senders_sketch": Distinct,
    null watched_from: TimeMs,
} }

columns! { TokenFees, TokenFees {
    must token: Address,
    must total: U256,
    must count: u64,
} }

items!(ContractSum, TokenFees);

impl ContractSum {
    /// Bytes that one takes in its block's record at most: two sketches, and what else there is.
    pub const BYTES_AT_MOST: usize = 2 * SKETCH_BYTES + 1_024;

    /// Bytes that it takes in its block's record.
    pub fn bytes(&self) -> usize {
        let mut out = Vec::with_capacity(512);
        <Self as Columns>::put(self, &mut out);
        out.len()
    }
}

/// What versions 2 to 5 of the schema added.
#[derive(Default)]
struct Tail {
    contracts: Option<Vec<ContractSum>>,
    facts_position: Option<u64>,
    contracts_left_out: Option<u32>,
    bins: Option<Bins>,
    senders: Option<Distinct>,
    fees: Option<Vec<TokenFees>>,
    bitcoin: Option<Box<BitcoinHeader>>,
}
columns! { Tail, Tail {
    null contracts: Vec<ContractSum>,
    null facts_position: u64,
    null contracts_left_out: u32,
    null bins as "gas_price_bins": Bins,
    null senders as "senders_sketch": Distinct,
    null fees as "token_fees": Vec<TokenFees>,
    null bitcoin: Box<BitcoinHeader>,
} }

impl Row for EnrichedBlock {
    fn columns() -> Vec<Column> {
        concat([HeaderRow::specs(), EvmHeader::specs(), BlockSummary::specs(), Tail::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        HeaderRow::put(&self.envelope, out);
        put_header(self.evm.as_deref(), out);
        match &self.summary {
            Some(summary) => <BlockSummary as Columns>::put(summary, out),
            None => BlockSummary::put_nulls(out),
        }
        // What follows is left out where nothing is said of it: that is how version 1 was written.
        if self.is_as_version_1() {
            return;
        }
        let summary = self.summary.as_ref();
        match summary.map(|summary| &summary.contracts).filter(|sums| !sums.is_empty()) {
            Some(contracts) => put_nullable::<Vec<ContractSum>, _>(contracts, out),
            None => out.push(0),
        }
        put_nullable::<u64, _>(&self.facts_position, out);
        match summary {
            Some(summary) => {
                put_nullable::<u32, _>(&summary.contracts_left_out, out);
                put_nullable::<Bins, _>(&summary.bins, out);
                put_nullable::<Distinct, _>(&summary.senders, out);
                put_nullable::<Vec<TokenFees>, _>(&summary.fees, out);
            }
            None => out.extend_from_slice(&[0; 4]),
        }
        // Left out where there is none: that is how version 4 was written.
        if self.bitcoin.is_some() {
            put_nullable::<Box<BitcoinHeader>, _>(&self.bitcoin, out);
        }
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut envelope, mut evm) = (Group::<HeaderRow>::new(), Group::<EvmHeader>::new());
        let (mut summary, mut tail) = (Group::<BlockSummary>::new(), Tail::default());
        datum.walk(|column, input, step| match column.checked_sub(HEADER) {
            None => envelope.read(column, input, step),
            Some(column) => match column.checked_sub(EvmHeader::COUNT) {
                None => evm.read(column, input, step),
                Some(column) => match column.checked_sub(BlockSummary::COUNT) {
                    None => summary.read(column, input, step),
                    Some(column) => tail.read(column, input, step).map(drop),
                },
            },
        })?;
        let mut summary = summary.finish()?;
        if let Some(summary) = &mut summary {
            summary.contracts = tail.contracts.unwrap_or_default();
            summary.contracts_left_out = tail.contracts_left_out.unwrap_or_default();
            (summary.bins, summary.senders, summary.fees) = (tail.bins, tail.senders, tail.fees);
        }
        Ok(Self {
            envelope: envelopes::header(envelope)?,
            evm: evm.finish()?.map(Box::new),
            bitcoin: tail.bitcoin,
            summary,
            facts_position: tail.facts_position,
        })
    }

    fn size_hint(&self) -> usize {
        2560
    }
}
