//! Other programs on the same blocks of the same node, in the same run: `ethereumetl stream` into Kafka, `cryo` into files.
//!
//! Guarantee: a figure counts only when as many transactions arrived as the chain has, of cryo's files every hash once. Of
//! ethereum-etl, which neither awaits nor repeats what it sends, some may be lost: how many stands beside its figure.

use super::feed::{End, Feed, log_of, per_transaction, transactions, usage};
use super::processes::Watch;
use super::{Failure, Node, child, processes};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Log as _, TopicPartition};
use schemas::topics::{Cleanup, TopicSpec};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// Blocks that ethereum-etl asks for at once.
const BATCH: &str = "50";
/// How long topics rest that were just made: what is sent to one that is not everywhere yet is lost.
const REST: Duration = Duration::from_secs(3);
/// Of a hundred transactions so many may be lost.
const LOST: u64 = 10;
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(20);
/// How long cryo may take.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// What drives cryo.
const CRYO: &str = include_str!("cryo.py");

/// `ethereumetl stream` over the node's first `blocks` blocks, with its own topics.
pub(super) async fn ethereum_etl(program: &Path, node: &Node, blocks: u64, brokers: &str) -> Result<Feed, Failure> {
    const fn topic(name: &'static str) -> TopicSpec {
        TopicSpec { name, cleanup: Cleanup::Delete, retention: None, retention_bytes: None, per_network: false }
    }
    let head = node.simulator.head();
    let blocks = blocks.min(head);
    let log = KafkaLog::connect(log_of(brokers, "")).await?;
    log.ensure_topics(&[topic("blocks"), topic("transactions"), topic("logs")], 1).await?;
    let end = End { log, at: TopicPartition { topic: "transactions", partition: 0 } };
    tokio::time::sleep(REST).await;
    let folder = tempfile::Builder::new().prefix("headwater-peer-").tempdir()?;
    let last = folder.path().join("last");
    std::fs::write(&last, "0\n")?;
    let (from, want) = (end.offset().await?, transactions(node, 1..=blocks));
    let lag = (head - blocks).to_string();
    let mut peer = Command::new(program);
    peer.args(["stream", "-e", "block,transaction,log", "-b", BATCH, "-B", BATCH, "-w", "2", "--period-seconds", "1"])
        .args(["--lag", &lag, "-l", "last", "-p", &node.simulator.url(), "-o", &format!("kafka/{brokers}")])
        .current_dir(folder.path());
    let mut child = child::spawn(&mut peer, folder.path())?;
    let watch = Watch::start(child.id().ok_or("it ended at once")?);
    let before = usage(&watch);
    // It notes how far it has come.
    let synced = || std::fs::read_to_string(&last).is_ok_and(|at| at.trim().parse() == Ok(blocks));
    let reached = end.reach(from, want, &mut child, synced).await;
    let seen = reached.map_err(|e| child::explain(format!("ethereumetl: {e}").into(), folder.path()))?;
    if seen.at_last > want || (want - seen.at_last) * 100 > want * LOST {
        return Err(format!("ethereumetl: {} transactions are in the topic; the chain has {want}", seen.at_last).into());
    }
    let used = processes::since(&before, &usage(&watch));
    let memory = child.id().map(processes::memory).map_or(0, |memory| memory.main + memory.children);
    child::stop(&mut child, STOP).await?;
    let seconds = (seen.last - seen.first).as_secs_f64();
    Ok(Feed {
        name: "ethereum-etl stream".to_owned(),
        checks: "nothing".to_owned(),
        writes: "blocks, transactions, logs; JSON into Kafka, acks=1, not awaited".to_owned(),
        blocks,
        transactions: want,
        lost: want - seen.at_last,
        seconds,
        transactions_per_second: (seen.at_last - seen.at_first) as f64 / seconds,
        cpu_us_per_transaction: per_transaction(used, want),
        peak_memory: memory,
    })
}

#[derive(Deserialize)]
struct Took {
    seconds: f64,
    cpu: f64,
    rows: u64,
    hashes: u64,
}

/// `cryo` over all of the node's blocks, into Parquet files in a temporary folder. `python`: an interpreter that has it.
pub(super) async fn cryo(python: &Path, node: &Node) -> Result<Feed, Failure> {
    let head = node.simulator.head();
    let want = transactions(node, 1..=head);
    let folder = tempfile::Builder::new().prefix("headwater-peer-").tempdir()?;
    let mut peer = Command::new(python);
    peer.args(["-c", CRYO, &node.simulator.url(), "1", &head.to_string()]).arg(folder.path().join("out"));
    let own = processes::own(Node::THREADS);
    let mut child = child::spawn(&mut peer, folder.path())?;
    let mut memory = 0;
    let status = tokio::time::timeout(PATIENCE, async {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
            memory = child.id().map(processes::memory).map_or(memory, |now| memory.max(now.main + now.children));
        }
    });
    let status = status.await.map_err(|_| format!("cryo: not done after {PATIENCE:?}"))??;
    let own = processes::own(Node::THREADS).saturating_sub(own);
    let said = child::messages(folder.path());
    let took =
        said.lines().last().and_then(|line| serde_json::from_str::<Took>(line).ok()).filter(|_| status.success());
    let took = took.ok_or_else(|| child::explain(format!("cryo: it ended with {status}").into(), folder.path()))?;
    if (took.rows, took.hashes) != (want, want) {
        let Took { rows, hashes, .. } = took;
        return Err(
            format!("cryo: {rows} transactions are in its files, {hashes} different; the chain has {want}").into()
        );
    }
    let used = [("cryo", Duration::from_secs_f64(took.cpu)), (processes::NODE, own)];
    let used: BTreeMap<String, Duration> = used.map(|(name, used)| (name.to_owned(), used)).into();
    Ok(Feed {
        name: "cryo".to_owned(),
        checks: "nothing".to_owned(),
        writes: "transactions with their status, no logs; Parquet files".to_owned(),
        blocks: head,
        transactions: want,
        lost: 0,
        seconds: took.seconds,
        transactions_per_second: want as f64 / took.seconds,
        cpu_us_per_transaction: per_transaction(used, want),
        peak_memory: memory,
    })
}
