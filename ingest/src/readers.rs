//! How far the readers of a partition are behind what is written (rules 5, 12, 27).
//!
//! Guarantee: what is filled in beside the stream never piles up before a live block: while enrich or the sink are more than
//! [`limits::FILL_AHEAD_RECORDS`] records behind on the partition, nothing more is filled. So retention overtakes nobody either. A group
//! that has no position (it was never there) is not waited for, nor one that cannot be asked about.

use std::{sync::Arc, time::Duration};

use runtime::log::{Lag, Log};
use schemas::{limits, topics::READING_GROUPS};
use tokio::{sync::Mutex, time::Instant};

/// How old an answer may be.
const FRESH: Duration = Duration::from_millis(200);
/// The longest that an answer is waited for.
const WITHIN: Duration = Duration::from_secs(5);

/// The readers of one partition. Clones are the same.
#[derive(Clone)]
pub struct Readers(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    partition: u32,
    known: Mutex<Option<(Instant, u64)>>,
}

impl Readers {
    /// Those of a partition.
    pub fn new(log: Arc<dyn Log>, partition: u32) -> Self {
        Self(Arc::new(Inner { log, partition, known: Mutex::default() }))
    }

    /// Records that they have still to read, together.
    pub async fn behind(&self) -> u64 {
        let mut known = self.0.known.lock().await;
        if let Some((at, behind)) = *known
            && at.elapsed() < FRESH
        {
            return behind;
        }
        let mut behind = 0;
        for reader in READING_GROUPS {
            // Headers are few beside their children.
            let (group, &[_, children]) = (reader.group, reader.topics) else { continue };
            let topics = [children.name];
            let asked = tokio::time::timeout(WITHIN, self.0.log.lag(group, &topics)).await;
            match asked {
                Ok(Ok(lags)) => {
                    let here = |lag: &&Lag| lag.at.partition == self.0.partition && lag.position.is_some();
                    behind += lags.iter().find(here).map_or(0, Lag::offsets);
                }
                Ok(Err(error)) => tracing::debug!(%error, group, "how far a reader is behind is not known"),
                Err(_) => tracing::debug!(group, "how far a reader is behind is not known in time"),
            }
        }
        *known = Some((Instant::now(), behind));
        behind
    }

    /// Whether they are so far behind that nothing more is filled in.
    pub async fn are_behind(&self) -> Option<u64> {
        Some(self.behind().await).filter(|behind| *behind > limits::FILL_AHEAD_RECORDS)
    }
}
