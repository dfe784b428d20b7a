//! The topics that the publisher writes, over either log, and a publisher that runs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use control::{
    Authenticated, Caller, ContractPatch, Control, Expected, Id, Operator,
    publisher::{Pace, Publisher, Standing},
};
use runtime::{
    control::Follower,
    log::{
        Log, LogError, NewRecord, Record, TopicPartition, Transaction,
        embedded::{EmbeddedConfig, EmbeddedLog},
        fold,
        kafka::{KafkaConfig, KafkaLog},
    },
};
use schemas::{
    Codec, TimeMs,
    codec::Record as _,
    headers::names,
    records::{ControlConfig, ControlTenant, Definition, TenantThing},
    topics::{self, TopicSpec},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::common::{Store, contract, until};

const TOPICS: [TopicSpec; 2] = [topics::CONTROL_CONFIG, topics::CONTROL_TENANTS];

/// Address number `n`.
pub fn address(n: u64) -> String {
    format!("0x{n:040x}")
}

/// As it is, but for a lease that tests can wait for.
pub fn pace() -> Pace {
    Pace { beat: Duration::from_millis(300), lease: Duration::from_millis(1_500), ..Pace::default() }
}

pub async fn create(control: &Control, who: &Authenticated, network: &str, n: u64) -> Id {
    control.create_contract(Caller::here(who), &contract(network, n), None).await.expect("made").made.id
}

pub async fn rename(control: &Control, who: &Authenticated, id: &Id, name: &str) {
    let patch = ContractPatch { name: Some(name.to_owned()), ..ContractPatch::default() };
    control.patch_contract(Caller::here(who), id, &Expected::Any, &patch).await.expect("changed");
}

pub async fn remove(control: &Control, who: &Authenticated, id: &Id) {
    control.delete_contract(Caller::here(who), id, &Expected::Any).await.expect("removed");
}

/// Key of a tenant's contract.
pub fn key(who: &Authenticated, id: &Id) -> String {
    format!("{}/contract/{id}", who.tenant().id())
}

/// Waits until a key of the topics has this name (of what has none: is there), or is not there.
pub async fn until_named(topics: &Topics, key: &str, name: Option<&str>) -> Duration {
    until(&format!("{key} is {name:?}"), async || topics.now().await.name(key).as_deref() == name).await
}

/// An operator, a store of its own, and two tenants.
pub async fn opened(store: &Store) -> (Operator, Arc<Control>, Authenticated, Authenticated) {
    let operator = store.operator().await;
    let home = operator.at_home();
    let second = store.second_tenant(&operator).await;
    (operator, Arc::new(store.open().await), home, second)
}

/// Keys that are not marked as published.
pub async fn unpublished(store: &Store) -> Vec<String> {
    let sql = "SELECT id FROM outbox WHERE published < revision UNION ALL \
               SELECT network || '/' || address FROM config_outbox WHERE published < revision";
    store.raw.texts(sql).await
}

pub struct Topics {
    pub log: Arc<dyn Log>,
    codec: Arc<Codec>,
    _dir: Option<tempfile::TempDir>,
}

impl Topics {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        Self::over(log, Some(dir)).await
    }

    /// Over Kafka; says so where there is none.
    pub async fn kafka() -> Option<Self> {
        let Some(servers) = std::env::var("HEADWATER_TEST_KAFKA").ok() else {
            assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
            eprintln!("SKIPPED: no Kafka; run it with `scripts/services run cargo test …`");
            return None;
        };
        let prefix = format!("test-{:x}.", fastrand::u64(..));
        let log = KafkaLog::connect(KafkaConfig { prefix, ..KafkaConfig::new(&servers) }).await.expect("Kafka");
        Some(Self::over(log, None).await)
    }

    async fn over(log: Arc<dyn Log>, dir: Option<tempfile::TempDir>) -> Self {
        log.ensure_topics(&TOPICS, 1).await.expect("topics");
        Self { log, codec: Arc::new(Codec::builtin()), _dir: dir }
    }

    pub fn publisher(&self, control: &Arc<Control>, instance: &str) -> Publisher {
        Publisher::new(control.clone(), self.log.clone(), self.codec.clone(), instance)
    }

    pub fn follower(&self) -> Follower {
        Follower::follow(self.log.clone(), self.codec.clone())
    }

    /// Writes something that is not the publisher's.
    pub async fn put(&self, key: &str, record: Option<&ControlConfig>, revision: Option<u64>) {
        let to = TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 };
        let value = record.map(|record| self.codec.encode(record).expect("a value"));
        let headers = revision.map(|n| (Arc::from(names::REVISION), n.to_string().into())).into_iter().collect();
        let records = vec![NewRecord { to, key: Some(key.to_owned().into()), value, headers }];
        let mut producer = self.log.producer("somebody").await.expect("a producer");
        producer.commit(Transaction { records, offsets: None }).await.expect("committed");
    }

    async fn records(&self, topic: TopicSpec) -> Vec<Record> {
        let mut all = Vec::new();
        let each = |record| {
            all.push(record);
            Ok::<(), LogError>(())
        };
        fold(&*self.log, TopicPartition { topic: topic.name, partition: 0 }, each).await.expect("read");
        all
    }

    pub async fn now(&self) -> Said {
        let mut said = Said::default();
        for topic in TOPICS {
            for record in self.records(topic).await {
                let key = String::from_utf8(record.key.as_ref().expect("a key").to_vec()).expect("text");
                let header = record.header(names::REVISION).map(|n| String::from_utf8_lossy(n).into_owned());
                let revision: Option<u64> = header.map(|n| n.parse().expect("a number"));
                let name = record.value.as_ref().map(|value| match topic {
                    topics::CONTROL_TENANTS => {
                        let found: ControlTenant = self.codec.decode(value).expect("a record");
                        assert_eq!((found.key().as_str(), Some(found.revision)), (key.as_str(), revision));
                        match found.thing {
                            TenantThing::Contract(contract) => contract.name,
                            thing => thing.definition().expect("a definition").1.name.clone(),
                        }
                    }
                    _ => match self.codec.decode::<ControlConfig>(value).expect("a record") {
                        ControlConfig::Contract(found) => {
                            assert_eq!(Some(found.revision), revision, "{key}");
                            found.contract.name
                        }
                        ControlConfig::Watched(found) => {
                            assert_eq!(Some(found.revision), revision, "{key}");
                            String::new()
                        }
                        other => other.key(),
                    },
                });
                said.0.push((key, revision, name));
            }
        }
        said
    }

    /// What stands under a key of `control.tenants`, where that is defined by JSON.
    pub async fn definition(&self, key: &str) -> Option<Definition> {
        let records = self.records(topics::CONTROL_TENANTS).await;
        let value = records.iter().rev().find(|r| r.key.as_deref() == Some(key.as_bytes()))?.value.as_ref()?;
        let found: ControlTenant = self.codec.decode(value).expect("a record");
        found.thing.definition().map(|(_, definition)| definition.clone())
    }

    /// What the newest record of an address says since when it is watched.
    pub async fn since(&self, key: &str) -> Option<TimeMs> {
        let records = self.records(topics::CONTROL_CONFIG).await;
        let newest = records.iter().rev().find(|record| record.key.as_deref() == Some(key.as_bytes()))?;
        match self.codec.decode(newest.value.as_ref()?).expect("a record") {
            ControlConfig::Watched(found) => found.since,
            other => panic!("{} is no address", other.key()),
        }
    }

    /// Offsets that were written, of both topics.
    pub async fn written(&self) -> u64 {
        let of = |topic: TopicSpec| TopicPartition { topic: topic.name, partition: 0 };
        let ends = self.log.ends(&TOPICS.map(of)).await.expect("ends");
        ends.iter().map(|ends| ends.high).sum()
    }

    /// All that `control.config` says, as people would see it.
    pub async fn all_of_config(&self) -> String {
        let mut all = String::new();
        for record in self.records(topics::CONTROL_CONFIG).await {
            all += &format!("{:?} {:?} ", record.key, record.headers);
            if let Some(value) = &record.value {
                all += &self.codec.decode_json(value).expect("JSON").to_string();
            }
        }
        all
    }
}

/// Everything that stands in the topics: key, revision, and name where it is there.
#[derive(Default)]
pub struct Said(Vec<(String, Option<u64>, Option<String>)>);

impl Said {
    pub fn name(&self, key: &str) -> Option<String> {
        self.0.iter().rev().find(|(k, _, _)| k == key).and_then(|(_, _, name)| name.clone())
    }

    pub fn revision(&self, key: &str) -> Option<u64> {
        self.0.iter().rev().find(|(k, _, _)| k == key).and_then(|(_, revision, _)| *revision)
    }

    /// No key ever went back.
    pub fn assert_no_older_row(&self) {
        let mut newest: HashMap<&str, u64> = HashMap::new();
        for (key, revision, name) in &self.0 {
            let revision = revision.unwrap_or_else(|| panic!("{key} has no revision"));
            let known = newest.entry(key).or_default();
            assert!(revision >= *known, "{key}: {name:?} of revision {revision} behind {known}");
            *known = revision;
        }
        assert!(!newest.is_empty());
    }
}

/// A publisher in a process of its own, as far as that can be had here.
pub struct Running {
    task: JoinHandle<()>,
    shutdown: CancellationToken,
    pub standing: watch::Receiver<Standing>,
}

impl Running {
    pub fn start(publisher: Publisher) -> Self {
        let (standing, shutdown) = (publisher.standing(), CancellationToken::new());
        Self { task: tokio::spawn(publisher.run(shutdown.clone())), shutdown, standing }
    }

    pub fn publishes(&self) -> bool {
        self.standing.borrow().publishes
    }

    pub async fn until_publishes(&self) {
        until("it publishes", async || self.publishes()).await;
    }

    /// Cut off wherever it is.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("ended well");
    }
}
