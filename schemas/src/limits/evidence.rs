//! Evidence of why transactions failed, as nodes give it: traces, and calls in their place (`nodes/src/evm/trace`). Bytes unless the name says
//! otherwise.

use std::time::Duration;

/// One transaction's trace. Of a larger one the outermost call alone is asked for.
pub const TRANSACTION_BYTES: usize = 8 << 20;
/// What is kept of one block's traces, together; those behind are asked for one by one.
pub const BLOCK_BYTES: usize = 16 << 20;
/// What is read of an answer with a whole block's traces, most of which is passed over at once.
pub const ANSWER_BYTES: usize = 512 << 20;
/// Answers with traces that one process reads at the same time, of all networks.
pub const AT_ONCE: usize = 4;
/// Transactions of one block that one question asks for.
pub const WANTED: usize = 512;
/// The error object of an answer; what a call returned when it failed lies in there as hex.
pub const ERROR_BYTES: usize = 256 << 10;
/// What is read of an answer to a call; what it returns is not kept.
pub const CALL_BYTES: usize = 4 << 20;
/// What is kept of what a call returned when it failed.
pub const REVERT_BYTES: usize = 32 << 10;
/// What is kept of a node's words on a failed call or trace.
pub const WORDS_BYTES: usize = 1 << 10;
/// How long a node is told that it may take for one transaction …
pub const NODE_TAKES: Duration = Duration::from_secs(10);
/// … how long one answer may take, from sending to its last byte …
pub const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// … and how long one question may, all endpoints and waiting for limits included.
pub const WITHIN: Duration = Duration::from_secs(60);
