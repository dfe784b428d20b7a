//! The log's own clients while their broker is gone: a broker of this test's own is killed, and comes back.

use bytes::Bytes;
use loadtest::cluster::Servers;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn a_broker_that_is_gone_and_comes_back_costs_nothing_but_time() {
    if std::env::var_os("HEADWATER_TEST_KAFKA").is_none() {
        assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
        eprintln!("SKIPPED a_broker_that_is_gone_and_comes_back_costs_nothing_but_time: no Kafka here");
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
    let written = runtime::log::read_all(&*log, AT).await;
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
