//! The block's contribution to every metric, as partials that merge by addition, minimum and maximum.

use alloy_primitives::U256;
use schemas::{
    Status,
    records::{BlockSummary, EnrichedTransaction, Enrichment, EvmTransaction, Payload},
};

use super::{fee, transfers};

/// Sums over the records of one applied block. `base_fee`: of the block, wei per gas.
pub fn of(base_fee: Option<U256>, transactions: &[EnrichedTransaction]) -> BlockSummary {
    let mut sum = BlockSummary::default();
    for record in transactions {
        match &record.payload {
            Payload::Transaction(payload) => add(&mut sum, base_fee, &payload.0, &payload.1),
            Payload::Unreadable { .. } => {
                sum.transactions += 1;
                sum.unreadable += 1;
            }
            Payload::Revert => {}
        }
    }
    sum
}

fn add(sum: &mut BlockSummary, base_fee: Option<U256>, tx: &EvmTransaction, found: &Enrichment) {
    sum.transactions += 1;
    sum.failed += u32::from(found.status == Status::Failed);
    sum.unknown += u32::from(found.status == Status::Unknown);
    sum.logs += count(tx.logs.len());
    sum.token_transfers += count(found.events.iter().flatten().filter(|e| transfers::is_transfer(e)).count());
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
        && let Some(price) = fee::effective_gas_price(base_fee, tx)
    {
        sum.gas_price_sum = sum.gas_price_sum.saturating_add(price);
        sum.gas_price_count += 1;
        sum.gas_price_min = Some(sum.gas_price_min.map_or(price, |p| p.min(price)));
        sum.gas_price_max = Some(sum.gas_price_max.map_or(price, |p| p.max(price)));
    }
}

/// Counts within a block are far below 2^32: a block's bytes are limited.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
