//! Failed transactions of a network whose causes have not come, and causes whose transactions have not.
//!
//! Guarantee: bounded ([`FAILURES_WITHOUT_CAUSE`]): of more the oldest are let go of, are not told late, and are counted. None of a reverted
//! block is held. What is held is not written down: whoever takes a partition over knows of what was given ([`Ring::name`](super::ring::Ring::name)),
//! and reads back what is held for conditions ([`missed`](super::missed)).

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::B256;
use bytes::Bytes;
use schemas::{limits::alerts::FAILURES_WITHOUT_CAUSE, records::AlertMatch};

use super::ring::{Hit, Place};

/// A transaction that failed, and nobody knows why.
#[derive(Debug)]
pub struct Failed {
    /// The event of its block.
    pub place: Place,
    /// The transaction.
    pub hash: B256,
    /// Its record; `None` where no condition asks for a cause.
    pub record: Option<Bytes>,
    /// What was found in it, without arguments.
    pub given: Vec<AlertMatch>,
    /// Whether that was given by this process; what is read back after a start was perhaps never given.
    pub is_told: bool,
}

/// Bytes that a match without arguments takes, about.
const MATCH: usize = 1_024;

impl Failed {
    /// Of a record, and of what was found in it, and was given or is read back.
    pub fn of(place: &Place, hash: B256, record: Option<&Bytes>, (hits, is_told): (&[Hit], bool)) -> Self {
        // Not as a part of the batch that it came in, which it would hold as a whole.
        let record = record.map(|record| Bytes::copy_from_slice(record));
        let bare = |hit: &Hit| {
            let mut found = hit.found.clone();
            if let Some(found) = &mut found.found {
                found.arguments.clear();
            }
            found
        };
        Self { place: place.clone(), hash, record, given: hits.iter().map(bare).collect(), is_told }
    }

    fn bytes(&self) -> usize {
        self.record.as_ref().map_or(0, Bytes::len) + self.given.len() * MATCH
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Late {
    failed: VecDeque<Failed>,
    bytes: usize,
    /// Causes that came first, by the event of their block.
    ahead: BTreeMap<(u64, B256), String>,
    /// The newest event that was looked through.
    sequence: u64,
}

impl Late {
    /// The cause of a transaction of an event that is being looked through, where it came first.
    pub fn known(&self, sequence: u64, hash: B256) -> Option<&str> {
        self.ahead.get(&(sequence, hash)).map(String::as_str)
    }

    /// A transaction whose cause may come. How many are let go of for it.
    pub fn hold(&mut self, failed: Failed) -> u64 {
        let mut gone = 0;
        self.bytes += failed.bytes();
        self.failed.push_back(failed);
        let (most, most_bytes) = FAILURES_WITHOUT_CAUSE;
        while self.failed.len() > most || self.bytes > most_bytes {
            let Some(oldest) = self.failed.pop_front() else { return gone };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
            gone += 1;
        }
        gone
    }

    /// An event was looked through: no cause of it or of one before is ahead any more.
    pub fn passed(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
        self.ahead = self.ahead.split_off(&(sequence.saturating_add(1), B256::ZERO));
    }

    /// A cause has come: the transaction that it is of, which is held no longer. One that is ahead of its transaction is kept for it.
    pub fn take(&mut self, sequence: u64, hash: B256, cause: &str) -> Option<Failed> {
        if sequence > self.sequence {
            self.ahead.insert((sequence, hash), cause.to_owned());
            while self.ahead.len() > FAILURES_WITHOUT_CAUSE.0 {
                self.ahead.pop_last();
            }
            return None;
        }
        let at = self.failed.iter().rposition(|failed| failed.place.sequence == sequence && failed.hash == hash)?;
        let failed = self.failed.remove(at)?;
        self.bytes = self.bytes.saturating_sub(failed.bytes());
        Some(failed)
    }

    /// The block of this event was reverted.
    pub fn revert(&mut self, sequence: u64) {
        self.failed.retain(|failed| failed.place.sequence != sequence);
        self.bytes = self.failed.iter().map(Failed::bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use schemas::{
        TimeMs,
        records::{AlertSource, MatchOp},
    };

    use super::*;

    fn failed(sequence: u64, bytes: usize) -> Failed {
        let place = Place {
            sequence,
            height: sequence,
            block_hash: B256::ZERO.into(),
            at: TimeMs(0),
            observed_at: TimeMs(0),
            finalized: None,
            seen_at: TimeMs(0),
            reorg_goes_on: false,
        };
        Failed::of(&place, B256::from(U256::from(sequence)), Some(&Bytes::from(vec![0; bytes])), (&[], true))
    }

    fn hash(of: u64) -> B256 {
        B256::from(U256::from(of))
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes_and_forgets_what_is_reverted() {
        let (most, most_bytes) = FAILURES_WITHOUT_CAUSE;
        let mut late = Late::default();
        let many = u64::try_from(most).expect("few") + 5;
        assert_eq!((1..=many).map(|sequence| late.hold(failed(sequence, 1))).sum::<u64>(), 5);
        late.passed(many);
        assert!(late.take(5, hash(5), "x").is_none() && late.take(6, hash(6), "x").is_some());
        assert!(late.take(6, hash(6), "x").is_none(), "once");
        late.revert(7);
        assert!(late.take(7, hash(7), "x").is_none());
        assert_eq!(late.bytes, most - 2);
        late.hold(failed(many + 1, most_bytes));
        assert_eq!((late.failed.len(), late.bytes), (1, most_bytes));
    }

    #[test]
    fn what_was_found_takes_room_too() {
        let mut one = failed(1, 10);
        let found = AlertMatch {
            tenant: "acme".to_owned(),
            source: AlertSource::nobody(),
            op: MatchOp::Match,
            network: "demo".parse().expect("a slug"),
            sequence: 1,
            height: 1,
            block_hash: None,
            at: TimeMs(0),
            observed_at: TimeMs(0),
            contract: None,
            group: BTreeMap::new(),
            found: None,
            figure: None,
        };
        one.given = vec![found; FAILURES_WITHOUT_CAUSE.1 / MATCH];
        let mut late = Late::default();
        assert_eq!(late.hold(failed(0, 10)), 0);
        assert_eq!(late.hold(one), 2, "it takes more than all there is");
        assert_eq!((late.failed.len(), late.bytes), (0, 0));
    }

    #[test]
    fn what_comes_first_is_kept_until_its_event_has_passed() {
        let mut late = Late::default();
        late.passed(3);
        for sequence in [4, 5] {
            assert!(late.take(sequence, hash(1), "slippage").is_none());
        }
        assert_eq!((late.known(4, hash(1)), late.known(4, hash(2))), (Some("slippage"), None));
        late.passed(4);
        assert_eq!((late.known(4, hash(1)), late.known(5, hash(1))), (None, Some("slippage")));
    }
}
