//! `enriched.blocks`: the block's header and its summary: its contribution to every metric, as mergeable partials.

use alloy_primitives::{Address, U256};

use super::{BitcoinHeader, EvmHeader, TokenFees};
use crate::{
    envelope::Envelope,
    primitives::TimeMs,
    sketch::{Bins, Distinct},
};

/// A record of `enriched.blocks`.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrichedBlock {
    /// Order and meaning, as in `raw.blocks`.
    pub envelope: Envelope,
    /// The EVM header; `None` on reverts, on finality and on other families.
    pub evm: Option<Box<EvmHeader>>,
    /// The Bitcoin header; `None` on reverts, on finality and on other families.
    pub bitcoin: Option<Box<BitcoinHeader>>,
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

    /// Whether it says nothing that came after version 1 of the schema.
    pub(crate) fn is_as_version_1(&self) -> bool {
        let is_as_version_1 = |s: &BlockSummary| {
            s.contracts.is_empty()
                && s.contracts_left_out == 0
                && s.bins.is_none()
                && s.senders.is_none()
                && s.fees.is_none()
        };
        self.bitcoin.is_none() && self.facts_position.is_none() && self.summary.as_ref().is_none_or(is_as_version_1)
    }
}

/// Sums over the block's transactions. Amounts are in wei. Every field merges by addition, minimum, maximum, or as a sketch does; a
/// [`Partial`](super::Partial) is what they are merged in.
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
    /// Watched contracts that it touched as well, for which its record has no room.
    pub contracts_left_out: u32,
    /// How the prices in `gas_price_sum` are distributed. Records before version 4 have none.
    pub bins: Option<Bins>,
    /// Who sent the transactions that could be read. Records before version 4 have none.
    pub senders: Option<Distinct>,
    /// What was paid in other tokens than the chain's own coin, by token: the transactions are in `fee_unknown` too. `None` where there
    /// were more than [`FEE_TOKENS`](crate::limits::windows::FEE_TOKENS), and in records before version 4.
    pub fees: Option<Vec<TokenFees>>,
}

/// What the transactions of a block did at one watched contract: those that were sent to it, created it, or have a log of it (rule 20).
/// Every field but the address and `watched_from` merges as those of a [`BlockSummary`] do. What came with version 4 is zero or `None` in
/// records of before: they have no `watched_from`.
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
    /// ERC-20 and ERC-721 transfers among its logs.
    pub token_transfers: u32,
    /// Sum of the transactions' fees.
    pub fee_total: U256,
    /// Transactions whose fee is not known, so not in `fee_total`.
    pub fee_unknown: u32,
    /// Sum of the values of the transactions that did not fail.
    pub value_total: U256,
    /// Sum of effective gas prices over those of the transactions that paid gas.
    pub gas_price_sum: U256,
    /// Number of transactions in `gas_price_sum`.
    pub gas_price_count: u32,
    /// Lowest of these prices.
    pub gas_price_min: Option<U256>,
    /// Highest of these prices.
    pub gas_price_max: Option<U256>,
    /// How these prices are distributed.
    pub bins: Option<Bins>,
    /// Who sent the transactions.
    pub senders: Option<Distinct>,
    /// Block time from which on every block was looked through for the contract; a function of its record in `control.config` alone.
    pub watched_from: Option<TimeMs>,
}
