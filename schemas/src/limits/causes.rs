//! Causes of failures (rule 14): what one record may hold, and how many wait.

use std::time::Duration;

/// The sentence of a cause, in bytes.
pub const REASON_BYTES: usize = 512;
/// What the failing frame gave back: so many bytes of it are kept.
pub const OUTPUT_BYTES: usize = 1_024;
/// The calls around the failing frame, as JSON, in bytes.
pub const CALLS_BYTES: usize = 8 << 10;
/// The node's words of a frame, or the name of a rule or a group, in bytes.
pub const WORDS_BYTES: usize = 256;
/// Arguments of an error as JSON, in bytes.
pub const ARGUMENTS_BYTES: usize = 4 << 10;
/// Revisions of a row that causes may have (rule 16): above the row as its event made it, below its deletion.
pub const REVISIONS: std::ops::RangeInclusive<u8> = 1..=254;

/// Causes of one partition that the sink holds until their block's rows are stored, and bytes of them; beyond it, it reads no further there.
pub const WAITING: (usize, usize) = (4_096, 8 << 20);
/// How long a network whose rows do not come may keep others of its partition waiting before its causes are passed over, and read again
/// once its rows come.
pub const WAITING_FOR_ROWS: Duration = Duration::from_secs(60);
/// The age, by [`EnrichedCause::found_at`](crate::records::EnrichedCause), at which a cause without rows is given up: the topic's retention.
pub const GIVEN_UP: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Groups of failures of one step of a question about them, of which there are about ten; of more the smallest are counted, not told.
pub const GROUPS: usize = 4_000;
/// Equal parts of its time in which such an answer counts each group.
pub const TREND_PARTS: usize = 24;
/// Occurrences of a hash or a height, over all networks, that one search gives.
pub const FOUND: u32 = 20;

/// Failed transactions that wait for evidence, per process; of more the oldest get their record without.
pub const FAILURES_WAITING: usize = 20_000;
/// Bytes of them, about.
pub const FAILURES_WAITING_BYTES: usize = 64 << 20;
/// How long one may wait for evidence: what the configuration may say.
pub const GIVE_UP_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3_600));
/// Failures of one group (network, contract, method, whether all gas was used) of which evidence is asked for within a minute; the rest are
/// told by those.
pub const SAMPLED: u32 = 20;
/// How long what a group failed of last is good for telling others of it.
pub const SAMPLE_KEPT: Duration = Duration::from_secs(600);
/// Groups that are counted, per partition; of more those go that were not seen for longest.
pub const GROUPS_COUNTED: usize = 10_000;
/// Blocks of one network for whose failures evidence is asked for at once.
pub const BLOCKS_AT_ONCE: usize = 2;
/// Decided causes that are remembered when a partition is taken over: what is older than all of these is decided too.
pub const DECIDED: usize = 500_000;
/// Failed transactions of one partition that are taken from dead letters; more are not told.
pub const LETTERS: usize = 100_000;
/// Bytes of a dead letter in parts that is put together for its cause, and how many may be incomplete at a time; a failed transaction
/// has no logs, so that its record is hardly more than its calldata.
pub const LETTER_PARTS: (usize, usize) = (16 << 20, 4);
