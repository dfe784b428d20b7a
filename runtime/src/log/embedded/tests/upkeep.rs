//! Retention, tombstones, group commit, back-pressure.

use bytes::Bytes;
use schemas::{
    TimeMs,
    topics::{Cleanup, TopicSpec},
};

use super::super::*;
use crate::log::{NewRecord, PollLimits, Polled, Record, Transaction};

const KEPT: TopicSpec =
    TopicSpec { name: "kept", cleanup: Cleanup::Delete, retention: None, retention_bytes: None, per_network: false };
const KEYED: TopicSpec =
    TopicSpec { name: "keyed", cleanup: Cleanup::Compact, retention: None, retention_bytes: None, per_network: false };

fn at(topic: &TopicSpec) -> TopicPartition {
    TopicPartition { topic: topic.name, partition: 0 }
}

fn record(topic: &TopicSpec, key: &str, value: Option<Vec<u8>>) -> NewRecord {
    NewRecord {
        to: at(topic),
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: value.map(Bytes::from),
        headers: Vec::new(),
    }
}

async fn open(dir: &Path) -> Arc<EmbeddedLog> {
    let config = EmbeddedConfig { min_free_bytes: 1 << 20, retention_check: None, ..EmbeddedConfig::new(dir) };
    let log = EmbeddedLog::open(config).await.unwrap();
    log.ensure_topics(&[KEPT, KEYED], 1).await.unwrap();
    log
}

async fn keyed(log: &EmbeddedLog) -> Vec<(String, Option<Bytes>)> {
    let ends = log.watermarks(at(&KEYED)).await.unwrap();
    let mut reader = log.reader(&[(at(&KEYED), 0)]).await.unwrap();
    let mut out = Vec::new();
    loop {
        match reader.poll(PollLimits { records: 100, bytes: 1 << 20, wait: Duration::from_millis(50) }).await.unwrap() {
            Polled::Records(r) if r.is_empty() => return out,
            Polled::Records(r) => out.extend(r.into_iter().map(|r| {
                assert!(r.offset < ends.high);
                (String::from_utf8(r.key.unwrap_or_default().to_vec()).unwrap(), r.value)
            })),
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn retention_by_time_and_size_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut producer = log.producer("p").await.unwrap();
    for i in 0..50u8 {
        let noise: Vec<u8> = (0..2000u32).map(|j| (j.wrapping_mul(2_654_435_761) >> 13) as u8 ^ i).collect();
        producer.commit(Transaction { records: vec![record(&KEPT, "k", Some(noise))], offsets: None }).await.unwrap();
    }
    let whole = log.shared.topic("kept").unwrap().partitions[0].bytes();
    assert!(whole > 50_000, "{whole}");
    log.ensure_topics(&[TopicSpec { retention_bytes: Some(whole / 2), ..KEPT }], 1).await.unwrap();
    log.apply_retention().await.unwrap();
    let ends = log.watermarks(at(&KEPT)).await.unwrap();
    assert!((20..=30).contains(&ends.low) && ends.high == 50, "{ends:?}");
    let half = log.shared.topic("kept").unwrap().partitions[0].bytes();
    assert!(half <= whole / 2 && half > whole / 3, "{half} of {whole}");
    log.close().await.unwrap();
    drop((producer, log));

    let log = open(dir.path()).await;
    assert_eq!(log.watermarks(at(&KEPT)).await.unwrap(), ends);
    tokio::time::sleep(Duration::from_millis(5)).await; // older than a millisecond, then
    log.ensure_topics(&[TopicSpec { retention: Some(Duration::from_millis(1)), ..KEPT }], 1).await.unwrap();
    log.apply_retention().await.unwrap();
    let ends = log.watermarks(at(&KEPT)).await.unwrap();
    assert_eq!((ends.low, ends.high), (50, 50));
    assert_eq!(log.shared.topic("kept").unwrap().partitions[0].bytes(), 0);
    let mut reader = log.reader(&[(at(&KEPT), 3)]).await.unwrap();
    let polled = reader.poll(PollLimits { records: 1, bytes: 1, wait: Duration::from_secs(1) }).await.unwrap();
    assert!(matches!(polled, Polled::OutOfRange { wanted: 3, oldest: 50, .. }), "{polled:?}");
    // Offsets never start over.
    let mut producer = log.producer("p").await.unwrap();
    producer.commit(Transaction { records: vec![record(&KEPT, "k", Some(vec![1]))], offsets: None }).await.unwrap();
    assert_eq!(log.watermarks(at(&KEPT)).await.unwrap().high, 51);
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_gives_the_disk_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut producer = log.producer("p").await.unwrap();
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        let mut out = Vec::with_capacity(1 << 20);
        while out.len() < 1 << 20 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            out.extend(x.to_le_bytes());
        }
        out
    };
    let mut write = async |count: usize| {
        for _ in 0..count {
            producer
                .commit(Transaction { records: vec![record(&KEPT, "k", Some(noise()))], offsets: None })
                .await
                .unwrap();
        }
    };
    write(150).await;
    log.ensure_topics(&[TopicSpec { retention_bytes: Some(8 << 20), ..KEPT }], 1).await.unwrap();
    // What is removed leaves the disk as the engine compacts, which it does as more comes.
    let used = || {
        fn walk(path: &Path) -> u64 {
            use std::os::unix::fs::MetadataExt;
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries
                .map(|e| match e.metadata() {
                    Ok(m) if m.is_dir() => walk(&e.path()),
                    Ok(m) => m.blocks() * 512,
                    Err(_) => 0,
                })
                .sum()
        }
        walk(dir.path()) >> 20
    };
    let mut seen = vec![used()];
    for _ in 0..10 {
        write(40).await;
        log.apply_retention().await.unwrap();
        seen.push(used());
    }
    // Two journals of 64 MiB, write buffers and the blobs themselves; 550 MiB went through.
    assert!(seen[8..].iter().any(|mib| *mib < 320), "MiB used after each 40 MiB: {seen:?}");
    log.close().await.unwrap();
}

#[tokio::test]
async fn tombstones_go_after_their_time_and_take_nothing_else_along() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut producer = log.producer("p").await.unwrap();
    let write = |records: Vec<NewRecord>| Transaction { records, offsets: None };
    let value = || Some(vec![1]);
    producer
        .commit(write(vec![record(&KEYED, "a", value()), record(&KEYED, "b", value()), record(&KEYED, "c", value())]))
        .await
        .unwrap();
    producer.commit(write(vec![record(&KEYED, "a", None), record(&KEYED, "b", None)])).await.unwrap();
    producer.commit(write(vec![record(&KEYED, "b", value())])).await.unwrap(); // alive again
    log.apply_retention().await.unwrap();
    let names = |list: &[(String, Option<Bytes>)]| {
        list.iter().map(|(k, v)| format!("{k}{}", if v.is_some() { "" } else { "!" })).collect::<Vec<_>>()
    };
    assert_eq!(names(&keyed(&log).await), ["c", "a!", "b"], "a day has not passed");
    let topic = log.shared.topic("keyed").unwrap();
    let tomorrow = TimeMs(TimeMs::now().0 + 1);
    log.shared.ask(|reply| Job::RemoveTombstones(topic.clone(), 0, tomorrow, reply)).await.unwrap();
    assert_eq!(names(&keyed(&log).await), ["c", "b"]);
    producer.commit(write(vec![record(&KEYED, "a", value()), record(&KEYED, "b", None)])).await.unwrap();
    assert_eq!(names(&keyed(&log).await), ["c", "a", "b!"]);
    log.close().await.unwrap();
    drop((producer, log));
    let log = open(dir.path()).await;
    assert_eq!(names(&keyed(&log).await), ["c", "a", "b!"]);
    log.close().await.unwrap();
}

#[tokio::test]
async fn records_of_a_compacted_topic_go_by_age_where_it_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut producer = log.producer("p").await.unwrap();
    let write = |records| Transaction { records, offsets: None };
    let value = || Some(vec![1u8]);
    let keys = async |log: &EmbeddedLog| keyed(log).await.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    producer.commit(write(vec![record(&KEYED, "a", value()), record(&KEYED, "b", value())])).await.unwrap();
    log.apply_retention().await.unwrap();
    assert_eq!(keys(&log).await, ["a", "b"], "it has none");
    tokio::time::sleep(Duration::from_millis(600)).await;
    log.ensure_topics(&[TopicSpec { retention: Some(Duration::from_millis(500)), ..KEYED }], 1).await.unwrap();
    producer.commit(write(vec![record(&KEYED, "b", value()), record(&KEYED, "c", value())])).await.unwrap();
    log.apply_retention().await.unwrap();
    assert_eq!(keys(&log).await, ["b", "c"], "what was written anew is young");
    producer.commit(write(vec![record(&KEYED, "a", value())])).await.unwrap();
    assert_eq!(keys(&log).await, ["b", "c", "a"], "a key comes again");
    log.close().await.unwrap();
    drop((producer, log));
    let log = open(dir.path()).await;
    assert_eq!(keys(&log).await, ["b", "c", "a"]);
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_producers_share_syncs_and_all_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let tasks: Vec<_> = (0..600u32)
        .map(|i| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut producer = log.producer(&format!("p{i}")).await.unwrap();
                for _ in 0..3 {
                    let records = vec![record(&KEPT, "k", Some(i.to_be_bytes().to_vec()))];
                    producer.commit(Transaction { records, offsets: None }).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(log.watermarks(at(&KEPT)).await.unwrap().high, 1800);
    let batches = log.shared.engine.read().unwrap().as_ref().unwrap().last_batch().unwrap();
    assert!(batches < 1800, "{batches} batches for 1800 commits: nothing was shared");
    log.close().await.unwrap();
}

/// A commit that is given up while it runs leaves a producer that says so, and never half a transaction.
#[tokio::test]
async fn a_commit_given_up_is_indefinite() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut producer = log.producer("p").await.unwrap();
    let two = || Transaction {
        records: vec![record(&KEPT, "k", Some(vec![1])), record(&KEYED, "k", Some(vec![1]))],
        offsets: None,
    };
    {
        let mut commit = std::pin::pin!(producer.commit(two()));
        assert!(futures::poll!(&mut commit).is_pending());
    }
    assert_eq!(producer.commit(two()).await.unwrap_err().kind, LogErrorKind::Indefinite);
    let mut producer = log.producer("p").await.unwrap();
    let kept = log.watermarks(at(&KEPT)).await.unwrap().high;
    assert_eq!(log.watermarks(at(&KEYED)).await.unwrap().high, kept);
    producer.commit(two()).await.unwrap();
    assert_eq!(log.watermarks(at(&KEPT)).await.unwrap().high, kept + 1);
    log.close().await.unwrap();
}

/// A commit fills the cache before it moves the ends: a reader in between must not see its records, nor lose its place.
#[tokio::test]
async fn what_is_cached_but_not_published_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut producer = log.producer("p").await.unwrap();
    let three: Vec<_> = (0..3).map(|i| record(&KEPT, &i.to_string(), Some(vec![i]))).collect();
    producer.commit(Transaction { records: three, offsets: None }).await.unwrap();
    let (_, id) = log.shared.partition(at(&KEPT)).unwrap();
    let ahead = |offset| Record {
        from: at(&KEPT),
        offset,
        timestamp: TimeMs(0),
        key: None,
        value: Some(Bytes::from_static(b"x")),
        headers: Vec::new(),
    };
    log.shared.cache.lock().unwrap().push(id, cache::CachedBatch::new((3..6).map(ahead).collect()));
    let mut reader = log.reader(&[(at(&KEPT), 0)]).await.unwrap();
    let limits = PollLimits { records: 100, bytes: 1 << 20, wait: Duration::from_millis(50) };
    let mut offsets = Vec::new();
    for _ in 0..2 {
        match reader.poll(limits).await.unwrap() {
            Polled::Records(r) => offsets.extend(r.iter().map(|r| r.offset)),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(offsets, [0, 1, 2]);
}

/// Of a compacted topic with a limit what was written longest ago goes first, whatever its key.
#[tokio::test]
async fn a_compacted_topic_with_a_limit_loses_what_was_written_first() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut producer = log.producer("p").await.unwrap();
    let mut put = async |key: String| {
        let noise: Vec<u8> = (0..1000).map(|_| fastrand::u8(..)).collect();
        producer.commit(Transaction { records: vec![record(&KEYED, &key, Some(noise))], offsets: None }).await.unwrap();
    };
    // The first written is the last by key.
    for n in (0..40).rev() {
        put(format!("{n:02}")).await;
    }
    put("39".to_owned()).await;
    let keys = async || keyed(&log).await.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    log.ensure_topics(&[TopicSpec { retention_bytes: Some(12_000), ..KEYED }], 1).await.unwrap();
    log.apply_retention().await.unwrap();
    let left = keys().await;
    let wanted: Vec<String> = (0..10).rev().map(|n| format!("{n:02}")).chain(["39".to_owned()]).collect();
    assert!((8..=11).contains(&left.len()) && wanted.ends_with(&left), "{left:?}");
    // What is left is found by its key: it is replaced, and not doubled. So are those that went.
    for key in ["00", "20"] {
        put(key.to_owned()).await;
    }
    for _ in 0..12 {
        put("99".to_owned()).await;
    }
    log.apply_retention().await.unwrap();
    let left = keys().await;
    assert_eq!((left.iter().filter(|key| *key == "00").count(), left.last().map(String::as_str)), (1, Some("99")));
    assert!(left.len() <= 13, "{left:?}");
}
