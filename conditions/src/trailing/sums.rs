//! What rules need of partials, without what is dear to hold or to merge.

use alloy_primitives::U256;
use schemas::records::{Mark, Partial};

/// What rules need of a partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    blocks: u64,
    transactions: u64,
    failed: u64,
    gas_used: u64,
    gas_limit: U256,
    base_fee_sum: U256,
    base_fee_count: u64,
    fee_total: U256,
    gas_price_sum: U256,
    gas_price_count: u64,
    first: Option<Mark>,
    last: Option<Mark>,
}

impl Sums {
    /// Of a partial.
    pub(super) fn of(partial: &Partial) -> Self {
        Self {
            blocks: partial.blocks,
            transactions: partial.transactions,
            failed: partial.failed,
            gas_used: partial.gas_used,
            gas_limit: partial.gas_limit,
            base_fee_sum: partial.base_fee_sum,
            base_fee_count: partial.base_fee_count,
            fee_total: partial.fee_total,
            gas_price_sum: partial.gas_price_sum,
            gas_price_count: partial.gas_price_count,
            first: partial.first,
            last: partial.last,
        }
    }

    /// Adds another one's.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, more) in [
            (&mut self.blocks, other.blocks),
            (&mut self.transactions, other.transactions),
            (&mut self.failed, other.failed),
            (&mut self.gas_used, other.gas_used),
            (&mut self.base_fee_count, other.base_fee_count),
            (&mut self.gas_price_count, other.gas_price_count),
        ] {
            *mine = mine.saturating_add(more);
        }
        for (mine, more) in [
            (&mut self.gas_limit, other.gas_limit),
            (&mut self.base_fee_sum, other.base_fee_sum),
            (&mut self.fee_total, other.fee_total),
            (&mut self.gas_price_sum, other.gas_price_sum),
        ] {
            *mine = mine.saturating_add(more);
        }
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
    }

    /// The same as a partial; what rules do not need is zero, or not known.
    pub(super) fn partial(self) -> Partial {
        Partial {
            blocks: self.blocks,
            transactions: self.transactions,
            failed: self.failed,
            gas_used: self.gas_used,
            gas_limit: self.gas_limit,
            base_fee_sum: self.base_fee_sum,
            base_fee_count: self.base_fee_count,
            fee_total: self.fee_total,
            gas_price_sum: self.gas_price_sum,
            gas_price_count: self.gas_price_count,
            first: self.first,
            last: self.last,
            fees: None,
            bins: None,
            senders: None,
            ..Partial::default()
        }
    }
}
