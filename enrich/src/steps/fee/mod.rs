//! The fee really paid, in wei of the chain's own coin, by the chain's model ([`FeeModel`]); `docs/fees.md` is the whole table.
//!
//! Guarantee: what is told is the whole fee. A receipt without what the model takes makes the fee unknown, with the reason;
//! a part is never shown as the total. What was paid in a token (Celo's `feeCurrency`) is told in the token and in nothing else.
//! Where the chain charges L1's share as gas (Mantle before Arsia, Arbitrum), that share is a part *of* gas used × price.
//!
//! All arithmetic saturates: only made-up receipts reach 2^256.

mod arbitrum;
mod mantle;
mod op_stack;
mod types;

use alloy_primitives::U256;
use schemas::{
    TimeMs,
    profiles::{FeeModel, Profile},
    records::{FeeParts, Figures, RawBlock},
};

use op_stack::Operator;

/// Gas of one blob (EIP-4844, `GAS_PER_BLOB`).
const GAS_PER_BLOB: u64 = 1 << 17;

/// What a fee follows from beside its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InBlock {
    /// EIP-1559 base fee, wei per gas.
    pub base_fee: Option<U256>,
    /// The block's time.
    pub time: TimeMs,
}

impl InBlock {
    /// Of a block.
    pub fn of(block: &RawBlock) -> Self {
        let base_fee = block.evm.as_ref().and_then(|header| header.base_fee_per_gas);
        Self { base_fee, time: block.envelope.block_time }
    }
}

/// Why a fee cannot be told in the chain's own coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFee {
    /// It was paid in another token.
    Token,
    /// Neither receipt nor transaction have the price that was paid.
    NoPrice,
    /// A receipt without the L1 data fee, on a chain where it is on top.
    NoL1Fee,
    /// A blob transaction's receipt without the price of blob gas.
    NoBlobPrice,
    /// Arbitrum: what submitting a retryable costs is not in its receipt.
    Retryable,
    /// Something that was paid, or where, is in no receipt of this kind on this chain.
    NotInReceipt,
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
            Self::NotInReceipt => "not_in_receipt",
        }
    }
}

/// The fee and its parts, or why it cannot be told.
pub fn of(profile: &Profile, block: &InBlock, tx: &Figures) -> Result<FeeParts, NoFee> {
    let model = of_receipt(profile.fee_model, tx);
    if is_free(profile, model, tx) {
        return Ok(FeeParts::default());
    }
    if tx.fee_currency.is_some() {
        return Err(NoFee::Token);
    }
    if is_elsewhere(model, tx.transaction_type) {
        return Err(NoFee::NotInReceipt);
    }
    let price = match model {
        FeeModel::ZkSync | FeeModel::ReceiptPrice | FeeModel::Arbitrum => tx.receipt_effective_gas_price,
        _ => effective_gas_price(block.base_fee, tx),
    };
    let price = price.ok_or(NoFee::NoPrice)?;
    let gas = if model == FeeModel::GasLimit { tx.gas } else { tx.receipt_gas_used };
    let execution = U256::from(gas).saturating_mul(price);
    let parts = match model {
        FeeModel::OpStack => FeeParts { l1: Some(op_stack::l1(tx)?), ..from_receipt(execution, tx) },
        FeeModel::Celo | FeeModel::FromReceipt => from_receipt(execution, tx),
        FeeModel::Scroll => FeeParts { execution, l1: Some(op_stack::l1(tx)?), operator: None, blob: None },
        FeeModel::Mantle { arsia } if mantle::is_arsia(arsia, block) => mantle::since_arsia(execution, tx)?,
        FeeModel::Mantle { .. } => mantle::before_arsia(execution, tx),
        FeeModel::Arbitrum => arbitrum::of(price, tx)?,
        _ => FeeParts { execution, ..FeeParts::default() },
    };
    let blob = match tx.transaction_type {
        types::BLOB => Some(blob_fee(tx).ok_or(NoFee::NoBlobPrice)?),
        _ => None,
    };
    Ok(FeeParts { blob, ..parts })
}

/// What was paid in the transaction's `fee_currency`, in its smallest unit. The block's base fee is in the chain's own coin,
/// so only the receipt can tell the price.
pub fn token_amount(tx: &Figures) -> Option<U256> {
    tx.fee_currency
        .and(tx.receipt_effective_gas_price)
        .map(|price| U256::from(tx.receipt_gas_used).saturating_mul(price))
}

/// Price really paid, wei per gas (where a token was paid: its smallest unit per gas): the receipt's; where it has none, what
/// EIP-1559 makes of the caps, or the stated price. `base_fee`: of the block.
pub fn effective_gas_price(base_fee: Option<U256>, tx: &Figures) -> Option<U256> {
    if tx.receipt_effective_gas_price.is_some() {
        return tx.receipt_effective_gas_price;
    }
    match (base_fee, tx.max_fee_per_gas, tx.max_priority_fee_per_gas) {
        (Some(base), Some(cap), Some(tip)) => Some(cap.min(base.saturating_add(tip))),
        _ => tx.gas_price,
    }
}

/// On a chain that is not known, a receipt with fields that only one family's have is read as theirs.
fn of_receipt(model: FeeModel, tx: &Figures) -> FeeModel {
    match model {
        FeeModel::FromReceipt if tx.receipt_gas_used_for_l1.is_some() => FeeModel::Arbitrum,
        FeeModel::FromReceipt if tx.receipt_token_ratio.is_some() => {
            // Mantle's since Arsia state a footprint, those of before do not.
            FeeModel::Mantle { arsia: if tx.receipt_da_footprint_gas_scalar.is_some() { 0 } else { u64::MAX } }
        }
        known => known,
    }
}

/// Deposits, messages from L1, and the chain's own transactions.
fn is_free(profile: &Profile, model: FeeModel, tx: &Figures) -> bool {
    // Of type 0 (no gas used; nothing that is signed uses none) or 0x7f.
    let state_sync = || tx.transaction_type == types::STATE_SYNC || tx.receipt_gas_used == 0;
    match model {
        FeeModel::OpStack
        | FeeModel::Mantle { .. }
        | FeeModel::Celo
        | FeeModel::Scroll
        | FeeModel::Berachain
        | FeeModel::FromReceipt => tx.transaction_type == types::DEPOSIT,
        FeeModel::Arbitrum => arbitrum::is_free(tx.transaction_type),
        FeeModel::Taiko => tx.transaction_index == 0,
        FeeModel::Ethereum => profile.state_sync && state_sync(),
        FeeModel::ZkSync | FeeModel::ReceiptPrice | FeeModel::GasLimit | FeeModel::NotInReceipt => false,
    }
}

/// Whether some of what was paid is in no receipt.
fn is_elsewhere(model: FeeModel, transaction_type: u64) -> bool {
    match model {
        FeeModel::NotInReceipt => true,
        FeeModel::ZkSync => matches!(transaction_type, types::ZKSYNC_UPGRADE | types::ZKSYNC_PRIORITY),
        FeeModel::Celo => transaction_type == types::CELO_GATEWAY,
        _ => false,
    }
}

/// With what the receipt has of L1 and of the operator.
fn from_receipt(execution: U256, tx: &Figures) -> FeeParts {
    let operator = op_stack::operator(Operator::ByReceipt, tx);
    FeeParts { execution, l1: tx.receipt_l1_fee, operator, blob: None }
}

/// Of type 3 only (EIP-4844): what OP-stack receipts show as blob gas since Jovian is their data-availability footprint, for which
/// nobody pays.
fn blob_fee(tx: &Figures) -> Option<U256> {
    let used = tx.receipt_blob_gas_used.or_else(|| (tx.blobs > 0).then(|| tx.blobs.saturating_mul(GAS_PER_BLOB)))?;
    Some(U256::from(used).saturating_mul(tx.receipt_blob_gas_price?))
}

#[cfg(test)]
mod tests;
