//! Where to begin to read what partitions hold last.

use std::collections::HashMap;

use super::{Log, LogError, TopicPartition};

/// Places to read from so that of each of these partitions the last `back` records come first, or all where there are fewer; and
/// where each ends now: what lies below was there before whoever asks. One question to the log for all of them.
///
/// # Errors
/// What the log says.
pub async fn last(
    log: &dyn Log,
    of: &[TopicPartition],
    back: u64,
) -> Result<(Vec<(TopicPartition, u64)>, HashMap<TopicPartition, u64>), LogError> {
    let marks = log.ends(of).await?;
    let from = of.iter().zip(&marks).map(|(at, marks)| (*at, marks.low.max(marks.high.saturating_sub(back)))).collect();
    Ok((from, of.iter().zip(&marks).map(|(at, marks)| (*at, marks.high)).collect()))
}
