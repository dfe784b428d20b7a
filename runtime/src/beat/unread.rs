//! How near retention has come to what a stage has still to read (rule 12), from what the brokers tell: the ends of each
//! partition, the group's position, and what the stage has read so far.
//!
//! Before retention has removed anything of a partition its ends tell nothing; then the time since the last event that was read
//! was written, and the bytes of a record so far, stand for it.

use std::{sync::Arc, time::Duration};

use schemas::{TimeMs, topics::TopicSpec};

use super::Board;
use crate::log::{Lag, Log, LogError, events::Event};

/// From here on it is said: half of what is kept is unread.
pub const WARN_PERCENT: u32 = 50;
/// How often the log is asked.
const EVERY: Duration = Duration::from_secs(15);

/// What was read of a partition so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Read {
    /// When the newest event that was read was written.
    written_at: Option<TimeMs>,
    /// Records and bytes of the topic of headers.
    headers: (u64, u64),
    /// The same of their children.
    children: (u64, u64),
}

impl Read {
    pub fn add(&mut self, event: &Event) {
        let bytes = event.header.value.as_ref().map_or(0, |v| v.len() as u64);
        self.written_at = Some(event.header.timestamp);
        self.headers = (self.headers.0 + 1, self.headers.1 + bytes);
        self.children.0 += event.children.len() as u64;
        self.children.1 += event.bytes() as u64 - bytes;
    }
}

/// What of a topic a group has not read, in per cent of what retention keeps.
pub(crate) fn percent(lag: &Lag, spec: &TopicSpec, (records, bytes): (u64, u64), behind: Option<Duration>) -> u32 {
    let unread = lag.offsets();
    if unread == 0 {
        return 0;
    }
    let of = |part: u128, whole: u128| u32::try_from(part * 100 / whole.max(1)).unwrap_or(u32::MAX);
    // A position below the oldest record: some of it is gone already.
    let gone = lag.position.is_some_and(|at| at < lag.ends.low);
    let by_offsets = match (gone, lag.ends.low) {
        (true, _) => 100,
        (false, 0) => 0,
        (false, low) => of(u128::from(unread), u128::from(lag.ends.high - low)),
    };
    let mean = bytes.checked_div(records).unwrap_or(0);
    let by_bytes = spec.retention_bytes.map_or(0, |kept| of(u128::from(unread) * u128::from(mean), u128::from(kept)));
    let by_time = match (spec.retention, behind) {
        (Some(kept), Some(behind)) => of(behind.as_millis(), kept.as_millis()),
        _ => 0,
    };
    by_offsets.max(by_bytes).max(by_time)
}

/// Asks again and again, until dropped; for a group over a topic of headers and a topic of their children.
pub(super) async fn watch(board: Board, log: Arc<dyn Log>, group: &'static str, input: [TopicSpec; 2]) {
    if !log.removes_unread() {
        return;
    }
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = look(&board, &*log, group, &input).await {
            tracing::debug!(%error, group, "how much is unread cannot be told now");
        }
    }
}

/// Asks once.
pub(crate) async fn look(
    board: &Board,
    log: &dyn Log,
    group: &'static str,
    input: &[TopicSpec; 2],
) -> Result<(), LogError> {
    let lags = log.lag(group, &input.map(|t| t.name)).await?;
    let mut worst = std::collections::BTreeMap::<u32, u32>::new();
    for lag in lags.iter().filter(|lag| board.holds(lag.at.partition)) {
        let read = board.read(lag.at.partition);
        let (spec, tally) = match lag.at.topic == input[0].name {
            true => (&input[0], read.headers),
            false => (&input[1], read.children),
        };
        let behind =
            read.written_at.map(|at| Duration::from_millis(TimeMs::now().0.saturating_sub(at.0).max(0) as u64));
        let percent = percent(lag, spec, tally, behind);
        crate::metrics::unread(group, lag.at.topic, lag.at.partition, percent);
        if percent > WARN_PERCENT {
            tracing::warn!(
                group,
                topic = lag.at.topic,
                partition = lag.at.partition,
                percent,
                "so much of what the log keeps is unread: at 100 retention removes what is still to be read"
            );
        }
        let entry = worst.entry(lag.at.partition).or_default();
        *entry = percent.max(*entry);
    }
    worst.into_iter().for_each(|(partition, percent)| board.unread(partition, percent));
    Ok(())
}

#[cfg(test)]
mod tests {
    use schemas::topics::RAW_TRANSACTIONS;

    use super::*;
    use crate::log::{TopicPartition, Watermarks};

    const GIB: u64 = 1 << 30;

    fn lag(position: Option<u64>, low: u64, high: u64) -> Lag {
        let at = TopicPartition { topic: RAW_TRANSACTIONS.name, partition: 0 };
        Lag { at, position, ends: Watermarks { low, high } }
    }

    #[test]
    fn half_of_what_is_kept_is_told_by_offsets_bytes_or_time() {
        let unknown = (0, 0);
        let of = |lag: Lag, tally, behind| percent(&lag, &RAW_TRANSACTIONS, tally, behind);
        assert_eq!(of(lag(Some(900), 500, 1_000), unknown, None), 20);
        assert_eq!(of(lag(Some(700), 500, 1_000), unknown, None), 60);
        assert_eq!(of(lag(Some(499), 500, 1_000), unknown, None), 100, "retention has passed it");
        assert_eq!(of(lag(None, 500, 1_000), unknown, None), 100, "nothing was ever read of it");
        // Nothing was removed yet: 4 GiB are kept, 1 KiB a record.
        assert_eq!(of(lag(None, 0, 1_000), unknown, None), 0);
        assert_eq!(of(lag(Some(0), 0, 3 * GIB / 1_024), (10, 10_240), None), 75);
        // A week is kept.
        let days = |n: u64| Some(Duration::from_secs(n * 24 * 3_600));
        assert_eq!(of(lag(Some(5), 0, 1_000), unknown, days(5)), 71);
        assert_eq!(of(lag(Some(1_000), 0, 1_000), (10, 10_240), days(6)), 0, "all is read: the chain is slow");
    }
}
