//! Which partition a network has (rule 8): decided once, recorded in `control.config`, never changed by ingest.
//!
//! Guarantee: two processes that start at the same time record one partition per network. The transactional id fences the
//! slower one, which then reads what the other wrote.

use std::{collections::HashMap, time::Duration};

use runtime::log::{Log, LogErrorKind, TopicPartition, Transaction, fold};
use schemas::{
    Network, TimeMs,
    codec::{Codec, Record as _},
    records::{ControlConfig, NetworkPartition},
    topics,
};

use crate::{error::Error, state::unreadable};

/// Transactional id of whoever records partitions while there is no control room.
const TRANSACTIONAL_ID: &str = "ingest.partitions";
/// Tries against fencing and aborts.
const TRIES: u32 = 10;

/// Reads the recorded partitions, and records one for each network that has none: the one with the fewest networks, the
/// lowest of equals, in the order given.
pub async fn partitions(log: &dyn Log, codec: &Codec, networks: &[Network]) -> Result<HashMap<Network, u32>, Error> {
    let count = partitions_of_all(log).await?;
    let mut tries = 0;
    loop {
        let known = read(log, codec).await?;
        if networks.iter().all(|n| known.contains_key(n)) {
            return Ok(known);
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

/// How many partitions all topics have that ingest writes a network to: while counts are raised topic by topic, a network that comes
/// then gets none that is not there everywhere yet.
async fn partitions_of_all(log: &dyn Log) -> Result<u32, Error> {
    let mut least = u32::MAX;
    for topic in [topics::RAW_BLOCKS, topics::RAW_TRANSACTIONS, topics::INGEST_CHECKPOINTS, topics::INGEST_STATUS] {
        least = least.min(log.partitions(topic.name).await?);
    }
    Ok(least)
}

async fn record(log: &dyn Log, codec: &Codec, networks: &[Network], count: u32) -> Result<(), Error> {
    // First the producer, then the reading: whoever comes later sees all that was written before.
    let mut producer = log.producer(TRANSACTIONAL_ID).await?;
    let known = read(log, codec).await?;
    let mut transaction = Transaction::default();
    for (network, partition) in choose(&known, networks, count) {
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

/// Pure: least loaded first.
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
            load.iter_mut().enumerate().min_by_key(|(i, n)| (**n, *i)).expect("at least one partition");
        *n += 1;
        chosen.push((network.clone(), partition as u32));
    }
    chosen
}

async fn read(log: &dyn Log, codec: &Codec) -> Result<HashMap<Network, u32>, Error> {
    let mut known = HashMap::new();
    fold(log, TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 }, |record| {
        let Some(value) = &record.value else { return Ok(()) };
        let ControlConfig::NetworkPartition(p) = codec.decode(value).map_err(|e| unreadable(&record, &e))?;
        known.insert(p.network, p.partition);
        Ok::<(), Error>(())
    })
    .await?;
    Ok(known)
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
        assert_eq!(chosen, [(network(2), 1), (network(3), 0), (network(4), 1), (network(5), 2)]);
        assert_eq!(choose(&HashMap::new(), &wanted[..2], 1), [(network(0), 0), (network(1), 0)]);
    }
}
