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
/// How long after somebody added a contract he is told of its windows, by their beginning: [`WATCHED_MARGIN`], and a minute in which that is
/// published. So he sees the same whether somebody else had it before or nobody.
pub const TOLD_MARGIN: Duration = Duration::from_secs(180);
/// Bytes of the sums of watched contracts in one block's record: below what every broker takes. Contracts beyond it are left out, those
/// with the fewest transactions first.
pub const CONTRACTS_BYTES: usize = 640 << 10;
/// Between two blocks of a network, in milliseconds: the windows between them are told as empty up to this long a silence, a day.
pub const SILENCE_MS: i64 = 24 * 3_600 * 1_000;
/// Minutes of one network that are held until no block can fall into them, empty ones included: of a chain with few blocks, none of which is
/// ever final, no more silent minutes are told.
pub const MINUTES: usize = 100_000;
/// Events of a network without a filled block after which a run of filled blocks is over: windows that it has begun stay with the rows.
pub const FILL_IDLE_EVENTS: u64 = 20_000;
/// How long a record may stay needed by the stage that merges windows, in milliseconds by the log's times: four days, below what chain topics
/// keep. A network that has stood still for longer has incomplete windows after the next start.
pub const NEEDED_MS: i64 = 4 * 24 * 3_600 * 1_000;
/// Records of `metrics.windows` that are read back, at most, where events were lost that nobody had read: which of the windows that were
/// published may not be right any more.
pub const LOOK_BACK: u64 = 1_000_000;
/// The least between two records of a network's window that is still open …
pub const OPEN_EVERY: Duration = Duration::from_secs(1);
/// … and of those of its contracts.
pub const CONTRACTS_OPEN_EVERY: Duration = Duration::from_secs(10);
/// Steps of one answer about figures over time: a day of minutes, a week of five minutes, a quarter of hours, six years of days.
pub const STEPS: i64 = 2_200;
/// The longest time that one overview adds up, in milliseconds: 32 days.
pub const OVERVIEW_MS: i64 = 32 * 86_400_000;
/// Steps and causes that one part of an answer about causes over time counts.
pub const CAUSE_LINES: u32 = 100_000;
/// Milliseconds that windows may be behind the blocks that are stored, beside the minute at the head: what is later is read from rows.
pub const WINDOWS_LATE_MS: i64 = 10_000;
