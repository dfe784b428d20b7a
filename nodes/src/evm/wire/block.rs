//! `eth_getBlockByNumber` and `newHeads`.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};

use super::{
    transaction::Transaction,
    value::{Count, wire_object},
};

wire_object! {
    /// As much of a header as following the head takes.
    pub struct Head {
        /// Height.
        number: u64 = "number",
        /// Hash.
        hash: B256 = "hash",
        /// Parent's hash.
        parent_hash: B256 = "parentHash",
        /// Seconds since 1970.
        timestamp: u64 = "timestamp",
    }
}

wire_object! {
    /// A block with full transactions.
    pub struct Block {
        /// Height.
        number: u64 = "number",
        /// Hash.
        hash: B256 = "hash",
        /// Parent's hash.
        parent_hash: B256 = "parentHash",
        /// Seconds since 1970.
        timestamp: u64 = "timestamp",
        /// Hash of the list of uncles.
        sha3_uncles: B256 = "sha3Uncles",
        /// Beneficiary.
        miner: Address = "miner" | "author",
        /// State root.
        state_root: B256 = "stateRoot",
        /// Root of the transactions.
        transactions_root: B256 = "transactionsRoot",
        /// Root of the receipts.
        receipts_root: B256 = "receiptsRoot",
        /// Bloom filter of the logs.
        logs_bloom: Bloom = "logsBloom",
        /// Difficulty.
        difficulty: U256 = "difficulty",
        /// Sum of difficulties.
        total_difficulty: U256 = "totalDifficulty",
        /// Gas limit.
        gas_limit: u64 = "gasLimit",
        /// Gas used.
        gas_used: u64 = "gasUsed",
        /// Extra data.
        extra_data: Bytes = "extraData",
        /// Mix hash.
        mix_hash: B256 = "mixHash",
        /// Nonce.
        nonce: B64 = "nonce",
        /// EIP-1559.
        base_fee_per_gas: U256 = "baseFeePerGas",
        /// EIP-4895.
        withdrawals_root: B256 = "withdrawalsRoot",
        /// EIP-4895, only counted.
        withdrawals: Count = "withdrawals",
        /// EIP-4844.
        blob_gas_used: u64 = "blobGasUsed",
        /// EIP-4844.
        excess_blob_gas: u64 = "excessBlobGas",
        /// EIP-4788.
        parent_beacon_block_root: B256 = "parentBeaconBlockRoot",
        /// EIP-7685.
        requests_hash: B256 = "requestsHash",
        /// Size in bytes.
        size: u64 = "size",
        /// Hashes of uncles.
        uncles: Vec<B256> = "uncles",
        /// Arbitrum.
        l1_block_number: u64 = "l1BlockNumber",
        /// The transactions.
        transactions: Vec<Transaction> = "transactions",
    }
}
