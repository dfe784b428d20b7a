//! Topics of the cluster against what this version wants: made, compared, changed.
//!
//! Guarantee: nothing is ever removed, and partitions only rise (added ones take new networks, rule 8).

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rdkafka::{
    admin::{
        AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions, ResourceSpecifier, TopicReplication,
        TopicResult,
    },
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
};
use schemas::topics::{Cleanup, TopicSpec};

use super::{
    CALL, KafkaConfig, KafkaLog, blocking,
    error::{self, Need},
    max_message_bytes, partitions_of, value_limit,
};
use crate::log::{Log as _, LogError, LogErrorKind, Topic};

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
pub(super) fn properties(spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let forever = || "-1".to_owned();
    vec![
        ("cleanup.policy", if spec.cleanup == Cleanup::Compact { "compact" } else { "delete" }.to_owned()),
        ("retention.ms", spec.retention.map_or_else(forever, |d| d.as_millis().to_string())),
        ("retention.bytes", spec.retention_bytes.map_or_else(forever, |b| b.to_string())),
        ("max.message.bytes", max_message_bytes().to_string()),
    ]
}

/// What the cluster has of a topic.
struct Found {
    partitions: u32,
    replicas: usize,
    /// Value of each property, and whether it was set on the topic itself.
    properties: HashMap<String, (String, bool)>,
}

impl KafkaLog {
    /// In what the cluster's topics are not as this version wants them; empty: all is well.
    pub async fn diff_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<Vec<Difference>, LogError> {
        let mut all = Vec::new();
        for spec in topics {
            let topic = self.config.on_wire(spec.name);
            let mut differs = |what: &str, have: String, want: String, can_change| {
                all.push(Difference { topic: topic.clone(), what: what.to_owned(), have, want, can_change });
            };
            let Some(found) = self.find(&topic).await? else {
                differs("exists", "no".into(), "yes".into(), true);
                continue;
            };
            let wanted = if spec.per_network { chain_partitions.max(1) } else { 1 };
            if found.partitions != wanted {
                let more = wanted > found.partitions && spec.per_network;
                differs("partitions", found.partitions.to_string(), wanted.to_string(), more);
            }
            if self.config.replication > 0 && found.replicas != self.config.replication as usize {
                differs("replication", found.replicas.to_string(), self.config.replication.to_string(), false);
            }
            for (name, want) in properties(spec) {
                let have = found.properties.get(name).map_or("", |(value, _)| value.as_str());
                if have != want {
                    differs(name, have.to_owned(), want, true);
                }
            }
        }
        Ok(all)
    }

    /// Makes what is missing and changes what can be changed. Returns what it did; what it cannot change is left and stays in
    /// [`KafkaLog::diff_topics`].
    pub async fn apply_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<Vec<Difference>, LogError> {
        let differences = self.diff_topics(topics, chain_partitions).await?;
        self.ensure_topics(topics, chain_partitions).await?;
        let options = AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL));
        let mut of_topic: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
        for d in differences.iter().filter(|d| d.can_change && d.what != "exists") {
            of_topic.entry(&d.topic).or_default().push(d);
        }
        for (topic, changes) in of_topic {
            if let Some(count) = changes.iter().find(|d| d.what == "partitions").and_then(|d| d.want.parse().ok()) {
                let made = self.admin.create_partitions([&NewPartitions::new(topic, count)], &options).await;
                told(&self.config, topic, made)?;
            }
            let set: Vec<_> = changes.iter().filter(|d| d.what != "partitions").collect();
            if set.is_empty() {
                continue;
            }
            // The call replaces all that is set on a topic: what the operator set stays.
            let kept = self.find(topic).await?.map(|found| found.properties).unwrap_or_default();
            let mut entries: BTreeMap<&str, &str> =
                kept.iter().filter(|(_, (_, own))| *own).map(|(k, (v, _))| (k.as_str(), v.as_str())).collect();
            entries.extend(set.iter().map(|d| (d.what.as_str(), d.want.as_str())));
            let alter =
                entries.into_iter().fold(AlterConfig::new(ResourceSpecifier::Topic(topic)), |a, (k, v)| a.set(k, v));
            let altered = self.admin.alter_configs([&alter], &options).await;
            let what = format!("change topic {topic}");
            let failed = |e| error::refusable(&self.config, &what, &e, &[Need::topic("AlterConfigs", topic)]);
            for result in altered.map_err(failed)? {
                result.map_err(|(_, code)| failed(KafkaError::AdminOp(code)))?;
            }
        }
        let changed: Vec<Difference> = differences.into_iter().filter(|d| d.can_change).collect();
        // Brokers hear of it one after the other.
        let deadline = tokio::time::Instant::now() + CALL;
        while !changed.is_empty() && self.diff_topics(topics, chain_partitions).await?.iter().any(|d| d.can_change) {
            if tokio::time::Instant::now() > deadline {
                let message =
                    "the topics were changed, but the brokers do not show it yet; look with `headwater topics diff`";
                return Err(LogError::new(LogErrorKind::Unavailable, message));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(changed)
    }

    /// Bytes that a value may have in a topic, named without prefix.
    pub(super) async fn topic_value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        let name = self.config.on_wire(topic);
        let found = self.find(&name).await?.ok_or_else(|| error::no_topic(&name))?;
        let max = found.properties.get("max.message.bytes").and_then(|(value, _)| value.parse().ok());
        Ok(value_limit(max.unwrap_or_else(max_message_bytes)))
    }

    async fn find(&self, topic: &str) -> Result<Option<Found>, LogError> {
        let (config, query, name) = (self.config.clone(), self.query.clone(), topic.to_owned());
        let shape = blocking(move || {
            if partitions_of(&config, query.client(), &name, "Describe")?.is_none() {
                return Ok(None);
            }
            let metadata =
                query.fetch_metadata(Some(&name), CALL).map_err(|e| error::log_error("read metadata", &e))?;
            let topic = metadata.topics().iter().find(|t| t.name() == name && t.error().is_none());
            Ok(topic.filter(|t| !t.partitions().is_empty()).map(|t| {
                (t.partitions().len() as u32, t.partitions().iter().map(|p| p.replicas().len()).min().unwrap_or(0))
            }))
        })
        .await?;
        let Some((partitions, replicas)) = shape else { return Ok(None) };
        let options = AdminOptions::new().request_timeout(Some(CALL));
        let described = self.admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
        let mut properties = HashMap::new();
        let what = format!("read the properties of {topic}");
        let failed = |e| error::refusable(&self.config, &what, &e, &[Need::topic("DescribeConfigs", topic)]);
        for resource in described.map_err(failed)? {
            let ConfigResource { entries, .. } = resource.map_err(|code| failed(KafkaError::AdminOp(code)))?;
            if entries.is_empty() {
                // A refusal looks like this: rdkafka 0.39 does not hand the error of a single resource on. Every topic has
                // properties; to take them for none would undo what the operator has set.
                return Err(failed(KafkaError::AdminOp(RDKafkaErrorCode::TopicAuthorizationFailed)));
            }
            for entry in entries {
                let own = entry.source == ConfigSource::DynamicTopic;
                properties.insert(entry.name, (entry.value.unwrap_or_default(), own));
            }
        }
        Ok(Some(Found { partitions, replicas, properties }))
    }

    /// How replicas of new topics are named.
    pub(super) fn replication(&self) -> TopicReplication<'static> {
        TopicReplication::Fixed(self.config.replication)
    }
}

fn told(config: &KafkaConfig, topic: &str, results: Result<Vec<TopicResult>, KafkaError>) -> Result<(), LogError> {
    let what = format!("add partitions to {topic}");
    let failed = |e| error::refusable(config, &what, &e, &[Need::topic("Alter", topic)]);
    for result in results.map_err(failed)? {
        result.map_err(|(_, code)| failed(KafkaError::AdminOp(code)))?;
    }
    Ok(())
}
