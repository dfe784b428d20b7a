//! Transactions of `eth_getBlockByNumber`, of every type, known or not.

use alloy_primitives::{Address, B256, Bytes, U256};

use super::object::wire_object;

wire_object! {
    /// A transaction.
    pub struct Transaction {
        /// Hash.
        hash: B256 = "hash",
        /// Hash of its block.
        block_hash: B256 = "blockHash",
        /// Position in the block.
        transaction_index: u64 = "transactionIndex" or nothing,
        /// EIP-2718 type.
        transaction_type: u64 = "type",
        /// Sender.
        from: Address = "from",
        /// Receiver.
        to: Address = "to",
        /// Value, wei.
        value: U256 = "value",
        /// Nonce.
        nonce: u64 = "nonce",
        /// Gas limit. Wide, since system transactions of some chains state absurd ones.
        gas: u64 = "gas",
        /// Gas price, wei.
        gas_price: U256 = "gasPrice",
        /// EIP-1559.
        max_fee_per_gas: U256 = "maxFeePerGas",
        /// EIP-1559.
        max_priority_fee_per_gas: U256 = "maxPriorityFeePerGas",
        /// EIP-4844.
        max_fee_per_blob_gas: U256 = "maxFeePerBlobGas",
        /// EIP-4844.
        blob_versioned_hashes: Vec<B256> = "blobVersionedHashes",
        /// Call data.
        input: Bytes = "input" | "data",
        /// Token that the fee is paid in (Celo, CIP-64 and before).
        fee_currency: Address = "feeCurrency",
        /// Chain signed for.
        chain_id: U256 = "chainId" or nothing,
        /// EIP-2930.
        access_list: Vec<AccessListItem> = "accessList",
        /// EIP-7702.
        authorization_list: Vec<Authorization> = "authorizationList",
        /// Signature.
        v: U256 = "v" or nothing,
        /// Signature.
        r: U256 = "r" or nothing,
        /// Signature.
        s: U256 = "s" or nothing,
        /// Signature, typed transactions.
        y_parity: U256 = "yParity" or nothing,
        /// OP-stack deposit.
        source_hash: B256 = "sourceHash",
        /// OP-stack deposit.
        mint: U256 = "mint",
        /// OP-stack deposit.
        is_system_tx: bool = "isSystemTx",
        /// Mantle deposit: ETH that came along.
        eth_value: U256 = "ethValue",
        /// Mantle deposit: ETH that was minted into the transaction.
        eth_tx_value: U256 = "ethTxValue",
    }
}

wire_object! {
    /// EIP-2930.
    pub struct AccessListItem {
        /// Contract.
        address: Address = "address",
        /// Slots.
        storage_keys: Vec<B256> = "storageKeys",
    }
}

wire_object! {
    /// EIP-7702.
    pub struct Authorization {
        /// Chain, 0 for any.
        chain_id: U256 = "chainId" or nothing,
        /// Code's address.
        address: Address = "address" or nothing,
        /// Authority's nonce.
        nonce: u64 = "nonce" or nothing,
        /// Signature.
        y_parity: U256 = "yParity" | "v" or nothing,
        /// Signature.
        r: U256 = "r" or nothing,
        /// Signature.
        s: U256 = "s" or nothing,
    }
}
