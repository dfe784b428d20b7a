//! One transaction with everything that is known of it.

use alloy_primitives::U256;
use clickhouse::Row;
use schemas::{Network, TimeMs};
use serde::Deserialize;

use super::{Transaction, transactions, wire};
use crate::{Store, StoreError};

/// A canonical transaction with its receipt's parts and logs.
#[derive(Debug, Clone, PartialEq)]
pub struct TransactionDetail {
    /// What lists show.
    pub transaction: Transaction,
    /// The rest of transaction and receipt.
    pub evm: EvmDetail,
    /// Its logs in order.
    pub logs: Vec<Log>,
    /// What is known of its failure; `None` unless its status is `failed`.
    pub failure: Option<Failure>,
}

/// What an EVM transaction has beyond the list's columns. Amounts in wei.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct EvmDetail {
    /// The sender's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// Gas price as stated.
    #[serde(with = "wire::u256_option")]
    pub stated_gas_price: Option<U256>,
    /// Fee cap per gas.
    #[serde(with = "wire::u256_option")]
    pub max_fee_per_gas: Option<U256>,
    /// Tip cap per gas.
    #[serde(with = "wire::u256_option")]
    pub max_priority_fee_per_gas: Option<U256>,
    /// Fee cap per blob gas.
    #[serde(with = "wire::u256_option")]
    pub max_fee_per_blob_gas: Option<U256>,
    /// Versioned hashes of blobs.
    pub blob_versioned_hashes: Vec<String>,
    /// Call data, hex.
    pub input: String,
    /// JSON object of the call's arguments, where the called function is known.
    pub call_arguments: Option<String>,
    /// JSON array of the calls inside the call, where there are any: `call` and `arguments` of each, where known.
    pub inner_calls: Option<String>,
    /// EIP-2718 type.
    pub transaction_type: u64,
    /// Created contract.
    pub receipt_contract_address: Option<String>,
    /// Gas used in the block up to and with the transaction.
    pub receipt_cumulative_gas_used: u64,
    /// Gas used × effective gas price.
    #[serde(with = "wire::u256_option")]
    pub execution_fee: Option<U256>,
    /// OP-stack L1 data fee.
    #[serde(with = "wire::u256_option")]
    pub l1_fee: Option<U256>,
    /// OP-stack operator fee.
    #[serde(with = "wire::u256_option")]
    pub operator_fee: Option<U256>,
    /// Blob fee.
    #[serde(with = "wire::u256_option")]
    pub blob_fee: Option<U256>,
    /// Why there is no fee, one word; set exactly when there is none.
    pub fee_reason: Option<String>,
    /// Token that the fee was paid in.
    pub fee_token: Option<String>,
    /// What was paid in it, in its smallest unit.
    #[serde(with = "wire::u256_option")]
    pub fee_token_amount: Option<U256>,
}

const DETAIL: &str = "nonce, gas, gas_price AS stated_gas_price, max_fee_per_gas, max_priority_fee_per_gas, \
    max_fee_per_blob_gas, blob_versioned_hashes, input, call_arguments, inner_calls, transaction_type, receipt_contract_address, \
    receipt_cumulative_gas_used, execution_fee, l1_fee, operator_fee, blob_fee, fee_reason, fee_token, \
    fee_token_amount";

/// What is known of a failure beyond cause and reason. Nothing while no final cause is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Row, Deserialize)]
pub struct Failure {
    /// `trace`, `call`, `receipt` or `budget`; `None` while no final cause is known.
    pub found_by: Option<String>,
    /// Whether the evidence is not of the very transaction.
    pub approximate: bool,
    /// Row of the table of causes that matched.
    pub rule: Option<String>,
    /// What it was counted with.
    pub group: Option<String>,
    /// Whose code the outermost frame ran.
    pub entry: Option<String>,
    /// Whose frame failed.
    pub frame_address: Option<String>,
    /// Calls above that frame.
    pub frame_depth: Option<u16>,
    /// The node's words of it.
    pub error: Option<String>,
    /// First four bytes that it gave back.
    pub error_selector: Option<String>,
    /// Signature of the error with names, where it is known.
    pub error_signature: Option<String>,
    /// JSON object of its arguments.
    pub error_arguments: Option<String>,
    /// The first KiB that it gave back, hex.
    pub output: Option<String>,
    /// JSON of the calls around it.
    pub calls: Option<String>,
    /// When the cause was decided.
    pub found_at: Option<TimeMs>,
}

const FAILURE: &str = "found_by, toBool(approximate) AS approximate, rule, cause_group AS `group`, entry_address AS entry, frame_address, \
    frame_depth, error, error_selector, error_signature, error_arguments, output, calls, found_at";

/// A log of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Log {
    /// Position in the block.
    pub log_index: u32,
    /// Emitting contract.
    pub address: String,
    /// Up to four topics.
    pub topics: Vec<String>,
    /// Data that is not indexed, hex.
    pub data: String,
    /// Signature of the event, where known.
    pub event: Option<String>,
    /// JSON object of its arguments, where known.
    pub arguments: Option<String>,
    /// The block's own time.
    pub block_timestamp: TimeMs,
}

/// Occurrences of one hash that are looked at; chains where a hash occurs twice have two.
const OCCURRENCES: u32 = 8;

impl Store {
    /// The canonical transactions with this hash, newest first: one, rarely more, or none (rule 20).
    pub async fn transaction(&self, network: &Network, hash: &str) -> Result<Vec<TransactionDetail>, StoreError> {
        let sql = format!(
            "SELECT {} FROM transactions WHERE network = {{network:String}} AND hash = {{hash:String}} \
             ORDER BY block_number DESC, transaction_index DESC LIMIT {OCCURRENCES}",
            transactions::COLUMNS
        );
        let call = self.read(&sql).param("network", network.as_str()).param("hash", hash);
        let found = self.within("looking up a transaction", call.fetch_all::<Transaction>()).await?;
        let mut details = Vec::with_capacity(found.len());
        for transaction in found {
            let place = "WHERE network = {network:String} AND block_number = {number:UInt64} \
                         AND transaction_index = {index:UInt32} AND sequence = {sequence:UInt64}";
            let at = |sql: &str| {
                self.read(sql)
                    .param("network", network.as_str())
                    .param("number", transaction.block_number)
                    .param("index", transaction.transaction_index)
                    .param("sequence", transaction.sequence)
            };
            let evm = at(&format!("SELECT {DETAIL} FROM evm_transactions {place}")).fetch_optional::<EvmDetail>();
            let logs = format!(
                "SELECT log_index, address, topics, data, event, arguments, block_timestamp FROM evm_logs {place} \
                 ORDER BY log_index"
            );
            let logs = at(&logs).fetch_all::<Log>();
            let (evm, logs) = self.within("reading a transaction", futures::future::try_join(evm, logs)).await?;
            let failure = match transaction.status.as_str() {
                "failed" => {
                    let cause = at(&format!("SELECT {FAILURE} FROM causes {place}")).fetch_optional::<Failure>();
                    Some(self.within("reading a cause", cause).await?.unwrap_or_default())
                }
                _ => None,
            };
            // Reverted between the two questions: not canonical any more.
            if let Some(evm) = evm {
                details.push(TransactionDetail { transaction, evm, logs, failure });
            }
        }
        Ok(details)
    }
}
