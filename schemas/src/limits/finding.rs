//! Lists of failures, searches, and causes that come live: how much one answer or process holds of them.

use std::time::Duration;

/// Groups of one answer about failures: at most, and by default.
pub const FAILURE_GROUPS: (u32, u32) = (200, 50);
/// Transactions that failed alike, of one answer: at most, and by default.
pub const SIMILAR: (u32, u32) = (50, 10);
/// What one search gives.
pub const SEARCH_ITEMS: usize = 20;
/// Bytes of what is searched for; a pasted address of an explorer's page fits.
pub const SEARCH_BYTES: usize = 256;
/// Networks that one search looks into.
pub const SEARCH_NETWORKS: usize = 256;
/// How long a failed transaction without a final cause still waits for one after the causes' consumer has given it up at the latest: the
/// way from the block's time to the consumer, and from there to the row.
pub const CAUSE_ON_ITS_WAY: Duration = Duration::from_secs(5 * 60);
/// Live causes that one process holds for its WebSocket connections: how many, and their bytes.
pub const LIVE_CAUSES: (usize, usize) = (8_192, 8 << 20);
/// Live causes of one connection that wait until their transactions have been sent; the oldest go first.
pub const WAITING_CAUSES: usize = 1_024;
/// Causes that came so long before a subscription are told to it once more: the rows that it replays may not have had them yet.
pub const CAUSES_AGAIN: Duration = Duration::from_secs(60);
/// Records of each partition that are read back when following causes begins.
pub const CAUSES_READ_BACK: u64 = 256;
/// Before and after a block's time: what endpoints did then is told of their state at it.
pub const ENDPOINTS_AROUND: Duration = Duration::from_secs(60);
/// Endpoints of one such answer.
pub const ENDPOINTS_AT: u32 = 200;
