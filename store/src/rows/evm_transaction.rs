//! `evm_transaction_rows`.

use std::collections::HashSet;

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::{
    ChildEnvelope, TimeMs,
    records::{Enrichment, EvmTransaction},
};
use serde::Serialize;

use super::{
    hex::{Hex, HexBytes},
    row_version,
};
use crate::query::wire;

/// A row of `evm_transaction_rows`; columns as there.
#[derive(Debug, Row, Serialize)]
#[allow(missing_docs)]
pub struct EvmTransactionRow<'a> {
    pub network: &'a str,
    pub height: u64,
    pub transaction_index: u32,
    pub sequence: u64,
    pub version: u64,
    pub block_hash: &'a str,
    pub block_time: TimeMs,
    pub hash: Hex<32>,
    pub from_address: Hex<20>,
    pub to_address: Option<Hex<20>>,
    #[serde(with = "wire::u256")]
    pub value: U256,
    pub status: &'static str,
    #[serde(with = "wire::u256_option")]
    pub fee: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub execution_fee: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub l1_fee: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub operator_fee: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub blob_fee: Option<U256>,
    pub method: Option<Hex<4>>,
    pub failure_cause: Option<&'a str>,
    pub failure_reason: Option<&'a str>,
    pub log_count: u32,
    pub contracts: Vec<Hex<20>>,
    pub nonce: u64,
    pub gas: u64,
    #[serde(with = "wire::u256_option")]
    pub gas_price: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub max_fee_per_gas: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub max_priority_fee_per_gas: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub max_fee_per_blob_gas: Option<U256>,
    pub blob_versioned_hashes: Vec<Hex<32>>,
    pub input: HexBytes<'a>,
    pub transaction_type: u64,
    pub chain_id: Option<u64>,
    pub authorization_count: Option<u32>,
    pub source_hash: Option<Hex<32>>,
    #[serde(with = "wire::u256_option")]
    pub mint: Option<U256>,
    pub receipt_status: Option<u8>,
    pub receipt_root: Option<Hex<32>>,
    pub receipt_gas_used: u64,
    pub receipt_cumulative_gas_used: u64,
    #[serde(with = "wire::u256_option")]
    pub receipt_effective_gas_price: Option<U256>,
    pub receipt_contract_address: Option<Hex<20>>,
    pub receipt_blob_gas_used: Option<u64>,
    #[serde(with = "wire::u256_option")]
    pub receipt_blob_gas_price: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub receipt_l1_fee: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub receipt_l1_gas_used: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub receipt_l1_gas_price: Option<U256>,
    pub receipt_l1_fee_scalar: Option<&'a str>,
    pub receipt_l1_base_fee_scalar: Option<u64>,
    #[serde(with = "wire::u256_option")]
    pub receipt_l1_blob_base_fee: Option<U256>,
    pub receipt_l1_blob_base_fee_scalar: Option<u64>,
    pub receipt_operator_fee_scalar: Option<u64>,
    pub receipt_operator_fee_constant: Option<u64>,
    pub receipt_da_footprint_gas_scalar: Option<u64>,
    #[serde(with = "wire::u256_option")]
    pub receipt_token_ratio: Option<U256>,
    pub receipt_gas_used_for_l1: Option<u64>,
    pub receipt_l1_block_number: Option<u64>,
    pub receipt_deposit_nonce: Option<u64>,
    pub receipt_deposit_receipt_version: Option<u64>,
    pub fee_token: Option<Hex<20>>,
    #[serde(with = "wire::u256_option")]
    pub fee_token_amount: Option<U256>,
    pub fee_reason: Option<&'a str>,
}

impl<'a> EvmTransactionRow<'a> {
    /// The row of a transaction.
    pub fn new(e: &'a ChildEnvelope, t: &'a EvmTransaction, x: &'a Enrichment) -> Self {
        Self {
            network: e.network.as_str(),
            height: e.height,
            transaction_index: t.transaction_index,
            sequence: e.sequence,
            version: row_version(e.sequence),
            block_hash: e.block_hash.as_str(),
            block_time: e.block_time,
            hash: t.hash.into(),
            from_address: t.from_address.into(),
            to_address: t.to_address.map(Into::into),
            value: t.value,
            status: x.status.as_str(),
            fee: x.fee.map(|f| f.total()),
            execution_fee: x.fee.map(|f| f.execution),
            l1_fee: x.fee.and_then(|f| f.l1),
            operator_fee: x.fee.and_then(|f| f.operator),
            blob_fee: x.fee.and_then(|f| f.blob),
            method: x.method.map(Into::into),
            failure_cause: x.failure_cause.as_deref(),
            failure_reason: x.failure_reason.as_deref(),
            log_count: t.logs.len() as u32,
            contracts: contracts(t),
            nonce: t.nonce,
            gas: t.gas,
            gas_price: t.gas_price,
            max_fee_per_gas: t.max_fee_per_gas,
            max_priority_fee_per_gas: t.max_priority_fee_per_gas,
            max_fee_per_blob_gas: t.max_fee_per_blob_gas,
            blob_versioned_hashes: t.blob_versioned_hashes.iter().map(|h| Hex::from(*h)).collect(),
            input: HexBytes(&t.input),
            transaction_type: t.transaction_type,
            chain_id: t.chain_id,
            authorization_count: t.authorization_count,
            source_hash: t.source_hash.map(Into::into),
            mint: t.mint,
            receipt_status: t.receipt_status.and_then(|s| u8::try_from(s).ok()),
            receipt_root: t.receipt_root.map(Into::into),
            receipt_gas_used: t.receipt_gas_used,
            receipt_cumulative_gas_used: t.receipt_cumulative_gas_used,
            receipt_effective_gas_price: t.receipt_effective_gas_price,
            receipt_contract_address: t.receipt_contract_address.map(Into::into),
            receipt_blob_gas_used: t.receipt_blob_gas_used,
            receipt_blob_gas_price: t.receipt_blob_gas_price,
            receipt_l1_fee: t.receipt_l1_fee,
            receipt_l1_gas_used: t.receipt_l1_gas_used,
            receipt_l1_gas_price: t.receipt_l1_gas_price,
            receipt_l1_fee_scalar: t.receipt_l1_fee_scalar.as_deref(),
            receipt_l1_base_fee_scalar: t.receipt_l1_base_fee_scalar,
            receipt_l1_blob_base_fee: t.receipt_l1_blob_base_fee,
            receipt_l1_blob_base_fee_scalar: t.receipt_l1_blob_base_fee_scalar,
            receipt_operator_fee_scalar: t.receipt_operator_fee_scalar,
            receipt_operator_fee_constant: t.receipt_operator_fee_constant,
            receipt_da_footprint_gas_scalar: t.receipt_da_footprint_gas_scalar,
            receipt_token_ratio: t.receipt_token_ratio,
            receipt_gas_used_for_l1: t.receipt_gas_used_for_l1,
            receipt_l1_block_number: t.receipt_l1_block_number,
            receipt_deposit_nonce: t.receipt_deposit_nonce,
            receipt_deposit_receipt_version: t.receipt_deposit_receipt_version,
            fee_token: t.fee_currency.map(Into::into),
            fee_token_amount: x.fee_token_amount,
            fee_reason: x.fee_reason.as_deref(),
        }
    }
}

/// Receiver, created contract and emitters of logs, each once, in the order in which they occur (rule 20).
fn contracts(t: &EvmTransaction) -> Vec<Hex<20>> {
    let mut seen = HashSet::with_capacity(4);
    let touched = t.to_address.into_iter().chain(t.receipt_contract_address);
    touched.chain(t.logs.iter().map(|log| log.address)).filter(|a| seen.insert(*a)).map(Hex::from).collect()
}
