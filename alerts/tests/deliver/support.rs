//! A log, channels, and what was told of deliveries.

use std::{
    collections::HashMap,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alerts::deliver::{
    ChannelNow, Directory, Settings, channels::Services, deliver, heartbeat::Passed, schedule::Schedule,
    words::Template,
};
use conditions::Channel;
use runtime::{
    log::{
        Log, LogError, NewRecord, Record as LogRecord, TopicPartition, Transaction,
        embedded::{EmbeddedConfig, EmbeddedLog},
        fold,
    },
    scripts::Scripts,
    targets::{PORTS, Targets},
};
use schemas::{
    Codec, Record, TimeMs,
    records::{AlertCommand, AlertDelivery, AlertOutbox, DeliveryState},
    topics::{self, TopicSpec},
    ulid_of,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const TENANT: &str = "01KB8Z6Q4M7W0V1N3S5X9Y2TEN";
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Channels as the test defines them; secrets are not sealed here.
#[derive(Default)]
pub struct Channels(Mutex<HashMap<String, (ChannelNow, Value)>>, AtomicBool);

impl Channels {
    /// From now on they know of each other: what is told of channels goes to the others.
    pub fn know_each_other(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    pub fn put(&self, id: &str, definition: Value) {
        let read = Channel::with_secrets(&definition, None, TimeMs::now(), [7; 32])
            .unwrap_or_else(|mistakes| panic!("{definition}: {mistakes:?}"));
        let mut all = self.0.lock().unwrap();
        let version = all.get(id).map_or(1, |(now, _)| now.version + 1);
        let now = ChannelNow { channel: Arc::new(read.channel), version, sealed: Some(id.to_owned()), disabled: None };
        all.insert(id.to_owned(), (now, read.secrets));
    }
    pub fn secrets(&self, id: &str, change: impl FnOnce(&mut Value)) {
        change(&mut self.0.lock().unwrap().get_mut(id).unwrap().1);
    }
}

impl Directory for Channels {
    fn channel(&self, tenant: &str, id: &str) -> Option<ChannelNow> {
        self.0.lock().unwrap().get(id).filter(|_| tenant == TENANT).map(|(now, _)| now.clone())
    }
    fn others(&self, _: &str, id: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        let mut others: Vec<String> = all.keys().filter(|other| *other != id).cloned().collect();
        others.retain(|_| self.1.load(Ordering::Relaxed));
        others.sort();
        others
    }
    fn template(&self, _: &str, source: &Value) -> Option<Template> {
        (source["id"] == "with-template").then(|| Template {
            title: Some("${transaction.hash} moved ${events.0.args.value}".to_owned()),
            body: Some("*${monitor.name}* by ${events.0.args.from}, ${no.such}, ${transaction.cause}".to_owned()),
        })
    }
    fn open(&self, _: &str, id: &str, sealed: &str) -> Result<Value, String> {
        assert_eq!(id, sealed);
        Ok(self.0.lock().unwrap()[id].1.clone())
    }
    fn acknowledge(&self, _: &str, alert: &str, message: &str, _: TimeMs) -> Option<String> {
        Some(format!("token-{alert}-{message}"))
    }
}

pub struct Bench {
    pub log: Arc<EmbeddedLog>,
    pub codec: Arc<Codec>,
    pub channels: Arc<Channels>,
    pub settings: Settings,
    _dir: tempfile::TempDir,
}

pub struct Running {
    stop: CancellationToken,
    stage: JoinHandle<Result<(), LogError>>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        self.stage.await.unwrap().unwrap();
    }
    /// As `kill -9` would: nothing more is written.
    pub async fn kill(self) {
        self.stage.abort();
        let _ = self.stage.await;
    }
}

impl Bench {
    pub async fn new() -> Self {
        let _ = tracing_subscriber::fmt().with_env_filter("alerts=debug").with_test_writer().try_init();
        let dir = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig { min_free_bytes: 0, ..EmbeddedConfig::new(dir.path()) };
        let log = EmbeddedLog::open(config).await.unwrap();
        log.ensure_topics(&topics::ALL, 1).await.unwrap();
        let ms = Duration::from_millis;
        let settings = Settings {
            instance: "test".to_owned(),
            public_url: "https://hw.example".to_owned(),
            targets: Targets::new(&["127.0.0.0/8".to_owned()], &PORTS).unwrap(),
            scripts: Scripts::default(),
            services: Services::default(),
            schedule: Schedule::of([20, 50, 100, 200, 300, 300, 300, 300, 300].map(ms).to_vec()),
            breaker: ms(50),
            certificates: Vec::new(),
            passed: Passed::default(),
        };
        Self { log, codec: Arc::new(Codec::builtin()), channels: Arc::default(), settings, _dir: dir }
    }

    pub fn start(&self) -> Running {
        let stop = CancellationToken::new();
        let (log, codec, channels) = (self.log.clone(), self.codec.clone(), self.channels.clone());
        let (settings, shutdown) = (self.settings.clone(), stop.clone());
        let stage = async move { deliver(&settings, &*channels, &*log, &codec, &shutdown, || ()).await };
        Running { stop, stage: tokio::spawn(stage) }
    }

    pub async fn write<R: Record>(&self, records: &[R]) {
        let record = |record: &R| NewRecord {
            to: TopicPartition { topic: R::TOPIC.name, partition: 0 },
            key: Some(record.key().into()),
            value: Some(self.codec.encode(record).unwrap()),
            headers: Vec::new(),
        };
        let transaction = Transaction { records: records.iter().map(record).collect(), offsets: None };
        let mut producer = self.log.producer(&format!("test.{}", R::TOPIC.name)).await.unwrap();
        producer.commit(transaction).await.unwrap();
    }

    pub async fn command(&self, command: AlertCommand) {
        self.write(&[command]).await;
    }

    pub async fn all<R: Record>(&self, topic: TopicSpec) -> Vec<R> {
        let mut all = Vec::new();
        let each = |record: LogRecord| {
            all.extend(record.value.map(|value| self.codec.decode::<R>(&value).unwrap()));
            Ok::<(), LogError>(())
        };
        fold(&*self.log, TopicPartition { topic: topic.name, partition: 0 }, each).await.unwrap();
        all
    }

    pub async fn deliveries(&self) -> Vec<AlertDelivery> {
        self.all(topics::ALERTS_DELIVERIES).await
    }

    /// Waits until so many messages have reached an end, and gives all that was told.
    pub async fn ended(&self, count: usize) -> Vec<AlertDelivery> {
        let begun = tokio::time::Instant::now();
        loop {
            let all = self.deliveries().await;
            let ended = all.iter().filter(|d| d.state != DeliveryState::Queued && d.kind != "channel.disabled").count();
            if ended >= count {
                return all;
            }
            assert!(begun.elapsed() < PATIENCE, "{ended} of {count} ended: {all:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub fn alert(id: &str, state: &str) -> Value {
    json!({
        "id": id, "source": {"kind": "rule", "id": "01RULE", "name": "Router <fails> & @everyone *now*", "version": 3},
        "network": "ethereum-mainnet", "contract": "0x7a250d5630b4cf539739df2c5dacb4c659f2488d",
        "group": {}, "state": state, "severity": "critical", "started_at": "2026-11-29T17:00:00.000Z",
        "fired_at": "2026-11-29T17:00:05.000Z", "ended_at": null, "silenced": false,
        "evidence": {"metric": "failure_rate", "value": 0.12, "threshold": 0.05, "window": "5m",
            "from": "2026-11-29T16:55:00.000Z", "to": "2026-11-29T17:00:00.000Z", "transactions": 100, "failed": 12,
            "causes": [{"cause": "slippage", "count": 9}, {"cause": "`out_of_gas`", "count": 3}],
            "example": {"hash": "0xabc"}, "height": 23_900_000, "block_hash": "0xdef", "sequence": 120_034},
    })
}

/// A message of an alert; its order is that of its kinds.
pub fn message(channel: &str, alert_id: &str, kind: &str, order: u64) -> AlertOutbox {
    let state = match kind {
        "alert.resolved" => "resolved",
        "alert.retracted" => "retracted",
        "alert.acknowledged" => "acknowledged",
        _ => "firing",
    };
    let now = TimeMs::now();
    AlertOutbox {
        tenant: TENANT.to_owned(),
        id: ulid_of(now, format!("{channel}/{alert_id}/{kind}/{order}").as_bytes()),
        alert_id: Some(alert_id.to_owned()),
        channel_id: channel.to_owned(),
        kind: kind.to_owned(),
        created_at: now,
        next_attempt_at: now,
        attempts: 0,
        order,
        body: alert(alert_id, state).to_string(),
        done_at: None,
        thread: None,
    }
}

pub fn states(deliveries: &[AlertDelivery], id: &str) -> Vec<DeliveryState> {
    deliveries.iter().filter(|d| d.id == id).map(|d| d.state).collect()
}

/// The Python with receivers that no one here wrote; `None` is told.
pub fn python() -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/fetch-receivers");
    let prepared = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    let python = String::from_utf8_lossy(&prepared.stdout).trim().to_owned();
    if python.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "in CI it must be there");
        eprintln!("SKIPPED: Python is not prepared; see scripts/fetch-receivers");
        return None;
    }
    Some(python)
}

pub fn script(name: &str) -> String {
    format!("{}/tests/deliver/{name}", env!("CARGO_MANIFEST_DIR"))
}
