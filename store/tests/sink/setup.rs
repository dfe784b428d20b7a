//! An engine, an embedded log, and sinks that can be killed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clickhouse::{RowOwned, RowRead};
use runtime::log::{
    Log, NewRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::{
    Network,
    codec::{Codec, Record},
    records::EnrichedCause,
    topics::{self, TopicSpec},
};
use store::{
    Store, StoreConfig,
    sink::{self, KeepTimes, SinkConfig, batch::Event},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::Running;

pub const PARTITIONS: u32 = 4;

/// Whether all is to be tried of which tests else try a sample: every statement to be cut off at, more seeds (`make test-long`).
pub fn long() -> bool {
    std::env::var_os("HEADWATER_TEST_LONG").is_some()
}

/// A log in a temporary directory.
pub struct TestLog {
    pub log: Arc<EmbeddedLog>,
    _dir: TempDir,
    codec: Codec,
}

impl TestLog {
    pub async fn open() -> Self {
        Self::open_with(&topics::ALL).await
    }

    /// With these topics only.
    pub async fn open_with(topics: &[TopicSpec]) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path().join("log"))).await.expect("a log");
        log.ensure_topics(topics, PARTITIONS).await.expect("topics");
        Self { log, _dir: dir, codec: Codec::builtin() }
    }

    /// Writes events in one transaction, as enrich does.
    pub async fn publish(&self, events: &[Event]) {
        self.write(self.records(events)).await;
    }

    /// Writes causes, as the stage that finds them does.
    pub async fn publish_causes(&self, causes: &[EnrichedCause]) {
        let record = |cause: &EnrichedCause| NewRecord {
            to: TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition: partition_of(&cause.network) },
            key: Some(cause.key().into()),
            value: Some(self.codec.encode(cause).expect("a cause")),
            headers: cause.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
        };
        let mut producer = self.log.producer("causes").await.expect("a producer");
        for some in causes.chunks(1_000) {
            let records = some.iter().map(record).collect();
            producer.commit(Transaction { records, offsets: None }).await.expect("a commit");
        }
    }

    pub async fn write(&self, records: Vec<NewRecord>) {
        let mut producer = self.log.producer("enrich").await.expect("a producer");
        producer.commit(Transaction { records, offsets: None }).await.expect("a commit");
    }

    /// The records of events.
    pub fn records(&self, events: &[Event]) -> Vec<NewRecord> {
        let mut records = Vec::new();
        for event in events {
            let partition = partition_of(event.network());
            let mut push = |topic, key: String, value, headers: Vec<(&'static str, bytes::Bytes)>| {
                let headers = headers.into_iter().map(|(n, v)| (n.into(), v)).collect();
                records.push(NewRecord {
                    to: TopicPartition { topic, partition },
                    key: Some(key.into()),
                    value: Some(value),
                    headers,
                });
            };
            let block = &event.block;
            let value = self.codec.encode(block).expect("a header record");
            push(topics::ENRICHED_BLOCKS.name, block.key(), value, block.headers());
            for t in &event.transactions {
                let value = self.codec.encode(t).expect("a transaction record");
                push(topics::ENRICHED_TRANSACTIONS.name, t.key(), value, t.headers());
            }
        }
        records
    }
}

pub fn partition_of(network: &Network) -> u32 {
    network.as_str().bytes().map(u32::from).sum::<u32>() % PARTITIONS
}

/// A handle on a database of one's own in the test's engine.
pub fn store_in(engine: &Running, database: &str) -> Store {
    let url = engine.url.clone();
    let mut config = StoreConfig::new(url, database, "headwater", engine.credentials.stages.expose());
    config.write_deadline = Duration::from_secs(20);
    Store::connect(config).expect("a plain name")
}

/// A sink that runs until it is stopped or killed.
pub struct RunningSink {
    pub config: SinkConfig,
    task: JoinHandle<Result<(), sink::Error>>,
    stop: CancellationToken,
}

impl RunningSink {
    pub fn start(store: &Store, log: &TestLog) -> Self {
        Self::start_on(store, log.log.clone())
    }

    /// On any log.
    pub fn start_on(store: &Store, log: Arc<dyn Log>) -> Self {
        Self::start_with(store, log, |_| {})
    }

    /// Configured by `configure`. Nothing is waited for as long as in earnest.
    pub fn start_with(store: &Store, log: Arc<dyn Log>, configure: impl FnOnce(&mut SinkConfig)) -> Self {
        let mut config = SinkConfig::new(store.config().clone(), "test");
        config.batch_age = Duration::from_millis(20);
        config.refusals = Duration::from_secs(2);
        config.refused_rests = Duration::from_secs(3);
        config.audits = Duration::from_millis(500);
        config.samples_age = Duration::from_millis(100);
        config.causes_age = Duration::from_millis(50);
        config.keep_times = KeepTimes {
            look: Duration::from_millis(100),
            idle: Duration::from_secs(60),
            rest: Duration::from_millis(300),
            hidden: Duration::from_millis(900),
            growth: Duration::from_millis(500),
        };
        configure(&mut config);
        let stop = CancellationToken::new();
        let codec = Arc::new(Codec::builtin());
        let running = sink::run(config.clone(), log, codec, stop.clone());
        let task = tokio::spawn(async move {
            let outcome = running.await;
            if let Err(error) = &outcome {
                eprintln!("the sink ended: {error}");
            }
            outcome
        });
        Self { config, task, stop }
    }

    /// Cuts it off where it stands, requests in flight included.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|e| e.is_cancelled()), "the sink ended before it was killed");
    }

    pub async fn stop(self) -> Result<(), sink::Error> {
        self.stop.cancel();
        self.task.await.expect("no panic")
    }
}

/// Waits until this is visible.
pub async fn until_processed(store: &Store, network: &Network, sequence: u64) {
    until(&format!("{network} to reach {sequence}"), || async {
        store.processed_sequence(network.as_str()).await.is_ok_and(|s| s >= sequence)
    })
    .await;
}

/// Waits for something that must come.
pub async fn until<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let give_up = Instant::now() + Duration::from_secs(600);
    while !check().await {
        assert!(Instant::now() < give_up, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All rows of a statement.
pub async fn rows<T: RowOwned + RowRead>(engine: &Running, store: &Store, sql: &str) -> Vec<T> {
    let client = engine.client().with_database(store.database());
    client.query(sql).fetch_all::<T>().await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Runs a statement.
pub async fn execute(engine: &Running, store: &Store, sql: &str) {
    let client = engine.client().with_database(store.database());
    client.query(sql).execute().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}
