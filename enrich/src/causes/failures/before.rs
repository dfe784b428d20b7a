//! What was decided already, when a partition is taken over.
//!
//! Guarantee: every record of `enriched.causes` is known that belongs behind the position which the stream is read on from. Records name
//! how far the stream had been read when they were written ([`READ`]), which never falls; read back is until one that had not seen the
//! position yet: whoever had not read a failure cannot have decided it.

use std::collections::{HashMap, HashSet};

use runtime::log::{Log, LogError, Record, TopicPartition, fold_from, membership::decided};
use schemas::{Network, headers::ChainHeaders, limits::causes as limits, topics};

use super::{letters::LETTER, record::READ};

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
        // What came from a dead letter says nothing of the stream.
        if record.header(LETTER).is_some() {
            return true;
        }
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
    decided(log, at).await?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::{Op, TimeMs};

    use super::*;

    fn network() -> Network {
        "eth".parse().expect("a slug")
    }

    /// The record of the failure with this offset, written when the stream had been read so far.
    fn written(place: usize, offset: u64, read: u64) -> Record {
        let (sequence, index) = (offset, Some(0));
        let of = ChainHeaders { network: network(), sequence, op: Op::Apply, index, tx_count: None, log_count: None };
        let mut headers: runtime::log::Headers = of.to_pairs().into_iter().map(|(n, v)| (n.into(), v)).collect();
        headers.push((READ.into(), read.to_string().into()));
        let from = TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition: 0 };
        Record { from, offset: place as u64, timestamp: TimeMs(0), key: None, value: None, headers }
    }

    /// What is read back, so many records at a time.
    fn read_back(output: &[Record], position: u64, first: usize) -> Before {
        let mut back = first;
        loop {
            let from = output.len().saturating_sub(back);
            let (mut before, mut last, mut all) = (Before::default(), None, Vec::new());
            for record in &output[from..] {
                all.push(before.take(record, position, &mut last));
            }
            if from == 0 || all.first() == Some(&false) {
                return before;
            }
            back *= 2;
        }
    }

    #[derive(Debug, Clone)]
    struct Membership {
        /// So many records are read, after each of which some that wait are decided and committed.
        steps: Vec<(u64, Vec<prop::sample::Index>)>,
    }

    fn membership() -> impl Strategy<Value = Membership> {
        let decided = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
        prop::collection::vec((0..12_u64, decided), 0..8).prop_map(|steps| Membership { steps })
    }

    proptest! {
        /// Whatever was read, decided in whichever order and cut off: nothing is decided twice.
        #[test]
        fn nothing_is_decided_twice(memberships in prop::collection::vec(membership(), 1..8), first in 1..20_usize) {
            let mut output: Vec<Record> = Vec::new();
            let mut decided: HashSet<u64> = HashSet::new();
            let mut position = 0_u64;
            for Membership { steps } in memberships {
                let mut before = read_back(&output, position, first);
                let mut read = before.read.max(position);
                let (mut next, mut waits): (u64, Vec<u64>) = (position, Vec::new());
                for (reads, picks) in steps {
                    for offset in next..next + reads {
                        if offset >= before.read {
                            before.forget();
                        }
                        if !before.has(&network(), offset, 0) {
                            waits.push(offset);
                        }
                    }
                    next += reads;
                    read = read.max(next);
                    for pick in picks {
                        if !waits.is_empty() {
                            let offset = waits.remove(pick.index(waits.len()));
                            prop_assert!(decided.insert(offset), "{} is decided twice", offset);
                            output.push(written(output.len(), offset, read));
                        }
                    }
                    position = waits.iter().copied().min().unwrap_or(next);
                }
            }
        }
    }

    #[test]
    fn of_more_than_can_be_remembered_what_is_older_is_decided_too() {
        let mut before = Before::default();
        for offset in 10..20 {
            before.take(&written(0, offset, 30), 5, &mut None);
        }
        assert!(!before.has(&network(), 9, 0));
        before.stop_here();
        assert!(before.has(&network(), 9, 0) && before.has(&network(), 15, 0) && !before.has(&network(), 20, 0));
        before.forget();
        assert!(!before.has(&network(), 9, 0));
    }
}
