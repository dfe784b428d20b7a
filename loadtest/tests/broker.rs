//! The log's own clients while their broker is gone: a broker of this test's own is killed, and comes back.

use bytes::Bytes;
use loadtest::cluster::{Servers, Way};
use runtime::log::kafka::{KafkaConfig, KafkaLog};
use runtime::log::{Consumer, Log, LogError, LogErrorKind, NewRecord, PollLimits, Polled, TopicPartition, Transaction};
use schemas::topics::{RAW_TRANSACTIONS, TopicSpec};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const AT: TopicPartition = TopicPartition { topic: RAW_TRANSACTIONS.name, partition: 0 };
/// A commit and the question before it have deadlines of 10 s each, a question outlasts its own at most twice.
const BOUNDED: Duration = Duration::from_secs(45);
/// When everything must be as it was before.
const PATIENCE: Duration = Duration::from_secs(90);

fn transaction(value: &str) -> Transaction {
    let record = NewRecord {
        to: AT,
        key: Some(Bytes::from_static(b"eth")),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Vec::new(),
    };
    Transaction { records: vec![record], offsets: None }
}

/// What a member has read, in order. Positions are stored with each record, so that it comes once.
#[derive(Default)]
struct Read {
    values: Vec<String>,
    held: bool,
    slowest: Duration,
    told: BTreeSet<String>,
}

impl Read {
    async fn poll(&mut self, consumer: &mut dyn Consumer) {
        let limits = PollLimits { records: 10, bytes: 1 << 20, wait: Duration::from_millis(200) };
        let started = Instant::now();
        let polled = consumer.poll(limits).await;
        self.slowest = self.slowest.max(started.elapsed());
        match polled {
            Ok(Polled::Assigned(_)) => self.held = true,
            Ok(Polled::Revoked(_)) => self.held = false,
            Ok(Polled::Records(records)) => {
                for record in records {
                    let value = record.value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                    self.values.push(value.into_owned());
                    let stored = consumer.commit(vec![(AT, record.offset + 1)]).await;
                    assert!(stored.as_ref().is_ok_and(|()| true) || stored.as_ref().is_err_and(LogError::is_transient));
                }
            }
            Ok(other) => panic!("unexpected {other:?}"),
            Err(e) => {
                assert!(e.is_transient(), "{e:?}");
                self.told.insert(format!("{:?}", e.kind));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn until(&mut self, what: &str, consumer: &mut dyn Consumer, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "{what}: not in time; read {:?}, told {:?}", self.values, self.told);
            self.poll(consumer).await;
        }
    }
}

/// Whether there is a Kafka; CI always has one.
#[allow(clippy::print_stderr)]
fn there_is_one(test: &str) -> bool {
    let there = std::env::var_os("HEADWATER_TEST_KAFKA").is_some();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
        eprintln!("SKIPPED {test}: no Kafka here");
    }
    there
}

/// Whether the fault proxy can be built; CI can.
#[allow(clippy::print_stderr)]
fn there_is_go(test: &str) -> bool {
    let there = std::process::Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "go is missing: the fault proxy is built with it");
        eprintln!("SKIPPED {test}: no Go here");
    }
    there
}

/// A runtime as stages have it.
fn stage() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).max_blocking_threads(16).enable_all().build().expect("a runtime")
}

/// Forty partitions commit while no broker answers: the group's polls do not wait behind them, and no commit that nobody waits for
/// any more is made later.
#[test]
fn a_broker_that_does_not_answer_holds_up_commits_and_nothing_else() {
    const PARTITIONS: u32 = 40;
    if !there_is_one("a_broker_that_does_not_answer_holds_up_commits_and_nothing_else") {
        return;
    }
    stage().block_on(async {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
        let servers = Servers::start(&script, 1, false).await.expect("a broker");
        let config = KafkaConfig { replication: 1, ..KafkaConfig::new(&servers.kafka) };
        let log = KafkaLog::connect(config).await.expect("log");
        log.ensure_topics(&[RAW_TRANSACTIONS], PARTITIONS).await.expect("topic");
        let mut consumer = log.consumer("g", "one", &[AT.topic]).await.expect("consumer");
        let limits = PollLimits { records: 100, bytes: 1 << 20, wait: Duration::from_millis(200) };
        while !matches!(consumer.poll(limits).await.expect("poll"), Polled::Assigned(_)) {}
        let to = |partition: u32| {
            let mut transaction = transaction("a value");
            transaction.records[0].to.partition = partition;
            transaction
        };
        let mut producers = Vec::new();
        for partition in 0..PARTITIONS {
            let mut producer = log.producer(&format!("p{partition}")).await.expect("producer");
            producer.commit(to(partition)).await.expect("commit");
            producers.push(producer);
        }
        servers.kill(1).await.expect("killed");
        let started = Instant::now();
        let mut commits = Vec::new();
        for (n, mut producer) in (0..PARTITIONS).zip(producers) {
            let transaction = to(n);
            commits.push(tokio::spawn(async move { producer.commit(transaction).await.expect_err("no broker") }));
        }
        let mut slowest = Duration::ZERO;
        while !commits.iter().all(tokio::task::JoinHandle::is_finished) {
            let poll = Instant::now();
            match consumer.poll(limits).await {
                Ok(_) => {}
                Err(e) => assert!(e.is_transient(), "{e:?}"),
            }
            slowest = slowest.max(poll.elapsed());
        }
        // Each has ten seconds of its own and some to end in; in turns of sixteen they would take three times as long.
        assert!(started.elapsed() < Duration::from_secs(29), "commits waited for each other: {:?}", started.elapsed());
        assert!(slowest < Duration::from_secs(4), "a poll waited {slowest:?}");
        for commit in commits {
            let e = commit.await.expect("ended");
            assert!(e.is_transient() && !e.message.contains("had no turn"), "{e:?}");
        }
    });
}

/// On a way of 1 MiB/s, 24 MiB in one transaction take longer than a commit has at first: the next one has more.
#[test]
fn a_large_transaction_goes_through_on_a_slow_way() {
    let name = "a_large_transaction_goes_through_on_a_slow_way";
    if !there_is_one(name) || !there_is_go(name) {
        return;
    }
    stage().block_on(async {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
        let servers = Servers::start(&script, 1, true).await.expect("a broker behind a proxy");
        let config = KafkaConfig { replication: 1, ..KafkaConfig::new(&servers.kafka) };
        let log = KafkaLog::connect(config).await.expect("log");
        log.ensure_topics(&[TopicSpec { per_network: false, ..RAW_TRANSACTIONS }], 1).await.expect("topic");
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<Bytes> = (0..24)
            .map(|_| std::iter::repeat_with(|| random.u8(..)).take((1 << 20) - (4 << 10)).collect::<Vec<_>>().into())
            .collect();
        let large = || Transaction {
            records: noise
                .iter()
                .map(|v| NewRecord { value: Some(v.clone()), ..transaction("").records.remove(0) })
                .collect(),
            offsets: None,
        };
        servers.proxy.as_ref().expect("a proxy").spoil(1, Way::Slow(20)).await.expect("slow");
        let end = Instant::now() + Duration::from_secs(300);
        let mut tries = 0;
        loop {
            assert!(Instant::now() < end, "it never went through in {tries} tries");
            tries += 1;
            let Ok(mut producer) = log.producer("p").await else { continue };
            match producer.commit(large()).await {
                Ok(()) => break,
                Err(e) => assert!(e.is_transient(), "{e:?}"),
            }
        }
        assert!(tries > 1, "the way was too fast for this test");
        servers.proxy.as_ref().expect("a proxy").mend().await.expect("mended");
        let (mut whole, mut log_bytes) = (0, 0);
        while whole < noise.len() {
            assert!(Instant::now() < end, "{whole} records");
            let read = runtime::log::conformance::read_all(&*log, AT).await.expect("read");
            whole = read.len();
            log_bytes = read.iter().map(|r| r.value.as_ref().map_or(0, Bytes::len)).sum();
        }
        assert_eq!((whole, log_bytes), (24, noise.iter().map(Bytes::len).sum()), "once, and whole");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_gone_and_comes_back_costs_nothing_but_time() {
    if !there_is_one("a_broker_that_is_gone_and_comes_back_costs_nothing_but_time") {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
    let servers = Servers::start(&script, 1, false).await.expect("a broker");
    let log = KafkaLog::connect(KafkaConfig { replication: 1, ..KafkaConfig::new(&servers.kafka) }).await.expect("log");
    log.ensure_topics(&[TopicSpec { per_network: false, ..RAW_TRANSACTIONS }], 1).await.expect("topic");
    let mut producer = log.producer("p").await.expect("producer");
    let mut consumer = log.consumer("g", "one", &[AT.topic]).await.expect("consumer");
    let mut read = Read::default();
    producer.commit(transaction("before")).await.expect("commit");
    read.until("the first record", &mut *consumer, |r| r.values == ["before"]).await;

    // A second member has just begun to join: the rebalance is cut off in its middle.
    let mut joining = log.consumer("other", "two", &[AT.topic]).await.expect("consumer");
    let mut late = Read::default();
    late.poll(&mut *joining).await;
    servers.kill(1).await.expect("killed");

    // While it is gone: a commit ends in bounded time, without a wrong word; polls are not held up.
    let started = Instant::now();
    let lost = producer.commit(transaction("meanwhile")).await.expect_err("no broker");
    assert!(started.elapsed() < BOUNDED, "{:?}", started.elapsed());
    assert!(lost.is_transient(), "{lost:?}");
    // What may have been written or not ends the producer: it says so without trying.
    if lost.kind == LogErrorKind::Indefinite {
        let started = Instant::now();
        assert_eq!(producer.commit(transaction("never")).await.expect_err("over").kind, LogErrorKind::Indefinite);
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    read.slowest = Duration::ZERO;
    let end = Instant::now() + Duration::from_secs(8);
    while Instant::now() < end {
        read.poll(&mut *consumer).await;
    }
    assert!(read.slowest < Duration::from_secs(2), "a poll took {:?}", read.slowest);
    late.poll(&mut *joining).await;
    drop(producer);

    // Back again: who makes the producer anew and reads what was written goes on; the readers do by themselves.
    servers.restart(1).await.expect("back");
    let end = Instant::now() + PATIENCE;
    let mut producer = loop {
        match log.producer("p").await {
            Ok(producer) => break producer,
            Err(e) => assert!(e.is_transient() && Instant::now() < end, "{e:?}"),
        }
    };
    let written = runtime::log::conformance::read_all(&*log, AT).await;
    let written = written.expect("read").iter().any(|r| r.value.as_deref() == Some(b"meanwhile"));
    assert!(!written || lost.kind == LogErrorKind::Indefinite, "{lost:?}, and yet it is there");
    if !written {
        producer.commit(transaction("meanwhile")).await.expect("commit");
    }
    producer.commit(transaction("after")).await.expect("commit");
    let all = ["before", "meanwhile", "after"];
    read.until("everything", &mut *consumer, |r| r.values.len() >= all.len()).await;
    assert_eq!(read.values, all);
    late.until("everything, of a group that was cut off", &mut *joining, |r| r.values.len() >= all.len()).await;
    assert_eq!(late.values, all);
}
