//! Cases about records, transactions and readers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use schemas::{
    limits::RECORD_VALUE_BYTES,
    topics::{Cleanup, TopicSpec},
};

use super::{
    super::{LogErrorKind, NewRecord, PollLimits, Polled},
    kit::{DEADLINE, Kit, PARTITIONS, at, commit, limits, read, record, text, tombstone, transaction},
};

/// Records of one transaction in three topics become visible together: whoever sees one of them finds all.
pub async fn atomic_over_topics(kit: &Kit<'_>) {
    let (a, b, c) = (kit.topic("a").await, kit.topic("b").await, kit.compacted("c").await);
    let mut producer = kit.producer("p").await;
    for n in 0..10 {
        let value = n.to_string();
        let records = vec![
            record(at(a, 0), "k", &value),
            record(at(b, 3), "k", &value),
            record(at(c, 1), &format!("k{n}"), &value),
            record(at(a, 2), "k", &value),
        ];
        commit(&mut *producer, records).await;
        for place in [at(a, 0), at(b, 3), at(c, 1), at(a, 2)] {
            assert_eq!(kit.values(place, n + 1).await.last(), Some(&value), "{place:?}");
        }
    }
    // A transaction that is refused leaves nothing anywhere.
    let refused = producer
        .commit(transaction(vec![record(at(a, 0), "k", "no"), record(at(b, 0), "k", vec![0; RECORD_VALUE_BYTES + 1])]))
        .await;
    assert_eq!(refused.unwrap_err().kind, LogErrorKind::TooLarge);
    commit(&mut *producer, vec![record(at(a, 0), "k", "after")]).await;
    let values = kit.values(at(a, 0), 11).await;
    assert_eq!((values.len(), values[10].as_str()), (11, "after"));
}

/// What was not committed is never seen, whichever reader looks, and committed records are seen at once.
pub async fn read_committed(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let place = at(topic, 0);
    let mut reader = kit.reader(&[place]).await;
    let mut one = kit.producer("one").await;
    commit(&mut *one, vec![record(place, "k", "1")]).await;
    assert_eq!(read(&mut *reader, 1).await.iter().map(text).collect::<Vec<_>>(), ["1"]);
    // A producer that is replaced in the middle of its life loses what it commits afterwards.
    let mut two = kit.producer("one").await;
    let late = one.commit(transaction(vec![record(place, "k", "late")])).await;
    assert_eq!(late.unwrap_err().kind, LogErrorKind::Fenced);
    commit(&mut *two, vec![record(place, "k", "2")]).await;
    assert_eq!(read(&mut *reader, 1).await.iter().map(text).collect::<Vec<_>>(), ["2"]);
    let ends = kit.log().watermarks(place).await.expect("watermarks");
    assert!(ends.high > ends.low);
}

/// Records keep the order of the transaction, transactions that of their commits; offsets rise.
pub async fn ordered_within_a_partition(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut producer = kit.producer("p").await;
    let mut wanted = Vec::new();
    for t in 0..5 {
        // More than one stored batch holds, over two partitions in turns.
        let records: Vec<_> = (0..700).map(|i| record(at(topic, i % 2), "k", format!("{t}/{i}"))).collect();
        wanted.extend((0..700).filter(|i| i % 2 == 1).map(|i| format!("{t}/{i}")));
        commit(&mut *producer, records).await;
    }
    let records = kit.records_until(at(topic, 1), |r| r.len() >= wanted.len()).await;
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), wanted);
    assert!(records.windows(2).all(|w| w[0].offset < w[1].offset));
    assert!(
        records
            .iter()
            .all(|r| r.header("sequence") == Some(b"7") && r.key.as_deref() == Some(b"k") && r.timestamp.0 > 0)
    );
    assert!(records.windows(2).all(|w| w[0].timestamp <= w[1].timestamp));
}

/// The newest producer of a transactional id is the only one that can write; others are not touched.
pub async fn fenced_by_transactional_id(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let place = at(topic, 0);
    let mut first = kit.producer("id").await;
    let mut other = kit.producer("other").await;
    commit(&mut *first, vec![record(place, "k", "first")]).await;
    let mut second = kit.producer("id").await;
    for _ in 0..2 {
        let e = first.commit(transaction(vec![record(place, "k", "zombie")])).await.unwrap_err();
        assert_eq!(e.kind, LogErrorKind::Fenced, "{e}");
        assert!(e.nothing_written());
    }
    commit(&mut *other, vec![record(place, "k", "other")]).await;
    commit(&mut *second, vec![record(place, "k", "second")]).await;
    assert_eq!(kit.values(place, 3).await, ["first", "other", "second"]);
}

/// A position that retention has removed is told, not skipped; after a seek to the oldest the rest is there.
pub async fn out_of_range_after_retention(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let place = at(topic, 1);
    let mut producer = kit.producer("p").await;
    for n in 0..20 {
        commit(&mut *producer, vec![record(place, "k", format!("{n}"))]).await;
    }
    let before = kit.records_until(place, |r| r.len() == 20).await;
    kit.expire(place).await;
    let started = Instant::now();
    let mut ends = kit.log().watermarks(place).await.expect("watermarks");
    while ends.low <= before[0].offset {
        assert!(started.elapsed() < DEADLINE, "retention removed nothing: {ends:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        ends = kit.log().watermarks(place).await.expect("watermarks");
    }
    let mut reader = kit.log().reader(&[(place, before[0].offset)]).await.expect("reader");
    let started = Instant::now();
    let oldest = loop {
        assert!(started.elapsed() < DEADLINE);
        match reader.poll(limits(10, 500)).await.expect("poll") {
            Polled::OutOfRange { at, wanted, oldest } => {
                assert_eq!((at, wanted), (place, before[0].offset));
                break oldest;
            }
            Polled::Records(records) => assert!(records.is_empty(), "jumped to {:?}", records.first()),
            other => panic!("unexpected {other:?}"),
        }
    };
    match reader.poll(limits(10, 200)).await.expect("poll") {
        Polled::Records(records) => assert!(records.is_empty(), "went on by itself"),
        Polled::OutOfRange { .. } => {}
        other => panic!("unexpected {other:?}"),
    }
    assert!(oldest > before[0].offset);
    commit(&mut *producer, vec![record(place, "k", "new")]).await;
    reader.seek(place, oldest).await.expect("seek");
    let kept: Vec<_> = before.iter().filter(|r| r.offset >= oldest).map(text).chain(["new".to_owned()]).collect();
    assert_eq!(read(&mut *reader, kept.len()).await.iter().map(text).collect::<Vec<_>>(), kept);
}

/// However often keys are written, the newest record of each stays, at its offset and in order.
pub async fn compaction_keeps_the_newest_per_key(kit: &Kit<'_>) {
    let topic = kit.compacted("t").await;
    let place = at(topic, 2);
    let mut producer = kit.producer("p").await;
    for round in 0..20 {
        let mut records: Vec<_> = (0..5).map(|k| record(place, &format!("k{k}"), format!("{round}/{k}"))).collect();
        records.push(record(place, "twice", format!("{round}/a")));
        records.push(record(place, "twice", format!("{round}/b")));
        commit(&mut *producer, records).await;
    }
    // Compaction comes in its own time, and may want further records to come.
    let started = Instant::now();
    let records = loop {
        commit(&mut *producer, vec![record(place, "k0", "last")]).await;
        let records = kit.records_until(place, |r| r.last().map(text).as_deref() == Some("last")).await;
        if records.len() < 20 * 7 {
            break records;
        }
        assert!(started.elapsed() < DEADLINE, "nothing was compacted: {} records", records.len());
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let mut newest = std::collections::BTreeMap::new();
    for r in &records {
        newest.insert(r.key.clone().unwrap_or_default(), text(r));
    }
    let wanted = [("k0", "last"), ("k1", "19/1"), ("k2", "19/2"), ("k3", "19/3"), ("k4", "19/4"), ("twice", "19/b")];
    assert_eq!(
        newest.iter().map(|(k, v)| (std::str::from_utf8(k).unwrap_or(""), v.as_str())).collect::<Vec<_>>(),
        wanted
    );
    assert!(records.windows(2).all(|w| w[0].offset < w[1].offset));
}

/// A tombstone is read as such, and what it removed does not come back.
pub async fn tombstones_remove_a_key(kit: &Kit<'_>) {
    let topic = kit.compacted("t").await;
    let place = at(topic, 0);
    let mut producer = kit.producer("p").await;
    commit(&mut *producer, vec![record(place, "gone", "1"), record(place, "kept", "1")]).await;
    commit(&mut *producer, vec![tombstone(place, "gone")]).await;
    commit(&mut *producer, vec![record(place, "kept", "2")]).await;
    let records = kit.records_until(place, |r| r.last().map(text).as_deref() == Some("2")).await;
    let last = |key: &str| records.iter().rev().find(|r| r.key.as_deref() == Some(key.as_bytes()));
    assert!(last("gone").is_none_or(|r| r.value.is_none()), "the key's last record is its tombstone");
    assert_eq!(last("kept").map(text), Some("2".into()));
}

/// A record without value makes no sense where nothing is compacted, nor one without key where keys are everything.
pub async fn tombstones_are_refused_elsewhere(kit: &Kit<'_>) {
    let (kept, compacted) = (kit.topic("t").await, kit.compacted("c").await);
    let mut producer = kit.producer("p").await;
    let e = producer.commit(transaction(vec![tombstone(at(kept, 0), "k")])).await.unwrap_err();
    assert_eq!(e.kind, LogErrorKind::Invalid, "{e}");
    let keyless = NewRecord { key: None, ..record(at(compacted, 0), "", "v") };
    let e = producer.commit(transaction(vec![keyless])).await.unwrap_err();
    assert_eq!(e.kind, LogErrorKind::Invalid, "{e}");
    // A partition that is not there may still come.
    let e = producer.commit(transaction(vec![record(at(kept, PARTITIONS), "k", "v")])).await.unwrap_err();
    assert_eq!(e.kind, LogErrorKind::NoTopic, "{e}");
    commit(&mut *producer, vec![record(at(kept, 0), "k", "fine")]).await;
    assert_eq!(kit.values(at(kept, 0), 1).await, ["fine"]);
}

/// Values up to the limit pass unchanged, compressible or not.
pub async fn large_values(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut noise = vec![0u8; RECORD_VALUE_BYTES];
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for byte in &mut noise {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *byte = x as u8;
    }
    let values: Vec<Bytes> = vec![Bytes::new(), Bytes::from_static(b"x"), noise.into(), Bytes::from(vec![7; 3 << 20])];
    let mut producer = kit.producer("p").await;
    let records =
        values.iter().map(|v| NewRecord { value: Some(v.clone()), ..record(at(topic, 0), "k", "") }).collect();
    commit(&mut *producer, records).await;
    let read: Vec<_> =
        kit.records_until(at(topic, 0), |r| r.len() >= values.len()).await.into_iter().map(|r| r.value).collect();
    assert_eq!(read.len(), values.len());
    assert!(read.iter().zip(&values).all(|(r, w)| r.as_ref() == Some(w)));
}

/// A value over the limit is refused by name, and the producer goes on.
pub async fn too_large_is_refused_and_harmless(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut producer = kit.producer("p").await;
    for _ in 0..2 {
        let e = producer
            .commit(transaction(vec![record(at(topic, 0), "k", vec![0; RECORD_VALUE_BYTES + 1])]))
            .await
            .unwrap_err();
        assert_eq!(e.kind, LogErrorKind::TooLarge, "{e}");
        assert!(e.nothing_written() && !e.is_transient());
    }
    commit(&mut *producer, vec![record(at(topic, 0), "k", "small")]).await;
    assert_eq!(kit.values(at(topic, 0), 1).await, ["small"]);
}

/// Records, offsets, compacted state and positions are the same after a restart.
pub async fn restart_keeps_everything(kit: &Kit<'_>) {
    let (kept, compacted) = (kit.topic("t").await, kit.compacted("c").await);
    {
        let mut producer = kit.producer("p").await;
        for n in 0..30 {
            commit(
                &mut *producer,
                vec![
                    record(at(kept, n % PARTITIONS), "k", format!("{n}")),
                    record(at(compacted, 0), "k", format!("{n}")),
                ],
            )
            .await;
        }
        let mut consumer = kit.consumer("g", "i", &[kept]).await;
        let mut seen = super::kit::Seen::default();
        seen.until(&mut *consumer, "assigned", |s| s.held.len() == PARTITIONS as usize).await;
        consumer.commit(vec![(at(kept, 2), 3)]).await.expect("commit");
    }
    let mut before = Vec::new();
    for p in 0..PARTITIONS {
        let values = kit.values(at(kept, p), if p < 2 { 8 } else { 7 }).await;
        before.push((kit.log().watermarks(at(kept, p)).await.expect("watermarks"), values));
    }
    kit.restart().await;
    for (p, (ends, values)) in before.iter().enumerate() {
        assert_eq!(kit.log().watermarks(at(kept, p as u32)).await.expect("watermarks"), *ends);
        assert_eq!(kit.values(at(kept, p as u32), values.len()).await, *values);
    }
    kit.records_until(at(compacted, 0), |r| r.last().map(text).as_deref() == Some("29")).await;
    let lag = kit.log().lag(&kit.name("g"), &[kept]).await.expect("lag");
    assert_eq!(lag.iter().map(|l| l.position).collect::<Vec<_>>(), [None, None, Some(3), None]);
    let mut producer = kit.producer("p").await;
    commit(&mut *producer, vec![record(at(kept, 1), "k", "after")]).await;
    assert_eq!(kit.values(at(kept, 1), before[1].1.len() + 1).await.len(), before[1].1.len() + 1);
}

/// A reader starts at any offset, also inside a stored batch, and reads on over its end.
pub async fn reader_from_the_middle(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let place = at(topic, 3);
    let mut producer = kit.producer("p").await;
    for t in 0..3 {
        commit(&mut *producer, (0..100).map(|i| record(place, "k", format!("{t}/{i}"))).collect()).await;
    }
    let all = kit.records_until(place, |r| r.len() >= 300).await;
    assert_eq!(all.len(), 300);
    for start in [0usize, 1, 57, 99, 100, 101, 250, 299] {
        let mut reader = kit.log().reader(&[(place, all[start].offset)]).await.expect("reader");
        let records = read(&mut *reader, 300 - start).await;
        assert_eq!(
            records.iter().map(text).collect::<Vec<_>>(),
            all[start..].iter().map(text).collect::<Vec<_>>(),
            "from {start}"
        );
        reader.seek(place, all[10].offset).await.expect("seek");
        assert_eq!(text(&read(&mut *reader, 1).await[0]), "0/10");
    }
}

/// A reader takes further partitions up, and goes on with what it read.
pub async fn reader_takes_partitions_up(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut producer = kit.producer("p").await;
    let both = |n: &str| vec![record(at(topic, 0), "k", format!("0/{n}")), record(at(topic, 1), "k", format!("1/{n}"))];
    commit(&mut *producer, both("a")).await;
    let mut reader = kit.reader(&[at(topic, 0)]).await;
    assert_eq!(text(&read(&mut *reader, 1).await[0]), "0/a");
    let from = kit.records_until(at(topic, 1), |r| r.len() == 1).await[0].offset;
    reader.add(&[(at(topic, 1), from)]).await.expect("added");
    assert_eq!(text(&read(&mut *reader, 1).await[0]), "1/a");
    commit(&mut *producer, both("b")).await;
    let mut came: Vec<_> = read(&mut *reader, 2).await.iter().map(text).collect();
    came.sort_unstable();
    assert_eq!(came, ["0/b", "1/b"], "each once");
    assert!(reader.reached(at(topic, 1)) > from);
}

/// At the end a poll waits, brings nothing when nothing comes, and is woken by a commit.
pub async fn reader_waits_for_the_end(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let place = at(topic, 0);
    let mut producer = kit.producer("p").await;
    commit(&mut *producer, vec![record(place, "k", "old")]).await;
    kit.values(place, 1).await;
    let end = kit.log().watermarks(place).await.expect("watermarks").high;
    let mut reader = kit.log().reader(&[(place, end)]).await.expect("reader");
    assert!(matches!(reader.poll(limits(10, 100)).await, Ok(Polled::Records(r)) if r.is_empty()));
    let waiting = tokio::spawn(async move { read(&mut *reader, 1).await });
    commit(&mut *producer, vec![record(place, "k", "new")]).await;
    assert_eq!(waiting.await.expect("reader").iter().map(text).collect::<Vec<_>>(), ["new"]);
}

/// A poll brings at most what was asked for; one record larger than the limit still comes through.
pub async fn polls_are_bounded(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let mut producer = kit.producer("p").await;
    let records = (0..300).map(|i| record(at(topic, i % 3), "k", vec![b'x'; 10_000])).collect();
    commit(&mut *producer, records).await;
    let mut reader = kit.reader(&[at(topic, 0), at(topic, 1), at(topic, 2)]).await;
    let started = Instant::now();
    let mut count = 0;
    let mut small_budget = false;
    while count < 300 {
        assert!(started.elapsed() < DEADLINE, "{count} of 300");
        small_budget = !small_budget;
        let bytes = if small_budget { 35_000 } else { 100 };
        match reader.poll(PollLimits { records: 7, bytes, wait: Duration::from_millis(500) }).await.expect("poll") {
            Polled::Records(records) => {
                assert!(
                    records.len() <= if small_budget { 4 } else { 1 },
                    "{} records for {bytes} bytes",
                    records.len()
                );
                count += records.len();
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(count, 300);
}

/// A topic that exists keeps its partitions, whatever is asked; unknown topics are refused by name.
pub async fn topics_keep_their_partitions(kit: &Kit<'_>) {
    let topic = kit.topic("t").await;
    let spec =
        TopicSpec { name: topic, cleanup: Cleanup::Delete, retention: None, retention_bytes: None, per_network: true };
    kit.log().ensure_topics(&[spec], PARTITIONS + 3).await.expect("again");
    assert_eq!(kit.log().partitions(topic).await.expect("partitions"), PARTITIONS);
    let single: &'static str = Box::leak(kit.name("single").into_boxed_str());
    kit.log()
        .ensure_topics(&[TopicSpec { name: single, per_network: false, ..spec }], PARTITIONS)
        .await
        .expect("single");
    assert_eq!(kit.log().partitions(single).await.expect("partitions"), 1);
    assert_eq!(kit.log().partitions("no-such-topic").await.unwrap_err().kind, LogErrorKind::NoTopic);
    let ends = kit.log().watermarks(at(topic, 0)).await.expect("watermarks");
    assert_eq!((ends.low, ends.high), (0, 0));
}
