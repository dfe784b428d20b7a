//! `block_rows`.

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::{
    TimeMs,
    records::{BlockSummary, EnrichedBlock, EvmHeader},
};
use serde::Serialize;

use super::{
    hex::{Hex, HexBytes},
    row_version,
};
use crate::query::wire;

/// A row of `block_rows`; columns as there.
#[derive(Debug, Row, Serialize)]
#[allow(missing_docs)]
pub struct BlockRow<'a> {
    pub network: &'a str,
    pub height: u64,
    pub sequence: u64,
    pub version: u64,
    pub family: &'static str,
    pub origin: &'static str,
    pub hash: &'a str,
    pub parent_hash: &'a str,
    pub block_time: TimeMs,
    pub observed_at: TimeMs,
    pub stored_at: TimeMs,
    pub transaction_count: u32,
    pub log_count: u32,
    pub failed_count: u32,
    pub unknown_count: u32,
    pub unreadable_count: u32,
    pub token_transfer_count: u32,
    pub created_count: u32,
    pub gas_limit: u64,
    pub gas_used: u64,
    pub receipt_gas_used: u64,
    #[serde(with = "wire::u256")]
    pub fee_total: U256,
    pub fee_unknown_count: u32,
    #[serde(with = "wire::u256")]
    pub gas_price_sum: U256,
    pub gas_price_count: u32,
    #[serde(with = "wire::u256_option")]
    pub gas_price_min: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub gas_price_max: Option<U256>,
    #[serde(with = "wire::u256")]
    pub value_total: U256,
    #[serde(with = "wire::u256_option")]
    pub base_fee_per_gas: Option<U256>,
    pub miner: Option<Hex<20>>,
    #[serde(with = "wire::u256_option")]
    pub difficulty: Option<U256>,
    #[serde(with = "wire::u256_option")]
    pub total_difficulty: Option<U256>,
    pub size: Option<u64>,
    pub nonce: Option<Hex<8>>,
    pub extra_data: HexBytes<'a>,
    pub sha3_uncles: Option<Hex<32>>,
    pub state_root: Option<Hex<32>>,
    pub transactions_root: Option<Hex<32>>,
    pub receipts_root: Option<Hex<32>>,
    pub withdrawals_root: Option<Hex<32>>,
    pub withdrawal_count: Option<u32>,
    pub blob_gas_used: Option<u64>,
    pub excess_blob_gas: Option<u64>,
    pub l1_block_number: Option<u64>,
}

impl<'a> BlockRow<'a> {
    /// The row of an apply. `header` and `summary` are what the record has, or empty ones.
    pub fn new(block: &'a EnrichedBlock, header: &'a EvmHeader, summary: &BlockSummary, stored_at: TimeMs) -> Self {
        let e = &block.envelope;
        Self {
            network: e.network.as_str(),
            height: e.height,
            sequence: e.sequence,
            version: row_version(e.sequence),
            family: "evm",
            origin: e.origin.as_str(),
            hash: e.block_hash.as_str(),
            parent_hash: e.parent_hash.as_str(),
            block_time: e.block_time,
            observed_at: e.observed_at,
            stored_at,
            transaction_count: e.tx_count,
            log_count: e.log_count,
            failed_count: summary.failed,
            unknown_count: summary.unknown,
            unreadable_count: summary.unreadable,
            token_transfer_count: summary.token_transfers,
            created_count: summary.contracts_created,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            receipt_gas_used: summary.gas_used,
            fee_total: summary.fee_total,
            fee_unknown_count: summary.fee_unknown,
            gas_price_sum: summary.gas_price_sum,
            gas_price_count: summary.gas_price_count,
            gas_price_min: summary.gas_price_min,
            gas_price_max: summary.gas_price_max,
            value_total: summary.value_total,
            base_fee_per_gas: header.base_fee_per_gas,
            miner: header.miner.map(Into::into),
            difficulty: header.difficulty,
            total_difficulty: header.total_difficulty,
            size: header.size,
            nonce: header.nonce.map(Into::into),
            extra_data: HexBytes(&header.extra_data),
            sha3_uncles: header.sha3_uncles.map(Into::into),
            state_root: header.state_root.map(Into::into),
            transactions_root: header.transactions_root.map(Into::into),
            receipts_root: header.receipts_root.map(Into::into),
            withdrawals_root: header.withdrawals_root.map(Into::into),
            withdrawal_count: header.withdrawal_count,
            blob_gas_used: header.blob_gas_used,
            excess_blob_gas: header.excess_blob_gas,
            l1_block_number: header.l1_block_number,
        }
    }
}
