//! `eth_getBlockByNumber` and `newHeads`.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};

use super::{object::wire_object, transaction::Transaction, value::Count};

wire_object! {
    /// As much of a header as following the head takes.
    pub struct Head {
        /// Height.
        number: u64 = "number",
        /// Hash.
        hash: B256 = "hash",
        /// Parent's hash.
        parent_hash: B256 = "parentHash",
        /// Time stamp, as the node states it: seconds since 1970, on some chains a finer unit.
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
        /// Time stamp, as the node states it: seconds since 1970, on some chains a finer unit.
        timestamp: u64 = "timestamp",
        /// Hash of the list of uncles.
        sha3_uncles: B256 = "sha3Uncles" or nothing,
        /// Beneficiary.
        miner: Address = "miner" | "author" or nothing,
        /// State root.
        state_root: B256 = "stateRoot" or nothing,
        /// Root of the transactions.
        transactions_root: B256 = "transactionsRoot",
        /// Root of the receipts.
        receipts_root: B256 = "receiptsRoot",
        /// Bloom filter of the logs.
        logs_bloom: Bloom = "logsBloom" or nothing,
        /// Difficulty.
        difficulty: U256 = "difficulty" or nothing,
        /// Sum of difficulties.
        total_difficulty: U256 = "totalDifficulty" or nothing,
        /// Gas limit.
        gas_limit: u64 = "gasLimit",
        /// Gas used.
        gas_used: u64 = "gasUsed",
        /// Extra data.
        extra_data: Bytes = "extraData" or nothing,
        /// Mix hash.
        mix_hash: B256 = "mixHash" or nothing,
        /// Nonce.
        nonce: B64 = "nonce" or nothing,
        /// EIP-1559.
        base_fee_per_gas: U256 = "baseFeePerGas",
        /// EIP-4895.
        withdrawals_root: B256 = "withdrawalsRoot" or nothing,
        /// EIP-4895, only counted.
        withdrawals: Count = "withdrawals",
        /// EIP-4844.
        blob_gas_used: u64 = "blobGasUsed" or nothing,
        /// EIP-4844.
        excess_blob_gas: u64 = "excessBlobGas" or nothing,
        /// EIP-4788.
        parent_beacon_block_root: B256 = "parentBeaconBlockRoot" or nothing,
        /// EIP-7685.
        requests_hash: B256 = "requestsHash" or nothing,
        /// Size in bytes.
        size: u64 = "size" or nothing,
        /// Hashes of uncles.
        uncles: Vec<B256> = "uncles",
        /// Arbitrum.
        l1_block_number: u64 = "l1BlockNumber" or nothing,
        /// The transactions.
        transactions: Vec<Transaction> = "transactions",
    }
}
