//! Node → Avro → Kafka: the ingest stage alone, a process of its own, and a peer on the same blocks in the same run.
//!
//! Guarantee: the clock stops when the last record is visible to a read_committed consumer, and the figure counts only when the
//! topic then holds every transaction of the chain, each once.

use super::{Failure, NETWORK, Node, child, processes};
use crate::node::evm::Dataset;
use runtime::log::kafka::{KafkaConfig, KafkaLog};
use runtime::log::{Log, PollLimits, Polled, TopicPartition};
use schemas::topics::{Cleanup, RAW_BLOCKS, RAW_TRANSACTIONS, TopicSpec};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
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

/// Blocks becoming records of Kafka.
#[derive(Clone, Debug, Serialize)]
pub struct Feed {
    /// Who did it.
    pub name: String,
    /// Blocks.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Of Headwater: from the moment the node showed the blocks to the moment the last record was visible. Of a peer: from its
    /// first records to its last, so without its start.
    pub seconds: f64,
    /// Transactions that came in that time, per second.
    pub transactions_per_second: f64,
    /// CPU per transaction in microseconds: by thread name of the process, `Kafka broker`, `simulated node`.
    pub cpu_us_per_transaction: BTreeMap<String, f64>,
}

/// The end of one partition.
struct End {
    log: Arc<KafkaLog>,
    at: TopicPartition,
}

/// What was seen of a topic's end.
struct Seen {
    first: Instant,
    last: Instant,
    /// Offsets that came until `first`, and until `last`.
    at_first: u64,
    at_last: u64,
}

impl End {
    async fn offset(&self) -> Result<u64, Failure> {
        Ok(self.log.watermarks(self.at).await?.high)
    }

    /// Waits until `want` offsets came after `from`, and no more come.
    async fn reach(&self, from: u64, want: u64, child: &mut Child) -> Result<Seen, Failure> {
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
                Some(seen) if came >= want && changed.elapsed() > QUIET => return Ok(seen),
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
        let want = transactions(node);
        if (records, places.len() as u64) == (want, want) {
            return Ok(());
        }
        Err(format!("{records} transactions are in the topic, {} different; the chain has {want}", places.len()).into())
    }
}

fn transactions(node: &Node) -> u64 {
    node.simulator.canonical(1..=node.simulator.head()).iter().map(|b| b.facts.tx_count).sum()
}

fn log_of(brokers: &str, prefix: &str) -> KafkaConfig {
    KafkaConfig { prefix: prefix.to_owned(), ..KafkaConfig::new(brokers) }
}

/// CPU that everyone concerned has used so far.
fn usage(child: &Child) -> processes::Usage {
    let mut usage = child.id().map(processes::usage).unwrap_or_default();
    usage.insert("simulated node".to_owned(), processes::own(Node::THREADS));
    usage.extend(processes::brokers().map(|used| (processes::BROKER.to_owned(), used)));
    usage
}

fn per_transaction(used: processes::Usage, transactions: u64) -> BTreeMap<String, f64> {
    used.into_iter().map(|(name, used)| (name, used.as_secs_f64() * 1e6 / transactions.max(1) as f64)).collect()
}

/// `headwater ingest` over `blocks` blocks.
pub(super) async fn headwater(
    binary: &Path,
    data: Arc<Dataset>,
    blocks: u64,
    brokers: &str,
    extra: &str,
) -> Result<Feed, Failure> {
    let node = Node::start(data, blocks).await?;
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
    let explain = |error: Failure| child::explain(error, folder.path());
    let log = KafkaLog::connect(log_of(brokers, &prefix)).await?;
    let end = End { log, at: TopicPartition { topic: RAW_TRANSACTIONS.name, partition: 0 } };
    // Everything is up when the one block that the node shows is there; it may have no transactions.
    let header = TopicPartition { topic: RAW_BLOCKS.name, partition: 0 };
    let until = Instant::now() + PATIENCE;
    while end.log.partitions(end.at.topic).await.is_err() || end.log.watermarks(header).await?.high == 0 {
        if Instant::now() > until || child.try_wait()?.is_some() {
            return Err(explain("the first block did not come".into()));
        }
        tokio::time::sleep(POLL).await;
    }
    tokio::time::sleep(QUIET).await;
    let (from, before, begun) = (end.offset().await?, usage(&child), Instant::now());
    let first: u64 = node.simulator.canonical(1..=1).iter().map(|b| b.facts.tx_count).sum();
    node.simulator.clear_faults();
    let head = node.simulator.advance(1)?;
    let want = transactions(&node) - first;
    let seen = end.reach(from, want, &mut child).await.map_err(&explain)?;
    let used = processes::since(&before, &usage(&child));
    end.verify(&node).await?;
    child::stop(&mut child, STOP).await?;
    let seconds = (seen.last - begun).as_secs_f64();
    Ok(Feed {
        name: "headwater ingest".to_owned(),
        blocks: head - 1,
        transactions: want,
        seconds,
        transactions_per_second: want as f64 / seconds,
        cpu_us_per_transaction: per_transaction(used, want),
    })
}

/// `ethereumetl stream` over the first `blocks` of the same chain, with its own topics.
pub(super) async fn ethereum_etl(
    program: &Path,
    data: Arc<Dataset>,
    blocks: u64,
    brokers: &str,
) -> Result<Feed, Failure> {
    const fn topic(name: &'static str) -> TopicSpec {
        TopicSpec { name, cleanup: Cleanup::Delete, retention: None, retention_bytes: None, per_network: false }
    }
    let cycle = data.blocks().len();
    let node = Node::start(data, blocks).await?;
    node.simulator.clear_faults();
    let log = KafkaLog::connect(log_of(brokers, "")).await?;
    log.ensure_topics(&[topic("blocks"), topic("transactions"), topic("logs")], 1).await?;
    let end = End { log, at: TopicPartition { topic: "transactions", partition: 0 } };
    let folder = tempfile::Builder::new().prefix("headwater-peer-").tempdir()?;
    std::fs::write(folder.path().join("last"), "0\n")?;
    let (from, want) = (end.offset().await?, transactions(&node));
    // It joins what it reads by the transaction's hash, so a batch may hold a replayed transaction only once.
    let batch = cycle.to_string();
    let mut peer = Command::new(program);
    peer.args([
        "stream",
        "-e",
        "block,transaction,log",
        "-b",
        &batch,
        "-B",
        &batch,
        "-w",
        "2",
        "--period-seconds",
        "1",
    ])
    .args(["-l", "last", "-p", &node.simulator.url(), "-o", &format!("kafka/{brokers}")])
    .current_dir(folder.path());
    let mut child = child::spawn(&mut peer, folder.path())?;
    let before = usage(&child);
    let reached = end.reach(from, want, &mut child).await;
    let seen = reached.map_err(|e| child::explain(format!("ethereumetl: {e}").into(), folder.path()))?;
    let used = processes::since(&before, &usage(&child));
    child::stop(&mut child, STOP).await?;
    let seconds = (seen.last - seen.first).as_secs_f64();
    Ok(Feed {
        name: "ethereum-etl stream".to_owned(),
        blocks,
        transactions: want,
        seconds,
        transactions_per_second: (seen.at_last - seen.at_first) as f64 / seconds,
        cpu_us_per_transaction: per_transaction(used, want),
    })
}
