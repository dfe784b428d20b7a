//! A compacted topic as ingest fills it, over a real broker: it stays small, and what is read of it is held a little at a time.
//!
//! The short form is one partition with a day of a chain; the full form is what a process of a large cluster takes over:
//! `cargo test -p runtime --lib -- --ignored --nocapture eight_partitions`, with a broker (`scripts/services run`).

use std::{collections::BTreeMap, fs, process::Command, time::Instant};

use bytes::Bytes;
use futures::future::join_all;
use schemas::limits::{COMPACTED_SEGMENT_BYTES, REORG_LIMIT_BLOCKS, STATE_POLL_RECORDS};

use super::{
    tests::{broker, config, unique},
    *,
};
use crate::log::{NewRecord, Transaction, conformance::Watched, fold};

/// Bytes of one record: a checkpoint, or an entry of the ring; each block has one of both.
const BYTES: usize = 150;
/// Commits of a chunk of blocks are large, so that filling takes minutes and not hours.
const BLOCKS_PER_COMMIT: u64 = 1_000;
/// How long the broker's cleaner has.
const CLEANED_WITHIN: Duration = Duration::from_secs(180);

fn at(partition: u32) -> TopicPartition {
    TopicPartition { topic: schemas::topics::INGEST_CHECKPOINTS.name, partition }
}

/// The newest block of each key.
type State = BTreeMap<String, u64>;

/// As ingest fills a partition: of each block a checkpoint and an entry of the ring, which no compression makes small.
async fn fill(log: &Arc<KafkaLog>, partition: u32, blocks: u64) -> State {
    let mut producer = log.producer(&format!("p{partition}")).await.expect("producer");
    let mut random = 88_172_645_463_325_252_u64 + u64::from(partition);
    let mut newest = State::new();
    for chunk in 0..blocks / BLOCKS_PER_COMMIT {
        let mut records = Vec::new();
        for n in chunk * BLOCKS_PER_COMMIT..(chunk + 1) * BLOCKS_PER_COMMIT {
            for key in ["eth".to_owned(), format!("eth#{}", n % REORG_LIMIT_BLOCKS)] {
                let mut value = n.to_be_bytes().to_vec();
                while value.len() < BYTES {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    value.extend_from_slice(&random.to_be_bytes());
                }
                newest.insert(key.clone(), n);
                let (key, value) = (Some(key.into()), Some(Bytes::from(value)));
                records.push(NewRecord { to: at(partition), key, value, headers: Vec::new() });
            }
        }
        producer.commit(Transaction { records, offsets: None }).await.expect("commit");
    }
    // A commit is answered before readers see it. Who takes over fences first (rule 10), and then sees all of it.
    drop(producer);
    log.producer(&format!("p{partition}")).await.expect("producer");
    newest
}

/// Reads a partition as a takeover does. Its state, and how many records were there and were held at most.
async fn take_over(log: Arc<dyn Log>, partition: u32) -> (State, usize, usize) {
    let watched = Watched::new(log);
    let (mut read, mut seen) = (0, State::new());
    fold(&watched, at(partition), |record| {
        let number = record.value.as_deref().and_then(|v| v.first_chunk::<8>()).map(|n| u64::from_be_bytes(*n));
        let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        seen.extend(number.map(|n| (key, n)));
        read += 1;
        Ok::<(), LogError>(())
    })
    .await
    .expect("read");
    (seen, read, watched.most())
}

/// Takes all partitions over at once. Their states, and how many records there were.
#[allow(clippy::print_stderr)] // how long it took: docs/kafka.md has figures
async fn take_all_over(log: &Arc<KafkaLog>, partitions: u32) -> (Vec<State>, usize) {
    let started = Instant::now();
    let taken = join_all((0..partitions).map(|p| take_over(log.clone(), p))).await;
    let (read, held) = (taken.iter().map(|t| t.1).sum(), taken.iter().map(|t| t.2).max().unwrap_or(0));
    assert!(held <= STATE_POLL_RECORDS, "{held} records of a partition were held at a time");
    eprintln!("{read} records are there; read in {:?}, {held} of a partition held at most", started.elapsed());
    (taken.into_iter().map(|t| t.0).collect(), read)
}

/// Fills partitions, and takes them over until the broker has cleaned them.
async fn fill_and_wait(config: KafkaConfig, partitions: u32, blocks: u64) {
    let log = KafkaLog::connect(config).await.expect("connect");
    log.ensure_topics(&[schemas::topics::INGEST_CHECKPOINTS], partitions).await.expect("topic");
    let newest = join_all((0..partitions).map(|p| fill(&log, p, blocks))).await;
    let written = 2 * blocks as usize;
    assert!(written * BYTES > 3 * COMPACTED_SEGMENT_BYTES, "several segments were begun");

    // The broker cleans when it comes to it. What it never touches is the newest segment.
    let most = partitions as usize * (COMPACTED_SEGMENT_BYTES / BYTES + 2 * newest[0].len());
    let end = Instant::now() + CLEANED_WITHIN;
    loop {
        let (states, read) = take_all_over(&log, partitions).await;
        assert_eq!(states, newest, "whatever was compacted, the newest of each key is there");
        if read <= most {
            return;
        }
        assert!(Instant::now() < end, "{read} records are there still; {most} would be the newest segments");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// As topics are made for operators, in nothing sooner.
fn as_for_operators(brokers: String, prefix: &str) -> KafkaConfig {
    KafkaConfig { topic_properties: Vec::new(), ..config(brokers, prefix) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_many_blocks_leaves_a_state_that_is_soon_read() {
    let Some(brokers) = broker("a_chain_of_many_blocks_leaves_a_state_that_is_soon_read") else { return };
    // A day at two a second.
    fill_and_wait(as_for_operators(brokers, &unique("compacted")), 1, 170_000).await;
}

const PARTITIONS: u32 = 8;
/// Names the topics that the process of its own takes over.
const PREFIX: &str = "HEADWATER_TEST_TAKE_OVER";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes 40 million records: many minutes, 15 GB"]
async fn eight_partitions_of_five_million_records_are_taken_over_within_five_seconds() {
    let test = "eight_partitions_of_five_million_records_are_taken_over_within_five_seconds";
    let Some(brokers) = broker(test) else { return };
    let prefix = unique("compacted");
    fill_and_wait(as_for_operators(brokers, &prefix), PARTITIONS, 2_500_000).await;
    // In a process that has done nothing else: its memory is that of a takeover.
    let this = std::env::current_exe().expect("this test");
    let child = Command::new(this)
        .args(["--ignored", "--nocapture", "--exact", "log::kafka::compacted::in_a_process_of_its_own"])
        .env(PREFIX, prefix)
        .status();
    assert!(child.expect("starts").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the one above"]
#[allow(clippy::print_stderr)]
async fn in_a_process_of_its_own() {
    let (Ok(prefix), Some(brokers)) = (std::env::var(PREFIX), broker("in_a_process_of_its_own")) else { return };
    let started = Instant::now();
    let log = KafkaLog::connect(as_for_operators(brokers, &prefix)).await.expect("connect");
    take_all_over(&log, PARTITIONS).await;
    let (took, status) = (started.elapsed(), fs::read_to_string("/proc/self/status").expect("status"));
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let peak = peak.expect("VmHWM") >> 10;
    eprintln!("connected and took over in {took:?}, peak {peak} MiB");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(peak <= 200, "{peak} MiB");
}
