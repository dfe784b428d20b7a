//! Everything that a test stands on: a database, an embedded log, the real sink, the API.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use api::{Config, NetworkConfig};
use runtime::log::{
    Log, NewRecord, Producer, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::{
    Family, Network, Op,
    codec::{Codec, Record},
    topics,
};
use store::{Store, StoreConfig, sink::SinkConfig};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{chain::Event, engine, http, http::Answer};

/// Partitions of chain topics: networks of one test lie on different ones.
pub const PARTITIONS: u32 = 2;

pub struct World {
    pub store: Store,
    pub log: Arc<dyn Log>,
    pub codec: Arc<Codec>,
    networks: Vec<Network>,
    producer: Mutex<Box<dyn Producer>>,
    stop: CancellationToken,
    sink: Option<(CancellationToken, JoinHandle<Result<(), store::sink::Error>>)>,
    config: StoreConfig,
    _dir: TempDir,
}

/// A running API.
pub struct Api {
    pub at: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), api::Error>>,
}

impl World {
    /// Log, database and sink for these networks.
    pub async fn start(networks: &[&str]) -> Self {
        let mut world = Self::without_sink(networks).await;
        world.start_sink().await;
        world
    }

    pub async fn without_sink(networks: &[&str]) -> Self {
        let config = engine::database();
        let dir = tempfile::tempdir().expect("temp dir");
        let log: Arc<dyn Log> = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        log.ensure_topics(&topics::ALL, PARTITIONS).await.expect("topics");
        let producer = Mutex::new(log.producer("test").await.expect("a producer"));
        Self {
            store: Store::connect(config.clone()).expect("a store"),
            log,
            codec: Arc::new(Codec::builtin()),
            networks: networks.iter().map(|n| n.parse().expect("slug")).collect(),
            producer,
            stop: CancellationToken::new(),
            sink: None,
            config,
            _dir: dir,
        }
    }

    pub async fn start_sink(&mut self) {
        self.store.migrate().await.expect("tables");
        let stop = self.stop.child_token();
        let mut config = SinkConfig::new(self.config.clone(), "test");
        config.samples_age = Duration::from_millis(100);
        let sink = store::sink::run(config, self.log.clone(), self.codec.clone(), stop.clone());
        self.sink = Some((stop, tokio::spawn(sink)));
    }

    pub fn config(&self) -> Config {
        let family = |n: &Network| if n.as_str().starts_with("bitcoin") { Family::Bitcoin } else { Family::Evm };
        let network = |n: &Network| NetworkConfig { network: n.clone(), family: family(n) };
        Config { visible_every: Duration::from_millis(20), ..Config::new(self.networks.iter().map(network).collect()) }
    }

    /// An API over it.
    pub async fn api(&self) -> Api {
        self.api_with(self.config()).await
    }

    pub async fn api_with(&self, config: Config) -> Api {
        self.api_over(config, self.store.clone()).await
    }

    pub async fn api_over(&self, config: Config, store: Store) -> Api {
        self.api_on(config, store, self.log.clone()).await
    }

    /// An API that has its own view of the log.
    pub async fn api_on(&self, config: Config, store: Store, log: Arc<dyn Log>) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("address");
        let stop = self.stop.child_token();
        let task = tokio::spawn(api::run(config, listener, store, log, self.codec.clone(), stop.clone()));
        let api = Api { at, stop, task };
        // The live reader begins at the log's end as of now: it is there once /health answers and a moment has passed.
        api.get("/api/v1/openapi.json").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        api
    }

    fn partition(&self, network: &Network) -> u32 {
        self.networks.iter().position(|n| n == network).unwrap_or(0) as u32 % PARTITIONS
    }

    fn record<R: Record>(&self, network: &Network, record: &R) -> NewRecord {
        NewRecord {
            to: TopicPartition {
                topic: R::TOPIC.name,
                partition: if R::TOPIC.per_network { self.partition(network) } else { 0 },
            },
            key: Some(record.key().into()),
            value: Some(self.codec.encode(record).expect("encodes")),
            headers: record.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
        }
    }

    /// Writes events in one transaction of the log.
    pub async fn publish(&self, events: &[Event]) {
        let mut records = Vec::new();
        for (block, transactions) in events {
            let network = &block.envelope.network;
            records.push(self.record(network, block));
            records.extend(transactions.iter().map(|t| self.record(network, t)));
        }
        let mut producer = self.producer.lock().await;
        producer.commit(Transaction { records, offsets: None }).await.expect("commits");
    }

    /// Writes any other record.
    pub async fn tell<R: Record>(&self, network: &Network, record: &R) {
        let records = vec![self.record(network, record)];
        self.producer.lock().await.commit(Transaction { records, offsets: None }).await.expect("commits");
    }

    /// Waits until the store shows the sequence.
    pub async fn visible(&self, network: &Network, sequence: u64) {
        let wait = async {
            loop {
                if self.sink.as_ref().is_some_and(|(_, task)| task.is_finished()) {
                    panic!("the sink ended");
                }
                if self.store.processed_sequence(network.as_str()).await.expect("an answer") >= sequence {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), wait).await.expect("visible in time");
    }

    /// A statement in the test's database, as the stages' user.
    pub async fn sql(&self, statement: &str) {
        let at = self.config.url.socket_addrs(|| None).expect("address")[0];
        let headers =
            [("X-ClickHouse-User", self.config.user.as_str()), ("X-ClickHouse-Key", self.config.password.as_str())];
        let target = format!("/?database={}", self.config.database);
        let answer = http::exchange(at, "POST", &target, &headers, statement.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Publishes a chain's events of now and waits until they are visible.
    pub async fn publish_and_wait(&self, events: &[Event]) {
        self.publish(events).await;
        for (block, _) in events.iter().rev().take(1) {
            self.visible(&block.envelope.network, block.envelope.sequence).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Api {
    pub async fn get(&self, target: &str) -> Answer {
        http::exchange(self.at, "GET", target, &[], b"").await
    }

    pub async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        http::exchange(self.at, "GET", target, headers, b"").await
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        !self.task.is_finished()
    }

    /// Stops it; the outcome must be good.
    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(30), self.task).await.expect("stops in time");
        ended.expect("no panic").expect("a clean end");
    }
}

/// Whether a block event applies.
pub fn applies(event: &Event) -> bool {
    event.0.envelope.op == Op::Apply
}
