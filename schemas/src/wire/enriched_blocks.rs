//! `enriched.blocks`: envelope, the EVM header, then the summary (both null on reverts and finality), last what watched contracts have
//! of it, and how far facts were known.

use alloy_primitives::{Address, U256};

use super::{
    Column, Columns, Datum, Group, Malformed, Row, columns, concat,
    envelopes::{self, HEADER, HeaderRow},
    input::{Input, Problem},
    plan::{ColumnSpec, Plan},
    put_nullable,
    raw_blocks::put_header,
    values::Item,
};
use crate::records::{BlockSummary, ContractSum, EnrichedBlock, EvmHeader};

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
} }

impl Item for ContractSum {
    fn columns() -> Vec<ColumnSpec> {
        Self::specs()
    }
    fn put(&self, out: &mut Vec<u8>) {
        <Self as Columns>::put(self, out);
    }
    fn get(input: &mut Input<'_>, plan: &Plan) -> Result<Self, Problem> {
        let mut sum = Self::default();
        plan.walk(input, |column, input, step| sum.read(column, input, step).map(drop)).map_err(|(_, p)| p)?;
        Ok(sum)
    }
}

/// What versions 2 and 3 of the schema added.
#[derive(Default)]
struct Tail {
    contracts: Option<Vec<ContractSum>>,
    facts_position: Option<u64>,
}
columns! { Tail, Tail {
    null contracts: Vec<ContractSum>,
    null facts_position: u64,
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
        // What follows is left out as far as nothing is said of it: that is how versions 1 and 2 were written.
        let contracts = self.summary.as_ref().map(|summary| &summary.contracts).filter(|sums| !sums.is_empty());
        match (contracts, self.facts_position) {
            (None, None) => return,
            (Some(contracts), _) => put_nullable::<Vec<ContractSum>, _>(contracts, out),
            (None, Some(_)) => out.push(0),
        }
        if self.facts_position.is_some() {
            put_nullable::<u64, _>(&self.facts_position, out);
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
        if let (Some(summary), Some(contracts)) = (&mut summary, tail.contracts) {
            summary.contracts = contracts;
        }
        Ok(Self {
            envelope: envelopes::header(envelope)?,
            evm: evm.finish()?.map(Box::new),
            summary,
            facts_position: tail.facts_position,
        })
    }

    fn size_hint(&self) -> usize {
        2560
    }
}
