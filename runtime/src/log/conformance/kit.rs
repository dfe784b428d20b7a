//! What the cases share: fresh topics and groups, records, and reading with deadlines.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use schemas::topics::{Cleanup, TopicSpec};

use super::{
    super::{
        Consumer, Log, LogError, NewRecord, PollLimits, Polled, Producer, Reader, Record, Topic, TopicPartition,
        Transaction,
    },
    Harness,
};

/// A whole case may take so long.
pub const CASE_DEADLINE: Duration = Duration::from_secs(120);
/// A single expected thing may take so long.
pub const DEADLINE: Duration = Duration::from_secs(40);
/// Partitions of the suite's chain topics.
pub const PARTITIONS: u32 = 4;

/// The surroundings of one case.
pub struct Kit<'h> {
    harness: &'h dyn Harness,
    log: Mutex<Arc<dyn Log>>,
    tag: String,
}

/// Names that no other run uses. They live as long as the process, as topic names do.
fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("{:x}-{:x}-{:x}", std::process::id(), nanos, COUNTER.fetch_add(1, Ordering::Relaxed))
}

impl<'h> Kit<'h> {
    /// Surroundings for one case.
    pub async fn new(harness: &'h dyn Harness, case: &str) -> Self {
        Self { harness, log: Mutex::new(harness.log().await), tag: format!("{case}-{}", unique()) }
    }

    /// The log.
    pub fn log(&self) -> Arc<dyn Log> {
        self.log.lock().expect("no case panics here").clone()
    }

    /// Closes and opens the log. Everything made from it before must be gone.
    pub async fn restart(&self) {
        // The former handle goes first: an embedded log has one at a time.
        let log = self.harness.restarted().await;
        *self.log.lock().expect("no case panics here") = log;
    }

    /// Lets retention remove all but the newest records of a partition.
    pub async fn expire(&self, at: TopicPartition) {
        self.harness.expire(&self.log(), at).await;
    }

    /// A name of this case.
    pub fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.tag)
    }

    async fn make(&self, what: &str, cleanup: Cleanup) -> Topic {
        let name: Topic = Box::leak(self.name(what).into_boxed_str());
        let spec = TopicSpec { name, cleanup, retention: None, retention_bytes: None, per_network: true };
        self.log().ensure_topics(&[spec], PARTITIONS).await.expect("topic");
        name
    }

    /// A topic that keeps its records.
    pub async fn topic(&self, what: &str) -> Topic {
        self.make(what, Cleanup::Delete).await
    }

    /// A compacted topic.
    pub async fn compacted(&self, what: &str) -> Topic {
        self.make(what, Cleanup::Compact).await
    }

    /// A producer with a transactional id of this case.
    pub async fn producer(&self, what: &str) -> Box<dyn Producer> {
        self.log().producer(&self.name(what)).await.expect("producer")
    }

    /// A member of a group of this case.
    pub async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Box<dyn Consumer> {
        self.log().consumer(&self.name(group), &self.name(instance), topics).await.expect("consumer")
    }

    /// A reader from the start of partitions.
    pub async fn reader(&self, at: &[TopicPartition]) -> Box<dyn Reader> {
        let from: Vec<_> = at.iter().map(|at| (*at, 0)).collect();
        self.log().reader(&from).await.expect("reader")
    }

    /// All values of a partition, once there are so many.
    pub async fn values(&self, at: TopicPartition, count: usize) -> Vec<String> {
        self.records_until(at, |records| records.len() >= count).await.iter().map(text).collect()
    }

    /// All records of a partition, once they are so. A commit may return a moment before its records appear.
    pub async fn records_until(&self, at: TopicPartition, done: impl Fn(&[Record]) -> bool) -> Vec<Record> {
        let started = Instant::now();
        loop {
            let records = self.records(at).await;
            if done(&records) {
                return records;
            }
            let last = records.last().map(text);
            assert!(
                started.elapsed() < DEADLINE,
                "{at:?}: {} records, the last {last:?}, and no more in time",
                records.len()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All records of a partition up to its present end.
    async fn records(&self, at: TopicPartition) -> Vec<Record> {
        let ends = self.log().watermarks(at).await.expect("watermarks");
        let mut reader = self.log().reader(&[(at, ends.low)]).await.expect("reader");
        let mut out: Vec<Record> = Vec::new();
        // Offsets may have holes (transaction markers, compaction): the end is known by silence as well.
        let mut quiet = 0;
        while out.last().is_none_or(|r| r.offset + 1 < ends.high) && quiet < 2 && ends.high > ends.low {
            match reader.poll(limits(500, 200)).await.expect("poll") {
                Polled::Records(records) if records.is_empty() => quiet += 1,
                Polled::Records(records) => out.extend(records),
                other => panic!("unexpected {other:?}"),
            }
        }
        out.retain(|r| r.offset < ends.high);
        out
    }
}

/// One partition.
pub fn at(topic: Topic, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition }
}

/// A record with a value.
pub fn record(to: TopicPartition, key: &str, value: impl AsRef<[u8]>) -> NewRecord {
    NewRecord {
        to,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_ref())),
        headers: vec![("sequence".into(), Bytes::from_static(b"7"))],
    }
}

/// A tombstone.
pub fn tombstone(to: TopicPartition, key: &str) -> NewRecord {
    NewRecord { value: None, ..record(to, key, "") }
}

/// A transaction without positions.
pub fn transaction(records: Vec<NewRecord>) -> Transaction {
    Transaction { records, offsets: None }
}

/// A record's value as text.
pub fn text(record: &Record) -> String {
    record.value.as_ref().map_or("(tombstone)".into(), |v| String::from_utf8_lossy(v).into_owned())
}

/// Limits of a poll.
pub fn limits(records: usize, wait_ms: u64) -> PollLimits {
    PollLimits { records, bytes: 64 << 20, wait: Duration::from_millis(wait_ms) }
}

/// Commits again what a back end asks to be tried again, until the deadline.
pub async fn commit(producer: &mut dyn Producer, records: Vec<NewRecord>) {
    let started = Instant::now();
    loop {
        match producer.commit(transaction(records.clone())).await {
            Ok(()) => return,
            Err(e) if e.nothing_written() && e.is_transient() && started.elapsed() < DEADLINE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(e) => panic!("commit: {e:?}"),
        }
    }
}

/// Reads until there are so many records.
pub async fn read(reader: &mut dyn Reader, count: usize) -> Vec<Record> {
    let started = Instant::now();
    let mut out = Vec::new();
    while out.len() < count {
        assert!(started.elapsed() < DEADLINE, "only {} of {count} records in time", out.len());
        match reader.poll(limits(count - out.len(), 500)).await.expect("poll") {
            Polled::Records(records) => out.extend(records),
            other => panic!("unexpected {other:?}"),
        }
    }
    out
}

/// What a member holds and has read, followed through rebalances.
#[derive(Default)]
pub struct Seen {
    /// What is held now.
    pub held: HashMap<TopicPartition, Option<u64>>,
    /// Records since the last change of what is held.
    pub records: Vec<Record>,
}

impl Seen {
    /// One poll.
    pub async fn poll(&mut self, consumer: &mut dyn Consumer, wait_ms: u64) -> Result<(), LogError> {
        match consumer.poll(limits(500, wait_ms)).await? {
            Polled::Assigned(list) => {
                for (at, position) in list {
                    assert!(self.held.insert(at, position).is_none(), "{at:?} assigned twice");
                }
            }
            Polled::Revoked(list) => {
                for at in list {
                    assert!(self.held.remove(&at).is_some(), "{at:?} revoked without being held");
                    self.records.retain(|r| r.from != at);
                }
            }
            Polled::Records(records) => {
                for r in &records {
                    assert!(self.held.contains_key(&r.from), "a record of {:?}, which is not held", r.from);
                }
                self.records.extend(records);
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                panic!("{at:?} out of range: wanted {wanted}, oldest {oldest}")
            }
        }
        Ok(())
    }

    /// Polls until it is so.
    pub async fn until(&mut self, consumer: &mut dyn Consumer, what: &str, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            assert!(
                started.elapsed() < DEADLINE,
                "{what}: not in time; held {:?}, {} records",
                self.held,
                self.records.len()
            );
            self.poll(consumer, 200).await.expect("poll");
        }
    }

    /// Values read of a partition.
    pub fn values(&self, at: TopicPartition) -> Vec<String> {
        self.records.iter().filter(|r| r.from == at).map(text).collect()
    }
}
