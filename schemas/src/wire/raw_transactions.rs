//! `raw.transactions`: envelope, then the transaction with its receipt and logs (all null on a revert), then the error of a
//! placeholder, which otherwise has only its index, then a Bitcoin transaction, which has its index and its id before.

use alloy_primitives::{Address, B256, Bytes, U256};

use super::{
    Cell, Column, Columns, Datum, Group, Malformed, Row, bitcoin, columns, concat,
    envelopes::{self, CHILD, ChildRow},
    input::{Input, Problem, put_long},
    items, place,
    plan::ColumnSpec,
    put_nullable,
    values::{Base, Item, put_array},
};
use crate::{
    envelope::ChildEnvelope,
    primitives::{BitcoinHash, Op},
    records::{BitcoinTransaction, EvmLog, EvmTransaction, Payload, RawTransaction},
};

columns! { EvmTransaction, EvmTransaction {
    null transaction_index: u32,
    null hash: B256,
    null from_address: Address,
    null to_address: Address,
    null value: U256,
    null nonce: u64,
    null gas: u64,
    null gas_price: U256,
    null max_fee_per_gas: U256,
    null max_priority_fee_per_gas: U256,
    null max_fee_per_blob_gas: U256,
    null blob_versioned_hashes: Vec<B256>,
    null input: Bytes,
    null transaction_type: u64,
    null chain_id: u64,
    null authorization_count: u32,
    null source_hash: B256,
    null mint: U256,
    null receipt_status: u64,
    null receipt_root: B256,
    null receipt_gas_used: u64,
    null receipt_cumulative_gas_used: u64,
    null receipt_effective_gas_price: U256,
    null receipt_contract_address: Address,
    null receipt_blob_gas_used: u64,
    null receipt_blob_gas_price: U256,
    null receipt_l1_fee: U256,
    null receipt_l1_gas_used: U256,
    null receipt_l1_gas_price: U256,
    null receipt_l1_fee_scalar: String,
    null receipt_l1_base_fee_scalar: u64,
    null receipt_l1_blob_base_fee: U256,
    null receipt_l1_blob_base_fee_scalar: u64,
    null receipt_operator_fee_scalar: u64,
    null receipt_operator_fee_constant: u64,
    null receipt_da_footprint_gas_scalar: u64,
    null receipt_token_ratio: U256,
    null receipt_gas_used_for_l1: u64,
    null receipt_l1_block_number: u64,
    null receipt_deposit_nonce: u64,
    null receipt_deposit_receipt_version: u64,
    null fee_currency: Address,
} }
/// Number of these columns: `logs` follows them.
pub(super) const TRANSACTION: usize = EvmTransaction::COUNT;

columns! { EvmLog, EvmLog {
    must log_index: u32,
    must address: Address,
    must topics: Vec<B256>,
    must data: Bytes,
} }

items!(EvmLog);

/// The last columns.
#[derive(Default)]
struct Tail {
    logs: Vec<EvmLog>,
    error: Option<String>,
    bitcoin: Option<Box<BitcoinTransaction>>,
}
columns! { Tail, Tail {
    null logs: Vec<EvmLog>,
    null error: String,
    null bitcoin: Box<BitcoinTransaction>,
} }

/// Places of the columns that other families have as well.
const HASH: usize = place(EvmTransaction::LAYOUT, "hash");
const VALUE: usize = place(EvmTransaction::LAYOUT, "value");
const _: () = assert!(place(EvmTransaction::LAYOUT, "transaction_index") == 0 && HASH == 1 && VALUE > HASH);

/// The transaction's columns while they are read, and what decides on the payload's form.
pub(super) struct PayloadGroup {
    group: Group<Box<EvmTransaction>>,
    indexed: bool,
    /// Whether its hash is written as other families write theirs.
    foreign: bool,
}

impl Columns for Box<EvmTransaction> {
    type Source = EvmTransaction;
    const COUNT: usize = TRANSACTION;
    const LAYOUT: &'static [super::Layout] = EvmTransaction::LAYOUT;
    fn specs() -> Vec<ColumnSpec> {
        EvmTransaction::specs()
    }
    fn put(source: &EvmTransaction, out: &mut Vec<u8>) {
        <EvmTransaction as Columns>::put(source, out);
    }
    #[inline]
    fn read(&mut self, column: usize, input: &mut Input<'_>, step: &super::Step) -> Result<Cell, Problem> {
        (**self).read(column, input, step)
    }
}

impl PayloadGroup {
    pub(super) fn new() -> Self {
        Self { group: Group::new(), indexed: false, foreign: false }
    }

    #[inline]
    pub(super) fn read(&mut self, column: usize, input: &mut Input<'_>, step: &super::Step) -> Result<(), Problem> {
        if column == 0 {
            // A placeholder has its index only: that alone does not make a transaction.
            match self.group.row.read(column, input, step)? {
                Cell::Value => self.indexed = true,
                _ => self.group.missing = Some(0),
            }
            return Ok(());
        }
        let before = input.0;
        match self.group.read(column, input, step) {
            Err(wrong @ Problem::Hex { .. }) if column == HASH => {
                input.0 = before;
                if step.present(input)? {
                    BitcoinHash::get(input, step).map_err(|_| wrong)?;
                    self.foreign = true;
                }
                Ok(())
            }
            read => read,
        }
    }

    /// The payload, given what else stands in the record.
    pub(super) fn finish<B>(
        self,
        envelope: &ChildEnvelope,
        error: Option<String>,
        bitcoin: Option<Box<B>>,
    ) -> Result<Payload<EvmTransaction, B>, Malformed> {
        if envelope.op == Op::Revert {
            return Ok(Payload::Revert);
        }
        if let Some(error) = error {
            if !self.indexed {
                return Err(Malformed::missing("transaction_index"));
            }
            return Ok(Payload::Unreadable { index: self.group.row.transaction_index, error });
        }
        if let Some(bitcoin) = bitcoin {
            return Ok(Payload::Bitcoin(bitcoin));
        }
        if self.foreign {
            return Err(Malformed { field: "hash".to_owned(), problem: Problem::Hex { digits: "64" } });
        }
        self.group.finish()?.map(Payload::Evm).ok_or_else(|| Malformed::missing("hash"))
    }
}

/// Writes the columns of a placeholder between envelope and `tail`.
pub(super) fn put_placeholder(index: u32, out: &mut Vec<u8>) {
    out.push(2);
    put_long(i64::from(index), out);
    out.resize(out.len() + TRANSACTION - 1, 0);
}

/// Writes the columns of another family's transaction in the place of an EVM one's: its position, its hash and, where that is known, what
/// it moves.
pub(super) fn put_shared(index: u32, hash: &BitcoinHash, value: Option<u64>, out: &mut Vec<u8>) {
    out.push(2);
    put_long(i64::from(index), out);
    out.push(2);
    hash.put(out);
    out.resize(out.len() + VALUE - HASH - 1, 0);
    put_nullable::<U256, _>(&value.map(U256::from), out);
    out.resize(out.len() + TRANSACTION - VALUE - 1, 0);
}

/// Writes all that follows the envelope of a transaction.
pub(crate) fn put_transaction(tx: &EvmTransaction, out: &mut Vec<u8>) {
    <EvmTransaction as Columns>::put(tx, out);
    out.push(2);
    put_array(tx.logs.len(), tx.logs.iter(), out, Item::put);
    out.push(0);
}

/// The same of a Bitcoin transaction.
pub(crate) fn put_bitcoin(tx: &BitcoinTransaction, out: &mut Vec<u8>) {
    put_shared(tx.transaction_index, &tx.txid, None, out);
    out.extend_from_slice(&[0, 0, 2]); // no logs, no error, but this
    Item::put(tx, out);
}

/// About how many bytes a transaction takes.
pub(super) fn size_hint(tx: &EvmTransaction) -> usize {
    let logs: usize = tx.logs.iter().map(|l| 64 + 67 * l.topics.len() + 2 * l.data.len()).sum();
    1024 + 2 * tx.input.len() + logs
}

impl Row for RawTransaction {
    fn columns() -> Vec<Column> {
        concat([ChildRow::specs(), EvmTransaction::specs(), Tail::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        ChildRow::put(&self.envelope, out);
        match &self.payload {
            Payload::Evm(tx) => put_transaction(tx, out),
            Payload::Bitcoin(tx) => put_bitcoin(tx, out),
            Payload::Revert => {
                EvmTransaction::put_nulls(out);
                out.extend_from_slice(&[0, 0]); // no logs, no error
            }
            Payload::Unreadable { index, error } => {
                put_placeholder(*index, out);
                out.push(0);
                put_nullable::<String, _>(error, out);
            }
        }
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut envelope, mut tx) = (Group::<ChildRow>::new(), PayloadGroup::new());
        let mut tail = Tail::default();
        datum.walk(|column, input, step| match column.checked_sub(CHILD) {
            None => envelope.read(column, input, step),
            Some(column) if column < TRANSACTION => tx.read(column, input, step),
            Some(column) => tail.read(column - TRANSACTION, input, step).map(drop),
        })?;
        let envelope = envelopes::child(envelope)?;
        let mut payload = tx.finish(&envelope, tail.error, tail.bitcoin)?;
        if let Payload::Evm(tx) = &mut payload {
            tx.logs = tail.logs;
        }
        Ok(Self { envelope, payload })
    }

    fn size_hint(&self) -> usize {
        match &self.payload {
            Payload::Evm(tx) => size_hint(tx),
            Payload::Bitcoin(tx) => bitcoin::size_hint(tx),
            Payload::Revert | Payload::Unreadable { .. } => 512,
        }
    }
}
