//! A log in between: it fails commits that are to fail, and calls a group by another name.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use runtime::log::{
    Consumer, Lag, Log, LogError, LogErrorKind, Producer, Reader, Topic, TopicPartition, Transaction, Watermarks,
};
use schemas::topics::{self, TopicSpec};

/// Over another log.
pub struct Between {
    pub inner: Arc<dyn Log>,
    /// So many commits with a dead letter fail, with nothing written.
    pub aborts: Arc<AtomicU32>,
    /// Goes before the names of groups.
    pub group: &'static str,
    /// What stages say of themselves beside their work does not get through.
    pub mute: bool,
    /// Readers without a group: what they read, and from where on.
    pub readers: Arc<Mutex<Vec<(TopicPartition, u64)>>>,
}

struct Aborting(Box<dyn Producer>, Arc<AtomicU32>);

struct Mute;

#[async_trait::async_trait]
impl Producer for Mute {
    async fn commit(&mut self, _: Transaction) -> Result<(), LogError> {
        Err(LogError::new(LogErrorKind::Unavailable, "mute on purpose"))
    }
}

#[async_trait::async_trait]
impl Producer for Aborting {
    async fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let letter = transaction.records.iter().any(|r| r.to.topic == topics::DEAD_LETTERS.name);
        let fails = |n: u32| letter.then(|| n.checked_sub(1)).flatten();
        if self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return Err(LogError::new(LogErrorKind::Aborted, "aborted on purpose"));
        }
        self.0.commit(transaction).await
    }
}

#[async_trait::async_trait]
impl Log for Between {
    async fn ensure_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        self.inner.ensure_topics(topics, chain_partitions).await
    }
    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        self.inner.partitions(topic).await
    }
    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        self.inner.value_limit(topic).await
    }
    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        self.inner.watermarks(at).await
    }
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        if self.mute && transactional_id.starts_with("status.") {
            return Ok(Box::new(Mute));
        }
        Ok(Box::new(Aborting(self.inner.producer(transactional_id).await?, self.aborts.clone())))
    }
    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        self.inner.consumer(&format!("{}{group}", self.group), instance, topics).await
    }
    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        self.readers.lock().unwrap().extend(from);
        self.inner.reader(from).await
    }
    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        self.inner.lag(&format!("{}{group}", self.group), topics).await
    }
}
