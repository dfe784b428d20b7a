//! From what the node sent to the contract's records. Pure but for counting.

use alloy_primitives::Bytes;
use schemas::{
    TimeMs,
    records::{EvmHeader, EvmLog, EvmTransaction},
};

use super::{
    types::{EvmBlock, EvmHead},
    wire,
};
use crate::metrics;

/// A field that a record cannot do without was left out, or does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: field `{field}` is {problem}")]
pub struct ShapeError {
    /// Block, transaction n, receipt n.
    pub place: String,
    /// The field as nodes call it.
    pub field: &'static str,
    /// Missing, or too large with its value.
    pub problem: String,
}

fn need<T>(value: Option<T>, field: &'static str, place: impl Fn() -> String) -> Result<T, ShapeError> {
    value.ok_or_else(|| ShapeError { place: place(), field, problem: "missing".into() })
}

fn fit32(value: u64, field: &'static str, place: impl Fn() -> String) -> Result<u32, ShapeError> {
    u32::try_from(value).map_err(|_| ShapeError {
        place: place(),
        field,
        problem: format!("{value}, which does not fit into 32 bits"),
    })
}

/// A time stamp as a time. One in a finer unit than seconds is counted.
fn time(stamp: u64, place: impl Fn() -> String) -> Result<TimeMs, ShapeError> {
    let time = TimeMs::from_stamp(stamp).ok_or_else(|| ShapeError {
        place: place(),
        field: "timestamp",
        problem: format!("{stamp}, which is no time in seconds, milliseconds, microseconds or nanoseconds"),
    })?;
    if time.0 as u64 / 1000 != stamp {
        metrics::odd_field("Block.timestamp", metrics::UNIT);
    }
    Ok(time)
}

impl TryFrom<wire::Head> for EvmHead {
    type Error = ShapeError;
    fn try_from(h: wire::Head) -> Result<Self, ShapeError> {
        let place = || "header".to_owned();
        Ok(Self {
            number: need(h.number, "number", place)?,
            hash: need(h.hash, "hash", place)?,
            parent_hash: need(h.parent_hash, "parentHash", place)?,
            time: time(need(h.timestamp, "timestamp", place)?, place)?,
        })
    }
}

/// Joins a block and its receipts. Counts and order must have been checked ([`super::verify`]). Receipts beyond the
/// transactions' belong to none of them (Celo's block receipts): their logs are counted, and have no record.
pub fn assemble(block: wire::Block, receipts: Vec<wire::Receipt>) -> Result<EvmBlock, ShapeError> {
    let place = || "block".to_owned();
    let head = EvmHead {
        number: need(block.number, "number", place)?,
        hash: need(block.hash, "hash", place)?,
        parent_hash: need(block.parent_hash, "parentHash", place)?,
        time: time(need(block.timestamp, "timestamp", place)?, place)?,
    };
    let withdrawal_count = match block.withdrawals {
        Some(c) => Some(fit32(c.0 as u64, "withdrawals", place)?),
        None => None,
    };
    let header = EvmHeader {
        sha3_uncles: block.sha3_uncles,
        miner: block.miner,
        state_root: block.state_root,
        transactions_root: block.transactions_root,
        receipts_root: block.receipts_root,
        logs_bloom: block.logs_bloom.map(|b| Bytes::copy_from_slice(b.as_slice())),
        difficulty: block.difficulty,
        total_difficulty: block.total_difficulty,
        gas_limit: block.gas_limit.unwrap_or_default(),
        gas_used: block.gas_used.unwrap_or_default(),
        extra_data: block.extra_data.unwrap_or_default(),
        mix_hash: block.mix_hash,
        nonce: block.nonce,
        base_fee_per_gas: block.base_fee_per_gas,
        withdrawals_root: block.withdrawals_root,
        withdrawal_count,
        blob_gas_used: block.blob_gas_used,
        excess_blob_gas: block.excess_blob_gas,
        parent_beacon_block_root: block.parent_beacon_block_root,
        requests_hash: block.requests_hash,
        size: block.size,
        uncles: block.uncles.unwrap_or_default(),
        l1_block_number: block.l1_block_number,
    };
    let wire_transactions = need(block.transactions, "transactions", place)?;
    let mut transactions = Vec::with_capacity(wire_transactions.len());
    let mut before = Before::default();
    let mut receipts = receipts.into_iter();
    for (t, r) in wire_transactions.into_iter().zip(receipts.by_ref()) {
        transactions.push(join(t, r, &mut before)?);
    }
    let others: usize = receipts.map(|r| r.logs.map_or(0, |logs| logs.len())).sum();
    let log_count = before.logs.saturating_add(fit32(others as u64, "logs", place)?);
    Ok(EvmBlock { head, header, transactions, log_count })
}

/// What stands before a transaction in its block.
#[derive(Default)]
struct Before {
    transactions: u32,
    logs: u32,
    gas: u64,
}

/// One transaction and its receipt. Its place and its logs' are those where they stand, whatever they state.
fn join(t: wire::Transaction, r: wire::Receipt, before: &mut Before) -> Result<EvmTransaction, ShapeError> {
    let index = before.transactions;
    let in_tx = || format!("transaction {index}");
    let in_receipt = || format!("receipt {index}");
    let mut logs = Vec::new();
    for (i, l) in need(r.logs, "logs", in_receipt)?.into_iter().enumerate() {
        let place = || format!("receipt {index}, log {i}");
        let topics = l.topics.unwrap_or_default();
        if topics.len() > 4 {
            let problem = format!("a list of {} where the EVM allows 4", topics.len());
            return Err(ShapeError { place: place(), field: "topics", problem });
        }
        let log_index = before.logs + i as u32;
        if l.log_index.is_some_and(|told| told != u64::from(log_index)) {
            metrics::odd_field("Log.logIndex", metrics::OTHER);
        }
        logs.push(EvmLog {
            log_index,
            address: need(l.address, "address", place)?,
            topics,
            data: l.data.unwrap_or_default(),
        });
    }
    let chain_id = t.chain_id.and_then(|c| u64::try_from(c).ok());
    let authorization_count = match &t.authorization_list {
        Some(list) => Some(fit32(list.len() as u64, "authorizationList", in_tx)?),
        None => None,
    };
    // Each follows from the other where one is left out.
    let gas_used = r.gas_used.or_else(|| r.cumulative_gas_used?.checked_sub(before.gas));
    let gas_used = need(gas_used, "gasUsed", in_receipt)?;
    let gas_so_far = r.cumulative_gas_used.unwrap_or(before.gas.saturating_add(gas_used));
    *before = Before { transactions: index + 1, logs: before.logs + logs.len() as u32, gas: gas_so_far };
    Ok(EvmTransaction {
        transaction_index: index,
        hash: need(t.hash, "hash", in_tx)?,
        from_address: need(t.from, "from", in_tx)?,
        to_address: t.to,
        value: t.value.unwrap_or_default(),
        // Deposits have no nonce of their own; their receipt says which one was used.
        nonce: t.nonce.or(r.deposit_nonce).unwrap_or_default(),
        gas: t.gas.unwrap_or_default(),
        gas_price: t.gas_price,
        max_fee_per_gas: t.max_fee_per_gas,
        max_priority_fee_per_gas: t.max_priority_fee_per_gas,
        max_fee_per_blob_gas: t.max_fee_per_blob_gas,
        blob_versioned_hashes: t.blob_versioned_hashes.unwrap_or_default(),
        input: t.input.unwrap_or_default(),
        transaction_type: t.transaction_type.or(r.transaction_type).unwrap_or_default(),
        // No token: some nodes write the zero address where the fee is paid in the chain's own.
        fee_currency: t.fee_currency.filter(|token| !token.is_zero()),
        chain_id,
        authorization_count,
        source_hash: t.source_hash,
        mint: t.mint,
        receipt_status: r.status,
        receipt_root: r.root,
        receipt_gas_used: gas_used,
        receipt_cumulative_gas_used: gas_so_far,
        receipt_effective_gas_price: r.effective_gas_price,
        receipt_contract_address: r.contract_address,
        receipt_blob_gas_used: r.blob_gas_used,
        receipt_blob_gas_price: r.blob_gas_price,
        receipt_l1_fee: r.l1_fee,
        receipt_l1_gas_used: r.l1_gas_used,
        receipt_l1_gas_price: r.l1_gas_price,
        receipt_l1_fee_scalar: r.l1_fee_scalar.map(|t| t.0),
        receipt_l1_base_fee_scalar: r.l1_base_fee_scalar,
        receipt_l1_blob_base_fee: r.l1_blob_base_fee,
        receipt_l1_blob_base_fee_scalar: r.l1_blob_base_fee_scalar,
        receipt_operator_fee_scalar: r.operator_fee_scalar,
        receipt_operator_fee_constant: r.operator_fee_constant,
        receipt_da_footprint_gas_scalar: r.da_footprint_gas_scalar,
        receipt_token_ratio: r.token_ratio,
        receipt_gas_used_for_l1: r.gas_used_for_l1,
        receipt_l1_block_number: r.l1_block_number,
        receipt_deposit_nonce: r.deposit_nonce,
        receipt_deposit_receipt_version: r.deposit_receipt_version,
        logs,
    })
}
