//! OP-stack: the L1 data fee and the operator fee, on top of execution.
//!
//! Source: OP-stack specification, `protocol/exec-engine.md` (L1 data fee, Bedrock, Ecotone, Fjord), `isthmus/exec-engine.md` and
//! `jovian/exec-engine.md` (operator fee). How `l1Fee` is made up changed with each of them; that a receipt states it did not,
//! also not with Bedrock itself.

use alloy_primitives::U256;
use schemas::records::Figures;

use super::NoFee;

/// By what an operator fee's scalar is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// Since Jovian, and on Mantle since Arsia: × 100.
    Times100,
    /// By the receipt: as Jovian where it has a mark of Jovian's, else as Isthmus, ÷ 10^6.
    ByReceipt,
}

/// The L1 data fee. Every receipt of an OP-stack chain has it, but of a deposit; without it the fee cannot be told.
pub(super) fn l1(tx: &Figures) -> Result<U256, NoFee> {
    tx.receipt_l1_fee.ok_or(NoFee::NoL1Fee)
}

/// The operator fee; `None` where the receipt has neither scalar nor constant, which then are zero.
pub(super) fn operator(by: Operator, tx: &Figures) -> Option<U256> {
    let (scalar, constant) = (tx.receipt_operator_fee_scalar, tx.receipt_operator_fee_constant);
    if scalar.is_none() && constant.is_none() {
        return None;
    }
    let scaled = U256::from(tx.receipt_gas_used).saturating_mul(U256::from(scalar.unwrap_or(0)));
    let part = if by == Operator::Times100 || is_jovian(tx) {
        scaled.saturating_mul(U256::from(100))
    } else {
        scaled / U256::from(1_000_000)
    };
    Some(part.saturating_add(U256::from(constant.unwrap_or(0))))
}

/// Jovian's receipts state the data-availability footprint: its scalar, and the footprint itself in the place of blob gas. It is
/// above zero for whatever pays.
fn is_jovian(tx: &Figures) -> bool {
    let footprint = tx.transaction_type != super::types::BLOB && tx.receipt_blob_gas_used.is_some_and(|gas| gas > 0);
    tx.receipt_da_footprint_gas_scalar.is_some() || footprint
}

#[cfg(test)]
mod tests {
    use schemas::profiles::FeeModel;

    use super::super::tests::{fee, tx, wei};
    use super::*;

    #[test]
    fn operator_fee_by_upgrade() {
        let isthmus = Figures {
            receipt_l1_fee: Some(wei(0)),
            receipt_operator_fee_scalar: Some(1_439),
            receipt_operator_fee_constant: Some(1_000),
            ..tx(2)
        };
        let operator = |tx: &Figures| fee(FeeModel::OpStack, tx).ok().and_then(|f| f.operator);
        assert_eq!(operator(&isthmus), Some(wei(21_000 * 1_439 / 1_000_000 + 1_000)));
        let jovian = Some(wei(21_000 * 1_439 * 100 + 1_000));
        assert_eq!(operator(&Figures { receipt_da_footprint_gas_scalar: Some(400), ..isthmus }), jovian);
        assert_eq!(operator(&Figures { receipt_blob_gas_used: Some(40_000), ..isthmus }), jovian);
        assert_ne!(operator(&Figures { receipt_blob_gas_used: Some(0), ..isthmus }), jovian);
        assert_eq!(fee(FeeModel::Ethereum, &isthmus).map(|f| f.operator), Ok(None));
    }

    #[test]
    fn every_receipt_has_the_l1_fee_or_the_fee_is_not_known() {
        // Before Bedrock: no base fee, no effective price, the L1 fee beside the stated price.
        let legacy = Figures {
            gas_price: Some(wei(1_000_000)),
            receipt_effective_gas_price: None,
            receipt_l1_fee: Some(wei(5)),
            ..tx(0)
        };
        let parts = fee(FeeModel::OpStack, &legacy).map(|f| (f.execution, f.l1, f.operator, f.total()));
        assert_eq!(parts, Ok((wei(21_000_000_000), Some(wei(5)), None, wei(21_000_000_005))));
        for model in [FeeModel::OpStack, FeeModel::Scroll] {
            assert_eq!(fee(model, &tx(2)), Err(NoFee::NoL1Fee), "{model:?}");
        }
        // Celo's is zero by configuration, and receipts of before it was an L2 have none.
        assert_eq!(fee(FeeModel::Celo, &tx(2)).map(|f| f.total()), Ok(wei(21_000_000_000)));
    }
}
