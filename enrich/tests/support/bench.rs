//! The stage over an embedded log of its own.

use std::{collections::HashMap, sync::Arc, time::Duration};

use enrich::{Config, run};
use runtime::log::{
    Log, NewRecord, PollLimits, Polled, Record as LogRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::{
    Codec, Record,
    records::{RawBlock, RawTransaction},
    topics,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where everything is written, if nothing else is said.
pub const PARTITION: u32 = 1;

pub struct Bench {
    pub log: Arc<EmbeddedLog>,
    pub codec: Arc<Codec>,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = EmbeddedConfig::new(dir.path());
        config.min_free_bytes = 0;
        let log = EmbeddedLog::open(config).await.unwrap();
        log.ensure_topics(&topics::ALL, 2).await.unwrap();
        Self { log, codec: Arc::new(Codec::builtin()), _dir: dir }
    }

    pub fn start(&self) -> (CancellationToken, JoinHandle<Result<(), enrich::Error>>) {
        self.start_over(self.log.clone())
    }

    pub fn start_over(&self, log: Arc<dyn Log>) -> (CancellationToken, JoinHandle<Result<(), enrich::Error>>) {
        self.start_in_batches(log, 256)
    }

    /// With so many events in a transaction, at most.
    pub fn start_in_batches(
        &self,
        log: Arc<dyn Log>,
        events: usize,
    ) -> (CancellationToken, JoinHandle<Result<(), enrich::Error>>) {
        let mut config = Config::new("test", HashMap::from([("eth".parse().unwrap(), 1)]));
        config.batch_events = events;
        self.start_as(log, config)
    }

    pub fn start_as(
        &self,
        log: Arc<dyn Log>,
        mut config: Config,
    ) -> (CancellationToken, JoinHandle<Result<(), enrich::Error>>) {
        let stop = CancellationToken::new();
        config.linger = Duration::from_millis(5);
        (stop.clone(), tokio::spawn(run(config, log, self.codec.clone(), stop)))
    }

    pub fn record<R: Record>(&self, record: &R) -> NewRecord {
        self.record_at(PARTITION, record)
    }

    pub fn record_at<R: Record>(&self, partition: u32, record: &R) -> NewRecord {
        NewRecord {
            to: TopicPartition { topic: R::TOPIC.name, partition },
            key: Some(record.key().into()),
            value: Some(self.codec.encode(record).unwrap()),
            headers: record.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
        }
    }

    pub async fn publish(&self, records: Vec<NewRecord>) {
        let mut producer = self.log.producer("test.ingest").await.unwrap();
        producer.commit(Transaction { records, offsets: None }).await.unwrap();
    }

    pub async fn apply(&self, (block, txs): (RawBlock, Vec<RawTransaction>)) {
        let children = txs.iter().map(|tx| self.record(tx));
        self.publish([self.record(&block)].into_iter().chain(children).collect()).await;
    }

    /// Everything in a topic's partition, once it has `wanted` records.
    pub async fn read(&self, topic: &'static str, partition: u32, wanted: usize) -> Vec<LogRecord> {
        let at = TopicPartition { topic, partition };
        let mut reader = self.log.reader(&[(at, 0)]).await.unwrap();
        let mut all = Vec::new();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while all.len() < wanted {
            assert!(tokio::time::Instant::now() < deadline, "{topic}: {} of {wanted} records", all.len());
            let limits = PollLimits { records: 1_000, bytes: 8 << 20, wait: Duration::from_millis(200) };
            match reader.poll(limits).await.unwrap() {
                Polled::Records(records) => all.extend(records),
                other => panic!("{other:?}"),
            }
        }
        // Whatever came twice would be there by now: it would have come in the same order.
        let limits = PollLimits { records: 1_000, bytes: 8 << 20, wait: Duration::from_millis(50) };
        if let Polled::Records(more) = reader.poll(limits).await.unwrap() {
            all.extend(more);
        }
        all
    }
}
