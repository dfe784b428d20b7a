//! Group members and readers.
//!
//! Guarantees: a rebalance is told before anything of the new assignment, which is taken up however often that fails; positions
//! are read from the group when it begins, and never reset by the client: a position out of range is told.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};

use super::{
    KafkaConfig, READER_GROUP, blocking,
    client::{ReadClient, refused},
    error,
    heard::Heard,
    partition_list,
    producer::Membership,
    rebalance::{Context, Happened},
    watermarks,
};
use crate::log::{
    Consumer, GroupMetadata, LogError, LogErrorKind, Offsets, PollLimits, Polled, Reader, Topic, TopicPartition,
};

/// A member of a group.
pub struct KafkaConsumer(ReadClient);

impl KafkaConsumer {
    /// Joins.
    pub async fn join(
        config: Arc<KafkaConfig>,
        group: &str,
        instance: &str,
        topics: &[Topic],
    ) -> Result<Self, LogError> {
        let group = config.on_wire(group);
        let client_config = config.reading(
            Some(&group),
            &[
                ("group.instance.id", instance),
                ("partition.assignment.strategy", "range"),
                ("group.protocol", "classic"),
                // How soon a dead process is missed; one that comes back under its name sooner takes up where it was.
                ("session.timeout.ms", "6000"),
                ("heartbeat.interval.ms", "1500"),
            ],
        );
        let context = Context {
            config,
            topics: topics.to_vec(),
            group: Some(group),
            happened: Mutex::default(),
            heard: Heard::default(),
        };
        let client = blocking(move || {
            let names: Vec<String> = context.topics.iter().map(|t| context.config.on_wire(t)).collect();
            let client: BaseConsumer<Context> =
                client_config.create_with_context(context).map_err(|e| error::log_error("make a consumer", &e))?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            client.subscribe(&names).map_err(|e| error::log_error("subscribe", &e))?;
            Ok(Arc::new(client))
        })
        .await?;
        Ok(Self(ReadClient::new(client)))
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        self.0.poll(limits).await
    }
    fn group(&self) -> GroupMetadata {
        let group = self.0.client.context().group.clone().unwrap_or_default();
        GroupMetadata(Arc::new(Membership { group, metadata: self.0.client.group_metadata() }))
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
    async fn commit(&mut self, offsets: Offsets) -> Result<(), LogError> {
        let client = self.0.client.clone();
        blocking(move || {
            let context = client.context();
            let list = partition_list(&context.config, &offsets)?;
            let Err(e) = client.commit(&list, CommitMode::Sync) else {
                context.happened().stored.extend(offsets);
                return Ok(());
            };
            // Kafka stores what it may and refuses the rest: positions of one event on several topics must not come apart.
            if error::class(&e) == LogErrorKind::Denied {
                let stored: Offsets = {
                    let happened = context.happened();
                    offsets.iter().filter_map(|(at, _)| Some((*at, *happened.stored.get(at)?))).collect()
                };
                for (at, position) in stored {
                    if let Err(e) =
                        client.commit(&partition_list(&context.config, &[(at, position)])?, CommitMode::Sync)
                    {
                        tracing::debug!(error = %e, ?at, "the position was refused");
                    }
                }
            }
            Err(refused(context, "store positions", &e))
        })
        .await
    }
}

/// A reader without group.
pub struct KafkaReader(ReadClient);

impl KafkaReader {
    /// Over these places.
    pub async fn new(config: Arc<KafkaConfig>, from: &[(TopicPartition, u64)]) -> Result<Self, LogError> {
        let group = config.on_wire(READER_GROUP); // wanted by the client, never joined
        let client_config = config.reading(Some(&group), &[("enable.partition.eof", "true")]);
        let list = partition_list(&config, from)?;
        let happened = Happened { places: from.iter().copied().collect(), ..Happened::default() };
        let context = Context {
            config,
            topics: from.iter().map(|(at, _)| at.topic).collect(),
            group: None,
            happened: Mutex::new(happened),
            heard: Heard::default(),
        };
        let client = blocking(move || {
            let client: BaseConsumer<Context> =
                client_config.create_with_context(context).map_err(|e| error::log_error("make a reader", &e))?;
            let context = client.context();
            let places: Vec<TopicPartition> = context.happened().places.keys().copied().collect();
            for at in places {
                let ends = watermarks(&context.config, &client, &context.config.on_wire(at.topic), at.partition)?;
                context.happened().ends.insert(at, ends.high);
            }
            client.assign(&list).map_err(|e| error::log_error("read partitions", &e))?;
            Ok(Arc::new(client))
        })
        .await?;
        Ok(Self(ReadClient::new(client)))
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        self.0.poll(limits).await
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

    fn reached(&self, at: TopicPartition) -> u64 {
        self.0.client.context().happened().places.get(&at).copied().unwrap_or(0)
    }
}
