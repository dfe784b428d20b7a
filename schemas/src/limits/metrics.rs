//! Questions about figures: how much one answer holds, and how long answers are given again.

use std::time::Duration;

/// Points of one series: a day of minutes, and some more.
pub const SERIES_POINTS: u32 = 1_500;
/// Series of one answer.
pub const SERIES: usize = 16;
/// Points of all series of one answer.
pub const ANSWER_POINTS: usize = 16_000;
/// Points of a series where the beginning is left out.
pub const SERIES_POINTS_DEFAULT: i64 = 60;
/// Networks of one overview.
pub const OVERVIEW_NETWORKS: usize = 256;
/// Networks that one overview asks the store for at the same time.
pub const OVERVIEW_AT_ONCE: usize = 4;
/// For how long an answer is given again: in any case, and at most, while the network has no newer block.
pub const KEPT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// For how long a diagnosis is given again: it rests on endpoints and on the clock, too.
pub const DIAGNOSIS_KEPT: Duration = Duration::from_secs(5);
/// Bytes of the answers that one process keeps.
pub const KEPT_BYTES: u64 = 32 << 20;
/// Answers that it keeps at most.
pub const KEPT_ANSWERS: usize = 16_384;
/// Groups of failures in which a diagnosis looks for the contract that most of them called.
pub const DIAGNOSIS_GROUPS: u32 = 200;
/// Present windows that one process holds for its WebSocket connections: how many, and bytes. Of contracts beyond them none is held.
pub const LIVE_WINDOWS: (usize, usize) = (65_536, 96 << 20);
/// Windows that came of late, which its connections read: how many, and bytes.
pub const RECENT_WINDOWS: (usize, usize) = (16_384, 16 << 20);
/// How often a connection looks whether who opened it still has the contracts whose windows it follows.
pub const CONTRACTS_LOOK: Duration = Duration::from_secs(3);
/// Records of each partition of `metrics.windows` that are read back when following it begins.
pub const WINDOWS_READ_BACK: u64 = 20_000;
