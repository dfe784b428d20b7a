//! A write whose outcome is not known: nobody is told anything until it is, and what was acknowledged is not cut off.

use fjall::PersistMode;

use super::{super::*, ledger::Ledger};
use crate::log::{NewRecord, PollLimits, Polled, Transaction};

fn config(dir: &Path) -> EmbeddedConfig {
    EmbeddedConfig { min_free_bytes: 1 << 20, retention_check: None, ..EmbeddedConfig::new(dir) }
}

/// A part of the engine that can be taken away, so that it does not open.
struct Part(PathBuf, PathBuf);

impl Part {
    fn of(dir: &Path) -> Self {
        Self(dir.join("engine/keyspaces/1"), dir.join("away"))
    }
    fn take_away(&self) {
        std::fs::rename(&self.0, &self.1).unwrap();
    }
    fn bring_back(&self) {
        std::fs::rename(&self.1, &self.0).unwrap();
    }
}

/// The state after a commit whose bytes are whole in the journal although its write failed, with an engine that does not open: as
/// on a disk that became full in between.
async fn undecided(ledger: &Ledger) -> (TopicPartition, u64) {
    let at = TopicPartition { topic: "ledger.source", partition: 0 };
    let shared = &ledger.log.shared;
    let (topic, id) = shared.partition(at).unwrap();
    let row = topic.partitions[0].row();
    let mut encoder = blob::Encoder::default();
    encoder.push(&NewRecord { to: at, key: None, value: Some("undecided".into()), headers: Vec::new() });
    let mut raw = encoder.finish();
    blob::stamp(&mut raw, schemas::TimeMs(1));
    let key =
        engine::BlobKey { at: id, base: row.next, written_at: schemas::TimeMs(1), bytes: raw.len() as u32, records: 1 };
    let mut guard = shared.engine.write().unwrap();
    let engine = guard.as_ref().unwrap();
    let number = engine.last_batch().unwrap() + 1;
    let mut batch = engine.db.batch().durability(Some(PersistMode::SyncData));
    batch.insert(&engine.blobs, key.encode(), raw);
    let row = state::PartitionRow { next: row.next + 1, ..row };
    batch.insert(&engine.meta, engine::partition_key(b"p", id), row.encode());
    batch.insert(&engine.meta, engine::position_key("ledger", id), 4711u64.to_be_bytes());
    batch.insert(&engine.meta, b"n", number.to_be_bytes());
    batch.commit().unwrap();
    *guard = None;
    (at, row.next)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_said_of_what_is_not_decided() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(config(dir.path())).await.unwrap();
    for _ in 0..5 {
        ledger.write().await.unwrap();
    }
    let log = ledger.log.clone();
    let part = Part::of(dir.path());
    part.take_away();
    let (at, high) = undecided(&ledger).await;

    // Whoever asks where things stand is told that this is not known, as often as it asks.
    let mut consumer = log.consumer("ledger", "one", &[at.topic]).await.unwrap();
    let limits = PollLimits { records: 10, bytes: 1 << 20, wait: Duration::from_secs(5) };
    for _ in 0..2 {
        assert_eq!(log.producer("ingest.0").await.err().expect("undecided").kind, LogErrorKind::Unavailable);
        assert_eq!(consumer.poll(limits).await.expect_err("undecided").kind, LogErrorKind::Unavailable);
    }
    // Nor can anything be written meanwhile.
    assert!(ledger.write().await.is_err());

    part.bring_back();
    let mut producer = log.producer("ingest.0").await.expect("decided");
    assert_eq!(log.watermarks(at).await.unwrap().high, high, "it had been written: it is there");
    let polled = consumer.poll(limits).await.unwrap();
    assert!(matches!(&polled, Polled::Assigned(list) if list == &[(at, Some(4711))]), "{polled:?}");
    let record = NewRecord { to: at, key: None, value: Some("next".into()), headers: Vec::new() };
    producer.commit(Transaction { records: vec![record], offsets: None }).await.unwrap();
    assert_eq!(log.watermarks(at).await.unwrap().high, high + 1);
    ledger.close().await;
}

/// A bit of an acknowledged commit is flipped on the disk, unnoticed, since memory has it. A failed write must not cut it off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_write_does_not_cut_off_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(config(dir.path())).await.unwrap();
    for _ in 0..20 {
        ledger.write().await.unwrap();
    }
    let last = ledger.last;
    let path = dir.path().join("engine/0.jnl");
    let end = journal::valid_len(&path).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    use std::os::unix::fs::FileExt;
    let mut byte = [0];
    file.read_exact_at(&mut byte, end as u64 / 2).unwrap();
    file.write_all_at(&[byte[0] ^ 1], end as u64 / 2).unwrap();
    let damaged = std::fs::read(&path).unwrap();

    *ledger.log.shared.engine.write().unwrap() = None; // what a failed write leaves
    for _ in 0..2 {
        let e = ledger.write().await.expect_err("damage");
        assert_eq!(e.kind, LogErrorKind::Corrupt, "{e}");
        assert!(e.message.contains(path.to_str().unwrap()) && e.message.contains("whole commits after it"), "{e}");
    }
    assert!(std::fs::read(&path).unwrap() == damaged, "nothing was changed");

    // Repaired, as from a copy: everything is there.
    file.write_all_at(&byte, end as u64 / 2).unwrap();
    ledger.recover().await.unwrap();
    assert_eq!(ledger.last, last);
    ledger.write().await.unwrap();
    ledger.close().await;
}
