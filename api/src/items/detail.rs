//! One transaction with everything that is known of it, in JSON.

use alloy_primitives::U256;
use serde::Serialize;
use serde_json::value::RawValue;
use store::query::{BitcoinTransactionDetail, Log, transaction::EvmDetail};
use utoipa::ToSchema;

use super::{BitcoinTransactionItem, EndpointAtItem, FailureItem, TransactionItem};

/// A transaction with everything that is known of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TransactionDetail {
    /// What lists show too.
    #[serde(flatten)]
    pub transaction: TransactionItem,
    /// Why it failed, in a sentence; null when it did not fail.
    pub sentence: Option<String>,
    /// Why it failed, with the evidence; null when it did not fail.
    pub failure: Option<FailureItem>,
    /// Others that failed alike, the nearest in time first; null where the store did not say in time. `/similar` has more of them.
    pub similar: Option<Vec<TransactionItem>>,
    /// Endpoints of its network as they were at its block's time; null where the store did not say in time.
    pub endpoints: Option<Vec<EndpointAtItem>>,
    /// The called function; null where it is not known, and where no contract is called.
    pub call: Option<CallItem>,
    /// Calls inside the call, one level deep: of multicalls, Safe and ERC-4337 bundles.
    pub inner_calls: Vec<InnerCallItem>,
    /// Readable text that was sent as call data; null where the call data is none.
    pub text: Option<String>,
    /// The call data, hex; null on families without calls.
    pub input: Option<String>,
    /// What the receiver is called: by the caller's own contracts, the operator's, or a source of names; null where nobody says.
    pub to_name: Option<String>,
    /// Its events, in order.
    pub events: Vec<EventItem>,
    /// Tokens that moved, in the order of the events.
    pub transfers: Vec<TransferItem>,
    /// The parts of `fee`, which they add up to; null when `fee` is.
    pub fee_parts: Option<FeePartsItem>,
    /// Why `fee` is null, one word such as `token` (it was paid in one) or `no_l1_fee`; null where it is told.
    pub fee_reason: Option<String>,
    /// Token that the fee was paid in; null where it was the chain's own.
    pub fee_token: Option<String>,
    /// What was paid in `fee_token`, in its smallest unit.
    #[schema(pattern = "^[0-9]+$")]
    pub fee_token_amount: Option<String>,
    /// Gas limit; null on families without gas.
    pub gas: Option<u64>,
    /// The sender's nonce; null on Bitcoin.
    pub nonce: Option<u64>,
    /// EIP-2718 type; null on other families.
    pub r#type: Option<u64>,
    /// Fee cap, in wei per gas (EIP-1559); null on other types.
    #[schema(pattern = "^[0-9]+$")]
    pub max_fee_per_gas: Option<String>,
    /// Tip cap, in wei per gas (EIP-1559); null on other types.
    #[schema(pattern = "^[0-9]+$")]
    pub max_priority_fee_per_gas: Option<String>,
    /// Fee cap, in wei per blob gas (EIP-4844); null on other types.
    #[schema(pattern = "^[0-9]+$")]
    pub max_fee_per_blob_gas: Option<String>,
    /// Versioned hashes of its blobs (EIP-4844).
    pub blob_versioned_hashes: Vec<String>,
    /// The contract that it created; null when it created none.
    pub created_contract: Option<String>,
    /// Gas used in the block up to and with it; null on families without gas.
    pub cumulative_gas_used: Option<u64>,
    /// What only Bitcoin has: inputs, outputs and who spends them; null on other chains.
    pub bitcoin: Option<BitcoinTransactionItem>,
}

/// A called function.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Call)]
pub struct CallItem {
    /// Signature with the names of its parameters, such as `transfer(address to, uint256 amount)`.
    pub signature: String,
    /// Arguments by name, by position where they have none; integers as decimal strings. Null where they are too large to be kept.
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<Box<RawValue>>,
    /// What the called contract is called; null where nobody says.
    pub contract: Option<String>,
    /// Whose ABI it was decoded by on reading: `yours`, `operator`, a source of ABIs such as `sourcify`, or `builtin` (the table that is
    /// compiled in); null where it was decoded when the block came.
    pub source: Option<String>,
    /// It was decoded on reading, by what was not known yet when the block came, or by an ABI of yours.
    pub late: bool,
}

/// A call inside a call.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = InnerCall)]
pub struct InnerCallItem {
    /// The called contract; null where the outer call does not say.
    pub to: Option<String>,
    /// What it is called; null where nobody says.
    pub contract: Option<String>,
    /// Value that is sent along, in the chain's smallest unit; null where the outer call does not say.
    #[schema(pattern = "^[0-9]+$")]
    pub value: Option<String>,
    /// Signature with the names of its parameters; null where the function is not known.
    pub signature: Option<String>,
    /// Arguments by name; null where the function is not known.
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<Box<RawValue>>,
    /// Selector of the called function; null where there is no call data.
    pub method: Option<String>,
    /// It was decoded on reading.
    pub late: bool,
}

/// An event (log) of a transaction.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventItem {
    /// Position in the block, from 0.
    pub log_index: u32,
    /// Emitting contract.
    pub address: String,
    /// What it is called; null where nobody says.
    pub contract: Option<String>,
    /// Signature with names and `indexed`, such as `Transfer(address indexed from, address indexed to, uint256 value)`; null when the
    /// event is not known.
    pub event: Option<String>,
    /// Arguments by name, integers as decimal strings; null when the event is not known.
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<Box<RawValue>>,
    /// The log's topics, 0 to 4 of 32 bytes.
    pub topics: Vec<String>,
    /// The log's data, hex.
    pub data: String,
    /// Whose ABI it was decoded by on reading, as in `call`; null where it was decoded when the block came, or is not.
    pub source: Option<String>,
    /// It was decoded on reading, by what was not known yet when the block came, or by an ABI of yours.
    pub late: bool,
}

/// A token that moved.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Transfer)]
pub struct TransferItem {
    /// `erc20`, `erc721`, `erc1155`, or `wrapped` (the chain's own coin, wrapped or unwrapped).
    #[schema(pattern = "^(erc20|erc721|erc1155|wrapped)$")]
    pub standard: String,
    /// The token's address.
    pub token: String,
    /// What it is called; null where nobody says.
    pub token_name: Option<String>,
    /// From whom; the zero address where it was made.
    pub from: String,
    /// To whom; the zero address where it was burnt.
    pub to: String,
    /// Which one of the token's (ERC-721, ERC-1155), as a decimal string; else null.
    #[schema(pattern = "^[0-9]+$")]
    pub id: Option<String>,
    /// How much, in the token's smallest unit; null for what there is one of.
    #[schema(pattern = "^[0-9]+$")]
    pub amount: Option<String>,
    /// The event that says so.
    pub log_index: u32,
}

/// The parts of the fee really paid, in the chain's smallest unit; they add up to the fee. Parts that the chain does not have are null.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FeePartsItem {
    /// For execution: gas used × effective gas price, where the chain does not count more into its gas.
    #[schema(pattern = "^[0-9]+$")]
    pub execution: String,
    /// For data on L1.
    #[schema(pattern = "^[0-9]+$")]
    pub l1: Option<String>,
    /// OP-stack operator fee.
    #[schema(pattern = "^[0-9]+$")]
    pub operator: Option<String>,
    /// Blob fee (EIP-4844).
    #[schema(pattern = "^[0-9]+$")]
    pub blob: Option<String>,
}

impl TransactionDetail {
    /// From the store's rows: what was decoded when the block came, without names.
    pub fn from_row(row: &store::query::TransactionDetail) -> Self {
        let evm = &row.evm;
        Self {
            transaction: TransactionItem::from_row(&row.transaction),
            sentence: None,
            failure: None,
            similar: None,
            endpoints: None,
            call: row.transaction.call.as_ref().map(|signature| CallItem {
                signature: signature.clone(),
                arguments: json(evm.call_arguments.as_deref()),
                contract: None,
                source: None,
                late: false,
            }),
            inner_calls: Vec::new(),
            text: None,
            input: Some(evm.input.clone()),
            to_name: None,
            events: row.logs.iter().map(EventItem::from_row).collect(),
            transfers: Vec::new(),
            fee_parts: FeePartsItem::from_row(evm),
            fee_reason: evm.fee_reason.clone(),
            fee_token: evm.fee_token.clone(),
            fee_token_amount: amount(evm.fee_token_amount),
            gas: Some(evm.gas),
            nonce: Some(evm.nonce),
            r#type: Some(evm.transaction_type),
            max_fee_per_gas: amount(evm.max_fee_per_gas),
            max_priority_fee_per_gas: amount(evm.max_priority_fee_per_gas),
            max_fee_per_blob_gas: amount(evm.max_fee_per_blob_gas),
            blob_versioned_hashes: evm.blob_versioned_hashes.clone(),
            created_contract: evm.receipt_contract_address.clone(),
            cumulative_gas_used: Some(evm.receipt_cumulative_gas_used),
            bitcoin: None,
        }
    }

    /// From the rows of a Bitcoin transaction. `full_from`: from this height to the tip the chain is held without a gap.
    pub fn from_bitcoin(row: &BitcoinTransactionDetail, full_from: Option<u64>) -> Self {
        Self {
            transaction: TransactionItem::from_row(&row.transaction),
            sentence: None,
            failure: None,
            // Nothing fails on Bitcoin.
            similar: Some(Vec::new()),
            endpoints: None,
            call: None,
            inner_calls: Vec::new(),
            text: None,
            input: None,
            to_name: None,
            events: Vec::new(),
            transfers: Vec::new(),
            fee_parts: None,
            fee_reason: None,
            fee_token: None,
            fee_token_amount: None,
            gas: None,
            nonce: None,
            r#type: None,
            max_fee_per_gas: None,
            max_priority_fee_per_gas: None,
            max_fee_per_blob_gas: None,
            blob_versioned_hashes: Vec::new(),
            created_contract: None,
            cumulative_gas_used: None,
            bitcoin: Some(BitcoinTransactionItem::from_row(row, full_from)),
        }
    }
}

impl FeePartsItem {
    fn from_row(evm: &EvmDetail) -> Option<Self> {
        evm.execution_fee.map(|execution| Self {
            execution: execution.to_string(),
            l1: amount(evm.l1_fee),
            operator: amount(evm.operator_fee),
            blob: amount(evm.blob_fee),
        })
    }
}

impl EventItem {
    fn from_row(log: &Log) -> Self {
        Self {
            log_index: log.log_index,
            address: log.address.clone(),
            contract: None,
            event: log.event.clone(),
            arguments: json(log.arguments.as_deref()),
            topics: log.topics.clone(),
            data: log.data.clone(),
            source: None,
            late: false,
        }
    }
}

fn amount(amount: Option<U256>) -> Option<String> {
    amount.map(|amount| amount.to_string())
}

fn json(text: Option<&str>) -> Option<Box<RawValue>> {
    text.and_then(|text| RawValue::from_string(text.to_owned()).ok())
}
