//! Group members and readers.
//!
//! Guarantees: a rebalance is told before anything of the new assignment, which is taken up however often that fails; positions
//! are read from the group when it begins, and never reset by the client: a position out of range is told.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};

use super::{
    CALL, READER_GROUP,
    client::{ReadClient, assign, refused},
    cluster::Cluster,
    config::partition_list,
    error,
    heard::Heard,
    producer::Membership,
    rebalance::{Context, Happened},
    threads::Threads,
};
use crate::log::{
    Consumer, GroupMetadata, LogError, LogErrorKind, Offsets, PollLimits, Polled, Reader, Topic, TopicPartition,
};

/// A member of a group.
pub struct KafkaConsumer(ReadClient);

impl KafkaConsumer {
    /// Joins.
    pub async fn join(cluster: Arc<Cluster>, group: &str, instance: &str, topics: &[Topic]) -> Result<Self, LogError> {
        let (config, group) = (cluster.config.clone(), cluster.config.on_wire(group));
        let (polls, calls) = threads(&cluster, &group);
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
        let made = calls.call(3 * CALL, "making a consumer", move || {
            let names: Vec<String> = context.topics.iter().map(|t| context.config.on_wire(t)).collect();
            let client: BaseConsumer<Context> =
                client_config.create_with_context(context).map_err(|e| error::log_error("make a consumer", &e))?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            client.subscribe(&names).map_err(|e| error::log_error("subscribe", &e))?;
            Ok(Arc::new(client))
        });
        Ok(Self(ReadClient::new(made.await?, polls, calls)))
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        self.0.poll(limits).await
    }
    fn group(&self) -> GroupMetadata {
        let group = self.0.client().context().group.clone().unwrap_or_default();
        GroupMetadata(Arc::new(Membership { group, metadata: self.0.client().group_metadata() }))
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
        self.0
            .call("storing positions", move |client| {
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

/// One thread for polls, and one for what else is asked.
fn threads(cluster: &Cluster, name: &str) -> (Threads, Threads) {
    (Threads::new(&cluster.watch, name, 1, 8), Threads::new(&cluster.watch, name, 1, 64))
}

/// A reader without group.
pub struct KafkaReader {
    read: ReadClient,
    cluster: Arc<Cluster>,
}

impl KafkaReader {
    /// Over these places.
    pub async fn new(cluster: Arc<Cluster>, from: &[(TopicPartition, u64)]) -> Result<Self, LogError> {
        let config = cluster.config.clone();
        let group = config.on_wire(READER_GROUP); // wanted by the client, never joined
        // There are as many readers as partitions whose state is read: each holds little.
        let small = [
            ("enable.partition.eof", "true"),
            ("queued.min.messages", "10000"),
            ("queued.max.messages.kbytes", "8192"),
        ];
        let client_config = config.reading(Some(&group), &small);
        let at: Vec<TopicPartition> = from.iter().map(|(at, _)| *at).collect();
        let ends = cluster.ends(at.clone()).await?;
        let happened = Happened {
            places: from.iter().copied().collect(),
            ends: at.iter().copied().zip(ends.iter().map(|ends| ends.high)).collect(),
            ..Happened::default()
        };
        let context = Context {
            config,
            topics: at.iter().map(|at| at.topic).collect(),
            group: None,
            happened: Mutex::new(happened),
            heard: Heard::default(),
        };
        let (polls, calls) = threads(&cluster, &group);
        let from = from.to_vec();
        let made = calls.call(3 * CALL, "making a reader", move || {
            let client: BaseConsumer<Context> =
                client_config.create_with_context(context).map_err(|e| error::log_error("make a reader", &e))?;
            assign(&client, &from, &HashSet::new())?;
            Ok(Arc::new(client))
        });
        Ok(Self { read: ReadClient::new(made.await?, polls, calls), cluster })
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        self.read.poll(limits).await
    }
    fn pause(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.read.pause(at)
    }
    fn resume(&mut self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.read.resume(at)
    }
    async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError> {
        self.read.seek(at, offset).await
    }

    async fn add(&mut self, more: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        let at: Vec<TopicPartition> = more.iter().map(|(at, _)| *at).collect();
        let ends = self.cluster.ends(at.clone()).await?;
        let more = more.to_vec();
        self.read
            .call("reading more partitions", move |client| {
                let context = client.context();
                if let Some(other) = more.iter().find(|(at, _)| !context.topics.contains(&at.topic)) {
                    let message = format!("this reader does not read {}", other.0.topic);
                    return Err(LogError::new(LogErrorKind::Invalid, message));
                }
                let list = partition_list(&context.config, &more)?;
                // Before the client brings any of them: what is not known as ours is passed over.
                {
                    let mut happened = context.happened();
                    happened.ends.extend(at.into_iter().zip(ends.iter().map(|ends| ends.high)));
                    happened.places.extend(more.iter().copied());
                }
                client.incremental_assign(&list).map_err(|e| error::log_error("read more partitions", &e))
            })
            .await
    }

    fn reached(&self, at: TopicPartition) -> u64 {
        self.read.client().context().happened().places.get(&at).copied().unwrap_or(0)
    }
}
