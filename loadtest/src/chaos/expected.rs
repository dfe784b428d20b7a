//! What the rows of a block must say, computed naively from what its node answers and from nothing of ours.
//!
//! A row is a line of its columns.

use crate::failure::Failure;
use alloy_primitives::{B256, U256, keccak256};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// One answer of a node on this machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// How a field is written in a line.
#[derive(Clone, Copy)]
enum Form {
    /// A hex quantity, in decimal digits.
    Number,
    /// As it is.
    Text,
    /// keccak-256 of the text, for what may be long.
    Digest,
    /// Texts, with commas between them.
    List,
}

/// Column, and the field in which a transaction has it.
const OF_TRANSACTION: [(&str, &str, Form); 14] = [
    ("hash", "hash", Form::Text),
    ("nonce", "nonce", Form::Number),
    ("from_address", "from", Form::Text),
    ("to_address", "to", Form::Text),
    ("value", "value", Form::Number),
    ("gas", "gas", Form::Number),
    ("gas_price", "gasPrice", Form::Number),
    ("input", "input", Form::Digest),
    ("transaction_type", "type", Form::Number),
    ("max_fee_per_gas", "maxFeePerGas", Form::Number),
    ("max_priority_fee_per_gas", "maxPriorityFeePerGas", Form::Number),
    ("max_fee_per_blob_gas", "maxFeePerBlobGas", Form::Number),
    ("blob_versioned_hashes", "blobVersionedHashes", Form::List),
    ("source_hash", "sourceHash", Form::Text),
];

/// The same of its receipt.
const OF_RECEIPT: [(&str, &str, Form); 19] = [
    ("receipt_cumulative_gas_used", "cumulativeGasUsed", Form::Number),
    ("receipt_gas_used", "gasUsed", Form::Number),
    ("receipt_contract_address", "contractAddress", Form::Text),
    ("receipt_root", "root", Form::Text),
    ("receipt_status", "status", Form::Number),
    ("receipt_effective_gas_price", "effectiveGasPrice", Form::Number),
    ("receipt_l1_fee", "l1Fee", Form::Number),
    ("receipt_l1_gas_used", "l1GasUsed", Form::Number),
    ("receipt_l1_gas_price", "l1GasPrice", Form::Number),
    ("receipt_l1_fee_scalar", "l1FeeScalar", Form::Text),
    ("receipt_blob_gas_price", "blobGasPrice", Form::Number),
    ("receipt_blob_gas_used", "blobGasUsed", Form::Number),
    ("receipt_l1_base_fee_scalar", "l1BaseFeeScalar", Form::Number),
    ("receipt_l1_blob_base_fee", "l1BlobBaseFee", Form::Number),
    ("receipt_l1_blob_base_fee_scalar", "l1BlobBaseFeeScalar", Form::Number),
    ("receipt_operator_fee_scalar", "operatorFeeScalar", Form::Number),
    ("receipt_da_footprint_gas_scalar", "daFootprintGasScalar", Form::Number),
    ("receipt_deposit_nonce", "depositNonce", Form::Number),
    ("receipt_deposit_receipt_version", "depositReceiptVersion", Form::Number),
];

/// The same of a log.
const OF_LOG: [(&str, &str, Form); 6] = [
    ("log_index", "logIndex", Form::Number),
    ("transaction_hash", "transactionHash", Form::Text),
    ("transaction_index", "transactionIndex", Form::Number),
    ("address", "address", Form::Text),
    ("topics", "topics", Form::List),
    ("data", "data", Form::Digest),
];

/// The lines of a block's rows, in the order of the block.
#[derive(Debug, Default)]
pub struct Lines {
    /// Transactions with their receipts.
    pub transactions: Vec<String>,
    /// Logs.
    pub logs: Vec<String>,
}

/// A table whose rows are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `evm_transactions`.
    Transactions,
    /// `evm_logs`.
    Logs,
}

impl Table {
    /// Its view, the column that orders a block's rows, and the expression of a row's line.
    pub fn sql(self) -> (&'static str, &'static str, String) {
        let cells =
            |columns: &[(&str, &str, Form)]| columns.iter().map(|(column, _, form)| cell(column, *form)).collect();
        let (view, order, cells): (_, _, Vec<String>) = match self {
            Self::Transactions => {
                let mut all: Vec<String> = cells(&OF_TRANSACTION);
                all.extend(cells(&OF_RECEIPT));
                all.extend(["status", "ifNull(toString(fee), '0')", "toString(log_count)"].map(str::to_owned));
                ("evm_transactions", "transaction_index", all)
            }
            Self::Logs => ("evm_logs", "log_index", cells(&OF_LOG)),
        };
        (view, order, format!("concat({})", cells.join(", '|', ")))
    }
}

/// How SQL writes a column.
fn cell(column: &str, form: Form) -> String {
    match form {
        Form::Number | Form::Text => format!("ifNull(toString({column}), '-')"),
        Form::Digest => format!("lower(hex(keccak256({column})))"),
        Form::List => format!("arrayStringConcat({column}, ',')"),
    }
}

/// How we do.
fn text(object: &Value, field: &str, form: Form) -> String {
    match (&object[field], form) {
        (Value::String(text), Form::Number) => text.parse::<U256>().map_or_else(|_| text.clone(), |n| n.to_string()),
        (Value::String(text), Form::Digest) => const_hex::encode(keccak256(text.as_bytes())),
        (Value::String(text), _) => text.clone(),
        (Value::Array(all), _) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        (_, Form::List) => String::new(),
        _ => "-".to_owned(),
    }
}

pub(crate) fn number(object: &Value, field: &str) -> U256 {
    object[field].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// What is paid for it, wei: nothing by deposits (0x7e) and a chain's own transactions.
pub(crate) fn fee(transaction: &Value, receipt: &Value) -> U256 {
    let kind = number(transaction, "type");
    if kind == U256::from(0x7e) {
        return U256::ZERO;
    }
    // Receipts from before EIP-1559 may leave out the price paid: it is the one stated.
    let price =
        if receipt["effectiveGasPrice"].is_null() { &transaction["gasPrice"] } else { &receipt["effectiveGasPrice"] };
    let price: U256 = price.as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    let mut fee = number(receipt, "gasUsed") * price + number(receipt, "l1Fee");
    if kind == U256::from(3) {
        fee += number(receipt, "blobGasUsed") * number(receipt, "blobGasPrice");
    }
    fee
}

impl Lines {
    fn of(block: &Value, receipts: &Value) -> Result<Self, Failure> {
        let list = |value: &Value| value.as_array().cloned().ok_or_else(|| format!("no list: {value}"));
        let mut lines = Self::default();
        for (transaction, receipt) in list(&block["transactions"])?.iter().zip(&list(receipts)?) {
            let logs = list(&receipt["logs"])?;
            let mut transaction = transaction.clone();
            // A deposit's nonce stands in its receipt (OP-stack, since Regolith).
            if transaction["nonce"].is_null() {
                transaction["nonce"] = receipt["depositNonce"].clone();
            }
            let of = |columns: &[(&str, &str, Form)], from: &Value| -> Vec<String> {
                columns.iter().map(|(_, field, form)| text(from, field, *form)).collect()
            };
            let mut cells = of(&OF_TRANSACTION, &transaction);
            cells.extend(of(&OF_RECEIPT, receipt));
            let status = match receipt["status"].as_str() {
                Some("0x1") => "success",
                Some(_) => "failed",
                None => "unknown",
            };
            cells.extend([status.to_owned(), fee(&transaction, receipt).to_string(), logs.len().to_string()]);
            lines.transactions.push(cells.join("|"));
            lines.logs.extend(logs.iter().map(|log| of(&OF_LOG, log).join("|")));
        }
        Ok(lines)
    }
}

/// Lines of a chain's blocks, asked of its node as they are needed.
pub struct Expected {
    client: reqwest::Client,
    known: HashMap<B256, Lines>,
}

impl Expected {
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self { client: reqwest::Client::builder().timeout(DEADLINE).build()?, known: HashMap::new() })
    }

    /// Forgets the blocks so far.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// The lines of a block, by its hash; kept until they are forgotten.
    ///
    /// # Errors
    /// When the node does not answer as a node does.
    pub async fn lines(&mut self, url: &str, hash: B256) -> Result<&Lines, Failure> {
        if !self.known.contains_key(&hash) {
            let block = self.ask(url, "eth_getBlockByHash", json!([hash, true])).await?;
            let receipts = self.ask(url, "eth_getBlockReceipts", json!([hash])).await?;
            self.known.insert(hash, Lines::of(&block, &receipts)?);
        }
        Ok(&self.known[&hash])
    }

    async fn ask(&self, url: &str, method: &str, params: Value) -> Result<Value, Failure> {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.client.post(url).json(&call).send().await?;
        let mut answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
        match answer["result"].take() {
            Value::Null => Err(format!("{method}: {answer}").into()),
            result => Ok(result),
        }
    }
}
