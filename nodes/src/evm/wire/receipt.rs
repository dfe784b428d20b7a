//! `eth_getBlockReceipts` and `eth_getTransactionReceipt`.

use alloy_primitives::{Address, B256, Bloom, Bytes, U256};

use super::{object::wire_object, value::Text};

wire_object! {
    /// A receipt.
    pub struct Receipt {
        /// Hash of the transaction.
        transaction_hash: B256 = "transactionHash",
        /// Position in the block.
        transaction_index: u64 = "transactionIndex" or nothing,
        /// Hash of the block.
        block_hash: B256 = "blockHash",
        /// Height of the block.
        block_number: u64 = "blockNumber" or nothing,
        /// EIP-2718 type.
        transaction_type: u64 = "type",
        /// EIP-658.
        status: u64 = "status",
        /// State root before EIP-658.
        root: B256 = "root" or nothing,
        /// Gas used in the block so far.
        cumulative_gas_used: u64 = "cumulativeGasUsed",
        /// Gas used.
        gas_used: u64 = "gasUsed",
        /// Price paid, wei.
        effective_gas_price: U256 = "effectiveGasPrice",
        /// Contract created.
        contract_address: Address = "contractAddress",
        /// Bloom filter.
        logs_bloom: Bloom = "logsBloom" or nothing,
        /// Logs.
        logs: Vec<Log> = "logs",
        /// EIP-4844.
        blob_gas_used: u64 = "blobGasUsed",
        /// EIP-4844.
        blob_gas_price: U256 = "blobGasPrice",
        /// OP-stack.
        l1_fee: U256 = "l1Fee",
        /// OP-stack.
        l1_gas_used: U256 = "l1GasUsed" or nothing,
        /// OP-stack.
        l1_gas_price: U256 = "l1GasPrice" or nothing,
        /// OP-stack: decimal text.
        l1_fee_scalar: Text = "l1FeeScalar" or nothing,
        /// OP-stack, Ecotone.
        l1_base_fee_scalar: u64 = "l1BaseFeeScalar" or nothing,
        /// OP-stack, Ecotone.
        l1_blob_base_fee: U256 = "l1BlobBaseFee" or nothing,
        /// OP-stack, Ecotone.
        l1_blob_base_fee_scalar: u64 = "l1BlobBaseFeeScalar" or nothing,
        /// OP-stack, Isthmus.
        operator_fee_scalar: u64 = "operatorFeeScalar",
        /// OP-stack, Isthmus.
        operator_fee_constant: u64 = "operatorFeeConstant",
        /// OP-stack, Jovian.
        da_footprint_gas_scalar: u64 = "daFootprintGasScalar",
        /// Mantle.
        token_ratio: U256 = "tokenRatio",
        /// Arbitrum.
        gas_used_for_l1: u64 = "gasUsedForL1" or nothing,
        /// Arbitrum.
        l1_block_number: u64 = "l1BlockNumber" or nothing,
        /// OP-stack deposit.
        deposit_nonce: u64 = "depositNonce",
        /// OP-stack deposit.
        deposit_receipt_version: u64 = "depositReceiptVersion",
    }
}

wire_object! {
    /// A log.
    pub struct Log {
        /// Hash of its transaction, as the node states it.
        transaction_hash: B256 = "transactionHash" or nothing,
        /// Position in the block, as the node states it.
        log_index: u64 = "logIndex" or nothing,
        /// Contract.
        address: Address = "address",
        /// Topics.
        topics: Vec<B256> = "topics",
        /// Data.
        data: Bytes = "data",
    }
}
