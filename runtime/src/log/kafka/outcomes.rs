//! Trouble that only a real broker has, and the class of error that each becomes.

use bytes::Bytes;

use super::{
    tests::{broker, config, unique},
    *,
};
use crate::log::{NewRecord, PollLimits, Polled, Transaction};

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
