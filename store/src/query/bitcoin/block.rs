//! What a Bitcoin block's header says, beyond what lists show.

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::{Network, TimeMs};
use serde::Deserialize;

use crate::{Store, StoreError, query::wire};

/// A canonical Bitcoin block's header.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct BitcoinBlock {
    /// Which chain: `main`, `test`, `testnet4`, `signet` or `regtest`.
    pub chain: String,
    /// `full`, or `header`: no body was to be had, and nothing is said of transactions.
    pub coverage: String,
    /// Version bits (BIP-9).
    pub version: u32,
    /// Root of the transaction ids' merkle tree, 64 hex digits.
    pub merkle_root: String,
    /// Target in compact form, 8 hex digits.
    pub bits: String,
    /// Proof-of-work nonce, 8 hex digits.
    pub nonce: String,
    /// Median of the time stamps of this block and the ten before it (BIP-113).
    pub median_time: Option<TimeMs>,
    /// Work of the chain up to this block.
    #[serde(with = "wire::u256_option")]
    pub chain_work: Option<U256>,
    /// Bytes with witnesses.
    pub size: Option<u64>,
    /// Bytes without witnesses.
    pub stripped_size: Option<u32>,
    /// Weight units (BIP-141).
    pub weight: Option<u32>,
    /// Transactions, as far as that is known.
    pub transaction_count: Option<u32>,
    /// Script of the coinbase's input, hex.
    pub coinbase_param: Option<String>,
    /// What the coinbase pays out, satoshi: subsidy and fees.
    pub coinbase_value: Option<u64>,
    /// Who made the block, by the coinbase's tag, where that is known.
    pub pool: Option<String>,
}

const COLUMNS: &str = "chain, coverage, version, merkle_root, bits, nonce, median_time, chain_work, size, stripped_size, weight, \
    transaction_count, coinbase_param, coinbase_value, pool";

impl Store {
    /// The header of a canonical block of a Bitcoin network; `sequence` is the event that applied it.
    ///
    /// # Errors
    /// The store is away.
    pub async fn bitcoin_block(
        &self,
        network: &Network,
        height: u64,
        sequence: u64,
    ) -> Result<Option<BitcoinBlock>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM bitcoin_blocks WHERE network = {{network:String}} AND number = {{height:UInt64}} \
             AND sequence = {{sequence:UInt64}}"
        );
        let query = self.read(&sql).param("network", network.as_str()).param("height", height);
        let call = query.param("sequence", sequence).fetch_optional::<BitcoinBlock>();
        self.within("reading a Bitcoin block's header", call).await
    }
}
