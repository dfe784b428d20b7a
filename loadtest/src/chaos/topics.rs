//! What stands on the topics, as a read_committed reader sees it, by the records' headers.
//!
//! Guarantee: the events of a network are 1, 2, 3 … on the topic of headers, and each has its child records on the other one:
//! an apply its transactions by index, a revert the one that says so (rules 2 to 4); each once, in this order, none beside.

use crate::failure::Failure;
use runtime::log::{Log, PollLimits, Polled, Record, TopicPartition};
use schemas::Op;
use schemas::headers::ChainHeaders;
use schemas::topics::{self, TopicSpec};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Header records and their children.
pub const PAIRS: [(TopicSpec, TopicSpec); 2] =
    [(topics::RAW_BLOCKS, topics::RAW_TRANSACTIONS), (topics::ENRICHED_BLOCKS, topics::ENRICHED_TRANSACTIONS)];

/// How long reading may bring nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// One network on a pair of topics: children that each of its events has by its header, from sequence 1.
#[derive(Debug, Default)]
struct Network {
    events: Vec<u32>,
    /// The event that the children have come to, and how many of them.
    at: (u64, u32),
}

/// How many events and child records each network has on a pair of topics.
///
/// # Errors
/// The first record that should not be where it is, or is missing.
pub async fn counts(
    log: &dyn Log,
    (headers, children): (TopicSpec, TopicSpec),
) -> Result<BTreeMap<String, (u64, u64)>, Failure> {
    let mut networks: BTreeMap<String, Network> = BTreeMap::new();
    each(log, headers, |record| {
        let h = parsed(record)?;
        let network = networks.entry(h.network.to_string()).or_default();
        let last = network.events.len() as u64;
        // A record of finality repeats the last sequence and is no event (rule 3).
        if h.op == Op::Finality {
            return if h.sequence == last { Ok(()) } else { Err(format!("finality of {} after {last}", h.sequence)) };
        }
        if h.sequence != last + 1 {
            return Err(format!("sequence {} after {last}", h.sequence));
        }
        let of_apply = || h.tx_count.ok_or("no count of transactions");
        network.events.push(if h.op == Op::Revert { 1 } else { of_apply()? });
        Ok(())
    })
    .await?;
    each(log, children, |record| {
        let h = parsed(record)?;
        let name = h.network.to_string();
        let network = networks.get_mut(&name).ok_or_else(|| format!("{name} has no headers"))?;
        if network.at.0 < h.sequence {
            whole(network)?;
            // Empty blocks have no children.
            while network.at.0 + 1 < h.sequence {
                network.at = (network.at.0 + 1, 0);
                whole(network)?;
            }
            network.at = (h.sequence, 0);
        }
        if (network.at.0, h.index.unwrap_or(0)) != (h.sequence, network.at.1) {
            return Err(format!("{name} {} [{:?}] after {:?}", h.sequence, h.index, network.at));
        }
        network.at.1 += 1;
        Ok(())
    })
    .await?;
    let mut counts = BTreeMap::new();
    for (name, mut network) in networks {
        let events = network.events.len() as u64;
        let all = network.events.iter().map(|n| u64::from(*n)).sum();
        while network.at.0 < events {
            whole(&network).map_err(|e| format!("{} of {name}: {e}", children.name))?;
            network.at = (network.at.0 + 1, 0);
        }
        whole(&network).map_err(|e| format!("{} of {name}: {e}", children.name))?;
        counts.insert(name, (events, all));
    }
    Ok(counts)
}

fn whole(network: &Network) -> Result<(), String> {
    let (sequence, children) = network.at;
    let wanted = match sequence.checked_sub(1) {
        None => 0,
        Some(n) => *network.events.get(n as usize).ok_or_else(|| format!("sequence {sequence} has no header"))?,
    };
    if children == wanted { Ok(()) } else { Err(format!("sequence {sequence} has {children} records of {wanted}")) }
}

fn parsed(record: &Record) -> Result<ChainHeaders, String> {
    ChainHeaders::parse(|name| record.header(name)).map_err(|e| e.to_string())
}

async fn each(
    log: &dyn Log,
    topic: TopicSpec,
    mut see: impl FnMut(&Record) -> Result<(), String>,
) -> Result<(), Failure> {
    let mut starts = Vec::new();
    let mut ends = Vec::new();
    for partition in 0..log.partitions(topic.name).await? {
        let at = TopicPartition { topic: topic.name, partition };
        let marks = log.watermarks(at).await?;
        if marks.low < marks.high {
            starts.push((at, marks.low));
            ends.push((at, marks.high));
        }
    }
    if starts.is_empty() {
        return Ok(());
    }
    let mut reader = log.reader(&starts).await?;
    let mut heard = Instant::now();
    loop {
        ends.retain(|(at, high)| reader.reached(*at) < *high);
        if ends.is_empty() {
            return Ok(());
        }
        let poll = PollLimits { records: 4_096, bytes: 16 << 20, wait: Duration::from_millis(300) };
        match reader.poll(poll).await? {
            Polled::Records(records) => {
                if !records.is_empty() {
                    heard = Instant::now();
                }
                for record in records {
                    see(&record)
                        .map_err(|e| format!("{} [{}] at {}: {e}", topic.name, record.from.partition, record.offset))?;
                }
            }
            Polled::OutOfRange { at, wanted, .. } => {
                return Err(format!("{} [{}] lost what was at {wanted}", at.topic, at.partition).into());
            }
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
        if heard.elapsed() > SILENCE {
            return Err(format!("{}: nothing came for {SILENCE:?}, and {ends:?} were not reached", topic.name).into());
        }
    }
}
