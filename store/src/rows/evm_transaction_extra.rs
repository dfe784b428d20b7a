//! What few transactions have, as the JSON object in the column `extra`.

use alloy_primitives::{Address, B256, U256};
use schemas::records::{Enrichment, EvmTransaction};
use serde::Serialize;

/// Keys as the views read them: amounts are decimal text, bytes are text as in the views.
#[derive(Default, PartialEq, Serialize)]
pub(super) struct Extra<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_blob_gas: Option<String>,
    #[serde(skip_serializing_if = "<[B256]>::is_empty")]
    blob_versioned_hashes: &'a [B256],
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_contract_address: Option<Hex<Address>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_blob_gas_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_fee: Option<String>,
    /// Where it is not the receipt's.
    #[serde(skip_serializing_if = "Option::is_none")]
    l1_fee: Option<String>,
    /// Where it is not what is left of the fee: only made-up receipts reach 2^256.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_fee: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_deposit_nonce: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_deposit_receipt_version: Option<u64>,
    /// A JSON array, as text: what was recorded is what is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    inner_calls: Option<&'a str>,
}

/// Written in lower-case digits.
#[derive(PartialEq)]
struct Hex<T>(T);

impl Serialize for Hex<Address> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(const_hex::Buffer::<20, true>::new().format(&self.0))
    }
}

impl<'a> Extra<'a> {
    pub fn of(t: &'a EvmTransaction, x: &'a Enrichment) -> Self {
        let decimal = |amount: U256| amount.to_string();
        let fee = x.fee.as_ref();
        let rest = |f: &schemas::records::FeeParts| {
            let others = [f.l1, f.operator, f.blob].into_iter().flatten();
            others.fold(f.total(), |left, part| left.wrapping_sub(part))
        };
        Self {
            max_fee_per_blob_gas: t.max_fee_per_blob_gas.map(decimal),
            blob_versioned_hashes: &t.blob_versioned_hashes,
            receipt_contract_address: t.receipt_contract_address.map(Hex),
            receipt_root: t.receipt_root,
            receipt_blob_gas_price: t.receipt_blob_gas_price.map(decimal),
            blob_fee: fee.and_then(|f| f.blob).map(decimal),
            l1_fee: fee.and_then(|f| f.l1).filter(|l1| Some(*l1) != t.receipt_l1_fee).map(decimal),
            execution_fee: fee.filter(|f| rest(f) != f.execution).map(|f| decimal(f.execution)),
            authorization_count: t.authorization_count,
            source_hash: t.source_hash,
            mint: t.mint.map(decimal),
            receipt_deposit_nonce: t.receipt_deposit_nonce,
            receipt_deposit_receipt_version: t.receipt_deposit_receipt_version,
            inner_calls: x.inner_calls.as_deref(),
        }
    }

    /// The object; nothing when it would be empty.
    pub fn json(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        serde_json::to_vec(self).unwrap_or_default() // nothing in it can fail
    }
}
