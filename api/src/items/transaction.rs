//! A transaction in JSON.

use const_hex as hex;
use schemas::{
    Family, Status, TimeMs,
    envelope::ChildEnvelope,
    records::{BitcoinDecoded, EnrichedTransaction, Payload},
};
use serde::{Deserialize, Serialize};
use store::query::Transaction;
use utoipa::ToSchema;

use super::block::BlockRevert;

/// A transaction of a canonical block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Transaction)]
pub struct TransactionItem {
    /// The network's slug.
    pub network: String,
    /// `evm`, `bitcoin` or `stellar`.
    pub family: String,
    /// Hash.
    pub hash: String,
    /// Height of its block.
    pub height: u64,
    /// Hash of its block.
    pub block_hash: String,
    /// Position in the block, from 0.
    pub index: u32,
    /// Sender; null on Bitcoin, whose transactions have inputs: see their own page.
    pub from: Option<String>,
    /// Receiver; null when the transaction creates a contract, and on Bitcoin, whose transactions have outputs.
    pub to: Option<String>,
    /// Value moved, in the chain's smallest unit; on Bitcoin the sum of the outputs, satoshi.
    #[schema(pattern = "^[0-9]+$")]
    pub value: String,
    /// `success`, `failed`, or `unknown` (a receipt without status, before EIP-658).
    #[schema(pattern = "^(success|failed|unknown)$")]
    pub status: String,
    /// Why it failed, as a word such as `slippage`; null when it did not fail or nothing is known.
    pub cause: Option<String>,
    /// The failure in words.
    pub reason: Option<String>,
    /// By what the cause was found: `trace`, `call`, `receipt` or `budget`; null when it did not fail, and while it is not decided.
    pub found_by: Option<String>,
    /// Selector of the called function (`0x` and 8 hex digits); null for plain transfers and contract creations.
    pub method: Option<String>,
    /// Signature of the called function with the names of its parameters, such as `transfer(address to, uint256 amount)`; null where it
    /// is not known, or the call data is none of it.
    pub signature: Option<String>,
    /// Gas used; null on families without gas.
    pub gas_used: Option<u64>,
    /// Price really paid per gas, in wei; on Bitcoin the fee rate, satoshi per 1,000 virtual bytes; null when the receipt does not tell, or a token was paid.
    #[schema(pattern = "^[0-9]+$")]
    pub gas_price: Option<String>,
    /// Fee really paid, all parts, in the chain's smallest unit; null when the receipt does not tell, or a token was paid.
    #[schema(pattern = "^[0-9]+$")]
    pub fee: Option<String>,
    /// Time stamp of its block.
    #[schema(format = DateTime)]
    pub block_time: String,
    /// The network's total order: the event that applied its block.
    pub sequence: u64,
}

/// All transactions of a block left the canonical chain (`op` = `revert`): one frame per block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionRevert {
    /// The network's slug.
    pub network: String,
    /// Height of the reverted block.
    pub height: u64,
    /// Its hash: every transaction with this `block_hash` is undone.
    pub block_hash: String,
    /// The event that is undone.
    pub reverts_sequence: u64,
    /// This event.
    pub sequence: u64,
}

impl TransactionItem {
    /// From the store's row.
    pub fn from_row(row: &Transaction) -> Self {
        let has_gas = row.family == Family::Evm.as_str();
        Self {
            network: row.network.clone(),
            family: row.family.clone(),
            hash: row.hash.clone(),
            height: row.block_number,
            block_hash: row.block_hash.clone(),
            index: row.transaction_index,
            from: Some(row.from_address.clone()).filter(|a| !a.is_empty()),
            to: row.to_address.clone(),
            value: row.value.to_string(),
            status: row.status.clone(),
            cause: row.failure_cause.clone(),
            reason: row.failure_reason.clone(),
            found_by: row.found_by.clone(),
            method: row.method.clone(),
            signature: row.call.clone(),
            gas_used: has_gas.then_some(row.gas_used),
            gas_price: row.gas_price.map(|p| p.to_string()),
            fee: row.fee.map(|f| f.to_string()),
            block_time: row.block_timestamp.rfc3339(),
            sequence: row.sequence,
        }
    }

    /// From the live record; `None` for reverts and for what could not be read.
    pub fn from_record(record: &EnrichedTransaction) -> Option<Self> {
        let ChildEnvelope { network, sequence, height, block_hash, block_time, .. } = &record.envelope;
        let (tx, found) = match &record.payload {
            Payload::Evm(payload) => &**payload,
            Payload::Bitcoin(tx) => return Some(Self::of_bitcoin(&record.envelope, tx)),
            Payload::Revert | Payload::Unreadable { .. } => return None,
        };
        Some(Self {
            network: network.to_string(),
            family: Family::Evm.to_string(),
            hash: hex::encode_prefixed(tx.hash),
            height: *height,
            block_hash: block_hash.to_string(),
            index: tx.transaction_index,
            from: Some(hex::encode_prefixed(tx.from_address)),
            to: tx.to_address.map(hex::encode_prefixed),
            value: tx.value.to_string(),
            status: found.status.to_string(),
            cause: found.failure_cause.clone(),
            reason: found.failure_reason.clone(),
            // What is found by a second look comes later, by itself.
            found_by: None,
            method: found.method.map(hex::encode_prefixed),
            signature: found.call.as_ref().map(|call| call.signature.clone()),
            gas_used: Some(tx.receipt_gas_used),
            gas_price: tx.receipt_effective_gas_price.filter(|_| tx.fee_currency.is_none()).map(|p| p.to_string()),
            fee: found.fee.map(|f| f.total().to_string()),
            block_time: TimeMs::rfc3339(*block_time),
            sequence: *sequence,
        })
    }

    fn of_bitcoin(envelope: &ChildEnvelope, tx: &BitcoinDecoded) -> Self {
        let ChildEnvelope { network, sequence, height, block_hash, block_time, .. } = envelope;
        Self {
            network: network.to_string(),
            family: Family::Bitcoin.to_string(),
            hash: tx.txid.to_string(),
            height: *height,
            block_hash: block_hash.to_string(),
            index: tx.transaction_index,
            from: None,
            to: None,
            value: tx.output_value.to_string(),
            status: Status::Success.to_string(),
            cause: None,
            reason: None,
            found_by: None,
            method: None,
            signature: None,
            gas_used: None,
            gas_price: tx.fee_rate.map(|rate| rate.to_string()),
            fee: tx.fee.map(|fee| fee.to_string()),
            block_time: TimeMs::rfc3339(*block_time),
            sequence: *sequence,
        }
    }
}

impl TransactionRevert {
    /// What a block's revert means for its transactions.
    pub fn from_block(block: &BlockRevert) -> Self {
        Self {
            network: block.network.clone(),
            height: block.height,
            block_hash: block.hash.clone(),
            reverts_sequence: block.reverts_sequence,
            sequence: block.sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256};
    use schemas::{
        Op,
        records::{Enrichment, EvmTransaction},
    };

    use super::*;

    #[test]
    fn a_live_transaction_that_a_token_paid_for_shows_no_fee_and_no_price() {
        let item = |token: Option<Address>| {
            let tx = EvmTransaction {
                receipt_effective_gas_price: Some(U256::from(7)),
                fee_currency: token,
                ..EvmTransaction::default()
            };
            let found = Enrichment {
                status: Status::Success,
                fee: None,
                fee_reason: Some("token".into()),
                fee_token_amount: None,
                method: None,
                failure_cause: None,
                failure_reason: None,
                call: None,
                inner_calls: None,
                events: Vec::new(),
            };
            let envelope = ChildEnvelope {
                network: "celo".parse().expect("a slug"),
                sequence: 1,
                op: Op::Apply,
                height: 1,
                block_hash: alloy_primitives::B256::ZERO.into(),
                block_time: TimeMs(0),
                observed_at: TimeMs(0),
            };
            let payload = Payload::Evm(Box::new((tx, found)));
            TransactionItem::from_record(&EnrichedTransaction { envelope, payload }).expect("an item")
        };
        let paid = item(Some(Address::repeat_byte(7)));
        assert_eq!((paid.fee, paid.gas_price), (None, None));
        assert_eq!(item(None).gas_price.as_deref(), Some("7"));
    }
}
