//! Of traces of transactions, and of what is read from them (`decode::causes`).

/// One trace as a node sent it, JSON; what is longer is not read.
pub const TRACE_BYTES: usize = 128 << 20;
/// How deep calls may nest: the EVM's own limit (EIP-150 left 1,024 in place) and the transaction itself.
pub const DEPTH: usize = 1_025;
/// Memory that the frames of one trace may take. Of calls that went well only their first line is kept.
pub const FRAMES_BYTES: usize = 32 << 20;
/// Calls of one frame after which the older ones that went well are dropped (counted), down to half of it.
pub const SIBLINGS: usize = 512;
/// Of a frame's calldata.
pub const INPUT_BYTES: usize = 1 << 10;
/// Of what a failed frame gave back: enough for errors that wrap errors.
pub const OUTPUT_BYTES: usize = 8 << 10;
/// Of what a finding passes on of it.
pub const FOUND_OUTPUT_BYTES: usize = 1 << 10;
/// A node's word for what went wrong.
pub const ERROR_BYTES: usize = 256;
/// The sentence for people.
pub const REASON_BYTES: usize = 512;
/// What a contract's text or an argument may take of the sentence.
pub const VALUE_BYTES: usize = 160;
/// The name of the row that matched.
pub const RULE_BYTES: usize = 128;
/// An error's arguments, as JSON; more are left out.
pub const ERROR_ARGUMENTS_BYTES: usize = 4 << 10;
/// An error's signature; longer ones are cut.
pub const ERROR_SIGNATURE_BYTES: usize = 512;
/// The call tree, as JSON.
pub const TREE_BYTES: usize = 8 << 10;
/// Levels of it: of a longer way to the frame that failed the middle is left out.
pub const TREE_LEVELS: usize = 20;
/// Errors inside of errors that are unwrapped.
pub const WRAPPED: usize = 8;
/// A table of causes, in bytes.
pub const TABLE_BYTES: usize = 1 << 20;
/// Its rows and patterns.
pub const TABLE_ROWS: usize = 10_000;
