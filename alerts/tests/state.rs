//! The group alerts.state over a real log: each transition comes once, whatever it is cut off in, and people's commands are carried out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use alerts::{Config, run};
use alloy_primitives::{B256, U256};
use runtime::log::{
    Log, LogError, NewRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
    fold,
};
use schemas::{
    Codec, Family, Network, Record, TimeMs,
    records::{
        Alert, AlertCommand, AlertDelivery, AlertEvent, AlertEventKind, AlertMatch, AlertOutbox, AlertPhase,
        AlertSource, Command, ControlTenant, Definition, DefinitionKind, DeliveryState, Found, FoundKind, MatchOp,
        SourceKind, TenantThing,
    },
    topics,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(120);

type Running = (CancellationToken, JoinHandle<Result<(), alerts::Error>>);

struct Bench {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    _dir: tempfile::TempDir,
}

fn network() -> Network {
    "demo".parse().expect("a slug")
}

impl Bench {
    /// A log with a monitor, and a channel that the operator has not allowed: what is to be sent stays to be seen.
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let config = EmbeddedConfig { min_free_bytes: 0, ..EmbeddedConfig::new(dir.path()) };
        let log: Arc<dyn Log> = EmbeddedLog::open(config).await.expect("a log");
        log.ensure_topics(&topics::ALL, 2).await.expect("topics");
        let bench = Self { log, codec: Arc::new(Codec::builtin()), _dir: dir };
        let monitor = json!({
            "name": "transfers",
            "severity": "critical",
            "networks": ["demo"],
            "match_conditions": {"transactions": [{"status": "Any"}]},
            "group_by": ["transaction"],
            "channels": ["ops"],
        });
        bench.define(DefinitionKind::Monitor, "m", monitor).await;
        let channel = json!({"name": "ops", "type": "script", "config": {"path": "/bin/true"}, "per_hour": 1000});
        bench.define(DefinitionKind::Channel, "ops", channel).await;
        bench
    }

    fn start(&self) -> Running {
        let families = HashMap::from([(network(), Family::Evm)]);
        let config = Config::new("test", families, "http://127.0.0.1:8080");
        let stop = CancellationToken::new();
        (stop.clone(), tokio::spawn(run(config, self.log.clone(), self.codec.clone(), stop)))
    }

    fn record(&self, record: &impl Record) -> NewRecord {
        fn topic_of<R: Record>(_: &R) -> &'static str {
            R::TOPIC.name
        }
        NewRecord {
            to: TopicPartition { topic: topic_of(record), partition: 0 },
            key: Some(record.key().into()),
            value: Some(self.codec.encode(record).expect("encodes")),
            headers: record.headers().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }

    async fn define(&self, kind: DefinitionKind, id: &str, definition: Value) {
        let name = definition["name"].as_str().expect("a name").to_owned();
        let definition = definition.to_string();
        let definition = Definition { name, version: 1, definition, sealed: None, disabled: None };
        let thing = TenantThing::of(kind, definition);
        let thing = ControlTenant { tenant: "t".to_owned(), id: id.to_owned(), revision: 1, thing };
        self.write("control.test", vec![self.record(&thing)]).await;
    }

    async fn write(&self, id: &str, records: Vec<NewRecord>) {
        let mut producer = self.log.producer(id).await.expect("a producer");
        producer.commit(Transaction { records, offsets: None }).await.expect("committed");
    }

    async fn all<R: Record>(&self) -> Vec<R> {
        let at = TopicPartition { topic: R::TOPIC.name, partition: 0 };
        let mut all = Vec::new();
        fold(&*self.log, at, |record| {
            let Some(value) = record.value.as_deref() else { return Ok(()) };
            all.push(self.codec.decode::<R>(value).expect("a record"));
            Ok::<(), LogError>(())
        })
        .await
        .expect("read");
        all
    }

    /// Events of the tenant, by alert.
    async fn events(&self) -> BTreeMap<String, Vec<AlertEvent>> {
        let mut events: BTreeMap<String, Vec<AlertEvent>> = BTreeMap::new();
        for event in self.all::<AlertEvent>().await.into_iter().filter(|event| event.tenant == "t") {
            events.entry(event.alert_id.clone()).or_default().push(event);
        }
        events
    }

    /// Ids of messages of the tenant, by their type.
    async fn messages(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut messages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for message in self.all::<AlertOutbox>().await.into_iter().filter(|message| message.tenant == "t") {
            messages.entry(message.kind).or_default().insert(message.id);
        }
        messages
    }

    /// Until what became of so many messages of each type is told, and of no others.
    async fn until_told(&self, wanted: &BTreeMap<&str, usize>) {
        let begun = Instant::now();
        loop {
            let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let of_alerts = |delivery: &AlertDelivery| delivery.tenant == "t" && delivery.kind.starts_with("alert.");
            for delivery in self.all::<AlertDelivery>().await.into_iter().filter(of_alerts) {
                told.entry(delivery.kind).or_default().insert(delivery.id);
            }
            let counts: BTreeMap<&str, usize> = told.iter().map(|(kind, ids)| (kind.as_str(), ids.len())).collect();
            if counts == *wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{counts:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until(&self, what: &str, is_there: impl Fn(&BTreeMap<String, Vec<AlertEvent>>) -> bool) {
        let there = async {
            while !is_there(&self.events().await) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let there = tokio::time::timeout(PATIENCE, there).await;
        assert!(there.is_ok(), "{what} does not come: {:?}", self.events().await);
    }
}

async fn stop((stop, running): Running) {
    stop.cancel();
    running.await.expect("no panic").expect("stopped");
}

fn matched(op: MatchOp, number: u64, sequence: u64) -> AlertMatch {
    let hash = B256::from(U256::from(number));
    let now = TimeMs::now();
    AlertMatch {
        tenant: "t".to_owned(),
        source: AlertSource { kind: SourceKind::Monitor, id: "m".into(), name: "transfers".into(), version: 1 },
        op,
        network: network(),
        sequence,
        height: 100 + sequence,
        block_hash: Some(B256::from(U256::from(sequence)).into()),
        at: now,
        observed_at: now,
        contract: None,
        group: BTreeMap::from([("transaction".to_owned(), hash.to_string())]),
        found: Some(Found {
            transaction_hash: hash,
            kind: FoundKind::Transaction,
            position: None,
            condition: 0,
            signature: None,
            arguments: "{}".to_owned(),
            cause: None,
        }),
        figure: None,
    }
}

fn kinds(events: &[AlertEvent]) -> Vec<AlertEventKind> {
    events.iter().map(|event| event.kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_it_is_cut_off_in_each_transition_comes_once() {
    use AlertEventKind::{Fired, IncludedAgain, Retracted};
    let bench = Bench::new().await;
    let mut running = bench.start();
    let mut sequence = 0;
    for round in 0..10u64 {
        // Five new ones; of the round before, all are taken back and two come again.
        let before = (round.saturating_sub(1) * 5..round * 5).map(|n| (MatchOp::Retract, n));
        let again = (round.saturating_sub(1) * 5..round * 5).take(2).map(|n| (MatchOp::IncludedAgain, n));
        let new = (round * 5..round * 5 + 5).map(|n| (MatchOp::Match, n));
        for (op, number) in before.chain(again).chain(new) {
            sequence += 1;
            bench.write("match.test", vec![bench.record(&matched(op, number, sequence))]).await;
        }
        // Cut off somewhere: before it has joined, while it reads, or after it has written.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..400))).await;
        running.1.abort();
        let _ = running.1.await;
        running = bench.start();
    }
    bench
        .until("the last one's firing", |events| {
            events.len() == 50 && events.values().filter(|events| events.len() == 1).count() == 5
        })
        .await;
    // One that a later one of its alert overtakes leaves the outbox, and is told as replaced.
    let wanted = BTreeMap::from([("alert.firing", 50), ("alert.included_again", 18), ("alert.retracted", 45)]);
    bench.until_told(&wanted).await;
    stop(running).await;
    let events = bench.events().await;
    let (mut back, mut gone) = (0, 0);
    for events in events.values() {
        match kinds(events).as_slice() {
            [Fired] => {}
            [Fired, Retracted] => gone += 1,
            [Fired, Retracted, IncludedAgain] => back += 1,
            other => panic!("{other:?}"),
        }
        let revisions: Vec<u64> = events.iter().map(|event| event.revision).collect();
        assert_eq!(revisions, (1..=events.len() as u64).collect::<Vec<_>>());
    }
    assert_eq!((back, gone), (18, 27));
    bench.until_told(&wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_acknowledge_and_try_channels_out() {
    let bench = Bench::new().await;
    let running = bench.start();
    bench.write("match.test", vec![bench.record(&matched(MatchOp::Match, 1, 1))]).await;
    bench.until("the firing", |events| events.len() == 1).await;
    let alert_id = bench.events().await.into_keys().next().expect("one");
    let command = |id: &str, what| AlertCommand {
        tenant: "t".to_owned(),
        id: id.to_owned(),
        at: TimeMs::now(),
        by: "somebody".to_owned(),
        what,
    };
    let acknowledge = || Command::Acknowledge { alert_id: alert_id.clone(), note: Some("on it".to_owned()) };
    let test = Command::TestChannel { channel_id: "ops".into(), delivery_id: "01ARYZ6S410000000000000000".into() };
    let nobody = Command::Acknowledge { alert_id: "01ARYZ6S410000000000000001".into(), note: None };
    // The first one is written twice.
    for (id, what) in [("1", acknowledge()), ("1", acknowledge()), ("2", nobody), ("3", test)] {
        bench.write("api.test", vec![bench.record(&command(id, what))]).await;
    }
    bench.until("the acknowledgement", |events| events.values().any(|events| events.len() == 2)).await;
    bench.write("match.test", vec![bench.record(&matched(MatchOp::Match, 2, 2))]).await;
    bench.until("what comes behind it", |events| events.len() == 2).await;
    stop(running).await;
    let events = bench.events().await;
    let of = &events[&alert_id];
    assert_eq!(kinds(of), [AlertEventKind::Fired, AlertEventKind::Acknowledged]);
    assert_eq!((of[1].by.as_deref(), of[1].note.as_deref()), (Some("somebody"), Some("on it")));
    let alert: Alert = serde_json::from_str(&of[1].alert).expect("an alert");
    assert_eq!((alert.state, alert.ended_at), (AlertPhase::Acknowledged, None));
    assert_eq!(alert.evidence["matches"][0]["transaction_hash"], B256::from(U256::from(1)).to_string());
    let messages = bench.messages().await;
    assert!(messages["channel.test"].contains("01ARYZ6S410000000000000000"));
    assert_eq!(messages["alert.acknowledged"].len(), 1);
}

/// A test of a channel that is published a moment later is sent; one of a channel that never comes is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_waits_for_what_it_is_about() {
    let bench = Bench::new().await;
    let running = bench.start();
    let test = |id: &str, channel: &str, delivery: &str| AlertCommand {
        tenant: "t".to_owned(),
        id: id.to_owned(),
        at: TimeMs::now(),
        by: "somebody".to_owned(),
        what: Command::TestChannel { channel_id: channel.to_owned(), delivery_id: delivery.to_owned() },
    };
    let (sent, lost) = ("01ARYZ6S410000000000000002", "01ARYZ6S410000000000000003");
    bench.write("api.test", vec![bench.record(&test("1", "late", sent)), bench.record(&test("2", "none", lost))]).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let channel = json!({"name": "late", "type": "script", "config": {"path": "/bin/true"}});
    bench.define(DefinitionKind::Channel, "late", channel).await;
    let there = async {
        loop {
            let messages = bench.messages().await;
            let told = bench.all::<AlertDelivery>().await.into_iter().find(|delivery| delivery.id == lost);
            if let (Some(tests), Some(told)) = (messages.get("channel.test"), told) {
                return (tests.clone(), told);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (tests, told) = tokio::time::timeout(PATIENCE, there).await.expect("both");
    stop(running).await;
    assert_eq!(tests, BTreeSet::from([sent.to_owned()]));
    assert_eq!((told.state, told.error.as_deref()), (DeliveryState::Failed, Some("the channel is not there")));
}
