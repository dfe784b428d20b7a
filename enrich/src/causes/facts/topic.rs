//! `contract.facts` as this stage reads and writes it.
//!
//! Guarantee: a partition is taken over when all is decided that a former holder had under way, and read to its end; of a contract's
//! records the one with the highest revision counts, wherever it stands. Whatever is written is refused by the log once somebody else
//! holds the partition.

use std::collections::HashMap;

use alloy_primitives::Address;
use runtime::{
    facts::{Told, removed_at},
    log::{
        Log, LogError, NewRecord, Offsets, Record, TopicPartition, compacted::key, fold, followed::Fold as _,
        membership::decided,
    },
};
use schemas::{
    Network,
    codec::{Codec, Record as _},
    headers,
    records::{ContractFacts, FactsFold},
    topics,
};

use super::{ledger::Place, part::Part};

/// The topic.
pub const FACTS: &str = topics::CONTRACT_FACTS.name;
/// Bytes of records in one transaction, unless one record has more.
const COMMIT_BYTES: usize = 4 << 20;

/// Reads what is known of a partition's contracts to its end.
///
/// # Errors
/// What the log says.
pub async fn take_over(
    log: &dyn Log,
    codec: &Codec,
    at: TopicPartition,
    position: Option<u64>,
) -> Result<Part, LogError> {
    let facts = TopicPartition { topic: FACTS, partition: at.partition };
    decided(log, facts).await?;
    let mut remembered = Remembered::default();
    let each = |record: Record| {
        remembered.take(codec, &record);
        Ok::<(), LogError>(())
    };
    fold(log, facts, each).await?;
    let next = match position {
        Some(position) => position,
        None => log.watermarks(at).await?.low,
    };
    let mut part = Part::from(next);
    remembered.told.0.0.into_values().filter_map(|(_, facts)| facts).for_each(|facts| part.remember(facts));
    Ok(part)
}

/// The records of a partition, as far as they count.
#[derive(Debug, Default)]
struct Remembered {
    told: Told<Newest>,
}

/// Of each contract the highest revision, and the facts; none where they were removed.
#[derive(Debug, Clone, Default)]
struct Newest(HashMap<Place, (u64, Option<ContractFacts>)>);

impl Newest {
    fn say(&mut self, place: Place, revision: u64, facts: Option<ContractFacts>) {
        if self.0.get(&place).is_none_or(|(newest, _)| *newest <= revision) {
            self.0.insert(place, (revision, facts));
        }
    }
}

impl FactsFold for Newest {
    fn put(&mut self, facts: ContractFacts) {
        self.say((facts.network.clone(), facts.address), facts.revision, Some(facts));
    }
    fn remove(&mut self, network: &Network, address: Address) {
        self.0.remove(&(network.clone(), address));
    }
}

impl Remembered {
    fn take(&mut self, codec: &Codec, record: &Record) {
        let removed = removed_at(record).filter(|_| record.value.is_none());
        match (removed, key(record).and_then(ContractFacts::in_key)) {
            (Some(revision), Some(place)) => self.told.0.say(place, revision, None),
            _ => self.told.take(codec, record),
        }
    }
}

/// Records in the transactions that they are written in, each with the positions that it carries: the last one those that all of it
/// follows from, so that after a kill the same is found again; those before it the positions as they were, so that the log judges the
/// group's generation of each.
pub fn transactions(records: Vec<NewRecord>, former: &Offsets, next: &Offsets) -> Vec<(Vec<NewRecord>, Offsets)> {
    let (mut transactions, mut records_of, mut bytes) = (Vec::new(), Vec::new(), 0);
    for record in records {
        let size = record.value.as_ref().map_or(0, bytes::Bytes::len) + 200;
        if bytes > 0 && bytes + size > COMMIT_BYTES {
            transactions.push((std::mem::take(&mut records_of), former.clone()));
            bytes = 0;
        }
        bytes += size;
        records_of.push(record);
    }
    transactions.push((records_of, next.clone()));
    transactions
}

/// Facts as a record; without the ABI where that makes it too large for the topic; a removal where nothing is known any more.
pub fn record(codec: &Codec, partition: u32, facts: ContractFacts, limit: usize) -> NewRecord {
    let (name, revision) = headers::revision(facts.revision);
    let to = TopicPartition { topic: FACTS, partition };
    let key = facts.key();
    let value = match facts.is_nothing() {
        true => None,
        false => codec.encode_within(&facts, limit).ok().or_else(|| {
            tracing::warn!(
                key,
                limit,
                "facts about a contract are larger than the topic takes, and are written without its ABI"
            );
            let bare = ContractFacts { abi: None, abi_source: None, implementations: Vec::new(), ..facts };
            codec.encode_within(&bare, limit).ok()
        }),
    };
    NewRecord { to, key: Some(key.into()), value, headers: vec![(name.into(), revision)] }
}

#[cfg(test)]
mod tests {
    use schemas::TimeMs;

    use super::*;

    fn place() -> Place {
        ("eth".parse().expect("a slug"), Address::repeat_byte(1))
    }

    fn known(name: &str, revision: u64) -> ContractFacts {
        let (network, address) = place();
        ContractFacts { name: Some(name.into()), revision, ..ContractFacts::nothing(network, address) }
    }

    /// What is remembered after these: a name, or none any more, with its revision.
    fn remembered(said: &[(&str, u64)]) -> Option<String> {
        let (codec, mut remembered) = (Codec::builtin(), Remembered::default());
        for (offset, (name, revision)) in (0..).zip(said) {
            let mut facts = known(name, *revision);
            facts.name = facts.name.filter(|name| !name.is_empty());
            let NewRecord { to: from, key, value, headers } = record(&codec, 0, facts, 1 << 20);
            remembered.take(&codec, &Record { from, offset, timestamp: TimeMs(0), key, value, headers });
        }
        remembered.told.0.0.remove(&place()).and_then(|(_, facts)| facts?.name)
    }

    #[test]
    fn a_lower_revision_says_nothing_wherever_it_stands() {
        assert_eq!(remembered(&[("a", 1), ("b", 2)]).as_deref(), Some("b"));
        assert_eq!(remembered(&[("b", 2), ("a", 1)]).as_deref(), Some("b"));
        assert_eq!(remembered(&[("b", 2), ("", 1)]).as_deref(), Some("b"), "a removal of before");
        assert_eq!(remembered(&[("b", 2), ("", 3)]), None);
        assert_eq!(remembered(&[("", 3), ("b", 2)]), None, "it was removed since");
        assert_eq!(remembered(&[("", 3), ("c", 4)]).as_deref(), Some("c"));
    }

    #[test]
    fn every_transaction_carries_positions_and_the_last_one_the_new_ones() {
        let input = |offset| vec![(TopicPartition { topic: topics::RAW_TRANSACTIONS.name, partition: 0 }, offset)];
        let large = |_| NewRecord {
            to: TopicPartition { topic: FACTS, partition: 0 },
            key: None,
            value: Some(vec![0; COMMIT_BYTES / 2].into()),
            headers: Vec::new(),
        };
        let of = |records: u32| -> Vec<(usize, Offsets)> {
            let written = transactions((0..records).map(large).collect(), &input(5), &input(9));
            written.into_iter().map(|(records, offsets)| (records.len(), offsets)).collect()
        };
        assert_eq!(of(0), [(0, input(9))]);
        assert_eq!(of(1), [(1, input(9))]);
        assert_eq!(of(3), [(1, input(5)), (1, input(5)), (1, input(9))]);
    }
}
