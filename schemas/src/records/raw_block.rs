//! `raw.blocks`: one header record per block event, and finality records between them.

use alloy_primitives::{Address, B64, B256, Bytes, U256};

use super::BitcoinHeader;
use crate::envelope::Envelope;

/// A record of `raw.blocks`.
#[derive(Debug, Clone, PartialEq)]
pub struct RawBlock {
    /// Order and meaning.
    pub envelope: Envelope,
    /// The EVM header; `None` on reverts, on finality and on other families.
    pub evm: Option<Box<EvmHeader>>,
    /// The Bitcoin header; `None` on reverts, on finality and on other families.
    pub bitcoin: Option<Box<BitcoinHeader>>,
}

/// An EVM block header as the node sent it. Fields that a chain or a fork does not have are `None`.
///
/// Source: Ethereum execution-apis, `eth_getBlockByNumber`; EIP-1559, EIP-4844, EIP-4788, EIP-4895, EIP-7685.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvmHeader {
    /// Hash of the list of uncles.
    pub sha3_uncles: Option<B256>,
    /// Beneficiary of the fees.
    pub miner: Option<Address>,
    /// Root of the state after the block.
    pub state_root: Option<B256>,
    /// Root of the transactions' trie.
    pub transactions_root: Option<B256>,
    /// Root of the receipts' trie.
    pub receipts_root: Option<B256>,
    /// Bloom filter of the logs, 256 bytes.
    pub logs_bloom: Option<Bytes>,
    /// Proof-of-work difficulty.
    pub difficulty: Option<U256>,
    /// Sum of difficulties up to this block, where the node still says so.
    pub total_difficulty: Option<U256>,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// Gas used by the block.
    pub gas_used: u64,
    /// Free bytes of the block's maker.
    pub extra_data: Bytes,
    /// Mix hash, or randomness of the beacon chain (EIP-4399).
    pub mix_hash: Option<B256>,
    /// Proof-of-work nonce.
    pub nonce: Option<B64>,
    /// Base fee per gas in wei (EIP-1559).
    pub base_fee_per_gas: Option<U256>,
    /// Root of the withdrawals (EIP-4895).
    pub withdrawals_root: Option<B256>,
    /// Number of withdrawals in the block.
    pub withdrawal_count: Option<u32>,
    /// Blob gas used (EIP-4844).
    pub blob_gas_used: Option<u64>,
    /// Excess blob gas (EIP-4844).
    pub excess_blob_gas: Option<u64>,
    /// Root of the parent beacon block (EIP-4788).
    pub parent_beacon_block_root: Option<B256>,
    /// Hash of the execution requests (EIP-7685).
    pub requests_hash: Option<B256>,
    /// Size of the block in bytes, as the node counts it.
    pub size: Option<u64>,
    /// Hashes of the uncles.
    pub uncles: Vec<B256>,
    /// L1 block number that an Arbitrum block refers to.
    pub l1_block_number: Option<u64>,
}
