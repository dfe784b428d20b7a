//! What the models share, and each by which it differs from Ethereum's.

use alloy_primitives::Address;
use schemas::profiles::TOLERANT;

use super::*;

pub(super) fn wei(n: u64) -> U256 {
    U256::from(n)
}

/// A receipt of 21,000 gas at 10^6 wei.
pub(super) fn tx(transaction_type: u64) -> Figures {
    Figures {
        transaction_index: 1,
        gas: 30_000,
        transaction_type,
        receipt_gas_used: 21_000,
        receipt_effective_gas_price: Some(wei(1_000_000)),
        ..Figures::default()
    }
}

/// By a model alone.
pub(super) fn fee(fee_model: FeeModel, tx: &Figures) -> Result<FeeParts, NoFee> {
    of(&Profile { fee_model, ..TOLERANT }, &InBlock::default(), tx)
}

const MODELS: [FeeModel; 13] = [
    FeeModel::Ethereum,
    FeeModel::OpStack,
    FeeModel::Mantle { arsia: 0 },
    FeeModel::Celo,
    FeeModel::Arbitrum,
    FeeModel::Scroll,
    FeeModel::ZkSync,
    FeeModel::ReceiptPrice,
    FeeModel::GasLimit,
    FeeModel::Taiko,
    FeeModel::Berachain,
    FeeModel::NotInReceipt,
    FeeModel::FromReceipt,
];

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
    // What was offered is not what is paid where the sequencer sets the price.
    for model in [FeeModel::ZkSync, FeeModel::ReceiptPrice, FeeModel::Arbitrum] {
        assert_eq!(fee(model, &stated), Err(NoFee::NoPrice), "{model:?}");
        assert_eq!(fee(model, &tx(0x71)).map(|f| f.total()), Ok(wei(21_000_000_000)), "{model:?}");
    }
    caps.gas_price = None;
    assert_eq!(fee(FeeModel::Ethereum, &caps), Err(NoFee::NoPrice));
}

#[test]
fn blobs_are_paid_by_type_3_only() {
    let blob =
        Figures { receipt_blob_gas_used: Some(131_072), receipt_blob_gas_price: Some(wei(3)), ..tx(types::BLOB) };
    let paid = fee(FeeModel::Ethereum, &blob);
    assert_eq!(paid.map(|f| (f.blob, f.total())), Ok((Some(wei(393_216)), wei(21_000_000_000 + 393_216))));
    // OP-stack since Jovian: the data-availability footprint.
    let footprint = Figures {
        transaction_type: 2,
        receipt_l1_fee: Some(wei(11)),
        receipt_da_footprint_gas_scalar: Some(400),
        ..blob
    };
    assert_eq!(fee(FeeModel::OpStack, &footprint).map(|f| f.total()), Ok(wei(21_000_000_011)));
    let counted = Figures { blobs: 2, receipt_blob_gas_used: None, ..blob };
    assert_eq!(fee(FeeModel::Ethereum, &counted).map(|f| f.blob), Ok(Some(wei(786_432))));
    let no_price = Figures { receipt_blob_gas_used: Some(131_072), ..tx(types::BLOB) };
    assert_eq!(fee(FeeModel::Ethereum, &no_price), Err(NoFee::NoBlobPrice));
}

#[test]
fn deposits_and_system_transactions_pay_nothing() {
    let free = Ok(FeeParts::default());
    let deposits = [
        FeeModel::OpStack,
        FeeModel::Mantle { arsia: 0 },
        FeeModel::Mantle { arsia: u64::MAX },
        FeeModel::Celo,
        FeeModel::Scroll,
        FeeModel::Berachain,
        FeeModel::FromReceipt,
    ];
    for model in deposits {
        assert_eq!(fee(model, &tx(types::DEPOSIT)), free, "{model:?}");
    }
    let anchor = Figures { transaction_index: 0, ..tx(2) };
    assert_eq!(fee(FeeModel::Taiko, &anchor), free);
    assert_eq!(fee(FeeModel::Taiko, &tx(2)).map(|f| f.total()), Ok(wei(21_000_000_000)));
    // Polygon's state syncs, in both forms, whatever price a node shows.
    let polygon = |tx: &Figures| of(&Profile::of(137), &InBlock::default(), tx);
    let zero = Figures { receipt_gas_used: 0, receipt_effective_gas_price: None, ..tx(0) };
    assert_eq!((polygon(&tx(types::STATE_SYNC)), polygon(&zero)), (free, free));
    assert_eq!(polygon(&tx(0)).map(|f| f.total()), Ok(wei(21_000_000_000)));
}

#[test]
fn the_gas_limit_is_paid_where_it_is_charged() {
    assert_eq!(fee(FeeModel::GasLimit, &tx(2)).map(|f| f.total()), Ok(wei(30_000_000_000)));
}

#[test]
fn what_no_receipt_has_is_not_told() {
    for (model, kind) in [
        (FeeModel::ZkSync, types::ZKSYNC_PRIORITY),
        (FeeModel::ZkSync, types::ZKSYNC_UPGRADE),
        (FeeModel::Celo, types::CELO_GATEWAY),
        (FeeModel::NotInReceipt, 2),
    ] {
        assert_eq!(fee(model, &tx(kind)), Err(NoFee::NotInReceipt), "{model:?} {kind:#x}");
    }
}

#[test]
fn what_a_token_paid_is_told_in_the_token() {
    let token = Figures { fee_currency: Some(Address::repeat_byte(7)), receipt_l1_fee: Some(wei(1)), ..tx(0x7b) };
    for model in MODELS {
        assert_eq!(fee(model, &token), Err(NoFee::Token), "{model:?}");
    }
    assert_eq!(token_amount(&token), Some(wei(21_000_000_000)));
    // The base fee is in the chain's own coin: without the receipt's word there is no amount.
    let silent = Figures { receipt_effective_gas_price: None, gas_price: Some(wei(9)), ..token };
    assert_eq!(token_amount(&silent), None);
    assert_eq!(token_amount(&tx(0x7b)), None);
    assert_eq!(fee(FeeModel::Celo, &tx(0x7b)).map(|f| f.total()), Ok(wei(21_000_000_000)));
}

#[test]
fn receipts_of_a_chain_that_is_not_known_are_read_by_their_fields() {
    let mantle = Figures {
        receipt_l1_fee: Some(wei(5)),
        receipt_token_ratio: Some(wei(3_000)),
        receipt_operator_fee_scalar: Some(3),
        ..tx(2)
    };
    let parts = |tx: &Figures| fee(FeeModel::FromReceipt, tx).map(|f| (f.l1, f.operator, f.total()));
    assert_eq!(parts(&mantle), Ok((Some(wei(5)), None, wei(21_000_000_000))), "before Arsia");
    let arsia = Figures { receipt_da_footprint_gas_scalar: Some(400), ..mantle };
    let operator = 21_000 * 3 * 100;
    assert_eq!(parts(&arsia), Ok((Some(wei(5)), Some(wei(operator)), wei(21_000_000_005 + operator))));
    let op = Figures { receipt_token_ratio: None, ..mantle };
    assert_eq!(parts(&op), Ok((Some(wei(5)), Some(wei(0)), wei(21_000_000_005))));
}
