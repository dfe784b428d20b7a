//! What was decided already, when a partition is taken over.
//!
//! Guarantee: every record of `enriched.causes` is known that belongs behind the position which the stream is read on from. Records name
//! how far the stream had been read when they were written ([`READ`]), which never falls; read back is until one that had not seen the
//! position yet: whoever had not read a failure cannot have decided it.

use std::collections::{HashMap, HashSet};

use runtime::log::{Log, LogError, LogErrorKind, Record, TopicPartition, fold_from};
use schemas::{Network, headers::ChainHeaders, limits::causes as limits, topics};
use tokio::time::Instant;

use super::record::READ;
use crate::causes::rejoin::{CALL_DEADLINE, RETRY_FIRST};

/// Offsets that are read back at first.
const FIRST: u64 = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub struct Before {
    /// How far the stream was read.
    pub read: u64,
    decided: HashSet<(Network, u64, u32)>,
    /// Of which network what is older than the oldest that is known is decided too, since no more could be read back.
    floors: HashMap<Network, u64>,
}

impl Before {
    /// Whether a transaction of an event has its record.
    pub fn has(&self, network: &Network, sequence: u64, index: u32) -> bool {
        let below = self.floors.get(network).is_some_and(|floor| sequence < *floor);
        below || !self.decided.is_empty() && self.decided.contains(&(network.clone(), sequence, index))
    }

    /// All that was read before is read again.
    pub fn forget(&mut self) {
        if !self.decided.is_empty() || !self.floors.is_empty() {
            (self.decided, self.floors) = Default::default();
        }
    }

    /// Takes a record; false where it was written before `position` had been read.
    fn take(&mut self, record: &Record, position: u64, last: &mut Option<Network>) -> bool {
        let Ok(headers) = ChainHeaders::parse_near(|name| record.header(name), last.as_ref()) else { return true };
        *last = Some(headers.network.clone());
        let read =
            record.header(READ).and_then(|read| std::str::from_utf8(read).ok()?.parse().ok()).unwrap_or(u64::MAX);
        if read != u64::MAX {
            self.read = self.read.max(read);
        }
        if read > position
            && let Some(index) = headers.index
        {
            self.decided.insert((headers.network, headers.sequence, index));
        }
        read > position
    }

    fn stop_here(&mut self) {
        for (network, sequence, _) in &self.decided {
            let floor = self.floors.entry(network.clone()).or_insert(*sequence);
            *floor = (*floor).min(*sequence);
        }
    }
}

/// Reads what was decided behind a position of a partition of the stream.
///
/// # Errors
/// What the log says.
pub async fn read_back(log: &dyn Log, partition: u32, position: u64) -> Result<Before, LogError> {
    let at = TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition };
    // What a former holder had under way is decided first: it is his, or nobody's.
    let until = Instant::now() + CALL_DEADLINE;
    while let Some(offset) = log.undecided(at).await? {
        if Instant::now() > until {
            let message = format!("{} [{partition}] is not decided from offset {offset} on", at.topic);
            return Err(LogError::new(LogErrorKind::Unavailable, message));
        }
        tokio::time::sleep(RETRY_FIRST).await;
    }
    let ends = log.watermarks(at).await?;
    let mut back = FIRST;
    loop {
        let from = ends.high.saturating_sub(back).max(ends.low);
        let (mut before, mut last, mut first) = (Before::default(), None, None);
        let each = |record: Record| {
            let behind = before.take(&record, position, &mut last);
            first.get_or_insert(behind);
            Ok::<(), LogError>(())
        };
        fold_from(log, at, from, each).await?;
        if from <= ends.low || first == Some(false) {
            return Ok(before);
        }
        if before.decided.len() >= limits::DECIDED {
            tracing::warn!(
                partition,
                position,
                "more causes were decided behind the group's position than are remembered: what is older than they is not looked at again"
            );
            before.stop_here();
            return Ok(before);
        }
        back *= 4;
    }
}
