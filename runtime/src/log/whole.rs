//! Reading a partition from its beginning to its end, once.
//!
//! Guarantee: all records up to the end as it is at the beginning, in order, never fewer: what were missing would be written
//! twice. They are handed over as they come, so that no more than one poll's worth of them is held, however many there are.
//! Reading takes as long as records come; what ends it is silence.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use schemas::limits::{STATE_POLL_BYTES, STATE_POLL_RECORDS};

use super::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition};

/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(300);
/// Polls in a row that bring nothing, half a minute, before reading is given up. A broker that is replaced needs some seconds.
const SILENT_POLLS: u32 = 100;
/// Records of one poll where only some are wanted.
const PICKED_AT_ONCE: usize = 64;

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
    each: impl FnMut(Record) -> Result<(), E>,
) -> Result<u64, E> {
    let ends = log.watermarks(at).await?;
    let from = from.max(ends.low);
    if from < ends.high {
        let limits = PollLimits { records: STATE_POLL_RECORDS, bytes: STATE_POLL_BYTES, wait: WAIT };
        fold_between(log, at, from..ends.high, limits, each).await?;
    }
    Ok(ends.high)
}

/// The same from one offset up to another, which the partition has reached already. `limits`: what one poll brings, and how long it waits.
///
/// # Errors
/// As [`fold`], when the log says nothing for a hundred polls.
pub async fn fold_between<E: From<LogError>>(
    log: &dyn Log,
    at: TopicPartition,
    offsets: Range<u64>,
    limits: PollLimits,
    mut each: impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = log.reader(&[(at, offsets.start)]).await?;
    let (mut last, mut silent) = (reader.reached(at), 0);
    loop {
        match reader.poll(limits).await? {
            // What lies behind the end came later.
            Polled::Records(batch) => {
                batch.into_iter().filter(|r| r.offset < offsets.end).try_for_each(&mut each)?;
            }
            // Compaction went on meanwhile; what it removed has a newer record further on.
            Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
        let now = reader.reached(at);
        if now >= offsets.end {
            return Ok(());
        }
        silent = if now == last { silent + 1 } else { 0 };
        last = now;
        if silent > SILENT_POLLS {
            let (topic, partition, end) = (at.topic, at.partition, offsets.end);
            let message = format!(
                "{topic} [{partition}] was read up to {now} of {end}, then nothing came for {:?}",
                limits.wait * SILENT_POLLS
            );
            return Err(LogError::new(LogErrorKind::Unavailable, message).into());
        }
    }
}

/// Hands the records of a partition that stand at these offsets to `each`, in order; what compaction has removed is left out. What lies between them
/// is jumped over where it is more than a poll brings, and nothing behind the last one is read.
///
/// # Errors
/// As [`fold`].
pub async fn pick<E: From<LogError>>(
    log: &dyn Log,
    at: TopicPartition,
    offsets: &BTreeSet<u64>,
    mut each: impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    let ends = log.watermarks(at).await?;
    let next = |from: u64| offsets.range(from..).next().copied().filter(|offset| *offset < ends.high);
    let Some(first) = next(ends.low) else { return Ok(()) };
    let mut reader = log.reader(&[(at, first)]).await?;
    let (mut last, mut silent) = (reader.reached(at), 0);
    let jump = u64::try_from(PICKED_AT_ONCE).unwrap_or(u64::MAX);
    let limits = PollLimits { records: PICKED_AT_ONCE, bytes: STATE_POLL_BYTES, wait: WAIT };
    loop {
        match reader.poll(limits).await? {
            Polled::Records(batch) => {
                batch.into_iter().filter(|r| offsets.contains(&r.offset)).try_for_each(&mut each)?;
            }
            Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
        let now = reader.reached(at);
        let Some(wanted) = next(now) else { return Ok(()) };
        silent = if now == last { silent + 1 } else { 0 };
        last = now;
        if silent > SILENT_POLLS {
            let message = format!("{} [{}] was read up to {now}, then nothing came", at.topic, at.partition);
            return Err(LogError::new(LogErrorKind::Unavailable, message).into());
        }
        if wanted.saturating_sub(now) > jump {
            reader.seek(at, wanted).await?;
            last = reader.reached(at);
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

    /// Of a long partition only what is asked for is read, and a little around it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn single_records_are_picked_without_reading_the_rest() {
        const RECORDS: u64 = 20_000;
        let dir = tempfile::tempdir().expect("a folder");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        log.ensure_topics(&[schemas::topics::INGEST_CHECKPOINTS], 2).await.expect("topic");
        let mut producer = log.producer("p").await.expect("producer");
        for chunk in 0..RECORDS / 2_000 {
            let record = |i: u64| NewRecord {
                to: AT,
                key: Some(format!("k{chunk}/{i}").into()),
                value: Some(Bytes::from(vec![7; 150])),
                headers: Vec::new(),
            };
            let records = (0..2_000).map(record).collect();
            producer.commit(Transaction { records, offsets: None }).await.expect("commit");
        }
        let all: Vec<u64> = read_all(&*log, AT).await.expect("read").iter().map(|record| record.offset).collect();
        // Two that lie together, one far away, and two that are not there.
        let wanted = [all[5], all[6], all[12_000]];
        let offsets: BTreeSet<u64> = wanted.into_iter().chain([u64::MAX - 1, u64::MAX]).collect();
        let watched = Watched::new(log.clone());
        let (mut seen, mut held) = (Vec::new(), Vec::new());
        let each = |record: Record| {
            seen.push(record.offset);
            held.push(record);
            Ok::<(), LogError>(())
        };
        pick(&watched, AT, &offsets, each).await.expect("read");
        assert_eq!(seen, wanted);
        assert!(watched.most() <= 2 + PICKED_AT_ONCE, "{} records were held", watched.most());
        assert!(watched.read() <= 3 * PICKED_AT_ONCE, "{} records were read", watched.read());
        let none = |_: Record| Err(LogError::new(LogErrorKind::Invalid, "nothing is there"));
        pick(&watched, AT, &BTreeSet::new(), none).await.expect("nothing is wanted");
        pick(&watched, AT, &BTreeSet::from([u64::MAX]), none).await.expect("nothing is there");
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
