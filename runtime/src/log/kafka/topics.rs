//! Topics of the cluster against what this version wants: made, compared, changed.
//!
//! Guarantee: nothing is ever removed, and partitions only rise (added ones take new networks, rule 8), and only when somebody asks for
//! a number: a cluster that was made with another goes on with that, missing topics of chains included.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use rdkafka::{
    admin::{AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult},
    error::{KafkaError, RDKafkaErrorCode},
};
use schemas::{
    limits::{COMPACTED_SEGMENT_BYTES, COMPACTED_WITHIN},
    topics::{self, Cleanup, TopicSpec},
};

use super::{
    CALL, KafkaLog,
    cluster::Known,
    config::{KafkaConfig, max_message_bytes},
    error::{self, Need},
};
use crate::log::{LogError, LogErrorKind};

/// Replicas from which on a write has to reach two of them before it is acknowledged.
const SAFE_REPLICAS: usize = 3;
/// The property that says how many replicas must have what is acknowledged.
const IN_SYNC: &str = "min.insync.replicas";

/// Until when topics that were made have to be named by the brokers: those that are busy took more than ten seconds.
const APPEARS_WITHIN: Duration = Duration::from_secs(60);

/// One thing in which a topic is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The topic's name in the cluster.
    pub topic: String,
    /// `exists`, `partitions`, `replication` or a topic property.
    pub what: String,
    /// How it is.
    pub have: String,
    /// How it should be.
    pub want: String,
    /// Whether [`KafkaLog::apply_topics`] can change it.
    pub can_change: bool,
}

/// Properties that a topic is to have.
fn properties(spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let forever = || "-1".to_owned();
    let policy = match spec.cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact if spec.retention.is_some() => "compact,delete",
        Cleanup::Compact => "compact",
    };
    let mut properties = vec![
        ("cleanup.policy", policy.to_owned()),
        ("retention.ms", spec.retention.map_or_else(forever, |d| d.as_millis().to_string())),
        ("retention.bytes", spec.retention_bytes.map_or_else(forever, |b| b.to_string())),
        ("max.message.bytes", max_message_bytes().to_string()),
    ];
    if spec.cleanup == Cleanup::Compact {
        // Compaction never touches the newest segment. With the brokers' own (1 GiB, a week) a chain of four blocks a second would
        // leave five million records to be read at every takeover. Marks of transactions, four a second too, go with tombstones.
        let within = COMPACTED_WITHIN.as_millis().to_string();
        properties.extend([
            ("segment.bytes", COMPACTED_SEGMENT_BYTES.to_string()),
            ("segment.ms", within.clone()),
            ("min.cleanable.dirty.ratio", "0.1".to_owned()),
            ("max.compaction.lag.ms", within.clone()),
            ("delete.retention.ms", within),
        ]);
    }
    properties
}

/// How many replicas must have what is acknowledged: where there are three or more, at least two, so that a disk that is lost takes
/// nothing along; never more than there are, or nothing could be written. `None`: as it is.
fn in_sync_wanted(replicas: usize, have: &str) -> Option<usize> {
    let least = if replicas >= SAFE_REPLICAS { 2 } else { 1 };
    let have: usize = have.parse().unwrap_or(1);
    (have < least || have > replicas.max(1)).then_some(least)
}

impl KafkaLog {
    /// In what the cluster's topics are not as this version wants them; empty: all is well. `chain_partitions`: `None` where any number
    /// will do that all chain topics have.
    pub async fn diff_topics(
        &self,
        specs: &[TopicSpec],
        chain_partitions: Option<u32>,
    ) -> Result<Vec<Difference>, LogError> {
        let found = self.find_all(specs).await?;
        let chain =
            chain_partitions.unwrap_or_else(|| chains(specs, &found).unwrap_or(topics::DEFAULT_KAFKA_PARTITIONS));
        let mut all = Vec::new();
        for (spec, found) in specs.iter().zip(found) {
            let topic = self.0.config.on_wire(spec.name);
            let mut differs = |what: &str, have: String, want: String, can_change| {
                all.push(Difference { topic: topic.clone(), what: what.to_owned(), have, want, can_change });
            };
            let Some(found) = found else {
                differs("exists", "no".into(), "yes".into(), true);
                continue;
            };
            let wanted = if spec.per_network { chain.max(1) } else { 1 };
            if found.partitions != wanted {
                let more = wanted > found.partitions && spec.per_network;
                differs("partitions", found.partitions.to_string(), wanted.to_string(), more);
            }
            let replication = self.0.config.replication;
            if replication > 0 && found.replicas != replication as usize {
                differs("replication", found.replicas.to_string(), replication.to_string(), false);
            }
            for (name, want) in properties(spec) {
                let have = found.property(name);
                if have != want {
                    differs(name, have.to_owned(), want, true);
                }
            }
            let have = found.property(IN_SYNC);
            if let Some(want) = in_sync_wanted(found.replicas, have) {
                differs(IN_SYNC, have.to_owned(), want.to_string(), true);
            }
        }
        Ok(all)
    }

    /// Makes what is missing and changes what can be changed. Returns what it did; what it cannot change is left and stays in
    /// [`KafkaLog::diff_topics`].
    pub async fn apply_topics(
        &self,
        specs: &[TopicSpec],
        chain_partitions: Option<u32>,
    ) -> Result<Vec<Difference>, LogError> {
        let differences = self.diff_topics(specs, chain_partitions).await?;
        self.make_topics(specs, chain_partitions.unwrap_or(topics::DEFAULT_KAFKA_PARTITIONS)).await?;
        let options = AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL));
        let mut of_topic: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
        for d in differences.iter().filter(|d| d.can_change && d.what != "exists") {
            of_topic.entry(&d.topic).or_default().push(d);
        }
        for (topic, changes) in of_topic {
            if let Some(count) = changes.iter().find(|d| d.what == "partitions").and_then(|d| d.want.parse().ok()) {
                let made = self.0.admin.create_partitions([&NewPartitions::new(topic, count)], &options).await;
                told(&self.0.config, topic, made)?;
            }
            let set = changes.iter().filter(|d| d.what != "partitions").map(|d| (d.what.as_str(), d.want.as_str()));
            self.set(topic, set.collect()).await?;
        }
        let changed: Vec<Difference> = differences.into_iter().filter(|d| d.can_change).collect();
        // Brokers hear of it one after the other.
        let deadline = tokio::time::Instant::now() + CALL;
        while !changed.is_empty() && self.diff_topics(specs, chain_partitions).await?.iter().any(|d| d.can_change) {
            if tokio::time::Instant::now() > deadline {
                let message =
                    "the topics were changed, but the brokers do not show it yet; look with `headwater topics diff`";
                return Err(LogError::new(LogErrorKind::Unavailable, message));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(changed)
    }

    /// Makes the topics that are missing; those of chains with as many partitions as the others have, or as told where there are none.
    pub(super) async fn make_topics(&self, specs: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        // All at a time: there are a dozen of topics.
        let mut asked = Vec::new();
        for spec in specs {
            asked.push(self.0.partition_count(spec.name, "Describe"));
        }
        let counts = try_join_all(asked).await?;
        // What exists keeps its retention: it is the operator's from here on.
        let missing: Vec<&TopicSpec> = specs.iter().zip(&counts).filter(|(_, n)| n.is_none()).map(|(s, _)| s).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let there = specs.iter().zip(&counts).filter(|(spec, _)| spec.per_network).filter_map(|(_, n)| *n).max();
        let chain = there.unwrap_or(chain_partitions).max(1);
        let mut made = Vec::new();
        for spec in &missing {
            made.push(self.make(spec, if spec.per_network { chain } else { 1 }));
        }
        try_join_all(made).await?;
        self.until_they_appear(&missing).await?;
        // How many replicas there are by the brokers' default is known only now.
        if self.0.config.replication < 0 {
            let mut set = Vec::new();
            for spec in missing {
                set.push(self.keep_in_sync(spec));
            }
            try_join_all(set).await?;
        }
        Ok(())
    }

    /// Waits until brokers name all of them. Metadata takes a moment to come round; where brokers are busy, or many topics are made at
    /// a time, more than that.
    async fn until_they_appear(&self, made: &[&TopicSpec]) -> Result<(), LogError> {
        let started = Instant::now();
        let mut said = started;
        let mut awaited = made.to_vec();
        loop {
            let mut asked = Vec::new();
            for spec in &awaited {
                asked.push(self.0.partition_count(spec.name, "Describe"));
            }
            let counts = try_join_all(asked).await?;
            awaited =
                awaited.into_iter().zip(counts).filter(|(_, count)| count.is_none()).map(|(spec, _)| spec).collect();
            let Some(first) = awaited.first() else {
                return Ok(());
            };
            let first = self.0.config.on_wire(first.name);
            if started.elapsed() > APPEARS_WITHIN {
                let message = format!(
                    "topic {first} was made {} s ago and no broker that was asked names it, nor {} others; is the cluster's \
                     controller well? What was made stays: start again",
                    APPEARS_WITHIN.as_secs(),
                    awaited.len() - 1
                );
                return Err(LogError::new(LogErrorKind::Unavailable, message));
            }
            if said.elapsed() > CALL {
                said = Instant::now();
                tracing::warn!(topics = awaited.len(), first, "topics were made and brokers do not name them yet");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Raises how many replicas of a topic must have what is acknowledged, where it has enough of them.
    async fn keep_in_sync(&self, spec: &TopicSpec) -> Result<(), LogError> {
        if let Some(found) = self.0.find(spec.name, "Describe", Instant::now()).await?
            && let Some(want) = in_sync_wanted(found.replicas, found.property(IN_SYNC))
        {
            self.set(&self.0.config.on_wire(spec.name), vec![(IN_SYNC, &want.to_string())]).await?;
        }
        Ok(())
    }

    async fn make(&self, spec: &TopicSpec, partitions: u32) -> Result<(), LogError> {
        let name = self.0.config.on_wire(spec.name);
        let mut wanted = properties(spec);
        if self.0.config.replication >= SAFE_REPLICAS as i32 {
            wanted.push((IN_SYNC, "2".to_owned()));
        }
        let mut topic = NewTopic::new(&name, partitions as i32, TopicReplication::Fixed(self.0.config.replication));
        for (key, value) in &wanted {
            topic = topic.set(key, value);
        }
        for (key, value) in &self.0.config.topic_properties {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL));
        let what = format!("make topic {name}");
        let failed = |e: &KafkaError| error::refusable(&self.0.config, &what, e, &[Need::topic("Create", &name)]);
        let made = self.0.admin.create_topics([&topic], &options).await.map_err(|e| failed(&e))?;
        for result in made {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(failed(&KafkaError::AdminOp(code))),
            }
        }
        Ok(())
    }

    /// Sets properties of a topic. The call replaces all that is set on it: what the operator set stays.
    async fn set(&self, topic: &str, set: Vec<(&str, &str)>) -> Result<(), LogError> {
        if set.is_empty() {
            return Ok(());
        }
        let name = topic.strip_prefix(self.0.config.prefix.as_str()).unwrap_or(topic);
        let kept = self.0.find(name, "Describe", Instant::now()).await?;
        let kept = kept.iter().flat_map(|found| &found.properties).filter(|(_, (_, own))| *own);
        let mut entries: BTreeMap<&str, &str> = kept.map(|(k, (v, _))| (k.as_str(), v.as_str())).collect();
        entries.extend(set);
        let alter =
            entries.into_iter().fold(AlterConfig::new(ResourceSpecifier::Topic(topic)), |a, (k, v)| a.set(k, v));
        let options = AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL));
        let altered = self.0.admin.alter_configs([&alter], &options).await;
        let what = format!("change topic {topic}");
        let failed = |e| error::refusable(&self.0.config, &what, &e, &[Need::topic("AlterConfigs", topic)]);
        for result in altered.map_err(failed)? {
            result.map_err(|(_, code)| failed(KafkaError::AdminOp(code)))?;
        }
        Ok(())
    }

    /// What there is of each topic now.
    async fn find_all(&self, specs: &[TopicSpec]) -> Result<Vec<Option<std::sync::Arc<Known>>>, LogError> {
        let (now, mut found) = (Instant::now(), Vec::new());
        for spec in specs {
            found.push(self.0.find(spec.name, "Describe", now));
        }
        try_join_all(found).await
    }
}

/// The number of partitions that chain topics have: the highest, where they differ.
fn chains(specs: &[TopicSpec], found: &[Option<std::sync::Arc<Known>>]) -> Option<u32> {
    let of_chains = specs.iter().zip(found).filter(|(spec, _)| spec.per_network);
    of_chains.filter_map(|(_, found)| Some(found.as_ref()?.partitions)).max()
}

fn told(config: &KafkaConfig, topic: &str, results: Result<Vec<TopicResult>, KafkaError>) -> Result<(), LogError> {
    let what = format!("add partitions to {topic}");
    let failed = |e| error::refusable(config, &what, &e, &[Need::topic("Alter", topic)]);
    for result in results.map_err(failed)? {
        result.map_err(|(_, code)| failed(KafkaError::AdminOp(code)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_is_on_two_disks_where_there_are_three() {
        assert_eq!(in_sync_wanted(3, "1"), Some(2));
        assert_eq!(in_sync_wanted(5, ""), Some(2));
        assert_eq!(in_sync_wanted(3, "2"), None);
        assert_eq!(in_sync_wanted(5, "3"), None, "an operator's own");
        assert_eq!(in_sync_wanted(3, "4"), Some(2), "nothing could be written");
        assert_eq!((in_sync_wanted(2, "1"), in_sync_wanted(1, "1")), (None, None));
        assert_eq!(in_sync_wanted(1, "2"), Some(1), "nothing could be written");
        assert_eq!(in_sync_wanted(2, "2"), None, "safe, and stands still when one is away: the operator's choice");
    }

    #[test]
    fn compacted_topics_stay_small() {
        let of = |spec: &TopicSpec| properties(spec).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        for spec in &topics::ALL {
            let small = of(spec).contains(&"segment.bytes") && of(spec).contains(&"max.compaction.lag.ms");
            assert_eq!(small, spec.cleanup == Cleanup::Compact, "{}", spec.name);
        }
        assert!(COMPACTED_SEGMENT_BYTES > max_message_bytes(), "the largest record fits");
    }
}
