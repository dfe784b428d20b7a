//! The fee really paid, in wei of the chain's fee token.
//!
//! * Execution: gas used × effective gas price (EIP-1559). Where a receipt has no price, it is min(cap, base fee + tip) for
//!   transactions with caps and the stated price for others.
//! * Blobs: blob gas used × blob gas price, of type 3 only (EIP-4844). OP-stack receipts since Jovian show their
//!   data-availability footprint as `blobGasUsed`; nobody pays for it.
//! * OP-stack: `l1Fee` and the operator fee, gas used × scalar / 10^6 + constant (Isthmus), gas used × scalar × 100 + constant
//!   (Jovian, told by the receipt's `daFootprintGasScalar`). Deposits pay nothing on L2.
//! * Mantle: as Jovian. `l1Fee` is in MNT already, `tokenRatio` is not applied again.
//! * Arbitrum: the gas used has the L1 part in it. Deposits and internal transactions pay nothing; what submitting a retryable
//!   costs is not in its receipt.
//!
//! * Celo (CIP-64 and before): a transaction with a `feeCurrency` pays in that token; both its prices are the token's. Nothing
//!   of it is added to amounts in the chain's own.
//!
//! All arithmetic saturates: only made-up receipts reach 2^256.

use alloy_primitives::U256;
use schemas::{
    profiles::FeeModel,
    records::{FeeParts, Figures},
};

/// EIP-2718 types.
mod types {
    /// EIP-4844.
    pub(super) const BLOB: u64 = 0x03;
    /// Arbitrum: deposit from L1.
    pub(super) const ARBITRUM_DEPOSIT: u64 = 0x64;
    /// Arbitrum: submission of a retryable ticket. Its gas is paid by the redeeming transaction (0x68), its submission fee stands
    /// in no receipt.
    pub(super) const ARBITRUM_SUBMIT_RETRYABLE: u64 = 0x69;
    /// Arbitrum: internal.
    pub(super) const ARBITRUM_INTERNAL: u64 = 0x6a;
    /// OP-stack: deposit.
    pub(super) const OP_DEPOSIT: u64 = 0x7e;
}

/// Gas of one blob (EIP-4844, `GAS_PER_BLOB`).
const GAS_PER_BLOB: u64 = 1 << 17;

/// Why a fee cannot be told in the chain's own token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFee {
    /// It was paid in another token.
    Token,
    /// Neither receipt nor transaction have a price.
    NoPrice,
    /// A receipt of an OP-stack chain without the L1 data fee.
    NoL1Fee,
    /// A blob transaction's receipt without the price of blob gas.
    NoBlobPrice,
    /// Arbitrum: what submitting a retryable costs is not in its receipt.
    Retryable,
}

impl NoFee {
    /// The word for it in records, SQL and REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::NoPrice => "no_price",
            Self::NoL1Fee => "no_l1_fee",
            Self::NoBlobPrice => "no_blob_price",
            Self::Retryable => "retryable",
        }
    }
}

/// The fee and its parts, or why it cannot be told.
pub fn of(model: FeeModel, base_fee: Option<U256>, tx: &Figures) -> Result<FeeParts, NoFee> {
    if is_free(model, tx.transaction_type) {
        return Ok(FeeParts::default());
    }
    if tx.fee_currency.is_some() {
        return Err(NoFee::Token);
    }
    if is_arbitrum(model) && tx.transaction_type == types::ARBITRUM_SUBMIT_RETRYABLE {
        return Err(NoFee::Retryable);
    }
    let price = effective_gas_price(base_fee, tx).ok_or(NoFee::NoPrice)?;
    let execution = U256::from(tx.receipt_gas_used).saturating_mul(price);
    let blob = match tx.transaction_type {
        types::BLOB => Some(blob_fee(tx).ok_or(NoFee::NoBlobPrice)?),
        _ => None,
    };
    let (l1, operator) = match model {
        FeeModel::Ethereum | FeeModel::Arbitrum => (None, None),
        // Every receipt of these chains has the field; without it the fee cannot be told.
        FeeModel::OpStack | FeeModel::Mantle => {
            (Some(tx.receipt_l1_fee.ok_or(NoFee::NoL1Fee)?), operator_fee(model, tx))
        }
        FeeModel::FromReceipt => (tx.receipt_l1_fee, operator_fee(model, tx)),
    };
    Ok(FeeParts { execution, l1, operator, blob })
}

/// What was paid in the transaction's `fee_currency`, in its smallest unit. The block's base fee is in the chain's own token,
/// so only the receipt can tell the price.
pub fn token_amount(tx: &Figures) -> Option<U256> {
    tx.fee_currency
        .and(tx.receipt_effective_gas_price)
        .map(|price| U256::from(tx.receipt_gas_used).saturating_mul(price))
}

/// Price really paid, wei per gas (where a token was paid: its smallest unit per gas). `base_fee`: of the block.
pub fn effective_gas_price(base_fee: Option<U256>, tx: &Figures) -> Option<U256> {
    if tx.receipt_effective_gas_price.is_some() {
        return tx.receipt_effective_gas_price;
    }
    match (base_fee, tx.max_fee_per_gas, tx.max_priority_fee_per_gas) {
        (Some(base), Some(cap), Some(tip)) => Some(cap.min(base.saturating_add(tip))),
        _ => tx.gas_price,
    }
}

fn is_arbitrum(model: FeeModel) -> bool {
    matches!(model, FeeModel::Arbitrum | FeeModel::FromReceipt)
}

/// Deposits and the chain's own transactions.
fn is_free(model: FeeModel, transaction_type: u64) -> bool {
    match transaction_type {
        types::OP_DEPOSIT => matches!(model, FeeModel::OpStack | FeeModel::Mantle | FeeModel::FromReceipt),
        types::ARBITRUM_DEPOSIT | types::ARBITRUM_INTERNAL => is_arbitrum(model),
        _ => false,
    }
}

fn blob_fee(tx: &Figures) -> Option<U256> {
    let used = tx.receipt_blob_gas_used.or_else(|| (tx.blobs > 0).then(|| tx.blobs.saturating_mul(GAS_PER_BLOB)))?;
    Some(U256::from(used).saturating_mul(tx.receipt_blob_gas_price?))
}

fn operator_fee(model: FeeModel, tx: &Figures) -> Option<U256> {
    let (scalar, constant) = (tx.receipt_operator_fee_scalar, tx.receipt_operator_fee_constant);
    if scalar.is_none() && constant.is_none() {
        return None;
    }
    let scaled = U256::from(tx.receipt_gas_used).saturating_mul(U256::from(scalar.unwrap_or(0)));
    let jovian = match model {
        FeeModel::Mantle => true,
        FeeModel::FromReceipt if tx.receipt_token_ratio.is_some() => true,
        _ => tx.receipt_da_footprint_gas_scalar.is_some(),
    };
    let part = if jovian { scaled.saturating_mul(U256::from(100)) } else { scaled / U256::from(1_000_000) };
    Some(part.saturating_add(U256::from(constant.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;

    use super::*;

    fn wei(n: u64) -> U256 {
        U256::from(n)
    }

    fn tx(transaction_type: u64) -> Figures {
        Figures {
            transaction_type,
            receipt_gas_used: 21_000,
            receipt_effective_gas_price: Some(wei(1_000_000)),
            ..Figures::default()
        }
    }

    #[test]
    fn price_of_receipts_that_have_none() {
        let stated = Figures { gas_price: Some(wei(7)), receipt_effective_gas_price: None, ..tx(0) };
        assert_eq!(effective_gas_price(Some(wei(5)), &stated), Some(wei(7)));
        let mut caps = Figures {
            gas_price: Some(wei(99)),
            max_fee_per_gas: Some(wei(10)),
            max_priority_fee_per_gas: Some(wei(2)),
            receipt_effective_gas_price: None,
            ..tx(2)
        };
        assert_eq!(effective_gas_price(Some(wei(5)), &caps), Some(wei(7)));
        assert_eq!(effective_gas_price(Some(wei(9)), &caps), Some(wei(10)));
        assert_eq!(effective_gas_price(None, &caps), Some(wei(99)));
        caps.gas_price = None;
        assert_eq!(of(FeeModel::Ethereum, None, &caps), Err(NoFee::NoPrice));
    }

    #[test]
    fn blobs_are_paid_by_type_3_only() {
        let blob =
            Figures { receipt_blob_gas_used: Some(131_072), receipt_blob_gas_price: Some(wei(3)), ..tx(types::BLOB) };
        let fee = of(FeeModel::Ethereum, None, &blob);
        assert_eq!(fee.map(|f| (f.blob, f.total())), Ok((Some(wei(393_216)), wei(21_000_000_000 + 393_216))));
        // OP-stack since Jovian: the data-availability footprint.
        let footprint = Figures {
            transaction_type: 2,
            receipt_l1_fee: Some(wei(11)),
            receipt_da_footprint_gas_scalar: Some(400),
            ..blob
        };
        assert_eq!(of(FeeModel::OpStack, None, &footprint).map(|f| f.total()), Ok(wei(21_000_000_011)));
        let no_price = Figures { receipt_blob_gas_used: Some(131_072), ..tx(types::BLOB) };
        assert_eq!(of(FeeModel::Ethereum, None, &no_price), Err(NoFee::NoBlobPrice));
    }

    #[test]
    fn operator_fee_by_upgrade() {
        let isthmus = Figures {
            receipt_l1_fee: Some(wei(0)),
            receipt_operator_fee_scalar: Some(1_439),
            receipt_operator_fee_constant: Some(1_000),
            ..tx(2)
        };
        let operator = |model, tx: &Figures| of(model, None, tx).ok().and_then(|f| f.operator);
        assert_eq!(operator(FeeModel::OpStack, &isthmus), Some(wei(21_000 * 1_439 / 1_000_000 + 1_000)));
        assert_eq!(operator(FeeModel::Mantle, &isthmus), Some(wei(21_000 * 1_439 * 100 + 1_000)));
        let jovian = Figures { receipt_da_footprint_gas_scalar: Some(400), ..isthmus };
        assert_eq!(operator(FeeModel::OpStack, &jovian), Some(wei(21_000 * 1_439 * 100 + 1_000)));
        let mantle = Figures { receipt_token_ratio: Some(wei(3_000)), ..isthmus };
        assert_eq!(operator(FeeModel::FromReceipt, &mantle), Some(wei(21_000 * 1_439 * 100 + 1_000)));
        assert_eq!(operator(FeeModel::Ethereum, &isthmus), None);
        let bedrock = Figures { receipt_l1_fee: Some(wei(5)), ..tx(2) };
        assert_eq!(operator(FeeModel::OpStack, &bedrock), None);
        assert_eq!(of(FeeModel::OpStack, None, &tx(2)), Err(NoFee::NoL1Fee), "an OP-stack receipt without l1Fee");
    }

    #[test]
    fn deposits_and_system_transactions_pay_nothing() {
        let free = Ok(FeeParts::default());
        assert_eq!(of(FeeModel::OpStack, None, &tx(types::OP_DEPOSIT)), free);
        assert_eq!(of(FeeModel::Mantle, None, &tx(types::OP_DEPOSIT)), free);
        assert_eq!(of(FeeModel::Arbitrum, None, &tx(types::ARBITRUM_DEPOSIT)), free);
        assert_eq!(of(FeeModel::Arbitrum, None, &tx(types::ARBITRUM_INTERNAL)), free);
        assert_eq!(of(FeeModel::Arbitrum, None, &tx(types::ARBITRUM_SUBMIT_RETRYABLE)), Err(NoFee::Retryable));
        assert_eq!(of(FeeModel::Arbitrum, None, &tx(2)).map(|f| f.total()), Ok(wei(21_000_000_000)));
    }

    #[test]
    fn what_a_token_paid_is_told_in_the_token() {
        let token = Figures { fee_currency: Some(Address::repeat_byte(7)), ..tx(0x7b) };
        for model in [FeeModel::FromReceipt, FeeModel::Ethereum, FeeModel::OpStack] {
            assert_eq!(of(model, Some(wei(5)), &token), Err(NoFee::Token));
        }
        assert_eq!(token_amount(&token), Some(wei(21_000_000_000)));
        // The base fee is in the chain's own token: without the receipt's word there is no amount.
        let silent = Figures { receipt_effective_gas_price: None, gas_price: Some(wei(9)), ..token };
        assert_eq!(token_amount(&silent), None);
        assert_eq!(token_amount(&tx(0x7b)), None);
        assert_eq!(of(FeeModel::FromReceipt, None, &tx(0x7b)).map(|f| f.total()), Ok(wei(21_000_000_000)));
    }
}
