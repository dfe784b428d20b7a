//! Node → Avro → Kafka: the ingest stage alone, a process of its own.
//!
//! Guarantee: the clock stops when the last record is visible to a read_committed consumer, and the figure counts only when the
//! topic then holds every transaction of the chain, each once.

use super::processes::Watch;
use super::{Failure, NETWORK, Node, child, processes};
use runtime::log::kafka::{KafkaConfig, KafkaLog};
use runtime::log::{Log, PollLimits, Polled, TopicPartition};
use schemas::topics::{RAW_BLOCKS, RAW_TRANSACTIONS};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How often the end of a topic is asked for.
const POLL: Duration = Duration::from_millis(100);
/// When nothing came for so long, and enough is there, it was all.
const QUIET: Duration = Duration::from_secs(1);
/// When nothing came for so long and there is not enough, it failed.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(20);

/// Blocks becoming records of Kafka, or a peer's files.
#[derive(Clone, Debug, Serialize)]
pub struct Feed {
    /// Who did it.
    pub name: String,
    /// What it checks of what the node says.
    pub checks: String,
    /// What it writes, and where.
    pub writes: String,
    /// Blocks.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Transactions that never arrived, though it was done.
    pub lost: u64,
    /// Of Headwater: from the moment the node showed the blocks to the moment the last record was visible. Of a peer: without
    /// its start, for ethereum-etl from its first records to its last.
    pub seconds: f64,
    /// Transactions that came in that time, per second.
    pub transactions_per_second: f64,
    /// CPU per transaction in microseconds: by thread name of the process, `Kafka broker`, `simulated node`.
    pub cpu_us_per_transaction: BTreeMap<String, f64>,
    /// The highest resident memory, in bytes.
    pub peak_memory: u64,
}

/// The end of one partition.
pub(super) struct End {
    pub log: Arc<KafkaLog>,
    pub at: TopicPartition,
}

/// What was seen of a topic's end.
pub(super) struct Seen {
    pub first: Instant,
    pub last: Instant,
    /// Offsets that came until `first`, and until `last`.
    pub at_first: u64,
    pub at_last: u64,
}

impl End {
    pub(super) async fn offset(&self) -> Result<u64, Failure> {
        Ok(self.log.watermarks(self.at).await?.high)
    }

    /// Waits until `want` offsets came after `from`, or the process is `done`, and no more come.
    pub(super) async fn reach(
        &self,
        from: u64,
        want: u64,
        child: &mut Child,
        done: impl Fn() -> bool,
    ) -> Result<Seen, Failure> {
        let mut seen: Option<Seen> = None;
        let mut changed = Instant::now();
        loop {
            let came = self.offset().await?.saturating_sub(from);
            let now = Instant::now();
            if came > seen.as_ref().map_or(0, |s| s.at_last) {
                changed = now;
                let s = seen.get_or_insert(Seen { first: now, last: now, at_first: came, at_last: came });
                (s.last, s.at_last) = (now, came);
            }
            match seen {
                Some(seen) if changed.elapsed() > QUIET && (came >= want || done()) => return Ok(seen),
                _ if changed.elapsed() > PATIENCE => {
                    return Err(format!("{} of {want} records came; none for {PATIENCE:?}", came).into());
                }
                _ => {}
            }
            if let Some(status) = child.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Every transaction of the chain is in the topic, once.
    async fn verify(&self, node: &Node) -> Result<(), Failure> {
        let mut reader = self.log.reader(&[(self.at, 0)]).await?;
        let end = self.offset().await?;
        let limits = PollLimits { records: 10_000, bytes: 32 << 20, wait: Duration::from_secs(1) };
        let (mut records, mut places) = (0_u64, HashSet::new());
        while reader.reached(self.at) < end {
            let Polled::Records(all) = reader.poll(limits).await? else { continue };
            for record in all.iter().filter(|r| r.header("op") == Some(b"apply")) {
                records += 1;
                places.insert((
                    record.header("sequence").map(<[u8]>::to_vec),
                    record.header("index").map(<[u8]>::to_vec),
                ));
            }
        }
        let want = transactions(node, 1..=node.simulator.head());
        if (records, places.len() as u64) == (want, want) {
            return Ok(());
        }
        Err(format!("{records} transactions are in the topic, {} different; the chain has {want}", places.len()).into())
    }
}

/// Transactions of the node's blocks at these heights.
pub(super) fn transactions(node: &Node, heights: RangeInclusive<u64>) -> u64 {
    node.simulator.canonical(heights).iter().map(|b| b.facts.tx_count).sum()
}

pub(super) fn log_of(brokers: &str, prefix: &str) -> KafkaConfig {
    KafkaConfig { prefix: prefix.to_owned(), ..KafkaConfig::new(brokers) }
}

/// CPU that everyone concerned has used so far.
pub(super) fn usage(watch: &Watch) -> processes::Usage {
    let mut usage = watch.usage();
    usage.insert(processes::NODE.to_owned(), processes::own(Node::THREADS));
    usage.extend(processes::brokers().map(|used| (processes::BROKER.to_owned(), used)));
    usage
}

pub(super) fn per_transaction(used: processes::Usage, transactions: u64) -> BTreeMap<String, f64> {
    used.into_iter().map(|(name, used)| (name, used.as_secs_f64() * 1e6 / transactions.max(1) as f64)).collect()
}

/// `headwater ingest` over the blocks of a node that was just started, which hides them.
pub(super) async fn headwater(binary: &Path, node: &Node, brokers: &str, extra: &str) -> Result<Feed, Failure> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let prefix = format!("feed-{now:x}.");
    let folder = tempfile::Builder::new().prefix("headwater-feed-").tempdir()?;
    let config = folder.path().join("headwater.toml");
    let text = format!(
        "[data]\ndir = {:?}\n[admin]\nlisten = \"127.0.0.1:0\"\n[[network]]\nslug = \"{NETWORK}\"\nfamily = \"evm\"\n\
         chain_id = {}\nstart = 1\n[[network.endpoint]]\nname = \"simulated\"\nurl = \"{}\"\nws = \"{}\"\n\
         [log]\nkafka = {brokers:?}\nprefix = \"{prefix}\"\npartitions = 1\n{extra}\n",
        folder.path().join("data"),
        node.simulator.chain_id(),
        node.simulator.url(),
        node.simulator.ws_url(),
    );
    std::fs::write(&config, text)?;
    let mut ingest = Command::new(binary);
    ingest.args(["ingest", "--instance", "feed", "--config"]).arg(&config);
    let mut child = child::spawn(&mut ingest, folder.path())?;
    let watch = Watch::start(child.id().ok_or("it ended at once")?);
    let explain = |error: Failure| child::explain(error, folder.path());
    let log = KafkaLog::connect(log_of(brokers, &prefix)).await?;
    let end = End { log, at: TopicPartition { topic: RAW_TRANSACTIONS.name, partition: 0 } };
    // Everything is up when the one block that the node shows is there; it may have no transactions.
    let header = TopicPartition { topic: RAW_BLOCKS.name, partition: 0 };
    let until = Instant::now() + PATIENCE;
    let is_there = async || {
        // A topic that was made a moment ago may not be known everywhere yet.
        end.log.partitions(end.at.topic).await.is_ok()
            && end.log.watermarks(header).await.is_ok_and(|ends| ends.high > 0)
    };
    while !is_there().await {
        if Instant::now() > until || child.try_wait()?.is_some() {
            return Err(explain("the first block did not come".into()));
        }
        tokio::time::sleep(POLL).await;
    }
    tokio::time::sleep(QUIET).await;
    let (from, before, begun) = (end.offset().await?, usage(&watch), Instant::now());
    node.simulator.clear_faults();
    let head = node.simulator.advance(1)?;
    let want = transactions(node, 2..=head);
    let seen = end.reach(from, want, &mut child, || false).await.map_err(&explain)?;
    let used = processes::since(&before, &usage(&watch));
    end.verify(node).await?;
    let memory = child.id().map(processes::memory).map_or(0, |memory| memory.main + memory.children);
    child::stop(&mut child, STOP).await?;
    let seconds = (seen.last - begun).as_secs_f64();
    Ok(Feed {
        name: "headwater ingest".to_owned(),
        checks: "hashes, roots, blooms, gas, prices, order".to_owned(),
        writes: "blocks, transactions, logs; Avro into Kafka, acks=all, in transactions".to_owned(),
        blocks: head - 1,
        transactions: want,
        lost: 0,
        seconds,
        transactions_per_second: want as f64 / seconds,
        cpu_us_per_transaction: per_transaction(used, want),
        peak_memory: memory,
    })
}
