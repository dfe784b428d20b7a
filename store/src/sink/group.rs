//! The sink's consumer group, and how it reads.

use std::time::Duration;

use schemas::topics;

/// The sink's consumer group.
pub const GROUP: &str = "sink";
/// Its topics.
pub const TOPICS: [&str; 2] = [topics::ENRICHED_BLOCKS.name, topics::ENRICHED_TRANSACTIONS.name];

/// Events and bytes that are asked for at once.
pub(super) const READ: (usize, usize) = (64, 4 << 20);
/// Pause before a log that did not answer is asked again.
pub(super) const LOG_PAUSE: Duration = Duration::from_millis(500);
