//! The stage on an embedded log, and a reader of its topics that takes nothing on trust.
#![allow(dead_code)]

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ingest::{Config, Endpoint, NetworkConfig, Start};
use nodes::bitcoin;
use runtime::log::{
    Log, PollLimits, Polled, Record, TopicPartition,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::{
    Network, Op, Origin, TimeMs,
    bitcoin::BitcoinChain,
    codec::Codec,
    headers::ChainHeaders,
    records::{NetworkState, Payload, RawBlock, RawTransaction, StageStatus},
    topics,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const SLUG: &str = "test-net";

/// An embedded log in a directory, not synced: these tests are about order, not about power.
pub async fn open(dir: &Path) -> Arc<EmbeddedLog> {
    let mut config = EmbeddedConfig::new(dir);
    config.sync = runtime::log::embedded::Sync::Os;
    config.min_free_bytes = 0;
    for _ in 0..100 {
        match EmbeddedLog::open(config.clone()).await {
            Ok(log) => return log,
            // The former holder is still letting go.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    EmbeddedLog::open(config).await.unwrap()
}

/// One network at one endpoint, with short waits.
pub fn config(url: &str, ws: Option<&str>, chain_id: u64, start: Start) -> Config {
    let endpoint = Endpoint {
        name: "node".into(),
        url: url.parse().unwrap(),
        ws: ws.map(|w| w.parse().unwrap()),
        headers: Vec::new(),
    };
    let mut network = NetworkConfig::evm(SLUG.parse().unwrap(), chain_id, endpoint);
    network.start = start;
    let mut config = Config {
        networks: vec![network],
        instance: "test".into(),
        partitions: 2,
        finality_every: Duration::from_millis(500),
        backoff: (Duration::from_millis(20), Duration::from_millis(500)),
        seldom: Duration::from_secs(1),
        fenced_wait: Duration::from_millis(300),
        ..Config::default()
    };
    config.tuning.backoff_min = Duration::from_millis(10);
    config.tuning.backoff_max = Duration::from_millis(200);
    config.tuning.call_timeout = Duration::from_secs(5);
    config.tuning.poll_max = Duration::from_millis(500);
    config.tuning.poll_min = Duration::from_millis(20);
    config
}

/// One Bitcoin network on chain `chain` (left open where there is none) at these endpoints, each of an operator of its own, with short waits.
pub fn bitcoin_config(chain: Option<BitcoinChain>, endpoints: Vec<bitcoin::Endpoint>, start: Start) -> Config {
    let mut network = NetworkConfig::bitcoin(SLUG.parse().unwrap(), chain, endpoints);
    network.start = start;
    Config { networks: vec![network], ..config("http://127.0.0.1:9", None, 1, start) }
}

/// The endpoints of the first network.
pub fn endpoints(config: &mut Config) -> &mut Vec<Endpoint> {
    match &mut config.networks[0].chain {
        ingest::config::Chain::Evm { endpoints, .. } => endpoints,
        ingest::config::Chain::Bitcoin { .. } => panic!("an EVM network"),
    }
}

/// A running stage.
pub struct Stage {
    task: JoinHandle<Result<(), ingest::Error>>,
    cancel: CancellationToken,
}

impl Stage {
    pub fn start(config: Config, log: Arc<EmbeddedLog>) -> Self {
        let cancel = CancellationToken::new();
        let task = tokio::spawn(ingest::run(config, log, Arc::new(Codec::builtin()), cancel.clone()));
        Self { task, cancel }
    }
    /// Cleanly.
    pub async fn stop(self) {
        self.cancel.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("stops in time").unwrap().unwrap();
    }
    /// Cleanly too, but with a log that does not take the last words.
    pub async fn stop_whatever_it_says(self) {
        self.cancel.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("stops in time").unwrap();
    }
    /// As a killed process: nobody is asked.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// All records of a topic, over its partitions.
pub async fn read_topic(log: &dyn Log, topic: topics::TopicSpec) -> Vec<Record> {
    let mut records = Vec::new();
    for partition in 0..log.partitions(topic.name).await.unwrap_or(0) {
        let at = TopicPartition { topic: topic.name, partition };
        let ends = log.watermarks(at).await.unwrap();
        let mut reader = log.reader(&[(at, ends.low)]).await.unwrap();
        let mut next = ends.low;
        while next < ends.high {
            let poll = PollLimits { records: 10_000, bytes: 64 << 20, wait: Duration::from_millis(200) };
            let Polled::Records(batch) = reader.poll(poll).await.unwrap() else { panic!("out of range") };
            if batch.is_empty() {
                break;
            }
            next = batch.last().unwrap().offset + 1;
            records.extend(batch);
        }
    }
    records
}

/// The newest status of the network.
pub async fn status(log: &dyn Log) -> Option<StageStatus> {
    let codec = Codec::builtin();
    let records = read_topic(log, topics::STAGE_STATUS).await;
    let said = records.iter().filter_map(|r| r.value.as_ref()).map(|v| codec.decode::<StageStatus>(v).unwrap());
    said.filter(|s| s.network.is_some()).last()
}

/// The network's status, once it is said anew that it is in this state.
pub async fn wait_for_state(log: &dyn Log, state: NetworkState) -> StageStatus {
    let (until, from) = (Instant::now() + Duration::from_secs(60), TimeMs::now());
    loop {
        let now = status(log).await;
        match now {
            Some(s) if s.state == state.as_str() && s.at >= from => return s,
            other => assert!(Instant::now() < until, "{state:?} was expected, last: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The chain as a reader of both raw topics knows it.
#[derive(Default)]
pub struct Chain {
    /// Applied and not reverted, lowest first.
    pub blocks: Vec<RawBlock>,
    /// Transactions per sequence.
    pub transactions: HashMap<u64, Vec<RawTransaction>>,
    pub sequence: u64,
    pub reverts: usize,
    pub finality: usize,
    pub remaining: u32,
    pub last_finalized: Option<u64>,
    /// Filled on request, in the order of their sequences.
    pub filled: Vec<RawBlock>,
}

impl Chain {
    pub fn tip(&self) -> Option<(u64, String)> {
        self.blocks.last().map(|b| (b.envelope.height, b.envelope.block_hash.to_string()))
    }
    pub fn hashes(&self) -> Vec<(u64, String)> {
        self.blocks.iter().map(|b| (b.envelope.height, b.envelope.block_hash.to_string())).collect()
    }
}

/// Reads everything and checks every rule that a reader may rely on (rules 1 to 4).
pub async fn read_chain(log: &dyn Log) -> Chain {
    let codec = Codec::builtin();
    let network: Network = SLUG.parse().unwrap();
    let mut chain = Chain::default();
    // Children first: their topic is read later than the headers' would show events without children.
    let headers = read_topic(log, topics::RAW_BLOCKS).await;
    let mut children: HashMap<u64, Vec<RawTransaction>> = HashMap::new();
    let mut last = 0;
    for record in read_topic(log, topics::RAW_TRANSACTIONS).await {
        let raw: RawTransaction = codec.decode(record.value.as_ref().unwrap()).unwrap();
        let named = ChainHeaders::parse(|n| record.header(n)).unwrap();
        assert_eq!((named.sequence, named.op), (raw.envelope.sequence, raw.envelope.op), "record headers say the same");
        assert_eq!(record.key.as_deref(), Some(SLUG.as_bytes()));
        assert!(raw.envelope.sequence >= last, "events are contiguous and in order");
        last = raw.envelope.sequence;
        children.entry(raw.envelope.sequence).or_default().push(raw);
    }
    let mut highest = 0;
    for record in &headers {
        let block: RawBlock = codec.decode(record.value.as_ref().unwrap()).unwrap();
        let e = &block.envelope;
        assert_eq!(e.network, network);
        if e.op == Op::Finality {
            assert_eq!(e.sequence, chain.sequence, "finality repeats the last sequence");
            chain.finality += 1;
            chain.remaining = e.reorg_remaining;
            chain.last_finalized = e.finalized_height;
            continue;
        }
        chain.sequence += 1;
        assert_eq!(e.sequence, chain.sequence, "no gap, no repeat");
        let mine = children.remove(&e.sequence).unwrap_or_default();
        assert_eq!(mine.len(), e.child_records() as usize, "children of sequence {}", e.sequence);
        assert!(mine.iter().all(|c| c.envelope == e.child()));
        match e.op {
            Op::Apply if e.origin == Origin::Backfill => {
                let tip = chain.blocks.last().expect("a live block comes first").envelope.height;
                assert!(e.height <= tip, "nothing is filled above the tip");
                assert_eq!(mine.len(), e.tx_count as usize);
                chain.transactions.insert(e.sequence, mine);
                chain.filled.push(block);
            }
            Op::Apply => {
                if let Some(below) = chain.blocks.last() {
                    assert_eq!(below.envelope.block_hash, e.parent_hash, "parents are linked at {}", e.height);
                    assert!(below.envelope.height < e.height);
                }
                let mut logs = 0;
                for (i, child) in mine.iter().enumerate() {
                    let index = match &child.payload {
                        Payload::Evm(t) => {
                            logs += t.logs.len();
                            t.transaction_index
                        }
                        Payload::Bitcoin(t) => t.transaction_index,
                        other => panic!("no transaction: {other:?}"),
                    };
                    assert_eq!(index as usize, i);
                }
                assert_eq!((mine.len(), logs), (e.tx_count as usize, e.log_count as usize));
                chain.transactions.insert(e.sequence, mine);
                chain.last_finalized = e.finalized_height;
                chain.blocks.push(block);
            }
            Op::Revert => {
                let top = chain.blocks.pop().expect("a block to be reverted");
                assert_eq!((top.envelope.height, &top.envelope.block_hash), (e.height, &e.block_hash), "newest first");
                assert_eq!(e.reverts_sequence, Some(top.envelope.sequence));
                assert!(matches!(mine[0].payload, Payload::Revert));
                chain.transactions.remove(&top.envelope.sequence);
                chain.reverts += 1;
            }
            Op::Finality => unreachable!(),
        }
        chain.remaining = block_remaining(record, &codec);
        highest = highest.max(chain.sequence);
    }
    // What was committed between the two readings has headers that were not read yet.
    assert!(children.keys().all(|s| *s > highest), "children without header: {:?}", children.keys());
    chain
}

fn block_remaining(record: &Record, codec: &Codec) -> u32 {
    codec.decode::<RawBlock>(record.value.as_ref().unwrap()).unwrap().envelope.reorg_remaining
}

/// Waits until the chain's tip is this, and returns it, checked.
pub async fn wait_for_tip(log: &dyn Log, height: u64, hash: &str) -> Chain {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        // Reading everything is dear; the newest header tells whether it is worth while.
        let mut chain = Chain::default();
        if newest_is(log, height, hash).await {
            chain = read_chain(log).await;
            if chain.tip() == Some((height, hash.to_owned())) {
                return chain;
            }
        }
        if Instant::now() > until {
            panic!("tip {height} {hash} was expected, is {:?}; status {:?}", chain.tip(), status(log).await);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a partition's newest header record is this block's.
pub async fn newest_is(log: &dyn Log, height: u64, hash: &str) -> bool {
    let codec = Codec::builtin();
    for partition in 0..log.partitions(topics::RAW_BLOCKS.name).await.unwrap_or(0) {
        let at = TopicPartition { topic: topics::RAW_BLOCKS.name, partition };
        let ends = log.watermarks(at).await.unwrap();
        if ends.high == ends.low {
            continue;
        }
        let mut reader = log.reader(&[(at, ends.high - 1)]).await.unwrap();
        let poll = PollLimits { records: 10, bytes: 1 << 20, wait: Duration::from_millis(100) };
        let Polled::Records(batch) = reader.poll(poll).await.unwrap() else { continue };
        for record in &batch {
            let e = codec.decode::<RawBlock>(record.value.as_ref().unwrap()).unwrap().envelope;
            if e.height == height && e.block_hash.as_str() == hash {
                return true;
            }
        }
    }
    false
}

/// Log lines on request (`RUST_LOG`).
pub fn trace() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
}
