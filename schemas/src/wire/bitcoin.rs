//! The nested records of Bitcoin, at the end of the chain records. Bytes stand as `bytes`, hashes as explorers print them.

use alloy_primitives::{Bytes as HexBytes, U256};

use super::{
    Columns, columns,
    input::{Input, Problem},
    items,
    plan::{ColumnSpec, Kind, Plan, Step},
    read,
    values::{Base, Item},
};
use crate::{
    bitcoin::BitcoinChain,
    primitives::{BitcoinHash, TimeMs},
    records::{
        BitcoinDecoded, BitcoinHeader, BitcoinInput, BitcoinOutput, BitcoinPrevout, BitcoinSpent, BitcoinTransaction,
        Coverage, ScriptKind,
    },
};

/// [`BitcoinHeader`] while it is read.
#[derive(Default)]
struct BlockRow {
    chain: Option<BitcoinChain>,
    coverage: Option<Coverage>,
    version: u32,
    merkle_root: BitcoinHash,
    time: u32,
    bits: u32,
    nonce: u32,
    median_time: Option<TimeMs>,
    chain_work: Option<U256>,
    size: Option<u32>,
    stripped_size: Option<u32>,
    weight: Option<u32>,
    transaction_count: Option<u32>,
    coinbase: Option<HexBytes>,
}
columns! { BlockRow, BitcoinHeader {
    must chain: BitcoinChain,
    must coverage: Coverage,
    must version: u32,
    must merkle_root: BitcoinHash,
    must time: u32,
    must bits: u32,
    must nonce: u32,
    null median_time: TimeMs,
    null chain_work: U256,
    null size: u32,
    null stripped_size: u32,
    null weight: u32,
    null transaction_count: u32,
    null coinbase: bytes::Bytes,
} }

columns! { BitcoinPrevout, BitcoinPrevout {
    must value: u64,
    data script: bytes::Bytes,
    null height: u32,
    null coinbase: bool,
} }

columns! { BitcoinTransaction, BitcoinTransaction {
    must transaction_index: u32,
    must txid: BitcoinHash,
    data raw: bytes::Bytes,
    must prevouts: Vec<BitcoinPrevout>,
} }

columns! { BitcoinSpent, BitcoinSpent {
    must value: u64,
    data script: bytes::Bytes,
    must kind: ScriptKind,
    must addresses: Vec<String>,
    null height: u32,
} }

columns! { BitcoinInput, BitcoinInput {
    must spent_txid: BitcoinHash,
    must spent_index: u32,
    data script: bytes::Bytes,
    must sequence: u32,
    must witness: Vec<HexBytes>,
    null spent: BitcoinSpent,
    null envelope: String,
} }

columns! { BitcoinOutput, BitcoinOutput {
    must value: u64,
    data script: bytes::Bytes,
    must kind: ScriptKind,
    must addresses: Vec<String>,
} }

columns! { BitcoinDecoded, BitcoinDecoded {
    must transaction_index: u32,
    must txid: BitcoinHash,
    must wtxid: BitcoinHash,
    must version: u32,
    must lock_time: u32,
    must size: u32,
    must weight: u32,
    must virtual_size: u32,
    null sigops: u32,
    must is_coinbase: bool,
    must segwit: bool,
    must replaceable: bool,
    null input_value: u64,
    must output_value: u64,
    null fee: u64,
    null fee_rate: u64,
    null pool: String,
    must inputs: Vec<BitcoinInput>,
    must outputs: Vec<BitcoinOutput>,
} }

items!(BitcoinPrevout, BitcoinTransaction, BitcoinInput, BitcoinOutput, BitcoinDecoded);

impl Item for BitcoinHeader {
    fn columns() -> Vec<ColumnSpec> {
        BlockRow::specs()
    }
    fn put(&self, out: &mut Vec<u8>) {
        <BlockRow as Columns>::put(self, out);
    }
    fn get(input: &mut Input<'_>, plan: &Plan) -> Result<Self, Problem> {
        let row: BlockRow = read(input, plan)?;
        Ok(Self {
            chain: row.chain.ok_or(Problem::Missing)?,
            coverage: row.coverage.ok_or(Problem::Missing)?,
            version: row.version,
            merkle_root: row.merkle_root,
            time: row.time,
            bits: row.bits,
            nonce: row.nonce,
            median_time: row.median_time,
            chain_work: row.chain_work,
            size: row.size,
            stripped_size: row.stripped_size,
            weight: row.weight,
            transaction_count: row.transaction_count,
            coinbase: row.coinbase,
        })
    }
}

impl Base for BitcoinSpent {
    const KIND: Kind = Kind::Record(Self::specs);
    fn put(&self, out: &mut Vec<u8>) {
        <Self as Columns>::put(self, out);
    }
    fn get(input: &mut Input<'_>, step: &Step) -> Result<Self, Problem> {
        read(input, &step.items)
    }
}

/// About how many bytes a transaction takes.
pub(super) fn size_hint(tx: &BitcoinTransaction) -> usize {
    384 + tx.raw.len() + tx.prevouts.iter().map(|prevout| 16 + prevout.script.len()).sum::<usize>()
}

/// About how many bytes a transaction takes that was read.
pub(super) fn size_hint_decoded(tx: &BitcoinDecoded) -> usize {
    let address = |addresses: &[String]| addresses.iter().map(|address| 2 + address.len()).sum::<usize>();
    let input = |input: &BitcoinInput| {
        let spent = input.spent.as_ref();
        let witness: usize = input.witness.iter().map(|item| 4 + item.len()).sum();
        96 + input.script.len() + witness + spent.map_or(0, |s| 48 + s.script.len() + address(&s.addresses))
    };
    let output = |output: &BitcoinOutput| 40 + output.script.len() + address(&output.addresses);
    640 + tx.inputs.iter().map(input).sum::<usize>() + tx.outputs.iter().map(output).sum::<usize>()
}
