//! A call inside of a transaction, as traces tell it.

use alloy_primitives::{Address, U256};

/// What kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallKind {
    /// `CALL`, and what no other word stands for.
    #[default]
    Call,
    /// `STATICCALL` (EIP-214).
    StaticCall,
    /// `DELEGATECALL` (EIP-7): another's code at work on the caller's account.
    DelegateCall,
    /// `CALLCODE`.
    CallCode,
    /// `CREATE`.
    Create,
    /// `CREATE2` (EIP-1014).
    Create2,
    /// `SELFDESTRUCT`.
    SelfDestruct,
}

impl CallKind {
    /// As geth writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Call => "CALL",
            Self::StaticCall => "STATICCALL",
            Self::DelegateCall => "DELEGATECALL",
            Self::CallCode => "CALLCODE",
            Self::Create => "CREATE",
            Self::Create2 => "CREATE2",
            Self::SelfDestruct => "SELFDESTRUCT",
        }
    }

    /// Of a client's word, however it is written.
    pub(crate) fn of(word: &str) -> Self {
        let all =
            [Self::StaticCall, Self::DelegateCall, Self::CallCode, Self::Create2, Self::Create, Self::SelfDestruct];
        match all.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word)) {
            Some(kind) => kind,
            None if word.eq_ignore_ascii_case("suicide") => Self::SelfDestruct,
            None => Self::Call,
        }
    }

    /// Whether the code runs on the caller's account.
    pub const fn is_delegated(self) -> bool {
        matches!(self, Self::DelegateCall | Self::CallCode)
    }

    /// Whether it makes a contract.
    pub const fn is_creation(self) -> bool {
        matches!(self, Self::Create | Self::Create2)
    }
}

/// A call. Of one that went well its calls are not kept, nor its calldata behind the selector, nor what it gave back: none of it can
/// be why the transaction failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// What kind of call.
    pub kind: CallKind,
    /// Who calls.
    pub from: Address,
    /// Whose code runs; `None` where a contract was to be made.
    pub to: Option<Address>,
    /// What is sent along, in the chain's smallest unit. Of a `DELEGATECALL` nothing is sent, whatever a client writes.
    pub value: U256,
    /// Gas that it was given.
    pub gas: u64,
    /// Gas that it used; of the transaction itself some clients write the receipt's.
    pub gas_used: u64,
    /// Calldata or init code, the first KiB.
    pub input: Vec<u8>,
    /// How long that is.
    pub input_len: usize,
    /// What a failed call gave back, the first 8 KiB.
    pub output: Vec<u8>,
    /// How long that is.
    pub output_len: usize,
    /// Whether the node said what it gave back, be it nothing.
    pub output_told: bool,
    /// The node's word for what went wrong, cleaned; there exactly where the call failed.
    pub error: Option<String>,
    /// What the node read in the output, cleaned.
    pub revert_reason: Option<String>,
    /// What it called, in order.
    pub calls: Vec<Frame>,
    /// How many of the older calls that went well are not there.
    pub left_out: u32,
}

/// A trace that is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// It is no JSON, or was cut off.
    #[error("is no whole JSON: {0}")]
    Json(String),
    /// It is `null`, or holds no call.
    #[error("holds no call")]
    Nothing,
    /// It is JSON and no trace of one transaction.
    #[error("is no trace of one transaction: {0}")]
    Shape(&'static str),
    /// It is longer than [`schemas::limits::traces::TRACE_BYTES`].
    #[error("has {0} bytes, and no more than {max} are read", max = schemas::limits::traces::TRACE_BYTES)]
    TooLong(usize),
    /// Calls nest deeper than [`schemas::limits::traces::DEPTH`].
    #[error("nests deeper than {max} calls", max = schemas::limits::traces::DEPTH)]
    TooDeep,
    /// Its failed calls would take more memory than [`schemas::limits::traces::FRAMES_BYTES`].
    #[error("has failed calls of more than {max} bytes", max = schemas::limits::traces::FRAMES_BYTES)]
    TooLarge,
}
