//! Why a transaction failed, as its trace, a call again, or its receipt tell it.
//!
//! Guarantee: a function of what is given; no I/O, no clocks. Whatever a node sends is read within limits
//! ([`schemas::limits::traces`]) or refused with a reason; nothing panics, and nothing recurses deeper than the EVM's calls do. What
//! contracts say is cleaned of control characters and cut before it stands in a sentence. Which row of the table said the class is
//! always told.

mod building;
mod by;
mod cause;
mod frame;
mod geth;
mod json;
mod parity;
mod said;
mod sentence;
mod table;
mod text;
mod tree;
mod values;
mod verdict;
mod way;

use alloy_primitives::{Address, U256};
use schemas::limits::traces as limits;

pub use self::{
    cause::Cause,
    frame::{CallKind, Frame, TraceError},
    table::Table,
};
use crate::Abi;

/// ABIs that are known of contracts.
pub trait Abis {
    /// Those with which errors and calls of a contract are read, best first; of a proxy those of what stands behind it too.
    fn of(&self, address: Address) -> Vec<&Abi>;
}

/// Nothing is known.
impl Abis for () {
    fn of(&self, _: Address) -> Vec<&Abi> {
        Vec::new()
    }
}

/// What the transaction and its receipt say of one that failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failed<'a> {
    /// Who sent it.
    pub from: Address,
    /// Whom it calls; `None` where it was to make a contract.
    pub to: Option<Address>,
    /// What is sent along, in the chain's smallest unit.
    pub value: U256,
    /// Its calldata.
    pub input: &'a [u8],
    /// Its gas limit.
    pub gas: u64,
    /// The gas that it used.
    pub gas_used: u64,
    /// Its block's time, in seconds since 1970, where known: a deadline that stands in the call is compared to it.
    pub block_time: Option<u64>,
    /// What calls of the same function of the same contract failed of last, where evidence told it: for
    /// [`by_receipt`], which passes it on as approximate.
    pub same_call: Option<(Cause, &'a str)>,
}

/// How a node answered when the call was made again at the parent block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAnswer {
    /// It went well there.
    Returned,
    /// It did not.
    Refused {
        /// The node's message.
        message: String,
        /// The data that came with it; empty where none did.
        data: Vec<u8>,
    },
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The class.
    pub cause: Cause,
    /// The sentence, at most [`schemas::limits::traces::REASON_BYTES`].
    pub reason: String,
    /// Which row of the table matched: `text:Too little received`; `read:…` where it is none of the table.
    pub rule: String,
    /// Whether it need not be what happened: the call was made elsewhere, or only the receipt is known.
    pub approximate: bool,
    /// Whom the transaction called.
    pub entry: Option<Address>,
    /// Whose code failed.
    pub frame: Option<Address>,
    /// How many calls deep that is; 0 is the transaction itself.
    pub depth: u16,
    /// The node's word, cleaned.
    pub error: Option<String>,
    /// Selector of the error, of what is inside where one wraps another.
    pub error_selector: Option<[u8; 4]>,
    /// What came back, the first KiB.
    pub output: Vec<u8>,
    /// The error's signature, where it is known.
    pub error_signature: Option<String>,
    /// Its arguments, JSON as [`crate::Decoded::arguments`].
    pub error_arguments: Option<String>,
    /// The calls on the way to the one that failed, and those beside it: JSON of at most
    /// [`schemas::limits::traces::TREE_BYTES`], `{type, to, value, gas, gas_used, method, error?, failed_here?, calls[]}`.
    pub calls: Option<String>,
}

/// What an error is called by other ABIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The class.
    pub cause: Cause,
    /// The sentence.
    pub reason: String,
    /// The row that matched.
    pub rule: String,
    /// Its signature.
    pub signature: String,
    /// Its arguments as JSON.
    pub arguments: String,
}

/// Reads a `callTracer` result of one transaction, of any client.
///
/// # Errors
/// What is no such trace, or over a limit.
pub fn call_tracer(json: &[u8]) -> Result<Frame, TraceError> {
    geth::read(json)
}

/// Reads what `trace_transaction` gave: a flat list of one transaction's calls.
///
/// # Errors
/// What is no such trace, or over a limit.
pub fn parity(json: &[u8]) -> Result<Frame, TraceError> {
    parity::read(json)
}

/// Why it failed, by its trace.
pub fn by_trace(frame: &Frame, tx: &Failed<'_>, abis: &dyn Abis, table: &Table) -> Finding {
    by::trace(frame, tx, abis, table)
}

/// Why it failed, by the same call made again at its block's parent: approximate, since what stood before it in the block is missing.
pub fn by_call(answer: &CallAnswer, tx: &Failed<'_>, abis: &dyn Abis, table: &Table) -> Finding {
    by::call(answer, tx, abis, table)
}

/// Why it failed, as far as the transaction and its receipt tell.
pub fn by_receipt(tx: &Failed<'_>, table: &Table) -> Finding {
    by::receipt(tx, table)
}

/// Names what came back with other ABIs, such as a tenant's: `None` where they know nothing of it. `abis` alone are asked, in their
/// order; `output` is a finding's, or what stands in a row.
pub fn name_again(output: &[u8], abis: &[&Abi], table: &Table) -> Option<Named> {
    by::again(output, abis, table)
}

impl CallAnswer {
    /// Of a JSON-RPC error: its message, and its `data`, in which clients put what came back as `0x…` or behind `Reverted `.
    pub fn of_error(message: &str, data: Option<&str>) -> Self {
        let hex = data.map(str::trim).map(|data| data.strip_prefix("Reverted ").unwrap_or(data));
        let hex = hex.and_then(|data| data.strip_prefix("0x")).unwrap_or_default();
        let hex = hex.get(..hex.len().min(2 * limits::OUTPUT_BYTES)).unwrap_or_default();
        let data = alloy_primitives::hex::decode(hex).unwrap_or_default();
        Self::Refused { message: text::cleaned(message, limits::ERROR_BYTES), data }
    }
}
