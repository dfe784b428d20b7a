//! Apache Kafka as the log, through librdkafka.
//!
//! It keeps the guarantees of [`super`] with Kafka's own means: idempotent transactional producers (acks=all), read_committed
//! consumers, the `range` assignor with static membership (rule 9), positions in the transaction fenced by generation (KIP-447).
//! librdkafka's calls block, so each client has threads of its own ([`threads`]), and every call a deadline.
//!
//! Where Kafka is weaker than the embedded log, the trait says so: a static member that is dropped keeps its partitions until its
//! session times out, and compaction happens when it happens.

mod client;
mod cluster;
#[cfg(test)]
mod compacted;
mod config;
mod consumer;
mod error;
mod heard;
#[cfg(test)]
mod outcomes;
mod producer;
mod rebalance;
#[cfg(test)]
mod tests;
mod threads;
mod topics;
#[cfg(any(test, feature = "conformance"))]
mod trouble;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::Offset;
use schemas::topics::TopicSpec;

use cluster::Cluster;
pub use config::{KafkaConfig, wrong_property};
pub use topics::Difference;

use super::{Consumer, Lag, Log, LogError, Producer, Reader, Topic, TopicPartition, Watermarks};

/// Group of readers, who never join it: librdkafka asks for its coordinator all the same.
pub const READER_GROUP: &str = "reader";

/// Deadline of a single question to the cluster.
const CALL: Duration = Duration::from_secs(10);

/// A log in a Kafka cluster.
pub struct KafkaLog(Arc<Cluster>);

impl KafkaLog {
    /// Connects. Fails when no broker answers, and at once when a broker refuses who we are.
    pub async fn connect(config: KafkaConfig) -> Result<Arc<Self>, LogError> {
        Ok(Arc::new(Self(Cluster::connect(config).await?)))
    }

    /// Number of partitions of a topic, `None` where there is none; asked by one who is to have `operation` on it.
    pub async fn partition_count(&self, topic: &str, operation: &'static str) -> Result<Option<u32>, LogError> {
        self.0.partition_count(topic, operation).await
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn ensure_topics(&self, specs: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        self.make_topics(specs, chain_partitions).await
    }

    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        // Who asks wants to read.
        let count = self.0.partition_count(topic, "Read").await?;
        count.ok_or_else(|| error::no_topic(&self.0.config.on_wire(topic)))
    }

    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        let known = self.0.known_lately(topic, "Describe").await?;
        Ok(config::value_limit(known.max_message_bytes()))
    }

    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        let ends = self.0.ends(vec![at]).await?;
        ends.first().copied().ok_or_else(|| error::no_topic(&self.0.config.on_wire(at.topic)))
    }

    async fn ends(&self, of: &[TopicPartition]) -> Result<Vec<Watermarks>, LogError> {
        self.0.ends(of.to_vec()).await
    }

    async fn undecided(&self, at: TopicPartition) -> Result<Option<u64>, LogError> {
        self.0.undecided(at).await
    }

    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(producer::KafkaProducer::new(self.0.clone(), transactional_id).await?))
    }

    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        for topic in topics {
            self.partitions(topic).await?;
        }
        Ok(Box::new(consumer::KafkaConsumer::join(self.0.clone(), group, instance, topics).await?))
    }

    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(consumer::KafkaReader::new(self.0.clone(), from).await?))
    }

    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        let mut places = Vec::new();
        for topic in topics {
            places.extend((0..self.partitions(topic).await?).map(|partition| TopicPartition { topic, partition }));
        }
        // Positions first: an end is never behind the position that was asked for before it.
        let positions = self.0.positions(group, places.clone()).await?;
        let ends = self.0.ends(places.clone()).await?;
        let all = places.into_iter().zip(positions).zip(ends);
        Ok(all.map(|((at, position), ends)| Lag { at, position, ends }).collect())
    }
}

fn offset_of(offset: Offset) -> Option<u64> {
    match offset {
        Offset::Offset(n) => u64::try_from(n).ok(),
        _ => None,
    }
}
