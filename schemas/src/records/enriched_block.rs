//! `enriched.blocks`: the block's header and its summary: its contribution to every metric, as mergeable partials.

use alloy_primitives::{Address, U256};

use super::EvmHeader;
use crate::envelope::Envelope;

/// A record of `enriched.blocks`.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrichedBlock {
    /// Order and meaning, as in `raw.blocks`.
    pub envelope: Envelope,
    /// The EVM header; `None` on reverts, on finality and on other families.
    pub evm: Option<Box<EvmHeader>>,
    /// `None` on reverts and finality.
    pub summary: Option<BlockSummary>,
    /// Offset in the network's partition of `contract.facts` before which all facts were used for the block's records; `None` when
    /// none was. Records before version 3 have none.
    pub facts_position: Option<u64>,
}

impl EnrichedBlock {
    /// Watched contracts that the block touched; none on reverts and finality.
    pub fn contracts(&self) -> &[ContractSum] {
        self.summary.as_ref().map_or(&[], |summary| &summary.contracts)
    }
}

/// Sums over the block's transactions. Amounts are in wei. Every field merges by addition, minimum or maximum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockSummary {
    /// Transactions of the block, unreadable ones included.
    pub transactions: u32,
    /// With status `failed`.
    pub failed: u32,
    /// With status `unknown`.
    pub unknown: u32,
    /// That could not be read.
    pub unreadable: u32,
    /// Logs.
    pub logs: u32,
    /// ERC-20 and ERC-721 transfers decoded.
    pub token_transfers: u32,
    /// Contracts created by transactions that did not fail.
    pub contracts_created: u32,
    /// Sum of gas used over receipts.
    pub gas_used: u64,
    /// Sum of fees really paid.
    pub fee_total: U256,
    /// Transactions whose fee is not known, so not in `fee_total`.
    pub fee_unknown: u32,
    /// Sum of effective gas prices over transactions that paid gas (no deposits or system transactions).
    pub gas_price_sum: U256,
    /// Number of transactions in `gas_price_sum`.
    pub gas_price_count: u32,
    /// Lowest of these prices.
    pub gas_price_min: Option<U256>,
    /// Highest of these prices.
    pub gas_price_max: Option<U256>,
    /// Sum of values moved by transactions that did not fail.
    pub value_total: U256,
    /// Watched contracts that the block touched, by address.
    pub contracts: Vec<ContractSum>,
}

/// What the transactions of a block did at one watched contract: those that were sent to it, created it, or have a log of it (rule 20).
/// Every field but the address merges by addition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContractSum {
    /// The contract.
    pub address: Address,
    /// Transactions.
    pub transactions: u32,
    /// With status `failed`.
    pub failed: u32,
    /// With status `unknown`.
    pub unknown: u32,
    /// Logs of the contract.
    pub logs: u32,
    /// Sum of gas used by these transactions.
    pub gas_used: u64,
}
