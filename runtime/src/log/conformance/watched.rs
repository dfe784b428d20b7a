//! A log that counts the records which its readers have given out and nobody has dropped yet: what a reader holds at a time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use schemas::topics::TopicSpec;

use crate::log::{
    Consumer, Lag, Log, LogError, PollLimits, Polled, Producer, Reader, Record, Topic, TopicPartition, Watermarks,
};

/// The log, watched. Records without a value are not counted.
pub struct Watched {
    log: Arc<dyn Log>,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
    read: AtomicUsize,
}

impl Watched {
    /// Over a log.
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log, held: Arc::default() }
    }

    /// The most records that were held at a time.
    pub fn most(&self) -> usize {
        self.held.most.load(Ordering::Relaxed)
    }

    /// The records that were read, all together.
    pub fn read(&self) -> usize {
        self.held.read.load(Ordering::Relaxed)
    }
}

/// A value that says when it is gone.
struct Counted {
    value: Bytes,
    held: Arc<Held>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.value
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.now.fetch_sub(1, Ordering::Relaxed);
    }
}

struct WatchedReader(Box<dyn Reader>, Arc<Held>);

impl WatchedReader {
    fn count(&self, record: Record) -> Record {
        let counted = record.value.map(|value| {
            let now = self.1.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.1.most.fetch_max(now, Ordering::Relaxed);
            self.1.read.fetch_add(1, Ordering::Relaxed);
            Bytes::from_owner(Counted { value, held: self.1.clone() })
        });
        Record { value: counted, ..record }
    }
}

#[async_trait]
impl Reader for WatchedReader {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        Ok(match self.0.poll(limits).await? {
            Polled::Records(records) => Polled::Records(records.into_iter().map(|r| self.count(r)).collect()),
            other => other,
        })
    }
    fn pause(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.0.pause(at)
    }
    fn resume(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.0.resume(at)
    }
    async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError> {
        self.0.seek(at, offset).await
    }
    async fn add(&mut self, more: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        self.0.add(more).await
    }
    fn reached(&self, at: TopicPartition) -> u64 {
        self.0.reached(at)
    }
}

#[async_trait]
impl Log for Watched {
    async fn ensure_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        self.log.ensure_topics(topics, chain_partitions).await
    }
    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        self.log.partitions(topic).await
    }
    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        self.log.value_limit(topic).await
    }
    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        self.log.watermarks(at).await
    }
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer(transactional_id).await
    }
    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        self.log.consumer(group, instance, topics).await
    }
    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(WatchedReader(self.log.reader(from).await?, self.held.clone())))
    }
    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        self.log.lag(group, topics).await
    }
}
