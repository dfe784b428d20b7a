//! `evm_transaction_rows`.

use alloy_primitives::{Address, U256};
use schemas::{
    ChildEnvelope,
    records::{Enrichment, EvmTransaction},
};

use super::{
    block_hash,
    evm_transaction_extra::Extra,
    native::{Arrays, Fixed, Numbers, Strings, Times, Values, Words, columns},
    present::Present,
    row_version,
};

columns! {
    /// `evm_transaction_rows`; columns as there.
    EvmTransactionColumns of "evm_transaction_rows" {
        network: Words,
        height: Numbers<u64>,
        transaction_index: Numbers<u32>,
        version: Numbers<u64>,
        block_hash: Fixed<32>,
        block_time: Times,
        hash: Fixed<32>,
        from_address: Fixed<20>,
        to_address: Fixed<20>,
        value: Numbers<U256>,
        status: Words,
        fee: Numbers<U256>,
        method: Fixed<4>,
        failure_cause: Words,
        failure_reason: Strings,
        log_count: Numbers<u32>,
        contracts: Arrays<Fixed<20>>,
        nonce: Numbers<u64>,
        gas: Numbers<u64>,
        gas_price: Numbers<U256>,
        max_fee_per_gas: Numbers<U256>,
        max_priority_fee_per_gas: Numbers<U256>,
        input: Strings,
        transaction_type: Numbers<u64>,
        chain_id: Numbers<u64>,
        receipt_status: Numbers<u8>,
        receipt_gas_used: Numbers<u64>,
        receipt_cumulative_gas_used: Numbers<u64>,
        receipt_effective_gas_price: Numbers<U256>,
        receipt_blob_gas_used: Numbers<u64>,
        receipt_l1_fee: Numbers<U256>,
        receipt_l1_gas_used: Numbers<U256>,
        receipt_l1_gas_price: Numbers<U256>,
        receipt_l1_fee_scalar: Words,
        receipt_l1_base_fee_scalar: Numbers<u64>,
        receipt_l1_blob_base_fee: Numbers<U256>,
        receipt_l1_blob_base_fee_scalar: Numbers<u64>,
        receipt_operator_fee_scalar: Numbers<u64>,
        receipt_operator_fee_constant: Numbers<u64>,
        operator_fee: Numbers<U256>,
        receipt_da_footprint_gas_scalar: Numbers<u64>,
        receipt_token_ratio: Numbers<U256>,
        receipt_gas_used_for_l1: Numbers<u64>,
        receipt_l1_block_number: Numbers<u64>,
        fee_reason: Words,
        fee_token: Fixed<20>,
        fee_token_amount: Numbers<U256>,
        call: Words,
        call_arguments: Strings,
        extra: Strings,
        present: Numbers<u32>,
        span: Numbers<u32>,
    }
}

/// Bits of `present`, as the views have them. A bit for each column that may be null; what is null is stored as zero.
#[derive(Debug, Clone, Copy)]
enum Bit {
    ToAddress,
    Fee,
    Method,
    GasPrice,
    MaxFee,
    MaxPriorityFee,
    ChainId,
    Status,
    EffectiveGasPrice,
    BlobGasUsed,
    L1Fee,
    L1GasUsed,
    L1GasPrice,
    L1BaseFeeScalar,
    L1BlobBaseFee,
    L1BlobBaseFeeScalar,
    OperatorFeeScalar,
    OperatorFeeConstant,
    OperatorFee,
    DaFootprintGasScalar,
    TokenRatio,
    GasUsedForL1,
    L1BlockNumber,
    FeeToken,
    FeeTokenAmount,
    /// The L1 fee that was paid is the one of the receipt.
    L1FeePaid,
}

impl From<Bit> for u8 {
    fn from(bit: Bit) -> Self {
        bit as Self
    }
}

impl EvmTransactionColumns {
    /// The row of a transaction. `span`: heights of a partition.
    pub fn push(&mut self, e: &ChildEnvelope, t: &EvmTransaction, x: &Enrichment, span: u32) {
        let mut present = Present::<u32>::default();
        self.network.push(e.network.as_str());
        self.height.push(e.height);
        self.transaction_index.push(t.transaction_index);
        self.version.push(row_version(e.sequence));
        self.block_hash.push(block_hash(&e.block_hash));
        self.block_time.push(e.block_time);
        self.hash.push(t.hash.0);
        self.from_address.push(t.from_address.into_array());
        present.push(Bit::ToAddress, &mut self.to_address, t.to_address.map(Address::into_array));
        self.value.push(t.value);
        self.status.push(x.status.as_str());
        present.push(Bit::Method, &mut self.method, x.method.map(|m| m.0));
        self.failure_cause.push(x.failure_cause.as_deref().unwrap_or(""));
        self.failure_reason.push(x.failure_reason.as_deref().unwrap_or("").as_bytes());
        self.log_count.push(t.logs.len() as u32);
        self.contracts.push_all(t.contracts().into_iter().map(Address::into_array));
        self.nonce.push(t.nonce);
        self.gas.push(t.gas);
        present.push(Bit::GasPrice, &mut self.gas_price, t.gas_price);
        present.push(Bit::MaxFee, &mut self.max_fee_per_gas, t.max_fee_per_gas);
        present.push(Bit::MaxPriorityFee, &mut self.max_priority_fee_per_gas, t.max_priority_fee_per_gas);
        self.input.push(&t.input);
        self.transaction_type.push(t.transaction_type);
        present.push(Bit::ChainId, &mut self.chain_id, t.chain_id);
        self.push_receipt(&mut present, t);
        self.push_fee(&mut present, t, x);
        self.call.push(x.call.as_ref().map_or("", |call| &call.signature));
        let arguments = x.call.as_ref().and_then(|call| call.arguments.as_deref());
        self.call_arguments.push(arguments.unwrap_or("").as_bytes());
        self.extra.push(&Extra::of(t, x).json());
        self.present.push(present.0);
        self.span.push(span);
    }

    fn push_receipt(&mut self, present: &mut Present<u32>, t: &EvmTransaction) {
        let status = t.receipt_status.and_then(|s| u8::try_from(s).ok());
        present.push(Bit::Status, &mut self.receipt_status, status);
        self.receipt_gas_used.push(t.receipt_gas_used);
        self.receipt_cumulative_gas_used.push(t.receipt_cumulative_gas_used);
        present.push(Bit::EffectiveGasPrice, &mut self.receipt_effective_gas_price, t.receipt_effective_gas_price);
        present.push(Bit::BlobGasUsed, &mut self.receipt_blob_gas_used, t.receipt_blob_gas_used);
        present.push(Bit::L1Fee, &mut self.receipt_l1_fee, t.receipt_l1_fee);
        present.push(Bit::L1GasUsed, &mut self.receipt_l1_gas_used, t.receipt_l1_gas_used);
        present.push(Bit::L1GasPrice, &mut self.receipt_l1_gas_price, t.receipt_l1_gas_price);
        self.receipt_l1_fee_scalar.push(t.receipt_l1_fee_scalar.as_deref().unwrap_or(""));
        present.push(Bit::L1BaseFeeScalar, &mut self.receipt_l1_base_fee_scalar, t.receipt_l1_base_fee_scalar);
        present.push(Bit::L1BlobBaseFee, &mut self.receipt_l1_blob_base_fee, t.receipt_l1_blob_base_fee);
        let scalar = t.receipt_l1_blob_base_fee_scalar;
        present.push(Bit::L1BlobBaseFeeScalar, &mut self.receipt_l1_blob_base_fee_scalar, scalar);
        present.push(Bit::OperatorFeeScalar, &mut self.receipt_operator_fee_scalar, t.receipt_operator_fee_scalar);
        let constant = t.receipt_operator_fee_constant;
        present.push(Bit::OperatorFeeConstant, &mut self.receipt_operator_fee_constant, constant);
        let footprint = t.receipt_da_footprint_gas_scalar;
        present.push(Bit::DaFootprintGasScalar, &mut self.receipt_da_footprint_gas_scalar, footprint);
        present.push(Bit::TokenRatio, &mut self.receipt_token_ratio, t.receipt_token_ratio);
        present.push(Bit::GasUsedForL1, &mut self.receipt_gas_used_for_l1, t.receipt_gas_used_for_l1);
        present.push(Bit::L1BlockNumber, &mut self.receipt_l1_block_number, t.receipt_l1_block_number);
    }

    fn push_fee(&mut self, present: &mut Present<u32>, t: &EvmTransaction, x: &Enrichment) {
        present.push(Bit::Fee, &mut self.fee, x.fee.map(|f| f.total()));
        present.push(Bit::OperatorFee, &mut self.operator_fee, x.fee.and_then(|f| f.operator));
        if x.fee.is_some_and(|f| f.l1.is_some() && f.l1 == t.receipt_l1_fee) {
            present.set(Bit::L1FeePaid);
        }
        self.fee_reason.push(x.fee_reason.as_deref().unwrap_or(""));
        present.push(Bit::FeeToken, &mut self.fee_token, t.fee_currency.map(Address::into_array));
        present.push(Bit::FeeTokenAmount, &mut self.fee_token_amount, x.fee_token_amount);
    }
}
