//! What the log says of each network of a partition: checkpoint and ring, read up to the high watermark.
//!
//! Guarantee: a network whose checkpoint or ring cannot be read is told apart from one that has none, so that it stands still
//! instead of writing its sequences a second time; other networks go on, and another program's records count for nothing (rule 13).
//! Nothing is concluded while somebody's transaction hides what lies behind it (rule 10).

use std::collections::HashMap;

use runtime::log::{
    Log, LogError, LogErrorKind, Record, TopicPartition,
    compacted::{Slot, judge, key},
    fold, pass_over,
};
use schemas::{
    Network,
    codec::Codec,
    limits,
    records::{Checkpoint, CheckpointRecord, RingEntry},
    topics,
};

use crate::tracker::Position;

/// A network as stored.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Its checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Its ring, as it is: entries above the tip included.
    pub ring: Vec<RingEntry>,
}

impl Stored {
    /// For the tracker.
    pub fn position(&self) -> Position {
        let Some(c) = &self.checkpoint else { return Position::default() };
        Position {
            sequence: c.sequence,
            tip: c.tip_height.zip(c.tip_hash.clone()),
            first: c.first_height,
            highest: c.highest_height,
            reorg_remaining: c.reorg_remaining,
            too_deep: c.reorg_too_deep,
        }
    }
}

/// Networks as stored; in words what stops one that cannot be read.
pub type States = HashMap<Network, Result<Stored, String>>;

/// Reads checkpoints and rings of a partition, folded as they come, however long it is. Whoever calls this has made the partition's
/// producer, so that nothing of ours is undecided; where another's transaction is open, it is waited for (rule 10).
pub async fn read(log: &dyn Log, codec: &Codec, partition: u32) -> Result<States, LogError> {
    let mut found = Fold::default();
    let at = TopicPartition { topic: topics::INGEST_CHECKPOINTS.name, partition };
    if let Some(offset) = log.undecided(at).await? {
        let message = format!(
            "a transaction of another program is open on {} [{partition}] from offset {offset} on, and what was written behind it \
             cannot be read: waiting for its end; Kafka's `kafka-transactions.sh find-hanging` names one that has none",
            at.topic
        );
        return Err(LogError::new(LogErrorKind::Unavailable, message));
    }
    fold(log, at, |record| {
        found.take(codec, &record);
        Ok::<(), LogError>(())
    })
    .await?;
    Ok(found.states())
}

#[derive(Default)]
struct Slots {
    checkpoint: Slot<Checkpoint>,
    ring: HashMap<u64, Slot<RingEntry>>,
}

/// The records of a partition, one after the other. Holds no more than the newest of each key.
#[derive(Default)]
pub struct Fold(HashMap<Network, Slots>);

impl Fold {
    /// Takes the next record.
    pub fn take(&mut self, codec: &Codec, record: &Record) {
        let Some((network, slot)) = key(record).and_then(parse) else {
            pass_over(record, &"its key is neither a network's nor one of its ring");
            return;
        };
        let slots = self.0.entry(network).or_default();
        let found = judge::<CheckpointRecord>(codec, record);
        match slot {
            None => slots.checkpoint.put(
                record,
                found.map(|r| match r {
                    CheckpointRecord::Checkpoint(c) => Some(c),
                    CheckpointRecord::Ring(_) => None,
                }),
            ),
            Some(slot) => slots.ring.entry(slot).or_default().put(
                record,
                found.map(|r| match r {
                    CheckpointRecord::Ring(e) => Some(e),
                    CheckpointRecord::Checkpoint(_) => None,
                }),
            ),
        }
    }

    /// What they come to.
    pub fn states(self) -> States {
        self.0.into_iter().map(|(network, slots)| (network, slots.state())).collect()
    }
}

impl Slots {
    fn state(self) -> Result<Stored, String> {
        let in_ring = self.ring.values().find_map(Slot::unreadable);
        if let Some(problem) = self.checkpoint.unreadable().or(in_ring) {
            return Err(format!(
                "what is stored of this network cannot be read: {problem}. A newer version of this program may have written it: run \
                 that version. Nothing is written until then; other networks go on"
            ));
        }
        let hidden = self.checkpoint.hidden().map(str::to_owned);
        let (checkpoint, ring) = (self.checkpoint.newest(), self.ring);
        let ring: Vec<RingEntry> = ring.into_values().filter_map(Slot::newest).collect();
        match hidden {
            // It has written blocks, so it had a checkpoint.
            Some(place) if !ring.is_empty() => Err(format!(
                "the checkpoint of this network is gone: another program wrote under its key ({place}), and compaction removed ours. \
                 Restore the topic; or, to begin anew from sequence 1 in an empty store, remove the network's keys from it. Other \
                 networks go on"
            )),
            _ => Ok(Stored { checkpoint, ring }),
        }
    }
}

/// `network`, or `network#slot`.
fn parse(key: &str) -> Option<(Network, Option<u64>)> {
    let (network, slot) = match key.split_once('#') {
        Some((network, slot)) => (network, Some(slot.parse().ok().filter(|s| *s < limits::REORG_LIMIT_BLOCKS)?)),
        None => (key, None),
    };
    Some((network.parse().ok()?, slot))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schemas::{BlockHash, TimeMs, codec::Record as _};

    use super::*;

    fn checkpoint(network: &str, sequence: u64) -> CheckpointRecord {
        CheckpointRecord::Checkpoint(Checkpoint {
            network: network.parse().expect("a slug"),
            sequence,
            tip_height: None,
            tip_hash: None,
            first_height: None,
            highest_height: None,
            reorg_remaining: 0,
            safe_height: None,
            finalized_height: None,
            chain_id: "1".into(),
            held: Vec::new(),
            reorg_too_deep: false,
            updated_at: TimeMs(0),
            requests: Vec::new(),
        })
    }

    fn ring(network: &str, height: u64, sequence: u64) -> CheckpointRecord {
        let hash: BlockHash = format!("0x{}", "01".repeat(32)).parse().expect("a hash");
        CheckpointRecord::Ring(RingEntry {
            network: network.parse().expect("a slug"),
            height,
            block_hash: hash.clone(),
            parent_hash: hash,
            block_time: TimeMs(0),
            sequence,
            tx_count: 0,
            log_count: 0,
        })
    }

    type Raw<'a> = (Option<&'a str>, Option<&'a [u8]>);

    const FROM_THE_FUTURE: &[u8] = &[0, 0x7f, 0xff, 0xff, 0xff, 1, 2];

    fn states(records: &[Raw<'_>]) -> States {
        let codec = Codec::builtin();
        let mut fold = Fold::default();
        for (offset, (key, value)) in records.iter().enumerate() {
            let record = Record {
                from: TopicPartition { topic: topics::INGEST_CHECKPOINTS.name, partition: 3 },
                offset: offset as u64,
                timestamp: TimeMs(0),
                key: key.map(|k| Bytes::copy_from_slice(k.as_bytes())),
                value: value.map(Bytes::copy_from_slice),
                headers: Vec::new(),
            };
            fold.take(&codec, &record);
        }
        fold.states()
    }

    fn bytes(record: &CheckpointRecord) -> Bytes {
        Codec::builtin().encode(record).expect("a value")
    }

    fn sequence(states: &States, network: &str) -> Option<u64> {
        let stored = states.get(&network.parse::<Network>().expect("a slug"))?.as_ref().ok()?;
        stored.checkpoint.as_ref().map(|c| c.sequence)
    }

    #[test]
    fn another_programs_records_are_passed_over_wherever_they_stand() {
        let (a, b, r) = (bytes(&checkpoint("a", 7)), bytes(&checkpoint("b", 9)), bytes(&ring("a", 300, 7)));
        let control = Codec::builtin();
        let other_topic = control
            .encode(&schemas::records::ControlConfig::NetworkPartition(schemas::records::NetworkPartition {
                network: "a".parse().expect("a slug"),
                partition: 1,
                decided_at: TimeMs(0),
            }))
            .expect("a value");
        let foreign: [Raw<'_>; 8] = [
            (None, Some(b"x")),
            (None, Some(&a)),
            (Some("no key of ours"), Some(b"x")),
            (Some("a#256"), Some(&r)),
            (Some("a"), Some(b"{\"not\": \"ours\"}")),
            (Some("a"), Some(&b)),
            (Some("a#44"), Some(b"x")),
            (Some("a"), Some(&other_topic)),
        ];
        for at in 0..3 {
            let mut records: Vec<Raw<'_>> =
                vec![(Some("a"), Some(&a)), (Some("a#44"), Some(&r)), (Some("b"), Some(&b))];
            for each in &foreign {
                records.insert(at, *each);
            }
            let states = states(&records);
            assert_eq!((sequence(&states, "a"), sequence(&states, "b")), (Some(7), Some(9)), "at {at}");
            let stored = states[&"a".parse::<Network>().expect("a slug")].as_ref().expect("readable");
            assert_eq!(stored.ring.len(), 1, "at {at}");
        }
    }

    #[test]
    fn one_of_ours_that_cannot_be_read_stops_its_network_only() {
        let (a, b, r) = (bytes(&checkpoint("a", 7)), bytes(&checkpoint("b", 9)), bytes(&ring("a", 300, 7)));
        let cut = &a[..a.len() - 1];
        for (key, value) in [("a", FROM_THE_FUTURE), ("a", cut), ("a#44", FROM_THE_FUTURE)] {
            let before = [(Some("a"), Some(&a[..])), (Some("a#44"), Some(&r[..])), (Some("b"), Some(&b[..]))];
            let broken = states(&[&before[..], &[(Some(key), Some(value))]].concat());
            let said = broken[&"a".parse::<Network>().expect("a slug")].as_ref().expect_err("unreadable");
            assert!(said.contains("ingest.checkpoints [3] at offset 3") && said.contains("run that version"), "{said}");
            assert_eq!(sequence(&broken, "b"), Some(9));
            // What a newer record replaces counts no more, nor what was removed.
            let (newer, newer_ring) = (bytes(&checkpoint("a", 8)), bytes(&ring("a", 300, 8)));
            let newer = if key == "a" { newer } else { newer_ring };
            let mended = states(&[&before[..], &[(Some(key), Some(value)), (Some(key), Some(&newer))]].concat());
            assert!(sequence(&mended, "a").is_some(), "{key}");
            let removed = states(&[(Some(key), Some(value)), (Some(key), None)]);
            assert!(removed.values().all(|s| s.as_ref().is_ok_and(|s| s.checkpoint.is_none() && s.ring.is_empty())));
        }
    }

    #[test]
    fn a_checkpoint_that_compaction_removed_for_a_foreign_one_is_missed() {
        let (a, r) = (bytes(&checkpoint("a", 7)), bytes(&ring("a", 300, 7)));
        let a_slug: Network = "a".parse().expect("a slug");
        let said = states(&[(Some("a#44"), Some(&r)), (Some("a"), Some(b"x"))]);
        let said = said[&a_slug].as_ref().expect_err("its checkpoint is gone").clone();
        assert!(said.contains("another program wrote under its key"), "{said}");
        // A network that never wrote anything begins; one whose checkpoint comes later goes on.
        assert_eq!(sequence(&states(&[(Some("a"), Some(b"x"))]), "a"), None);
        assert!(states(&[(Some("a"), Some(b"x"))])[&a_slug].is_ok());
        let later = [(Some("a#44"), Some(&r[..])), (Some("a"), Some(&b"x"[..])), (Some("a"), Some(&a[..]))];
        assert_eq!(sequence(&states(&later), "a"), Some(7));
    }

    #[test]
    fn keys_are_those_of_the_records() {
        let named = |record: CheckpointRecord| parse(&record.key()).expect("ours");
        assert_eq!(named(checkpoint("eth-1", 1)), ("eth-1".parse().expect("a slug"), None));
        assert_eq!(named(ring("eth-1", 511, 1)), ("eth-1".parse().expect("a slug"), Some(255)));
    }
}
