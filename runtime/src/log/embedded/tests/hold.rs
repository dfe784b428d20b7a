//! Retention and those who have still to read.

use std::time::Instant;

use bytes::Bytes;
use schemas::topics::{Cleanup, ReadingGroup, TopicSpec};

use super::super::*;
use crate::log::{
    NewRecord, PollLimits, Polled, Transaction,
    events::{Batch, EventConsumer, Halt},
};

const fn spec(name: &'static str, retention_bytes: Option<u64>) -> TopicSpec {
    TopicSpec { name, cleanup: Cleanup::Delete, retention: None, retention_bytes, per_network: false }
}
/// Small retention: without a reader hardly anything is kept.
const IN: TopicSpec = spec("in", Some(1000));
const OUT: TopicSpec = spec("out", None);
const ASIDE: TopicSpec = spec("aside", Some(1000));
const WORKER: ReadingGroup = ReadingGroup { group: "worker", topics: &[IN], usual_cause: "it rests" };
const SINK: ReadingGroup = ReadingGroup { group: "sink", topics: &[OUT], usual_cause: "the store is away or slow" };

const LIMITS: PollLimits = PollLimits { records: 50, bytes: 16 << 20, wait: Duration::from_secs(10) };

fn at(topic: &TopicSpec) -> TopicPartition {
    TopicPartition { topic: topic.name, partition: 0 }
}

fn record(to: TopicPartition, value: Vec<u8>) -> NewRecord {
    NewRecord { to, key: None, value: Some(value.into()), headers: Vec::new() }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut x = seed();
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out.extend(x.to_le_bytes());
    }
    out
}

/// Another one each time, the same ones in each run.
fn seed() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    NEXT.fetch_add(0x632b_e59b_d9b4_e019, Ordering::Relaxed) | 1
}

async fn open(config: EmbeddedConfig) -> Arc<EmbeddedLog> {
    let log = EmbeddedLog::open(config).await.unwrap();
    log.ensure_topics(&[IN, OUT, ASIDE], 1).await.unwrap();
    log
}

fn config(dir: &Path, readers: &[ReadingGroup]) -> EmbeddedConfig {
    EmbeddedConfig {
        min_free_bytes: 1 << 20,
        retention_check: None,
        readers: readers.to_vec(),
        ..EmbeddedConfig::new(dir)
    }
}

async fn low(log: &EmbeddedLog, topic: &TopicSpec) -> u64 {
    log.apply_retention().await.unwrap();
    log.watermarks(at(topic)).await.unwrap().low
}

async fn member(log: &EmbeddedLog, group: &str, topic: &TopicSpec) -> Box<dyn Consumer> {
    let mut consumer = log.consumer(group, "one", &[topic.name]).await.unwrap();
    assert!(matches!(consumer.poll(LIMITS).await.unwrap(), Polled::Assigned(_)));
    consumer
}

#[tokio::test]
async fn what_a_group_of_ours_has_not_read_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(dir.path(), &[WORKER])).await;
    let mut producer = log.producer("p").await.unwrap();
    for _ in 0..50 {
        let records = [IN, OUT, ASIDE].iter().map(|t| record(at(t), noise(200))).collect();
        producer.commit(Transaction { records, offsets: None }).await.unwrap();
    }
    assert_eq!(low(&log, &IN).await, 0, "a group that has no position yet holds everything");
    assert!(low(&log, &ASIDE).await > 40, "what nobody has to read goes as ever");
    let mut other = member(&log, "somebody", &IN).await;
    other.commit(vec![(at(&IN), 50)]).await.unwrap();
    assert_eq!(low(&log, &IN).await, 0, "another group says nothing");

    let mut consumer = member(&log, WORKER.group, &IN).await;
    consumer.commit(vec![(at(&IN), 20)]).await.unwrap();
    assert_eq!(low(&log, &IN).await, 20);
    drop(consumer);
    drop((producer, other));
    log.close().await.unwrap();

    // Positions are as durable as records.
    let log = open(config(dir.path(), &[WORKER])).await;
    assert_eq!(low(&log, &IN).await, 20);
    let mut consumer = member(&log, WORKER.group, &IN).await;
    consumer.commit(vec![(at(&IN), 50)]).await.unwrap();
    assert!(low(&log, &IN).await > 40, "read: what is over the size goes");
    log.close().await.unwrap();
    drop(log);

    // A stage that does not run here holds nothing, whatever its position.
    let log = open(config(dir.path(), &[])).await;
    let mut producer = log.producer("p").await.unwrap();
    for _ in 0..50 {
        producer.commit(Transaction { records: vec![record(at(&IN), noise(200))], offsets: None }).await.unwrap();
    }
    assert!(low(&log, &IN).await > 90);
    log.close().await.unwrap();
}

#[tokio::test]
async fn a_group_that_goes_back_still_finds_what_was_chosen_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(dir.path(), &[WORKER])).await;
    let mut producer = log.producer("p").await.unwrap();
    for _ in 0..20 {
        producer.commit(Transaction { records: vec![record(at(&IN), noise(200))], offsets: None }).await.unwrap();
    }
    let mut consumer = member(&log, WORKER.group, &IN).await;
    consumer.commit(vec![(at(&IN), 20)]).await.unwrap();
    let (topic, id) = log.shared.partition(at(&IN)).unwrap();
    let chosen: Vec<_> = {
        let guard = log.shared.engine.read().unwrap();
        guard.as_ref().unwrap().blob_keys(id).map(Result::unwrap).take(10).collect()
    };
    consumer.commit(vec![(at(&IN), 4)]).await.unwrap();
    log.shared.ask(|reply| Job::RemoveBlobs(topic, chosen, reply)).await.unwrap();
    assert_eq!(log.watermarks(at(&IN)).await.unwrap().low, 4);
    log.close().await.unwrap();
}

/// A network that is halted is passed over: alone in its partition, it would hold it for ever, and then the whole log.
#[tokio::test]
async fn what_is_passed_over_for_a_halted_network_is_not_held() {
    use schemas::{
        Op,
        headers::ChainHeaders,
        topics::{RAW_BLOCKS, RAW_TRANSACTIONS},
    };
    let dir = tempfile::tempdir().unwrap();
    let enrich = schemas::topics::READING_GROUPS[0];
    let log = EmbeddedLog::open(config(dir.path(), &[enrich])).await.unwrap();
    let small = |t: TopicSpec| TopicSpec { retention_bytes: Some(1000), ..t };
    log.ensure_topics(&[small(RAW_BLOCKS), small(RAW_TRANSACTIONS)], 1).await.unwrap();
    let mut producer = log.producer("p").await.unwrap();
    let mut write = async |sequence: u64| {
        let of = |to: &TopicSpec, index| NewRecord {
            headers: ChainHeaders {
                network: "mantle".parse().unwrap(),
                sequence,
                op: Op::Apply,
                index,
                tx_count: Some(1),
                log_count: Some(0),
            }
            .to_pairs()
            .into_iter()
            .map(|(n, v)| (n.into(), v))
            .collect(),
            key: Some(Bytes::from_static(b"mantle")),
            ..record(at(to), noise(200))
        };
        let records = vec![of(&RAW_BLOCKS, None), of(&RAW_TRANSACTIONS, Some(0))];
        producer.commit(Transaction { records, offsets: None }).await.unwrap();
    };
    for sequence in (1..=5).chain(7..30) {
        write(sequence).await;
    }
    let join = async || {
        let consumer = log.consumer("enrich", "one", &[RAW_BLOCKS.name, RAW_TRANSACTIONS.name]).await.unwrap();
        let mut events = EventConsumer::new(consumer, RAW_BLOCKS.name, Some(RAW_TRANSACTIONS.name));
        assert!(matches!(events.next(100, 1 << 20, LIMITS.wait).await.unwrap(), Batch::Assigned(_)));
        events
    };
    let mut events = join().await;
    let Batch::Events(five) = events.next(100, 1 << 20, LIMITS.wait).await.unwrap() else { panic!("five events") };
    assert_eq!(five.len(), 5);
    let halted = events.next(100, 1 << 20, LIMITS.wait).await.unwrap();
    assert!(matches!(halted, Batch::Halted { why: Halt::Gap { expected: 6, found: 7 }, .. }), "{halted:?}");
    events.next(100, 1 << 20, Duration::from_millis(100)).await.unwrap();
    for topic in [RAW_BLOCKS, RAW_TRANSACTIONS] {
        assert_eq!(low(&log, &topic).await, 0, "what was handed out is not worked off yet");
    }
    // A new member begins at the stored position, and may do better.
    drop(events);
    let mut events = join().await;
    let Batch::Events(five) = events.next(100, 1 << 20, LIMITS.wait).await.unwrap() else { panic!("five events") };
    events.commit(crate::log::events::offsets_after(&five)).await.unwrap();
    drop(events);
    let mut events = join().await;
    events.expect(0, &"mantle".parse().unwrap(), 6);
    assert_eq!(low(&log, &RAW_BLOCKS).await, 5, "nothing is passed over yet in this membership");
    let halted = events.next(100, 1 << 20, LIMITS.wait).await.unwrap();
    assert!(matches!(halted, Batch::Halted { .. }), "{halted:?}");
    events.next(100, 1 << 20, Duration::from_millis(100)).await.unwrap();
    for topic in [RAW_BLOCKS, RAW_TRANSACTIONS] {
        let ends = (low(&log, &topic).await, log.watermarks(at(&topic)).await.unwrap().high);
        assert!(ends.0 > 20 && ends.1 == 28, "{}: {ends:?}", topic.name);
    }
    log.close().await.unwrap();
}

/// Much more goes through than the log may take; the readers are away for long, one after the other. New work waits, and says for
/// whom; who works off goes on in the reserve; in the end all went through, each once, and the directory kept to its limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_waits_for_its_readers_and_gets_empty_again() {
    const MAX: u64 = 256 << 20;
    let dir = tempfile::tempdir().unwrap();
    let roomy = TopicSpec { retention_bytes: None, ..IN };
    let config = EmbeddedConfig {
        max_bytes: Some(MAX),
        retention_check: Some(Duration::from_secs(3600)),
        tail_cache_bytes: 1 << 20,
        ..config(dir.path(), &[WORKER, SINK])
    };
    let log = open(config).await;
    log.ensure_topics(&[roomy], 1).await.unwrap();
    let mut ingest = log.producer("ingest").await.unwrap();
    let mut worker = log.producer("worker").await.unwrap();
    let mut reading = member(&log, WORKER.group, &IN).await;
    let mut storing = member(&log, SINK.group, &OUT).await;
    let (mut made, mut worked, mut stored) = (0u64, 0u64, 0u64);
    let mut largest = 0;
    // How much fits in a round depends on how far the engine has compacted by then.
    for round in 0.. {
        assert!(round < 20, "{made} records went through");
        // Nobody reads: the log fills up, and says for whom it waits.
        let before = made;
        let refused = fill(&mut *ingest, &mut made).await;
        assert!(refused.contains("waiting for worker, which has") && refused.contains("it rests"), "{refused}");
        assert!(refused.contains("of the 256 MiB that it may (`[log] max_bytes`)"), "{refused}");
        // Had the engine not yet given back the round before, more fits when it has.
        let filling = Instant::now();
        while made <= before + 20 {
            assert!(filling.elapsed() < ROUND, "round {round}: a useful amount fits: {}", made - before);
            tokio::time::sleep(Duration::from_millis(50)).await;
            fill(&mut *ingest, &mut made).await;
        }
        // A status finds room all the same.
        let aside = vec![record(at(&ASIDE), vec![1])];
        ingest.commit(Transaction { records: aside, offsets: None }).await.expect("who adds no work goes on");
        // The worker comes back while the sink is away: what it reads goes, what it writes stays. Whoever holds the most is named:
        // that is the sink, once the worker has passed on what still fitted.
        let filling = Instant::now();
        let refused = loop {
            work(&mut *reading, &mut *worker, &mut worked, made).await;
            largest = largest.max(directory::used_bytes(dir.path()));
            let refused = fill(&mut *ingest, &mut made).await;
            if refused.contains("waiting for sink, which has") {
                break refused;
            }
            assert!(refused.contains("waiting for worker") && filling.elapsed() < ROUND, "{refused}");
        };
        assert!(refused.contains("the store is away or slow"), "{refused}");
        // The store comes back: everything goes through, each once.
        store(&mut *storing, &mut stored, worked).await;
        work(&mut *reading, &mut *worker, &mut worked, made).await;
        store(&mut *storing, &mut stored, worked).await;
        largest = largest.max(directory::used_bytes(dir.path()));
        // Level again: new work goes on by itself.
        patiently(async || {
            let records = vec![record(at(&roomy), noise(RECORD))];
            ingest.commit(Transaction { records, offsets: None }).await
        })
        .await;
        made += 1;
        if round >= 2 && made * RECORD as u64 > MAX {
            break;
        }
    }
    // Between two looks at the directory's size the engine may compact, and have old and new at once.
    assert!(largest < MAX + (32 << 20), "{} MiB", largest >> 20);
    log.close().await.unwrap();
}

/// What a round may take until the log waits for whom it should.
const ROUND: Duration = Duration::from_secs(120);

/// Bytes of a record of the test above.
const RECORD: usize = 512 << 10;

/// Writes until the log is full of what somebody has still to read; what it says then. While the engine gives back what was read, it
/// is full of that for a moment, and nobody is waited for.
async fn fill(ingest: &mut dyn Producer, made: &mut u64) -> String {
    let started = Instant::now();
    for _ in 0..10_000 {
        let records = vec![record(at(&IN), noise(RECORD))];
        match ingest.commit(Transaction { records, offsets: None }).await {
            Ok(()) => *made += 1,
            Err(e) => {
                assert_eq!(e.kind, LogErrorKind::Full, "{e}");
                if e.message.contains("waiting for") || started.elapsed() > ROUND {
                    return e.message;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    panic!("the log never gets full");
}

/// Tries again while the log is full.
async fn patiently(mut commit: impl AsyncFnMut() -> Result<(), LogError>) {
    let started = Instant::now();
    while let Err(e) = commit().await {
        assert!(e.kind == LogErrorKind::Full && started.elapsed() < ROUND, "{e}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn read(reading: &mut dyn Consumer, from: u64) -> Vec<crate::log::Record> {
    let polled = reading.poll(LIMITS).await.unwrap();
    let Polled::Records(records) = polled else { panic!("{polled:?}") };
    assert!(!records.is_empty() && records[0].offset == from, "each once, nothing overtaken");
    records
}

/// Passes everything on, with the positions.
async fn work(reading: &mut dyn Consumer, worker: &mut dyn Producer, worked: &mut u64, until: u64) {
    while *worked < until {
        let records = read(reading, *worked).await;
        *worked += records.len() as u64;
        let out = records.into_iter().map(|r| record(at(&OUT), r.value.unwrap_or_default().to_vec()));
        let out: Vec<_> = out.collect();
        patiently(async || {
            let offsets = Some((reading.group(), vec![(at(&IN), *worked)]));
            worker.commit(Transaction { records: out.clone(), offsets }).await
        })
        .await;
    }
}

/// Reads everything, and says so.
async fn store(storing: &mut dyn Consumer, stored: &mut u64, until: u64) {
    while *stored < until {
        *stored += read(storing, *stored).await.len() as u64;
        storing.commit(vec![(at(&OUT), *stored)]).await.expect("positions always find room");
    }
}
