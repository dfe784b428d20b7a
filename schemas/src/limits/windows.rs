//! Windows and the sketches in them (rule 15).

use std::time::Duration;

/// Bytes of one sketch.
pub const SKETCH_BYTES: usize = 2 << 10;
/// Bins of a sketch of prices; more are joined, all of them two by two.
pub const BINS: usize = 512;
/// Tokens in which fees were paid, told one by one in a block or a window; of more none is told by itself.
pub const FEE_TOKENS: usize = 64;
/// Sizes of windows, in seconds: a minute, five, an hour, a day. Each is a whole number of the one before.
pub const SECONDS: [u32; 4] = [60, 300, 3_600, 86_400];
/// How long after a contract's record in `control.config` every block is looked through for it, by the block's own time: until then a
/// process may not have read the record yet, or the chain's clock may be ahead of ours.
pub const WATCHED_MARGIN: Duration = Duration::from_secs(120);
/// Bytes of the sums of watched contracts in one block's record: below what every broker takes. Contracts beyond it are left out, those
/// with the fewest transactions first.
pub const CONTRACTS_BYTES: usize = 640 << 10;
