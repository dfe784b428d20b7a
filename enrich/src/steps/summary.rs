//! The block's contribution to every metric, as partials that merge by addition, minimum and maximum.

use alloy_primitives::{Address, U256};
use schemas::{
    Status,
    limits::windows::FEE_TOKENS,
    records::{BlockSummary, Enrichment, Figures, RawBlock, TokenFees},
    sketch::{Bins, Distinct},
};

use super::{
    contracts::{Contracts, Watched},
    fee::{self, InBlock},
};

/// Sums over the records of one applied block, while they are worked up.
pub struct Summing {
    block: InBlock,
    sum: BlockSummary,
    bins: Bins,
    senders: Distinct,
    /// `None` once there were too many tokens.
    fees: Option<Vec<TokenFees>>,
    contracts: Contracts,
}

/// What a transaction paid, in the chain's own coin.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paid {
    /// Its fee, where that is known.
    pub fee: Option<U256>,
    /// The price of its gas, where it paid for gas (no deposits or system transactions).
    pub price: Option<U256>,
}

impl Summing {
    /// Of a block, of which nothing is counted yet, and of these contracts in it.
    pub fn new(block: &RawBlock, watched: Watched) -> Self {
        Self {
            block: InBlock::of(block),
            sum: BlockSummary::default(),
            bins: Bins::default(),
            senders: Distinct::default(),
            fees: Some(Vec::new()),
            contracts: Contracts::of(watched),
        }
    }

    /// What the block has to do with its transactions' fees.
    pub fn in_block(&self) -> &InBlock {
        &self.block
    }

    /// A transaction that cannot be read.
    pub fn unreadable(&mut self) {
        self.sum.transactions += 1;
        self.sum.unreadable += 1;
    }

    /// A transaction, the contracts that emitted its logs, and which of these are transfers.
    pub fn add(
        &mut self,
        tx: &Figures,
        found: &Enrichment,
        logs: impl ExactSizeIterator<Item = Address>,
        transfers: &[bool],
    ) {
        let paid = self.paid(tx, found);
        let sum = &mut self.sum;
        sum.transactions += 1;
        sum.failed += u32::from(found.status == Status::Failed);
        sum.unknown += u32::from(found.status == Status::Unknown);
        sum.logs += count(logs.len());
        sum.token_transfers += count(transfers.iter().filter(|is_transfer| **is_transfer).count());
        sum.gas_used = sum.gas_used.saturating_add(tx.receipt_gas_used);
        if found.status != Status::Failed {
            sum.contracts_created += u32::from(tx.to_address.is_none());
            sum.value_total = sum.value_total.saturating_add(tx.value);
        }
        match paid.fee {
            Some(fee) => sum.fee_total = sum.fee_total.saturating_add(fee),
            None => sum.fee_unknown += 1,
        }
        if let Some(price) = paid.price {
            sum.gas_price_sum = sum.gas_price_sum.saturating_add(price);
            sum.gas_price_count += 1;
            sum.gas_price_min = Some(sum.gas_price_min.map_or(price, |p| p.min(price)));
            sum.gas_price_max = Some(sum.gas_price_max.map_or(price, |p| p.max(price)));
            self.bins.add(price);
        }
        self.senders.add(tx.from_address.as_slice());
        if let (Some(token), Some(total), Some(fees)) = (tx.fee_currency, found.fee_token_amount, &mut self.fees) {
            TokenFees { token, total, count: 1 }.add_to(fees);
            self.fees.take_if(|fees| fees.len() > FEE_TOKENS);
        }
        self.contracts.add(tx, found.status, paid, logs.zip(transfers.iter().copied()));
    }

    /// Paid gas: deposits, system transactions and state syncs have a price or a use of zero (rule 20).
    fn paid(&self, tx: &Figures, found: &Enrichment) -> Paid {
        let Some(fee) = &found.fee else { return Paid::default() };
        let has_price = fee.execution > U256::ZERO;
        let price = has_price.then(|| fee::effective_gas_price(self.block.base_fee, tx)).flatten();
        Paid { fee: Some(fee.total()), price }
    }

    /// The sums, and how many contracts had no room in them.
    pub fn done(self) -> (BlockSummary, usize) {
        let (contracts, left_out) = self.contracts.done();
        let summary = BlockSummary {
            contracts,
            contracts_left_out: count(left_out),
            bins: Some(self.bins),
            senders: Some(self.senders),
            fees: self.fees,
            ..self.sum
        };
        (summary, left_out)
    }
}

/// Counts within a block are far below 2^32: a block's bytes are limited.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
