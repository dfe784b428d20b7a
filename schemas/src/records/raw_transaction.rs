//! `raw.transactions`: one record per transaction, with its receipt and logs.

use std::collections::HashSet;

use alloy_primitives::{Address, B256, Bytes, Selector, U256};

use super::{BitcoinTransaction, Payload};
use crate::{envelope::ChildEnvelope, primitives::Status};

/// A record of `raw.transactions`.
#[derive(Debug, Clone, PartialEq)]
pub struct RawTransaction {
    /// Order and meaning.
    pub envelope: ChildEnvelope,
    /// The transaction, or why there is none.
    pub payload: Payload<EvmTransaction, BitcoinTransaction>,
}

/// An EVM transaction with its receipt. Amounts are in wei; `None` is "the node did not say".
///
/// Source: Ethereum execution-apis (`eth_getBlockByNumber`, `eth_getBlockReceipts`); EIP-2718, EIP-2930, EIP-1559, EIP-4844,
/// EIP-7702; Celo's CIP-64; OP-stack specification (deposits, L1 fee fields, operator fee); Arbitrum and Mantle receipts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvmTransaction {
    /// Position in the block, from 0.
    pub transaction_index: u32,
    /// Transaction hash.
    pub hash: B256,
    /// Sender.
    pub from_address: Address,
    /// Receiver; `None` when the transaction creates a contract.
    pub to_address: Option<Address>,
    /// Value moved, in wei.
    pub value: U256,
    /// The sender's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// Gas price as the transaction states it (or as the node fills it in), wei per gas.
    pub gas_price: Option<U256>,
    /// EIP-1559 fee cap, wei per gas.
    pub max_fee_per_gas: Option<U256>,
    /// EIP-1559 tip cap, wei per gas.
    pub max_priority_fee_per_gas: Option<U256>,
    /// EIP-4844 fee cap, wei per blob gas.
    pub max_fee_per_blob_gas: Option<U256>,
    /// EIP-4844 versioned hashes.
    pub blob_versioned_hashes: Vec<B256>,
    /// Call data.
    pub input: Bytes,
    /// EIP-2718 type; 0 for legacy, 0x7e for OP-stack deposits, 0x64–0x6a for Arbitrum's own,
    /// 0x7f for Polygon's state syncs.
    pub transaction_type: u64,
    /// Chain id that was signed for.
    pub chain_id: Option<u64>,
    /// Token that the fee was paid in; `None` where it was the chain's own.
    pub fee_currency: Option<Address>,
    /// Number of EIP-7702 authorizations.
    pub authorization_count: Option<u32>,
    /// OP-stack deposit: source hash.
    pub source_hash: Option<B256>,
    /// OP-stack deposit: minted amount, wei.
    pub mint: Option<U256>,
    /// Receipt: 1 success, 0 failure, `None` before EIP-658.
    pub receipt_status: Option<u64>,
    /// Receipt: state root before EIP-658.
    pub receipt_root: Option<B256>,
    /// Receipt: gas used by this transaction.
    pub receipt_gas_used: u64,
    /// Receipt: gas used in the block up to and with this transaction.
    pub receipt_cumulative_gas_used: u64,
    /// Receipt: price really paid, wei per gas.
    pub receipt_effective_gas_price: Option<U256>,
    /// Receipt: address of the created contract.
    pub receipt_contract_address: Option<Address>,
    /// Receipt: blob gas used (EIP-4844). On OP-stack Jovian: the data-availability footprint, which is not paid as blob gas.
    pub receipt_blob_gas_used: Option<u64>,
    /// Receipt: price of blob gas, wei.
    pub receipt_blob_gas_price: Option<U256>,
    /// OP-stack receipt: L1 data fee, wei (on Mantle already in MNT).
    pub receipt_l1_fee: Option<U256>,
    /// OP-stack receipt: L1 gas used.
    pub receipt_l1_gas_used: Option<U256>,
    /// OP-stack receipt: L1 gas price, wei.
    pub receipt_l1_gas_price: Option<U256>,
    /// OP-stack receipt before Ecotone: fee scalar, a decimal number as text.
    pub receipt_l1_fee_scalar: Option<String>,
    /// OP-stack receipt since Ecotone: base fee scalar.
    pub receipt_l1_base_fee_scalar: Option<u64>,
    /// OP-stack receipt since Ecotone: L1 blob base fee, wei.
    pub receipt_l1_blob_base_fee: Option<U256>,
    /// OP-stack receipt since Ecotone: L1 blob base fee scalar.
    pub receipt_l1_blob_base_fee_scalar: Option<u64>,
    /// OP-stack receipt since Isthmus: operator fee scalar.
    pub receipt_operator_fee_scalar: Option<u64>,
    /// OP-stack receipt since Isthmus: operator fee constant.
    pub receipt_operator_fee_constant: Option<u64>,
    /// OP-stack receipt since Jovian: data-availability footprint scalar.
    pub receipt_da_footprint_gas_scalar: Option<u64>,
    /// Mantle receipt: token ratio (already applied to `l1Fee`).
    pub receipt_token_ratio: Option<U256>,
    /// Arbitrum receipt: part of the gas used that pays for L1.
    pub receipt_gas_used_for_l1: Option<u64>,
    /// Arbitrum receipt: L1 block number.
    pub receipt_l1_block_number: Option<u64>,
    /// OP-stack deposit receipt: nonce used.
    pub receipt_deposit_nonce: Option<u64>,
    /// OP-stack deposit receipt: version.
    pub receipt_deposit_receipt_version: Option<u64>,
    /// The transaction's logs in order.
    pub logs: Vec<EvmLog>,
}

/// Emitters up to which a list is looked through faster than a set.
const FEW: usize = 32;

impl EvmTransaction {
    /// Outcome, read from the receipt and never inferred (rule 20): `unknown` for receipts without status (before EIP-658), and for values
    /// that EIP-658 does not have.
    pub fn status(&self) -> Status {
        Status::of_receipt(self.receipt_status)
    }

    /// Receiver, created contract and emitters of logs, each once, in the order in which they occur (rule 20).
    pub fn contracts(&self) -> Vec<Address> {
        let touched = self.to_address.into_iter().chain(self.receipt_contract_address);
        let touched = touched.chain(self.logs.iter().map(|log| log.address));
        if self.logs.len() > FEW {
            let mut seen = HashSet::with_capacity(FEW);
            return touched.filter(|address| seen.insert(*address)).collect();
        }
        let mut found: Vec<Address> = Vec::with_capacity(4);
        touched.for_each(|address| {
            if !found.contains(&address) {
                found.push(address);
            }
        });
        found
    }
}

/// What a transaction's outcome, fee and method follow from: everything of it that enrich needs but its logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Position in the block, from 0.
    pub transaction_index: u32,
    /// Sender.
    pub from_address: Address,
    /// Receiver; `None` when the transaction creates a contract.
    pub to_address: Option<Address>,
    /// Value moved, in wei.
    pub value: U256,
    /// Gas limit.
    pub gas: u64,
    /// Gas price as stated, wei per gas.
    pub gas_price: Option<U256>,
    /// EIP-1559 fee cap, wei per gas.
    pub max_fee_per_gas: Option<U256>,
    /// EIP-1559 tip cap, wei per gas.
    pub max_priority_fee_per_gas: Option<U256>,
    /// Number of EIP-4844 versioned hashes.
    pub blobs: u64,
    /// First four bytes of the call data, where there are as many.
    pub selector: Option<Selector>,
    /// EIP-2718 type.
    pub transaction_type: u64,
    /// Token that the fee was paid in; `None` where it was the chain's own.
    pub fee_currency: Option<Address>,
    /// Receipt: 1 success, 0 failure, `None` before EIP-658.
    pub receipt_status: Option<u64>,
    /// Receipt: contract that it created.
    pub receipt_contract_address: Option<Address>,
    /// Receipt: gas used by this transaction.
    pub receipt_gas_used: u64,
    /// Receipt: price really paid, wei per gas.
    pub receipt_effective_gas_price: Option<U256>,
    /// Receipt: blob gas used.
    pub receipt_blob_gas_used: Option<u64>,
    /// Receipt: price of blob gas, wei.
    pub receipt_blob_gas_price: Option<U256>,
    /// OP-stack receipt: L1 data fee, wei.
    pub receipt_l1_fee: Option<U256>,
    /// OP-stack receipt: operator fee scalar.
    pub receipt_operator_fee_scalar: Option<u64>,
    /// OP-stack receipt: operator fee constant.
    pub receipt_operator_fee_constant: Option<u64>,
    /// OP-stack receipt: data-availability footprint scalar.
    pub receipt_da_footprint_gas_scalar: Option<u64>,
    /// Mantle receipt: token ratio.
    pub receipt_token_ratio: Option<U256>,
    /// Arbitrum receipt: part of the gas used that pays for L1.
    pub receipt_gas_used_for_l1: Option<u64>,
}

impl From<&EvmTransaction> for Figures {
    fn from(tx: &EvmTransaction) -> Self {
        Self {
            transaction_index: tx.transaction_index,
            from_address: tx.from_address,
            to_address: tx.to_address,
            value: tx.value,
            gas: tx.gas,
            gas_price: tx.gas_price,
            max_fee_per_gas: tx.max_fee_per_gas,
            max_priority_fee_per_gas: tx.max_priority_fee_per_gas,
            blobs: tx.blob_versioned_hashes.len() as u64,
            selector: tx.input.first_chunk::<4>().map(Selector::from),
            transaction_type: tx.transaction_type,
            fee_currency: tx.fee_currency,
            receipt_status: tx.receipt_status,
            receipt_contract_address: tx.receipt_contract_address,
            receipt_gas_used: tx.receipt_gas_used,
            receipt_effective_gas_price: tx.receipt_effective_gas_price,
            receipt_blob_gas_used: tx.receipt_blob_gas_used,
            receipt_blob_gas_price: tx.receipt_blob_gas_price,
            receipt_l1_fee: tx.receipt_l1_fee,
            receipt_operator_fee_scalar: tx.receipt_operator_fee_scalar,
            receipt_operator_fee_constant: tx.receipt_operator_fee_constant,
            receipt_da_footprint_gas_scalar: tx.receipt_da_footprint_gas_scalar,
            receipt_token_ratio: tx.receipt_token_ratio,
            receipt_gas_used_for_l1: tx.receipt_gas_used_for_l1,
        }
    }
}

/// A log (event) of a transaction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvmLog {
    /// Position in the block, from 0.
    pub log_index: u32,
    /// Emitting contract.
    pub address: Address,
    /// 0 to 4 topics; the first is the event's signature hash unless the event is anonymous.
    pub topics: Vec<B256>,
    /// Data that is not indexed.
    pub data: Bytes,
}
