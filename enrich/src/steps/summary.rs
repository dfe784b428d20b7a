//! The block's contribution to every metric, as partials that merge by addition, minimum and maximum.

use alloy_primitives::{Address, U256};
use schemas::{
    Status,
    records::{BlockSummary, Enrichment, Figures, RawBlock},
};

use super::{
    contracts::{Contracts, Watched},
    fee::{self, InBlock},
};

/// Sums over the records of one applied block, while they are worked up.
pub struct Summing {
    block: InBlock,
    sum: BlockSummary,
    contracts: Contracts,
}

impl Summing {
    /// Of a block, of which nothing is counted yet, and of these contracts in it.
    pub fn new(block: &RawBlock, watched: Watched) -> Self {
        Self { block: InBlock::of(block), sum: BlockSummary::default(), contracts: Contracts::of(watched) }
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

    /// A transaction, the contracts that emitted its logs, and the number of transfers among these.
    pub fn add(
        &mut self,
        tx: &Figures,
        found: &Enrichment,
        logs: impl ExactSizeIterator<Item = Address>,
        transfers: usize,
    ) {
        let sum = &mut self.sum;
        sum.transactions += 1;
        sum.failed += u32::from(found.status == Status::Failed);
        sum.unknown += u32::from(found.status == Status::Unknown);
        sum.logs += count(logs.len());
        self.contracts.add(tx, found.status, logs);
        sum.token_transfers += count(transfers);
        sum.gas_used = sum.gas_used.saturating_add(tx.receipt_gas_used);
        if found.status != Status::Failed {
            sum.contracts_created += u32::from(tx.to_address.is_none());
            sum.value_total = sum.value_total.saturating_add(tx.value);
        }
        let Some(fee) = &found.fee else {
            sum.fee_unknown += 1;
            return;
        };
        sum.fee_total = sum.fee_total.saturating_add(fee.total());
        // Paid gas: deposits, system transactions and state syncs have a price or a use of zero (rule 20).
        if fee.execution > U256::ZERO
            && let Some(price) = fee::effective_gas_price(self.block.base_fee, tx)
        {
            sum.gas_price_sum = sum.gas_price_sum.saturating_add(price);
            sum.gas_price_count += 1;
            sum.gas_price_min = Some(sum.gas_price_min.map_or(price, |p| p.min(price)));
            sum.gas_price_max = Some(sum.gas_price_max.map_or(price, |p| p.max(price)));
        }
    }

    /// The sums, and how many contracts had no room in them.
    pub fn done(self) -> (BlockSummary, usize) {
        let (contracts, left_out) = self.contracts.done();
        (BlockSummary { contracts, ..self.sum }, left_out)
    }
}

/// Counts within a block are far below 2^32: a block's bytes are limited.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
