//! Mantle: two fee models, chosen by the block's time.
//!
//! Before Arsia the node charges the L1 fee as gas, so that it is inside `gasUsed`: `l1Fee` is a part of gas used × price. Since
//! Arsia it stands beside it, with an operator fee as Jovian's. `l1Fee` is MNT in both: `tokenRatio` is applied already. Heights
//! computed from the genesis block are off by hours; so nothing is decided by them.
//!
//! Source: mantlenetworkio/op-geth `core/state_transition.go`, `core/types/rollup_cost.go`, `params/mantle.go`; checked on recorded
//! receipts of Everest, Limb and Arsia (`enrich/tests/fees.rs`).

use alloy_primitives::U256;
use schemas::records::{FeeParts, Figures};

use super::{InBlock, NoFee, op_stack};

/// Whether the block is of Arsia, which began at `arsia`, seconds since 1970.
pub(super) fn is_arsia(arsia: u64, block: &InBlock) -> bool {
    u64::try_from(block.time.0).is_ok_and(|ms| ms / 1_000 >= arsia)
}

/// Since Arsia. `execution`: gas used × price.
pub(super) fn since_arsia(execution: U256, tx: &Figures) -> Result<FeeParts, NoFee> {
    let operator = op_stack::operator(op_stack::Operator::Times100, tx);
    Ok(FeeParts { execution, l1: Some(op_stack::l1(tx)?), operator, blob: None })
}

/// Before: the total is gas used × price, whatever the receipt says of L1. Where it says nothing, the part is not known.
pub(super) fn before_arsia(total: U256, tx: &Figures) -> FeeParts {
    inside(total, tx.receipt_l1_fee)
}

/// A total of which `l1` is a part. The gas that it was charged as is rounded down: no part is larger than the whole.
pub(super) fn inside(total: U256, l1: Option<U256>) -> FeeParts {
    let l1 = l1.map(|l1| l1.min(total));
    FeeParts { execution: total - l1.unwrap_or_default(), l1, operator: None, blob: None }
}

#[cfg(test)]
mod tests {
    use schemas::{
        TimeMs,
        profiles::{FeeModel, Profile},
    };

    use super::super::tests::{tx, wei};
    use super::*;

    const ARSIA: u64 = 1_776_841_200;

    fn at(seconds: u64, tx: &Figures) -> Result<FeeParts, NoFee> {
        let block = InBlock { base_fee: None, time: TimeMs::from_secs(seconds) };
        super::super::of(&Profile::of(5_000), &block, tx)
    }

    #[test]
    fn the_block_s_time_decides() {
        assert_eq!(Profile::of(5_000).fee_model, FeeModel::Mantle { arsia: ARSIA });
        let receipt = Figures {
            receipt_l1_fee: Some(wei(1_000)),
            receipt_operator_fee_scalar: Some(3),
            receipt_operator_fee_constant: Some(7),
            receipt_token_ratio: Some(wei(3_000)),
            ..tx(2)
        };
        let total = 21_000_000_000;
        let parts = |seconds| at(seconds, &receipt).map(|f| (f.execution, f.l1, f.operator, f.total()));
        assert_eq!(parts(ARSIA - 1), Ok((wei(total - 1_000), Some(wei(1_000)), None, wei(total))));
        let operator = 21_000 * 3 * 100 + 7;
        let since = (wei(total), Some(wei(1_000)), Some(wei(operator)), wei(total + 1_000 + operator));
        assert_eq!(parts(ARSIA), Ok(since));
    }

    #[test]
    fn without_the_l1_fee_nothing_is_told_since_arsia_and_all_before() {
        assert_eq!(at(ARSIA, &tx(2)), Err(NoFee::NoL1Fee));
        let before = at(ARSIA - 1, &tx(2)).map(|f| (f.execution, f.l1));
        assert_eq!(before, Ok((wei(21_000_000_000), None)));
    }

    #[test]
    fn no_part_is_larger_than_the_whole() {
        let odd = Figures { receipt_l1_fee: Some(U256::MAX), ..tx(2) };
        let parts = at(ARSIA - 1, &odd).map(|f| (f.execution, f.l1, f.total()));
        assert_eq!(parts, Ok((wei(0), Some(wei(21_000_000_000)), wei(21_000_000_000))));
    }
}
