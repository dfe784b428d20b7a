//! `raw.blocks`: envelope, then the EVM header (null on reverts, on finality and on other families), then the Bitcoin header.

use alloy_primitives::{Address, B64, B256, Bytes, U256};

use super::{
    Column, Columns, Datum, Group, Malformed, Row, columns, concat,
    envelopes::{self, HEADER, HeaderRow},
    put_nullable,
};
use crate::records::{BitcoinHeader, EvmHeader, RawBlock};

columns! { EvmHeader, EvmHeader {
    null sha3_uncles: B256,
    null miner: Address,
    null state_root: B256,
    null transactions_root: B256,
    null receipts_root: B256,
    null logs_bloom: Bytes,
    null difficulty: U256,
    null total_difficulty: U256,
    null gas_limit: u64,
    null gas_used: u64,
    null extra_data: Bytes,
    null mix_hash: B256,
    null nonce: B64,
    null base_fee_per_gas: U256,
    null withdrawals_root: B256,
    null withdrawal_count: u32,
    null blob_gas_used: u64,
    null excess_blob_gas: u64,
    null parent_beacon_block_root: B256,
    null requests_hash: B256,
    null size: u64,
    null uncles: Vec<B256>,
    null l1_block_number: u64,
} }

/// What other families have.
#[derive(Default)]
struct Tail {
    bitcoin: Option<Box<BitcoinHeader>>,
}
columns! { Tail, Tail {
    null bitcoin: Box<BitcoinHeader>,
} }

pub(super) fn put_header(evm: Option<&EvmHeader>, out: &mut Vec<u8>) {
    match evm {
        Some(header) => <EvmHeader as Columns>::put(header, out),
        None => EvmHeader::put_nulls(out),
    }
}

impl Row for RawBlock {
    fn columns() -> Vec<Column> {
        concat([HeaderRow::specs(), EvmHeader::specs(), Tail::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        HeaderRow::put(&self.envelope, out);
        put_header(self.evm.as_deref(), out);
        // Left out where there is none: that is how version 1 was written.
        if self.bitcoin.is_some() {
            put_nullable::<Box<BitcoinHeader>, _>(&self.bitcoin, out);
        }
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut envelope, mut evm) = (Group::<HeaderRow>::new(), Group::<EvmHeader>::new());
        let mut tail = Tail::default();
        datum.walk(|column, input, step| match column.checked_sub(HEADER) {
            None => envelope.read(column, input, step),
            Some(column) => match column.checked_sub(EvmHeader::COUNT) {
                None => evm.read(column, input, step),
                Some(column) => tail.read(column, input, step).map(drop),
            },
        })?;
        let evm = evm.finish()?.map(Box::new);
        Ok(Self { envelope: envelopes::header(envelope)?, evm, bitcoin: tail.bitcoin })
    }

    fn size_hint(&self) -> usize {
        2048
    }
}
