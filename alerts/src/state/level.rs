//! Whether everything that was found so far has been read: only then does a timer say that something still holds.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use runtime::log::Log;
use schemas::topics;
use tokio::time::{Instant, timeout};

use crate::matching;

/// How often it is looked, and how long that may take: what comes meanwhile waits for it.
const LOOK: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_millis(250);
/// Looks whose ends are kept. The oldest counts: the group before this one says only every two seconds how far it has read.
const ENDS: usize = 4;
/// Offsets that may lie between what that group has read and what was there at that look: ends of transactions are offsets, too.
const AHEAD: u64 = 64;
/// Looks in a row at which it was so: a group that comes back after a while is through with so few within them.
const LOOKS: u32 = 3;
/// What was so when it was last looked, and that is longer ago than this, says nothing any more.
const STALE: Duration = Duration::from_secs(5);

/// By partition of `enriched.blocks`: one that is behind holds up no other's networks. However fast blocks come, back-filled ones too, what
/// was there four looks ago is read where somebody keeps up.
#[derive(Debug, Default)]
pub struct Level {
    looked: Option<Instant>,
    /// The oldest first.
    ends: BTreeMap<u32, VecDeque<u64>>,
    good: BTreeMap<u32, u32>,
}

impl Level {
    /// Looks, where it is time to. `asked`: somebody wants to know; whoever asks anew is told what is so from now on. `drained`: there is time.
    pub async fn look(&mut self, log: &dyn Log, asked: bool, drained: bool) {
        let ago = self.looked.map(|looked| looked.elapsed());
        if !asked || ago.is_some_and(|ago| ago > STALE) {
            self.forget();
        }
        if !asked || !drained || ago.is_some_and(|ago| ago < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let lags = timeout(ANSWER, log.lag(matching::GROUP, &[topics::ENRICHED_BLOCKS.name])).await;
        let Ok(Ok(lags)) = lags else { return self.forget() };
        for lag in lags {
            self.seen(lag.at.partition, lag.position.unwrap_or(lag.ends.low), lag.ends.high);
        }
    }

    /// A partition is read up to a position, and has an end.
    fn seen(&mut self, partition: u32, read: u64, end: u64) {
        let ends = self.ends.entry(partition).or_default();
        let good = self.good.entry(partition).or_default();
        let is_read = ends.front().is_some_and(|end| read.saturating_add(AHEAD) >= *end);
        *good = if is_read { good.saturating_add(1) } else { 0 };
        ends.push_back(end);
        if ends.len() > ENDS {
            ends.pop_front();
        }
    }

    fn forget(&mut self) {
        self.good.clear();
        self.ends.clear();
    }

    /// Whether it is so of a partition.
    pub fn of(&self, partition: u32) -> bool {
        self.good.get(&partition).is_some_and(|good| *good >= LOOKS)
    }

    /// Whether it is so of all.
    pub fn all(&self) -> bool {
        !self.good.is_empty() && self.good.values().all(|good| *good >= LOOKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four hundred offsets a second, and positions every two seconds.
    #[test]
    fn whoever_keeps_up_is_level_and_whoever_is_away_is_not() {
        let mut level = Level::default();
        for second in 1..20_u64 {
            let read = (second - second % 2).saturating_sub(1);
            level.seen(0, 400 * read, 400 * second);
            assert_eq!(level.of(0), second > 3, "after {second} s");
        }
        for second in 20..40_u64 {
            level.seen(0, 400 * 18, 400 * second);
        }
        assert!(!level.of(0) && !level.all());
        // It reads a thousand a second: level only when it is through.
        for second in 40..90_u64 {
            let read = 400 * 18 + 1_000 * (second - 40);
            level.seen(0, read.min(400 * second), 400 * second);
            assert!(!level.of(0) || read + 5 * 400 >= 400 * second, "after {second} s");
        }
        assert!(level.all());
        level.forget();
        assert!(!level.of(0) && !level.all());
    }
}
