//! Reading a partition from its beginning to its end, once.
//!
//! Guarantee: all records up to the end as it is at the beginning, in order, never fewer: what were missing would be written
//! twice. They are handed over as they come, so that no more than one poll's worth of them is held, however many there are.
//! Reading takes as long as records come; what ends it is silence.

use std::time::Duration;

use schemas::limits::{STATE_POLL_BYTES, STATE_POLL_RECORDS};

use super::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition};

/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(300);
/// Polls in a row that bring nothing, half a minute, before reading is given up. A broker that is replaced needs some seconds.
const SILENT_POLLS: u32 = 100;

/// Hands each record of a partition, up to its end as it is now, to `each`.
///
/// # Errors
/// The first error of `each`; what the log says; [`LogErrorKind::Unavailable`] when it says nothing for half a minute.
pub async fn fold<E: From<LogError>>(
    log: &dyn Log,
    at: TopicPartition,
    each: impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    fold_from(log, at, 0, each).await.map(drop)
}

/// The same from an offset on, or from the oldest record where that is gone. Returns the end, from where it may be gone on later.
///
/// # Errors
/// As [`fold`].
pub async fn fold_from<E: From<LogError>>(
    log: &dyn Log,
    at: TopicPartition,
    from: u64,
    mut each: impl FnMut(Record) -> Result<(), E>,
) -> Result<u64, E> {
    let ends = log.watermarks(at).await?;
    let from = from.max(ends.low);
    if from >= ends.high {
        return Ok(ends.high);
    }
    let mut reader = log.reader(&[(at, from)]).await?;
    let (mut last, mut silent) = (reader.reached(at), 0);
    let limits = PollLimits { records: STATE_POLL_RECORDS, bytes: STATE_POLL_BYTES, wait: WAIT };
    loop {
        match reader.poll(limits).await? {
            // What lies behind the end came later.
            Polled::Records(batch) => {
                batch.into_iter().filter(|r| r.offset < ends.high).try_for_each(&mut each)?;
            }
            // Compaction went on meanwhile; what it removed has a newer record further on.
            Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
        let now = reader.reached(at);
        if now >= ends.high {
            return Ok(ends.high);
        }
        silent = if now == last { silent + 1 } else { 0 };
        last = now;
        if silent > SILENT_POLLS {
            let (topic, partition, high) = (at.topic, at.partition, ends.high);
            let message = format!(
                "{topic} [{partition}] was read up to {now} of {high}, then nothing came for {:?}",
                WAIT * SILENT_POLLS
            );
            return Err(LogError::new(LogErrorKind::Unavailable, message).into());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    };

    use bytes::Bytes;

    use super::*;
    use crate::log::{
        Consumer, Lag, NewRecord, Producer, Reader, Topic, TopicSpec, Transaction, Watermarks,
        conformance::{Watched, read_all},
        embedded::{EmbeddedConfig, EmbeddedLog},
    };

    pub const AT: TopicPartition = TopicPartition { topic: schemas::topics::INGEST_CHECKPOINTS.name, partition: 0 };

    /// However many records there are, a handful is held.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_partition_of_any_length_is_folded_in_little_memory() {
        const RECORDS: usize = 60_000;
        let dir = tempfile::tempdir().expect("a folder");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        log.ensure_topics(&[schemas::topics::INGEST_CHECKPOINTS], 2).await.expect("topic");
        let mut producer = log.producer("p").await.expect("producer");
        for chunk in 0..RECORDS / 2_000 {
            // All in one partition but the last ones.
            let partition = u32::from(chunk + 1 == RECORDS / 2_000);
            let record = |i: usize| NewRecord {
                to: TopicPartition { partition, ..AT },
                key: Some(format!("k{chunk}/{i}").into()),
                value: Some(Bytes::from(vec![7; 150])),
                headers: Vec::new(),
            };
            let records = (0..2_000).map(record).collect();
            producer.commit(Transaction { records, offsets: None }).await.expect("commit");
        }
        let watched = Watched::new(log.clone());
        let mut seen = 0;
        let mut each = |record: Record| {
            assert_eq!(record.value.as_ref().map(Bytes::len), Some(150));
            seen += 1;
            Ok::<(), LogError>(())
        };
        fold(&watched, AT, &mut each).await.expect("read");
        assert_eq!(seen, RECORDS - 2_000, "all of them");
        seen = 0;
        let mut each = |_: Record| {
            seen += 1;
            Ok::<(), LogError>(())
        };
        let end = fold_from(&watched, AT, RECORDS as u64 - 2_000 - 10, &mut each).await.expect("read");
        assert_eq!(fold_from(&watched, AT, end, &mut each).await.expect("read"), end);
        assert_eq!(seen, 10, "from there on, once");
        let most = watched.most();
        assert!(most <= STATE_POLL_RECORDS, "{most} records were held at a time");
        assert_eq!(read_all(&watched, AT).await.expect("read").len(), RECORDS - 2_000);
        assert!(watched.most() >= RECORDS - 2_000, "the watch sees who holds them all");
    }

    /// A slow partition is read to its end; a silent one is given up.
    #[tokio::test]
    async fn reading_takes_as_long_as_records_come() {
        let mut got = 0;
        let mut count = |_| {
            got += 1;
            Ok::<(), LogError>(())
        };
        fold(&Scripted::silent_from(100), AT, &mut count).await.expect("more silence than may be in one piece");
        let e = fold(&Scripted::silent_from(7), AT, &mut count).await.expect_err("silence");
        assert_eq!(e.kind, LogErrorKind::Unavailable, "{e}");
        assert!(e.message.contains("up to 7 of 100"), "{e}");
        assert_eq!(got, 107);
    }

    /// A partition of 100 records of which one comes with every tenth poll, until none comes any more.
    #[derive(Clone)]
    pub struct Scripted {
        pub silent_from: Arc<AtomicU64>,
        /// How long a poll takes.
        pub pause: Duration,
        /// Where readers began.
        pub opened_at: Arc<Mutex<Vec<u64>>>,
    }

    impl Scripted {
        pub fn silent_from(offset: u64) -> Self {
            Self { silent_from: Arc::new(offset.into()), pause: Duration::ZERO, opened_at: Arc::default() }
        }
    }

    struct ScriptedReader {
        script: Scripted,
        next: u64,
        polls: u64,
    }

    #[async_trait::async_trait]
    impl Log for Scripted {
        async fn watermarks(&self, _: TopicPartition) -> Result<Watermarks, LogError> {
            Ok(Watermarks { low: 0, high: 100 })
        }
        async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
            let next = from[0].1;
            self.opened_at.lock().expect("no panic").push(next);
            Ok(Box::new(ScriptedReader { script: self.clone(), next, polls: 0 }))
        }
        async fn ensure_topics(&self, _: &[TopicSpec], _: u32) -> Result<(), LogError> {
            unreachable!("only read")
        }
        async fn partitions(&self, _: Topic) -> Result<u32, LogError> {
            unreachable!("only read")
        }
        async fn value_limit(&self, _: Topic) -> Result<usize, LogError> {
            unreachable!("only read")
        }
        async fn producer(&self, _: &str) -> Result<Box<dyn Producer>, LogError> {
            unreachable!("only read")
        }
        async fn consumer(&self, _: &str, _: &str, _: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
            unreachable!("only read")
        }
        async fn lag(&self, _: &str, _: &[Topic]) -> Result<Vec<Lag>, LogError> {
            unreachable!("only read")
        }
    }

    #[async_trait::async_trait]
    impl Reader for ScriptedReader {
        async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
            assert!(limits.wait <= WAIT);
            tokio::time::sleep(self.script.pause).await;
            self.polls += 1;
            if self.next >= self.script.silent_from.load(Ordering::SeqCst) || !self.polls.is_multiple_of(10) {
                return Ok(Polled::Records(Vec::new()));
            }
            self.next += 1;
            let (offset, timestamp) = (self.next - 1, schemas::TimeMs(0));
            let record = Record { from: AT, offset, timestamp, key: None, value: None, headers: Vec::new() };
            Ok(Polled::Records(vec![record]))
        }
        fn pause(&mut self, _: &[TopicPartition]) -> Result<(), LogError> {
            unreachable!("only read")
        }
        fn resume(&mut self, _: &[TopicPartition]) -> Result<(), LogError> {
            unreachable!("only read")
        }
        async fn seek(&mut self, _: TopicPartition, _: u64) -> Result<(), LogError> {
            unreachable!("only read")
        }
        async fn add(&mut self, _: &[(TopicPartition, u64)]) -> Result<(), LogError> {
            unreachable!("only read")
        }
        fn reached(&self, _: TopicPartition) -> u64 {
            self.next
        }
    }
}
