//! The embedded log, with what a sink does to it written down.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use runtime::log::{
    Consumer, GroupMetadata, Lag, Log, LogError, Offsets, PollLimits, Polled, Producer, Reader, Topic, TopicPartition,
    Watermarks, embedded::EmbeddedLog,
};
use schemas::topics::{self, TopicSpec};

/// What was done.
#[derive(Default)]
pub struct Seen {
    /// Readers without a group that were opened.
    pub readers: AtomicU64,
    /// Members that joined.
    pub joined: AtomicU64,
    /// Polls of members.
    pub polls: AtomicU64,
    /// Questions how large a dead letter may be: one before each is written.
    pub letters: AtomicU64,
    /// Positions that were committed, in order.
    pub commits: Mutex<Vec<(TopicPartition, u64)>>,
}

impl Seen {
    /// Panics when a position was ever put back.
    pub fn assert_positions_only_rise(&self) {
        let commits = self.commits.lock().expect("commits");
        let mut last = std::collections::HashMap::new();
        for (at, offset) in commits.iter() {
            let before = last.insert(*at, *offset).unwrap_or(0);
            assert!(before <= *offset, "{at:?} was put back from {before} to {offset}");
        }
    }

    pub fn readers(&self) -> u64 {
        self.readers.load(Ordering::SeqCst)
    }

    pub fn polls(&self) -> u64 {
        self.polls.load(Ordering::SeqCst)
    }
}

/// The log.
pub struct WatchedLog {
    inner: Arc<EmbeddedLog>,
    pub seen: Arc<Seen>,
}

impl WatchedLog {
    pub fn over(inner: Arc<EmbeddedLog>) -> Arc<Self> {
        Arc::new(Self { inner, seen: Arc::default() })
    }
}

#[async_trait]
impl Log for WatchedLog {
    async fn ensure_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        self.inner.ensure_topics(topics, chain_partitions).await
    }
    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        self.inner.partitions(topic).await
    }
    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        if topic == topics::DEAD_LETTERS.name {
            self.seen.letters.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.value_limit(topic).await
    }
    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        self.inner.watermarks(at).await
    }
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        self.inner.producer(transactional_id).await
    }
    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        let inner = self.inner.consumer(group, instance, topics).await?;
        // Samples of endpoints go beside.
        if group != store::sink::pipeline::GROUP {
            return Ok(inner);
        }
        self.seen.joined.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(WatchedConsumer { inner, seen: self.seen.clone() }))
    }
    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        // Who lives is read by every stage when it starts.
        if from.iter().any(|(at, _)| at.topic == schemas::topics::ENRICHED_BLOCKS.name) {
            self.seen.readers.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.reader(from).await
    }
    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        self.inner.lag(group, topics).await
    }
}

struct WatchedConsumer {
    inner: Box<dyn Consumer>,
    seen: Arc<Seen>,
}

#[async_trait]
impl Consumer for WatchedConsumer {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        self.seen.polls.fetch_add(1, Ordering::SeqCst);
        self.inner.poll(limits).await
    }
    fn group(&self) -> GroupMetadata {
        self.inner.group()
    }
    fn pause(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.inner.pause(at)
    }
    fn resume(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.inner.resume(at)
    }
    async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError> {
        self.inner.seek(at, offset).await
    }
    async fn commit(&mut self, offsets: Offsets) -> Result<(), LogError> {
        self.inner.commit(offsets.clone()).await?;
        self.seen.commits.lock().expect("commits").extend(offsets);
        Ok(())
    }
}
