//! A program of the operator's: what it is called with; running it is [`super::super::program`].

use std::time::Duration;

use schemas::limits::alerts as limits;

use super::Outgoing;

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The program.
    pub path: String,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// After so long it is ended.
    pub within: Duration,
    /// What it reads: the body of a webhook.
    pub input: Vec<u8>,
    /// The message's id.
    pub id: String,
    /// The message's type.
    pub kind: String,
}

pub(super) fn call(path: &str, arguments: &[String], timeout_ms: u64, out: &Outgoing<'_>) -> Call {
    Call {
        path: path.to_owned(),
        arguments: arguments.to_vec(),
        within: Duration::from_millis(timeout_ms).min(limits::SCRIPT_DEADLINE_MOST),
        input: out.json(),
        id: out.id.to_owned(),
        kind: out.kind.to_owned(),
    }
}
