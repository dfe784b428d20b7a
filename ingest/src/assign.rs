//! Which partition a network has (rule 8): decided once, recorded in `control.config`, never changed by ingest.
//!
//! Guarantee: two processes that start at the same time record one partition per network. The transactional id fences the
//! slower one, which then reads what the other wrote. A network whose record cannot be read gets no other partition, and stands
//! still; other networks go on. Other programs' records and kinds that this version does not know are passed over (rule 13).

use std::{collections::HashMap, time::Duration};

use runtime::log::{
    Log, LogError, LogErrorKind, Record, Topic, TopicPartition, Transaction,
    compacted::{Slot, judge, key},
    events::partitions_of_all,
    fold, pass_over,
};
use schemas::{
    Network, TimeMs,
    codec::{Codec, Record as _},
    records::{ControlConfig, NetworkPartition},
    topics,
};

use crate::error::Error;

/// Transactional id of whoever records partitions while there is no control room.
const TRANSACTIONAL_ID: &str = "ingest.partitions";
/// Topics that a network is written to: one that comes while counts are raised gets a partition that all of them have.
const WRITTEN: [Topic; 3] = [topics::RAW_BLOCKS.name, topics::RAW_TRANSACTIONS.name, topics::INGEST_CHECKPOINTS.name];
/// Tries against fencing and aborts.
const TRIES: u32 = 10;
/// First part of the key of a network's partition.
const KIND: &str = "network/";

/// The recorded partitions.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Partitions {
    /// By network.
    pub known: HashMap<Network, u32>,
    /// Networks whose record cannot be read, and in words why.
    pub unreadable: HashMap<Network, String>,
}

impl Partitions {
    fn has(&self, network: &Network) -> bool {
        self.known.contains_key(network) || self.unreadable.contains_key(network)
    }
}

/// Reads the recorded partitions, and records one for each network that has none: the one with the fewest networks, in the
/// order given, spread over the ranges that processes hold.
pub async fn partitions(log: &dyn Log, codec: &Codec, networks: &[Network]) -> Result<Partitions, Error> {
    let count = partitions_of_all(log, &WRITTEN).await?;
    let mut tries = 0;
    loop {
        let recorded = read(log, codec).await?;
        if networks.iter().all(|n| recorded.has(n)) {
            return Ok(recorded);
        }
        match record(log, codec, networks, count).await {
            Ok(()) => {}
            Err(Error::Log(e)) if tries < TRIES && (e.is_transient() || e.kind == LogErrorKind::Fenced) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100) * tries).await;
            }
            Err(e) => return Err(e),
        }
    }
}

async fn record(log: &dyn Log, codec: &Codec, networks: &[Network], count: u32) -> Result<(), Error> {
    // First the producer, then the reading: whoever comes later sees all that was written before.
    let mut producer = log.producer(TRANSACTIONAL_ID).await?;
    let recorded = read(log, codec).await?;
    let without: Vec<Network> = networks.iter().filter(|n| !recorded.has(n)).cloned().collect();
    let mut transaction = Transaction::default();
    for (network, partition) in choose(&recorded.known, &without, count) {
        tracing::info!(%network, partition, "the network gets its partition");
        let decided =
            ControlConfig::NetworkPartition(NetworkPartition { network, partition, decided_at: TimeMs::now() });
        transaction.records.push(runtime::log::NewRecord {
            to: TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 },
            key: Some(decided.key().into()),
            value: codec.encode(&decided).ok(),
            headers: Vec::new(),
        });
    }
    if !transaction.records.is_empty() {
        producer.commit(transaction).await?;
    }
    Ok(())
}

/// Where among equals a partition stands: far from those before it (van der Corput's sequence: 0, 32, 16, 48, 8 … of 64). A stage's
/// processes hold ranges of partitions (rule 9), so that the first few networks fall to different ones.
fn turn(partition: usize) -> u32 {
    (partition as u32).reverse_bits()
}

/// Pure: least loaded first, the furthest from one another among equals.
fn choose(known: &HashMap<Network, u32>, networks: &[Network], count: u32) -> Vec<(Network, u32)> {
    let mut load = vec![0u32; count.max(1) as usize];
    for partition in known.values() {
        if let Some(n) = load.get_mut(*partition as usize) {
            *n += 1;
        }
    }
    let mut chosen: Vec<(Network, u32)> = Vec::new();
    for network in networks {
        if known.contains_key(network) || chosen.iter().any(|(n, _)| n == network) {
            continue;
        }
        let (partition, n) =
            load.iter_mut().enumerate().min_by_key(|(i, n)| (**n, turn(*i))).expect("at least one partition");
        *n += 1;
        chosen.push((network.clone(), partition as u32));
    }
    chosen
}

async fn read(log: &dyn Log, codec: &Codec) -> Result<Partitions, Error> {
    let mut found = Fold::default();
    fold(log, TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 }, |record| {
        found.take(codec, &record);
        Ok::<(), LogError>(())
    })
    .await?;
    Ok(found.partitions())
}

/// The records of `control.config`, one after the other.
#[derive(Default)]
struct Fold(HashMap<Network, Slot<u32>>);

impl Fold {
    fn take(&mut self, codec: &Codec, record: &Record) {
        let network = match key(record).and_then(|k| k.split_once('/').map(|_| k.strip_prefix(KIND))) {
            // A kind that this version does not know.
            Some(None) => return,
            Some(Some(slug)) => slug.parse::<Network>().ok(),
            None => None,
        };
        let Some(network) = network else {
            pass_over(record, &"its key is not of the form `kind/id`");
            return;
        };
        let found = judge::<ControlConfig>(codec, record);
        let found = found.map(|found| match found {
            ControlConfig::NetworkPartition(p) => Some(p.partition),
            _ => None,
        });
        self.0.entry(network).or_default().put(record, found);
    }

    fn partitions(self) -> Partitions {
        let mut partitions = Partitions::default();
        for (network, slot) in self.0 {
            if let Some(problem) = slot.unreadable() {
                let words = format!(
                    "this network's partition cannot be read: {problem}. A newer version of this program may have written it: run that \
                     version. Other networks go on"
                );
                partitions.unreadable.insert(network, words);
            } else if let Some(place) = slot.hidden() {
                let words = format!(
                    "this network's partition is not known: another program wrote under its key ({place}). Restore the topic, or remove \
                     that key when the network is new. Other networks go on"
                );
                partitions.unreadable.insert(network, words);
            } else if let Some(partition) = slot.newest() {
                partitions.known.insert(network, partition);
            }
        }
        partitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_partition_is_chosen_and_what_is_known_stays() {
        let network = |i: usize| format!("n{i}").parse::<Network>().unwrap();
        let known = HashMap::from([(network(0), 0), (network(1), 2)]);
        let wanted: Vec<_> = (0..6).chain([5]).map(network).collect();
        let chosen = choose(&known, &wanted, 3);
        assert_eq!(chosen, [(network(2), 1), (network(3), 0), (network(4), 2), (network(5), 1)]);
        assert_eq!(choose(&HashMap::new(), &wanted[..2], 1), [(network(0), 0), (network(1), 0)]);
    }

    #[test]
    fn the_first_networks_fall_to_different_processes() {
        let networks: Vec<Network> = (0..64).map(|i| format!("n{i}").parse().unwrap()).collect();
        for (count, processes) in [(64, 2), (64, 4), (64, 3), (8, 4), (12, 3), (100, 7)] {
            let first = choose(&HashMap::new(), &networks[..processes], count);
            let per_process = (count as usize).div_ceil(processes);
            let mut hands: Vec<usize> = first.iter().map(|(_, p)| *p as usize / per_process).collect();
            hands.sort_unstable();
            hands.dedup();
            // One of them may have to share where the numbers are no powers of two.
            let fewest = if processes.is_power_of_two() && count.is_power_of_two() { processes } else { processes - 1 };
            assert!(hands.len() >= fewest, "{count} partitions, {processes} processes: {first:?}");
            let mut all: Vec<u32> = choose(&HashMap::new(), &networks, count).into_iter().map(|(_, p)| p).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 64.min(count as usize), "each partition once before any has two");
        }
    }

    #[test]
    fn foreign_records_count_for_nothing_and_an_unreadable_one_stops_its_network() {
        let codec = Codec::builtin();
        let decided = |slug: &str, partition| {
            let network = slug.parse().unwrap();
            ControlConfig::NetworkPartition(NetworkPartition { network, partition, decided_at: TimeMs(0) })
        };
        let (a, b) = (codec.encode(&decided("a", 1)).unwrap(), codec.encode(&decided("b", 2)).unwrap());
        let future: &[u8] = &[0, 0x7f, 0xff, 0xff, 0xff, 1];
        let records: [(Option<&str>, Option<&[u8]>); 10] = [
            (Some("network/a"), Some(&a)),
            (Some("network/b"), Some(&b)),
            (None, Some(b"x")),
            (Some("x"), Some(b"x")),
            (Some("network/"), Some(b"x")),
            (Some("budget/a"), Some(future)),
            (Some("network/a"), Some(b"x")),
            (Some("network/a"), Some(&b)),
            (Some("network/c"), Some(future)),
            (Some("network/d"), Some(b"x")),
        ];
        let mut fold = Fold::default();
        for (offset, (key, value)) in records.into_iter().enumerate() {
            let record = Record {
                from: TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 },
                offset: offset as u64,
                timestamp: TimeMs(0),
                key: key.map(|k| k.to_owned().into()),
                value: value.map(bytes::Bytes::copy_from_slice),
                headers: Vec::new(),
            };
            fold.take(&codec, &record);
        }
        let network = |slug: &str| slug.parse::<Network>().unwrap();
        let partitions = fold.partitions();
        assert_eq!(partitions.known, HashMap::from([(network("a"), 1), (network("b"), 2)]));
        assert!(partitions.unreadable[&network("c")].contains("control.config [0] at offset 8"));
        assert!(partitions.unreadable[&network("d")].contains("another program"));
        assert_eq!(partitions.unreadable.len(), 2);
    }
}
