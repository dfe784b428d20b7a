//! What blocks did, as sums that merge: the contribution of one block, of a window, of any set of blocks.
//!
//! Guarantee: [`Partial::merge`] is commutative and associative, and [`Partial::default`] changes nothing (`tests/partials.rs`): whatever the
//! order and grouping, the same blocks give the same partial, to the byte. Sums saturate, which only made-up values reach; what one of
//! the parts does not know (a record of a former version has no sketches) the whole does not know either: `None`, never zero.

use alloy_primitives::{Address, U256};

use super::{BitcoinHeader, BlockSummary, ContractSum, EvmHeader};
use crate::{
    envelope::Envelope,
    limits::{bitcoin::BLOCK_VIRTUAL_BYTES, windows::FEE_TOKENS},
    primitives::TimeMs,
    sketch::{Bins, Distinct},
};

/// See the module. Amounts are in the chain's price and value units (EVM: wei, wei per gas).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// Blocks; of a contract, those that touched it.
    pub blocks: u64,
    /// Transactions, unreadable ones included.
    pub transactions: u64,
    /// With status `failed`.
    pub failed: u64,
    /// With status `unknown`.
    pub unknown: u64,
    /// That could not be read.
    pub unreadable: u64,
    /// Logs; of a contract, its own.
    pub logs: u64,
    /// ERC-20 and ERC-721 transfers among these.
    pub token_transfers: u64,
    /// Contracts created by transactions that did not fail.
    pub contracts_created: u64,
    /// Watched contracts that a block touched and that its record had no room for, over all blocks; 0 of a contract. Where there are some, nothing
    /// is known of a contract that no sum names.
    pub contracts_left_out: u64,
    /// Sum of gas used over receipts; Bitcoin: of the transactions' virtual bytes.
    pub gas_used: u64,
    /// Sum of the blocks' gas limits, Bitcoin: of the virtual bytes that they have room for. With [`gas_used`](Self::gas_used) their fullness. Zero of
    /// a contract, and where there are none.
    pub gas_limit: U256,
    /// Sum of base fees over blocks that have one.
    pub base_fee_sum: U256,
    /// Blocks in that sum.
    pub base_fee_count: u64,
    /// Lowest of them.
    pub base_fee_min: Option<U256>,
    /// Highest of them.
    pub base_fee_max: Option<U256>,
    /// Sum of fees paid in the chain's own coin.
    pub fee_total: U256,
    /// Transactions whose fee is not known in that coin, so not in `fee_total`: those that were paid in a token are among them.
    pub fee_unknown: u64,
    /// What was paid in tokens, by token; `None` where that is not known, or there were more than [`FEE_TOKENS`].
    pub fees: Option<Vec<TokenFees>>,
    /// Sum of values moved by transactions that did not fail.
    pub value_total: U256,
    /// Sum of effective gas prices over transactions that paid gas (rule 20).
    pub gas_price_sum: U256,
    /// Transactions in that sum.
    pub gas_price_count: u64,
    /// Lowest of these prices.
    pub gas_price_min: Option<U256>,
    /// Highest of these prices.
    pub gas_price_max: Option<U256>,
    /// How these prices are distributed; `None` where that is not known of all of them.
    pub bins: Option<Bins>,
    /// Who sent the transactions; `None` where that is not known of all of them.
    pub senders: Option<Distinct>,
    /// The lowest block.
    pub first: Option<Mark>,
    /// The highest block.
    pub last: Option<Mark>,
}

/// A block's place. Marks are ordered by height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Its height.
    pub height: u64,
    /// Its own time.
    pub time: TimeMs,
}

impl Mark {
    /// Milliseconds from one block to the next, on the mean, from this one to a higher one; `None` where that is not higher, or its time
    /// is earlier: blocks' own times may fall, and what they tell then is no interval.
    pub fn interval_ms(self, last: Self) -> Option<f64> {
        let blocks = last.height.checked_sub(self.height).filter(|blocks| *blocks > 0)?;
        let ms = last.time.0.checked_sub(self.time.0).filter(|ms| *ms >= 0)?;
        Some(ms as f64 / blocks as f64)
    }
}

/// Fees that were paid in one token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenFees {
    /// The token.
    pub token: Address,
    /// Their sum, in the token's smallest unit.
    pub total: U256,
    /// Transactions in it.
    pub count: u64,
}

impl Default for Partial {
    fn default() -> Self {
        Self {
            blocks: 0,
            transactions: 0,
            failed: 0,
            unknown: 0,
            unreadable: 0,
            logs: 0,
            token_transfers: 0,
            contracts_created: 0,
            contracts_left_out: 0,
            gas_used: 0,
            gas_limit: U256::ZERO,
            base_fee_sum: U256::ZERO,
            base_fee_count: 0,
            base_fee_min: None,
            base_fee_max: None,
            fee_total: U256::ZERO,
            fee_unknown: 0,
            fees: Some(Vec::new()),
            value_total: U256::ZERO,
            gas_price_sum: U256::ZERO,
            gas_price_count: 0,
            gas_price_min: None,
            gas_price_max: None,
            bins: Some(Bins::default()),
            senders: Some(Distinct::default()),
            first: None,
            last: None,
        }
    }
}

impl Partial {
    /// What one block did. `header`: of an EVM block.
    pub fn of_block(envelope: &Envelope, header: Option<&EvmHeader>, summary: &BlockSummary) -> Self {
        let mark = Mark { height: envelope.height, time: envelope.block_time };
        let base_fee = header.and_then(|header| header.base_fee_per_gas);
        Self {
            blocks: 1,
            transactions: summary.transactions.into(),
            failed: summary.failed.into(),
            unknown: summary.unknown.into(),
            unreadable: summary.unreadable.into(),
            logs: summary.logs.into(),
            token_transfers: summary.token_transfers.into(),
            contracts_created: summary.contracts_created.into(),
            contracts_left_out: summary.contracts_left_out.into(),
            gas_used: summary.gas_used,
            gas_limit: header.map_or(U256::ZERO, |header| U256::from(header.gas_limit)),
            base_fee_sum: base_fee.unwrap_or_default(),
            base_fee_count: base_fee.is_some().into(),
            base_fee_min: base_fee,
            base_fee_max: base_fee,
            fee_total: summary.fee_total,
            fee_unknown: summary.fee_unknown.into(),
            fees: summary.fees.clone(),
            value_total: summary.value_total,
            gas_price_sum: summary.gas_price_sum,
            gas_price_count: summary.gas_price_count.into(),
            gas_price_min: summary.gas_price_min,
            gas_price_max: summary.gas_price_max,
            bins: summary.bins.clone(),
            senders: summary.senders.clone(),
            first: Some(mark),
            last: Some(mark),
        }
    }

    /// The same of a Bitcoin block: what it had room for, where its weight tells that its transactions are known.
    #[must_use]
    pub fn with_room(self, header: Option<&BitcoinHeader>) -> Self {
        match header.and_then(|header| header.weight) {
            Some(_) => Self { gas_limit: U256::from(BLOCK_VIRTUAL_BYTES), ..self },
            None => self,
        }
    }

    /// What the transactions of one block did at a watched contract. `None`: the record is of a former version, which counted too little.
    pub fn of_contract(envelope: &Envelope, sum: &ContractSum) -> Option<Self> {
        sum.watched_from?;
        let mark = Mark { height: envelope.height, time: envelope.block_time };
        Some(Self {
            blocks: 1,
            transactions: sum.transactions.into(),
            failed: sum.failed.into(),
            unknown: sum.unknown.into(),
            logs: sum.logs.into(),
            token_transfers: sum.token_transfers.into(),
            gas_used: sum.gas_used,
            fee_total: sum.fee_total,
            fee_unknown: sum.fee_unknown.into(),
            value_total: sum.value_total,
            gas_price_sum: sum.gas_price_sum,
            gas_price_count: sum.gas_price_count.into(),
            gas_price_min: sum.gas_price_min,
            gas_price_max: sum.gas_price_max,
            bins: sum.bins.clone(),
            senders: sum.senders.clone(),
            fees: None, // by token they are told of the network only
            first: Some(mark),
            last: Some(mark),
            ..Self::default()
        })
    }

    /// Adds what other blocks did.
    pub fn merge(&mut self, other: &Self) {
        for (mine, more) in [
            (&mut self.blocks, other.blocks),
            (&mut self.transactions, other.transactions),
            (&mut self.failed, other.failed),
            (&mut self.unknown, other.unknown),
            (&mut self.unreadable, other.unreadable),
            (&mut self.logs, other.logs),
            (&mut self.token_transfers, other.token_transfers),
            (&mut self.contracts_created, other.contracts_created),
            (&mut self.contracts_left_out, other.contracts_left_out),
            (&mut self.gas_used, other.gas_used),
            (&mut self.base_fee_count, other.base_fee_count),
            (&mut self.fee_unknown, other.fee_unknown),
            (&mut self.gas_price_count, other.gas_price_count),
        ] {
            *mine = mine.saturating_add(more);
        }
        for (mine, more) in [
            (&mut self.gas_limit, other.gas_limit),
            (&mut self.base_fee_sum, other.base_fee_sum),
            (&mut self.fee_total, other.fee_total),
            (&mut self.value_total, other.value_total),
            (&mut self.gas_price_sum, other.gas_price_sum),
        ] {
            *mine = mine.saturating_add(more);
        }
        least(&mut self.base_fee_min, other.base_fee_min);
        most(&mut self.base_fee_max, other.base_fee_max);
        least(&mut self.gas_price_min, other.gas_price_min);
        most(&mut self.gas_price_max, other.gas_price_max);
        least(&mut self.first, other.first);
        most(&mut self.last, other.last);
        both(&mut self.fees, &other.fees, |mine, other| other.iter().for_each(|fees| fees.add_to(mine)));
        self.fees.take_if(|fees| fees.len() > FEE_TOKENS);
        both(&mut self.bins, &other.bins, Bins::merge);
        both(&mut self.senders, &other.senders, Distinct::merge);
    }

    /// The plain mean of the prices (rule 20), rounded down; `None` without any.
    pub fn gas_price_avg(&self) -> Option<U256> {
        self.gas_price_sum.checked_div(U256::from(self.gas_price_count))
    }

    /// The price of rank ⌈n × `per_mille` / 1000⌉, with the error of [`Bins`], and never outside of what was paid; `None` without prices, or
    /// where their distribution is not known.
    pub fn gas_price(&self, per_mille: u16) -> Option<U256> {
        let price = self.bins.as_ref()?.quantile(per_mille)?;
        let price = self.gas_price_min.map_or(price, |least| price.max(least));
        Some(self.gas_price_max.map_or(price, |most| price.min(most)))
    }

    /// The plain mean of the blocks' base fees, rounded down; `None` without any.
    pub fn base_fee_avg(&self) -> Option<U256> {
        self.base_fee_sum.checked_div(U256::from(self.base_fee_count))
    }

    /// About how many different senders there were, 2.3 % off as a rule; `None` where that is not known.
    pub fn senders(&self) -> Option<u64> {
        self.senders.as_ref().map(Distinct::estimate)
    }

    /// Milliseconds from one block to the next, from the first to the last, on the mean; `None` with fewer than two heights, or where times
    /// fall.
    pub fn block_interval_ms(&self) -> Option<f64> {
        self.first?.interval_ms(self.last?)
    }

    /// The share of the blocks' gas limits that was used, 0 to 1; `None` where there are no limits. Bitcoin: of their room, 0.1 % off at most, since
    /// each transaction's virtual bytes are rounded up.
    pub fn fullness(&self) -> Option<f64> {
        (!self.gas_limit.is_zero()).then(|| (self.gas_used as f64 / f64::from(self.gas_limit)).min(1.0))
    }
}

impl TokenFees {
    /// Adds these to fees by token, which are and stay in the order of the tokens.
    pub fn add_to(&self, fees: &mut Vec<Self>) {
        match fees.binary_search_by_key(&self.token, |fees| fees.token) {
            Ok(at) => {
                if let Some(fees) = fees.get_mut(at) {
                    fees.total = fees.total.saturating_add(self.total);
                    fees.count = fees.count.saturating_add(self.count);
                }
            }
            Err(at) => fees.insert(at, self.clone()),
        }
    }
}

/// The lower one of those that there are.
fn least<T: Ord + Copy>(mine: &mut Option<T>, other: Option<T>) {
    *mine = [*mine, other].into_iter().flatten().min();
}

/// The higher one of those that there are.
fn most<T: Ord + Copy>(mine: &mut Option<T>, other: Option<T>) {
    *mine = (*mine).max(other);
}

/// Merges what both know; what one of them does not know is not known.
fn both<T>(mine: &mut Option<T>, other: &Option<T>, merge: impl FnOnce(&mut T, &T)) {
    match (&mut *mine, other) {
        (Some(mine), Some(other)) => merge(mine, other),
        (mine, _) => *mine = None,
    }
}
