//! Arbitrum: what L1 costs is charged as gas, so that it is inside `gasUsed`. A receipt states how much of it (`gasUsedForL1`).
//!
//! * Deposits (0x64) and internal transactions (0x6a) pay nothing.
//! * What submitting a retryable costs (0x69) is not in its receipt: the gas it states is what the first attempt may use, and the
//!   submission fee stands nowhere. The attempt is a transaction of its own (0x68), whose gas is what it used.
//! * Unsigned and contracts' transactions (0x65, 0x66) pay as others do.
//!
//! Source: OffchainLabs/nitro `arbos/tx_processor.go`; Arbitrum documentation, "Gas and fees", "Retryables".

use schemas::records::{FeeParts, Figures};

use super::{NoFee, mantle, types};
use alloy_primitives::U256;

/// Deposits and internal transactions.
pub(super) fn is_free(transaction_type: u64) -> bool {
    matches!(transaction_type, types::ARBITRUM_DEPOSIT | types::ARBITRUM_INTERNAL)
}

/// The fee of what pays, at a price in wei per gas.
pub(super) fn of(price: U256, tx: &Figures) -> Result<FeeParts, NoFee> {
    if tx.transaction_type == types::ARBITRUM_SUBMIT_RETRYABLE {
        return Err(NoFee::Retryable);
    }
    let at_price = |gas: u64| U256::from(gas).saturating_mul(price);
    Ok(mantle::inside(at_price(tx.receipt_gas_used), tx.receipt_gas_used_for_l1.map(at_price)))
}

#[cfg(test)]
mod tests {
    use schemas::profiles::FeeModel;

    use super::super::tests::{fee, tx, wei};
    use super::*;

    #[test]
    fn l1_is_a_part_of_the_gas() {
        let told = Figures { receipt_gas_used_for_l1: Some(20_000), ..tx(2) };
        for model in [FeeModel::Arbitrum, FeeModel::FromReceipt] {
            let parts = fee(model, &told).map(|f| (f.execution, f.l1, f.total()));
            assert_eq!(parts, Ok((wei(1_000_000_000), Some(wei(20_000_000_000)), wei(21_000_000_000))), "{model:?}");
        }
        assert_eq!(fee(FeeModel::Arbitrum, &tx(0x68)).map(|f| (f.l1, f.total())), Ok((None, wei(21_000_000_000))));
    }

    #[test]
    fn a_type_is_arbitrum_s_only_on_arbitrum() {
        let free = Ok(FeeParts::default());
        let other = Figures { receipt_gas_used_for_l1: Some(0), ..tx(0x64) };
        assert_eq!((fee(FeeModel::Arbitrum, &tx(0x64)), fee(FeeModel::Arbitrum, &tx(0x6a))), (free, free));
        assert_eq!(fee(FeeModel::FromReceipt, &other), free, "a receipt of Arbitrum's on a chain that is not known");
        // Ronin's sponsored transactions.
        for model in [FeeModel::Ethereum, FeeModel::FromReceipt] {
            assert_eq!(fee(model, &tx(0x64)).map(|f| f.total()), Ok(wei(21_000_000_000)), "{model:?}");
        }
        assert_eq!(fee(FeeModel::Arbitrum, &tx(0x69)), Err(NoFee::Retryable));
    }
}
