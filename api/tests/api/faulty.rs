//! The world's log as an API sees it that sometimes misses something: the real log, with records left out and questions refused.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use runtime::log::{
    Consumer, Lag, Log, LogError, LogErrorKind, PollLimits, Polled, Producer, Reader, Record, Topic, TopicPartition,
    Watermarks,
};
use schemas::{headers::ChainHeaders, topics::TopicSpec};

/// What goes wrong.
#[derive(Default)]
pub struct Faults {
    /// Events of this network that readers do not see: their headers are missing.
    pub lost: Mutex<Option<(String, RangeInclusive<u64>)>>,
    /// So many questions for the ends of partitions of the live topics are not answered.
    pub away: AtomicU32,
}

pub struct Faulty(pub Arc<dyn Log>, pub Arc<Faults>);

struct FaultyReader(Box<dyn Reader>, Arc<Faults>);

impl Faults {
    fn loses(&self, record: &Record) -> bool {
        let lost = self.lost.lock().expect("no panic");
        let Some((network, sequences)) = lost.as_ref() else { return false };
        let of_blocks = record.from.topic == schemas::topics::ENRICHED_BLOCKS.name;
        let headers = ChainHeaders::parse(|name| record.header(name));
        of_blocks && headers.is_ok_and(|h| h.network.as_str() == network && sequences.contains(&h.sequence))
    }
}

#[async_trait]
impl Log for Faulty {
    async fn ensure_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        self.0.ensure_topics(topics, chain_partitions).await
    }
    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        self.0.partitions(topic).await
    }
    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        self.0.value_limit(topic).await
    }
    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        let live = [schemas::topics::ENRICHED_BLOCKS.name, schemas::topics::ENRICHED_TRANSACTIONS.name];
        if live.contains(&at.topic) && self.1.away.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok() {
            return Err(LogError::new(LogErrorKind::Unavailable, "nobody answers"));
        }
        self.0.watermarks(at).await
    }
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        self.0.producer(transactional_id).await
    }
    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        self.0.consumer(group, instance, topics).await
    }
    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(FaultyReader(self.0.reader(from).await?, self.1.clone())))
    }
    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        self.0.lag(group, topics).await
    }
}

#[async_trait]
impl Reader for FaultyReader {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        Ok(match self.0.poll(limits).await? {
            Polled::Records(mut records) => {
                records.retain(|record| !self.1.loses(record));
                Polled::Records(records)
            }
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
