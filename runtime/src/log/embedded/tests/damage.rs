//! Damage, foreign versions, second processes.

use std::io::Read;

use super::{super::*, crash::spawn_child, ledger::Ledger};

fn config(dir: &Path) -> EmbeddedConfig {
    EmbeddedConfig { min_free_bytes: 1 << 20, ..EmbeddedConfig::new(dir) }
}

async fn written(dir: &Path, count: usize) -> u64 {
    let mut ledger = Ledger::open(config(dir)).await.unwrap();
    for _ in 0..count {
        ledger.write().await.unwrap();
    }
    let last = ledger.last;
    ledger.close().await;
    last
}

fn newest_journal(dir: &Path) -> PathBuf {
    let mut journals: Vec<_> = std::fs::read_dir(dir.join("engine")).unwrap().map(|e| e.unwrap().path()).collect();
    journals.retain(|p| p.extension().is_some_and(|e| e == "jnl"));
    journals.sort();
    journals.pop().unwrap()
}

#[tokio::test]
async fn garbage_behind_the_last_commit_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let last = written(dir.path(), 20).await;
    for garbage in [vec![0xa5; 5000], vec![1], vec![2; 70_000], b"\x01\x05\0\0\0".to_vec()] {
        let path = newest_journal(dir.path());
        let mut raw = std::fs::read(&path).unwrap();
        let end = journal::valid_len(&path).unwrap();
        raw.truncate(end);
        raw.extend(garbage);
        std::fs::write(&path, raw).unwrap();
        let ledger = Ledger::open(config(dir.path())).await.unwrap();
        assert_eq!(ledger.last, last);
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_torn_last_commit_goes_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let last = written(dir.path(), 20).await;
    let path = newest_journal(dir.path());
    let mut raw = std::fs::read(&path).unwrap();
    let end = journal::valid_len(&path).unwrap();
    raw[end - 30] ^= 0x10;
    std::fs::write(&path, raw).unwrap();
    let ledger = Ledger::open(config(dir.path())).await.unwrap();
    assert_eq!(ledger.last, last - 1, "all of it or nothing, over all topics");
    ledger.close().await;
}

#[tokio::test]
async fn damage_before_commits_is_refused_by_place_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), 20).await;
    let path = newest_journal(dir.path());
    let mut raw = std::fs::read(&path).unwrap();
    let middle = journal::valid_len(&path).unwrap() / 2;
    raw[middle] ^= 0x10;
    std::fs::write(&path, &raw).unwrap();
    for _ in 0..2 {
        let e = EmbeddedLog::open(config(dir.path())).await.err().expect("refused");
        assert_eq!(e.kind, LogErrorKind::Corrupt);
        assert!(e.message.contains(path.to_str().unwrap()) && e.message.contains("move it away"), "{e}");
        assert_eq!(std::fs::read(&path).unwrap(), raw);
    }
}

/// Offsets of a topic that is not compacted have no holes; what is missing there was lost.
#[tokio::test]
async fn missing_records_are_damage_and_no_jump() {
    let dir = tempfile::tempdir().unwrap();
    // From disk: what is still in memory is whole.
    let config = EmbeddedConfig { tail_cache_bytes: 0, ..config(dir.path()) };
    let mut ledger = Ledger::open(config).await.unwrap();
    for _ in 0..30 {
        ledger.write().await.unwrap();
    }
    let headers = TopicPartition { topic: "ledger.headers", partition: 0 };
    let (_, id) = ledger.log.shared.partition(headers).unwrap();
    for lost in [29u64, 12] {
        {
            let guard = ledger.log.shared.engine.read().unwrap();
            let engine = guard.as_ref().unwrap();
            let key = engine.blob_keys(id).map(Result::unwrap).find(|k| k.base == lost).unwrap();
            engine.blobs.remove(key.encode()).unwrap();
        }
        let mut reader = ledger.log.reader(&[(headers, 0)]).await.unwrap();
        let limits = crate::log::PollLimits { records: 100, bytes: 1 << 20, wait: Duration::from_millis(50) };
        let polled = reader.poll(limits).await.unwrap();
        let crate::log::Polled::Records(before) = polled else { panic!("{polled:?}") };
        assert_eq!(before.iter().map(|r| r.offset).collect::<Vec<_>>(), (0..lost).collect::<Vec<_>>());
        for _ in 0..2 {
            let e = reader.poll(limits).await.expect_err("a hole");
            assert_eq!(e.kind, LogErrorKind::Corrupt, "{e}");
            let place = format!("topic ledger.headers partition 0: the records from offset {lost} on are missing");
            assert!(e.message.contains(&place) && e.message.contains(dir.path().to_str().unwrap()), "{e}");
        }
        // Behind the hole all is well; whoever wants to may look.
        reader.seek(headers, lost + 1).await.unwrap();
        assert_eq!(reader.reached(headers), lost + 1);
    }
    ledger.close().await;
}

/// Aborted and refused transactions leave no holes: the offsets are given out anew.
#[tokio::test]
async fn what_is_refused_takes_no_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(config(dir.path())).await.unwrap();
    ledger.write().await.unwrap();
    let log = ledger.log.clone();
    let at = |topic| TopicPartition { topic, partition: 0 };
    let record = |topic, value: usize| crate::log::NewRecord {
        to: at(topic),
        key: Some("k".into()),
        value: Some(vec![0; value].into()),
        headers: Vec::new(),
    };
    let write = |records| crate::log::Transaction { records, offsets: None };
    let high = async |topic| log.watermarks(at(topic)).await.unwrap().high;
    let before = (high("ledger.headers").await, high("ledger.source").await);
    let mut fenced = log.producer("p").await.unwrap();
    let mut producer = log.producer("p").await.unwrap();
    let too_large = schemas::limits::RECORD_VALUE_BYTES + 1;
    let e = producer.commit(write(vec![record("ledger.source", 1), record("ledger.headers", too_large)])).await;
    assert_eq!(e.unwrap_err().kind, LogErrorKind::TooLarge);
    let e = fenced.commit(write(vec![record("ledger.source", 1)])).await;
    assert_eq!(e.unwrap_err().kind, LogErrorKind::Fenced);
    assert_eq!((high("ledger.headers").await, high("ledger.source").await), before);
    producer.commit(write(vec![record("ledger.source", 1)])).await.unwrap();
    assert_eq!(high("ledger.source").await, before.1 + 1);
    ledger.close().await;
}

#[tokio::test]
async fn missing_parts_of_the_engine_are_damage_and_no_new_beginning() {
    for part in ["keyspaces/0", "keyspaces/1", "keyspaces/3", "version"] {
        let dir = tempfile::tempdir().unwrap();
        let last = written(dir.path(), 5).await;
        let (there, away) = (dir.path().join("engine").join(part), dir.path().join("away"));
        std::fs::rename(&there, &away).unwrap();
        let e = EmbeddedLog::open(config(dir.path())).await.err().expect("refused");
        assert_eq!(e.kind, LogErrorKind::Corrupt, "{part}: {e}");
        assert!(e.message.contains(there.to_str().unwrap()) && e.message.contains("restore"), "{e}");
        std::fs::rename(&away, &there).unwrap();
        assert_eq!(written(dir.path(), 0).await, last, "{part}: nothing was touched");
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let last = written(dir.path(), 5).await;
    let format = dir.path().join("FORMAT");
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "1\n");
    for (text, kind, words) in [
        ("2\n", LogErrorKind::Invalid, "run the newer version"),
        ("0\n", LogErrorKind::Invalid, "never was released"),
        ("x", LogErrorKind::Corrupt, "does not hold a format number"),
    ] {
        std::fs::write(&format, text).unwrap();
        let e = EmbeddedLog::open(config(dir.path())).await.err().expect("refused");
        assert_eq!(e.kind, kind, "{e}");
        assert!(e.message.contains(words), "{e}");
        assert_eq!(std::fs::read_to_string(&format).unwrap(), text);
    }
    std::fs::remove_file(&format).unwrap();
    assert_eq!(EmbeddedLog::open(config(dir.path())).await.err().expect("refused").kind, LogErrorKind::Corrupt);
    std::fs::write(&format, "1\n").unwrap();
    assert_eq!(written(dir.path(), 0).await, last);
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_who_is_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(config(dir.path())).await.unwrap();
    let mut child = spawn_child(dir.path());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(said.contains("refused InUse") && said.contains(&format!("process {}", std::process::id())), "{said}");
    // The same process may not either, and the first goes on.
    assert_eq!(EmbeddedLog::open(config(dir.path())).await.err().expect("refused").kind, LogErrorKind::InUse);
    ledger.write().await.unwrap();
    ledger.close().await;
    written(dir.path(), 1).await;
}

#[tokio::test]
async fn after_closing_everything_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(config(dir.path())).await.unwrap();
    ledger.write().await.unwrap();
    ledger.log.close().await.unwrap();
    ledger.log.close().await.unwrap();
    assert_eq!(ledger.write().await.unwrap_err().kind, LogErrorKind::Closed);
    let mut reader = ledger.log.reader(&[]).await.unwrap();
    let limits = crate::log::PollLimits { records: 1, bytes: 1, wait: Duration::from_secs(5) };
    assert_eq!(reader.poll(limits).await.unwrap_err().kind, LogErrorKind::Closed);
}
