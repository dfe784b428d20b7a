//! Trouble that only a real broker has, and the class of error that each becomes.

use bytes::Bytes;

use std::time::Instant;

use rdkafka::error::KafkaError;
use schemas::limits::RECORD_VALUE_BYTES;

use super::{
    config::FRAMING,
    tests::{broker, config, unique},
    *,
};
use crate::log::{LogErrorKind, NewRecord, PollLimits, Polled, Transaction};
use crate::secret::Secret;

const TOPIC: Topic = "raw.transactions";

fn record(bytes: usize) -> NewRecord {
    // Does not compress, so that the broker sees what is written.
    let mut state = 88_172_645_463_325_252u64;
    let value = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    NewRecord {
        to: TopicPartition { topic: TOPIC, partition: 0 },
        key: Some(Bytes::from_static(b"eth")),
        value: Some(value.take(bytes).collect()),
        headers: vec![("network".into(), Bytes::from_static(b"eth"))],
    }
}

fn records(records: Vec<NewRecord>) -> Transaction {
    Transaction { records, offsets: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_topic_takes_is_known_and_kept_to() {
    let Some(brokers) = broker("what_a_topic_takes_is_known_and_kept_to") else { return };
    let log = KafkaLog::connect(config(brokers, &unique("limits"))).await.expect("connect");
    log.ensure_topics(&[schemas::topics::RAW_TRANSACTIONS], 1).await.expect("topic");
    assert_eq!(log.value_limit(TOPIC).await.expect("limit"), RECORD_VALUE_BYTES);
    let mut producer = log.producer("p").await.expect("producer");
    producer.commit(records(vec![record(50_000)])).await.expect("fits");

    // Lowered under a living producer: the broker refuses, nothing is written, and the next commit knows better.
    log.set_property(TOPIC, "max.message.bytes", "20000").await.expect("lowered");
    let refused = loop {
        match producer.commit(records(vec![record(10), record(50_000)])).await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(100)).await, // not yet known to the broker
            Err(e) => break e,
        }
    };
    assert!(refused.kind == LogErrorKind::TooLarge && refused.nothing_written(), "{refused}");
    let limit = log.value_limit(TOPIC).await.expect("limit");
    assert_eq!(limit, 20_000 - FRAMING);
    let refused = producer.commit(records(vec![record(limit + 1)])).await.expect_err("too large");
    assert!(
        refused.kind == LogErrorKind::TooLarge && refused.message.contains("max.message.bytes of 20000"),
        "{refused}"
    );
    let before = log.watermarks(record(1).to).await.expect("ends").high;

    // What fits goes, and many small ones are not put into batches that the topic does not take.
    let many: Vec<_> = (0..200).map(|_| record(1_000)).chain([record(limit)]).collect();
    // A producer whose batches are too large does not begin anew by itself: it may have been fenced since it was made.
    let anew = producer.commit(records(many.clone())).await.expect_err("its batches are too large");
    assert!(anew.kind == LogErrorKind::Aborted && anew.is_transient(), "{anew}");
    let mut producer = log.producer("p").await.expect("producer");
    producer.commit(records(many)).await.expect("fit");
    let reader = log.reader(&[(record(1).to, before)]).await.expect("reader");
    assert_eq!(read(reader, 201).await.len(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_is_named_to_who_writes_and_who_reads() {
    let Some(brokers) = broker("a_deleted_topic_is_named_to_who_writes_and_who_reads") else { return };
    let log = KafkaLog::connect(config(brokers, &unique("deleted"))).await.expect("connect");
    let spec = [schemas::topics::RAW_TRANSACTIONS];
    log.ensure_topics(&spec, 1).await.expect("topic");
    let mut producer = log.producer("p").await.expect("producer");
    producer.commit(records(vec![record(10)])).await.expect("commit");
    let mut consumer = log.consumer("g", "one", &[TOPIC]).await.expect("consumer");
    let limits = PollLimits { records: 10, bytes: 1 << 20, wait: Duration::from_millis(200) };
    while !matches!(consumer.poll(limits).await.expect("poll"), Polled::Records(r) if r.len() == 1) {}

    log.delete_topic(TOPIC).await.expect("deleted");
    let end = Instant::now() + Duration::from_secs(60);
    let named = loop {
        assert!(Instant::now() < end, "the reader was never told");
        match consumer.poll(limits).await {
            Ok(_) => {}
            Err(e) => break e,
        }
    };
    assert!(named.kind == LogErrorKind::NoTopic && named.is_transient(), "{named}");
    // A commit under way may not be told what became of it; who begins anew is told.
    let outcome = producer.commit(records(vec![record(10)])).await.expect_err("no topic");
    assert!(outcome.is_transient(), "{outcome}");
    drop(producer);
    let named = async {
        let mut producer = log.producer("p").await?;
        producer.commit(records(vec![record(10)])).await
    };
    let named = named.await.expect_err("no topic");
    assert!(named.kind == LogErrorKind::NoTopic && named.message.contains("headwater topics apply"), "{named}");
    assert_eq!(log.value_limit(TOPIC).await.expect_err("no topic").kind, LogErrorKind::NoTopic);

    // Made again, both go on; who had a position is told that it is gone.
    log.ensure_topics(&spec, 1).await.expect("made again");
    drop(consumer);
    let mut producer = log.producer("p").await.expect("producer");
    producer.commit(records(vec![record(10)])).await.expect("commit");
    let reader = log.reader(&[(record(1).to, 0)]).await.expect("reader");
    assert_eq!(read(reader, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_left_open_is_aborted_by_the_broker_and_its_zombie_refused() {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
    let Some(brokers) = broker("a_transaction_left_open_is_aborted_by_the_broker_and_its_zombie_refused") else {
        return;
    };
    let log = KafkaLog::connect(config(brokers, &unique("timed-out"))).await.expect("connect");
    log.ensure_topics(&[schemas::topics::RAW_TRANSACTIONS], 1).await.expect("topic");
    let at = record(1).to;

    // A process that sleeps in the middle of a transaction: the client of ours, as far as it came.
    let id = log.0.config.on_wire("p");
    let sleeper: BaseProducer =
        log.0.config.client(&[("transactional.id", &id), ("transaction.timeout.ms", "2000")]).create().expect("client");
    let name = log.0.config.on_wire(TOPIC);
    let sleeper = tokio::task::spawn_blocking(move || {
        sleeper.init_transactions(CALL).expect("init");
        sleeper.begin_transaction().expect("begin");
        sleeper.send(BaseRecord::<[u8], [u8]>::to(&name).partition(0).key(b"k").payload(b"sleeper")).expect("send");
        sleeper.flush(CALL).expect("flush");
        sleeper
    });
    let sleeper = sleeper.await.expect("begun");
    let begun = Instant::now();

    // What others commit meanwhile is held up behind it, and appears when the broker has aborted it; nobody has to help.
    let mut other = log.producer("other").await.expect("producer");
    other.commit(records(vec![record(100)])).await.expect("commit");
    assert_eq!(log.watermarks(at).await.expect("ends").high, 0, "held up");
    let seen = read(log.reader(&[(at, 0)]).await.expect("reader"), 1).await;
    assert!(begun.elapsed() > Duration::from_secs(1), "it was given time: {:?}", begun.elapsed());
    assert_eq!(seen[0].value.as_ref().map(Bytes::len), Some(100));

    // Awake again, it is refused: nothing of it is written.
    let woken = tokio::task::spawn_blocking(move || sleeper.commit_transaction(CALL).expect_err("refused"));
    let woken = woken.await.expect("an answer");
    let fenced = error::class(&woken) == LogErrorKind::Fenced;
    assert!(fenced || matches!(&woken, KafkaError::Transaction(e) if e.txn_requires_abort()), "{woken:?}");
    // Who takes over its id goes on.
    let mut present = log.producer("p").await.expect("producer");
    present.commit(records(vec![record(200)])).await.expect("commit");
    let all = read(log.reader(&[(at, 0)]).await.expect("reader"), 2).await;
    assert_eq!(all.iter().map(|r| r.value.as_ref().map_or(0, Bytes::len)).collect::<Vec<_>>(), [100, 200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn added_partitions_are_taken_up_by_who_reads_and_who_writes() {
    let Some(brokers) = broker("added_partitions_are_taken_up_by_who_reads_and_who_writes") else { return };
    let mut config = config(brokers, &unique("added"));
    // The default is half a minute.
    config.properties.push(("topic.metadata.refresh.interval.ms".into(), Secret::new("500")));
    let log = KafkaLog::connect(config).await.expect("connect");
    let spec = [schemas::topics::RAW_BLOCKS, schemas::topics::RAW_TRANSACTIONS];
    let topics = [spec[0].name, spec[1].name];
    log.ensure_topics(&spec, 2).await.expect("topics");
    let to =
        |partition: u32, bytes: usize| NewRecord { to: TopicPartition { partition, ..record(1).to }, ..record(bytes) };
    let mut producer = log.producer("p").await.expect("producer");
    producer.commit(records(vec![to(0, 10), to(1, 11)])).await.expect("commit");
    let refused = producer.commit(records(vec![to(3, 13)])).await.expect_err("there is none");
    assert!(refused.kind == LogErrorKind::NoTopic && refused.message.contains("topics apply"), "{refused}");

    let mut consumer = log.consumer("g", "one", &topics).await.expect("consumer");
    let limits = PollLimits { records: 10, bytes: 1 << 20, wait: Duration::from_millis(100) };
    let (mut held, mut came) = (Vec::new(), Vec::new());
    let mut added = false;
    let end = Instant::now() + Duration::from_secs(60);
    while came.len() < 4 {
        assert!(Instant::now() < end, "held {held:?}, came {came:?}");
        match consumer.poll(limits).await.expect("poll") {
            Polled::Assigned(list) => held.extend(list.into_iter().map(|(at, _)| at)),
            Polled::Revoked(list) => held.retain(|at| !list.contains(at)),
            Polled::Records(list) => {
                for r in list {
                    consumer.commit(vec![(r.from, r.offset + 1)]).await.expect("position");
                    came.push((r.from.partition, r.value.map_or(0, |v| v.len())));
                }
            }
            other => panic!("unexpected {other:?}"),
        }
        if came.len() == 2 && !added {
            let off = log.diff_topics(&spec, Some(4)).await.expect("diff");
            assert!(off.iter().any(|d| d.what == "partitions" && d.can_change), "{off:?}");
            log.apply_topics(&spec, Some(4)).await.expect("apply");
            // The producer that was there before knows them too; what is written before they are taken up is not lost.
            producer.commit(records(vec![to(2, 12), to(3, 13)])).await.expect("commit");
            added = true;
        }
    }
    came.sort_unstable();
    assert_eq!(came, [(0, 10), (1, 11), (2, 12), (3, 13)]);
    let all: Vec<_> =
        topics.iter().flat_map(|topic| (0..4).map(|partition| TopicPartition { topic, partition })).collect();
    assert!(held.len() == 8 && all.iter().all(|at| held.contains(at)), "{held:?}");
}

async fn read(mut reader: Box<dyn Reader>, wanted: usize) -> Vec<crate::log::Record> {
    let limits = PollLimits { records: 1_000, bytes: 8 << 20, wait: Duration::from_millis(200) };
    let end = Instant::now() + Duration::from_secs(30);
    let mut all = Vec::new();
    while all.len() < wanted {
        assert!(Instant::now() < end, "{} of {wanted} records", all.len());
        if let Polled::Records(records) = reader.poll(limits).await.expect("poll") {
            all.extend(records);
        }
    }
    all
}
