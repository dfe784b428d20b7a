//! What the transactions of one block paid, part by part.
//!
//! Guarantee: sums over the canonical rows of the event that applied the block, native fees and tokens apart: they are never added up.

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::Network;
use serde::Deserialize;

use super::wire;
use crate::{Store, StoreError};

/// Tokens of one block that are told; those that most transactions paid with come first.
const TOKENS: u32 = 100;

/// Sums over a block's transactions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockFees {
    /// The parts of what was paid in the chain's own unit. They add up to the sum of the fees.
    pub parts: FeeSums,
    /// What was paid in tokens.
    pub tokens: Vec<TokenFees>,
}

/// Sums of the parts, in the chain's smallest unit; `None`: no transaction of the block has that part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Row, Deserialize)]
pub struct FeeSums {
    /// For execution.
    #[serde(with = "wire::u256_option")]
    pub execution: Option<U256>,
    /// For data on L1.
    #[serde(with = "wire::u256_option")]
    pub l1: Option<U256>,
    /// For the operator.
    #[serde(with = "wire::u256_option")]
    pub operator: Option<U256>,
    /// For blobs.
    #[serde(with = "wire::u256_option")]
    pub blob: Option<U256>,
    /// Transactions whose fee is not known, or was paid in a token.
    pub unknown: u64,
}

/// What was paid in one token.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct TokenFees {
    /// The token's address.
    pub token: String,
    /// Sum, in its smallest unit; `None`: no amount is known.
    #[serde(with = "wire::u256_option")]
    pub amount: Option<U256>,
    /// Transactions that paid with it.
    pub transactions: u64,
}

impl Store {
    /// What the transactions of a block paid; `sequence` is the event that applied it.
    pub async fn block_fees(&self, network: &Network, height: u64, sequence: u64) -> Result<BlockFees, StoreError> {
        const OF_BLOCK: &str = "FROM evm_transactions WHERE network = {network:String} AND block_number = {height:UInt64} \
                                AND sequence = {sequence:UInt64}";
        let of_block = |sql: &str| {
            self.read(sql).param("network", network.as_str()).param("height", height).param("sequence", sequence)
        };
        let sums = of_block(&format!(
            "SELECT sum(execution_fee) AS execution, sum(l1_fee) AS l1, sum(operator_fee) AS operator, sum(blob_fee) AS blob, \
             countIf(fee IS NULL) AS unknown {OF_BLOCK}"
        ))
        .fetch_one::<FeeSums>();
        let tokens = of_block(&format!(
            "SELECT assumeNotNull(fee_token) AS token, sum(fee_token_amount) AS amount, count() AS transactions {OF_BLOCK} \
             AND fee_token IS NOT NULL GROUP BY token ORDER BY transactions DESC, token LIMIT {TOKENS}"
        ))
        .fetch_all::<TokenFees>();
        let (parts, tokens) = self.within("adding up a block's fees", futures::future::try_join(sums, tokens)).await?;
        Ok(BlockFees { parts, tokens })
    }
}
