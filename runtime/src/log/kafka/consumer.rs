//! Group members and readers.
//!
//! Guarantees: a rebalance is told before anything of the new assignment, which is taken up however often that fails; positions
//! are read from the group when it begins, and never reset by the client: a position out of range is told.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _},
};
use schemas::TimeMs;
use tokio::task::JoinHandle;

use super::{
    CALL, KafkaConfig, READER_GROUP, blocking,
    error::{self, Need},
    heard::Heard,
    partition_list,
    producer::Membership,
    rebalance::{Context, Happened},
    watermarks,
};
use crate::log::{
    Consumer, GroupMetadata, Headers, LogError, LogErrorKind, Offsets, PollLimits, Polled, Reader, Record, Topic,
    TopicPartition,
};

/// A client and what it brought; the same for members and readers.
struct Client {
    client: Arc<BaseConsumer<Context>>,
    /// A poll whose caller went away: what it brings is not lost.
    running: Option<JoinHandle<Result<Polled, LogError>>>,
}

impl Client {
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        let running = self.running.get_or_insert_with(|| {
            let client = self.client.clone();
            tokio::task::spawn_blocking(move || poll(&client, limits))
        });
        let result = running.await;
        self.running = None;
        result.map_err(|_| LogError::new(LogErrorKind::Closed, "the runtime is shutting down"))?
    }

    fn list(&self, at: &[TopicPartition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        let config = &self.client.context().config;
        for at in at {
            list.add_partition(&config.on_wire(at.topic), at.partition as i32);
        }
        list
    }

    fn pause(&self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.client.context().happened().paused.extend(at);
        self.client.pause(&self.list(at)).map_err(|e| error::log_error("pause", &e))
    }

    fn resume(&self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.client.context().happened().paused.retain(|p| !at.contains(p));
        self.client.resume(&self.list(at)).map_err(|e| error::log_error("resume", &e))
    }

    async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError> {
        if let Some(running) = self.running.take() {
            let _ = running.await; // of the place before the seek
        }
        let client = self.client.clone();
        blocking(move || {
            let context = client.context();
            let (was_lost, places, paused) = {
                let mut happened = context.happened();
                if !happened.places.contains_key(&at) {
                    return Err(LogError::new(
                        LogErrorKind::Invalid,
                        format!("{} [{}] is not read here", at.topic, at.partition),
                    ));
                }
                happened.places.insert(at, offset);
                if happened.carry.as_ref().is_some_and(|r| r.from == at) {
                    happened.carry = None;
                }
                let places: Vec<_> = happened.places.iter().map(|(at, place)| (*at, *place)).collect();
                (happened.lost.remove(&at), places, happened.paused.clone())
            };
            if was_lost {
                // The client has stopped a partition whose offset was out of range, and seeks only in those that run.
                client.assign(&partition_list(&context.config, &places)?).map_err(|e| error::log_error("seek", &e))?;
                let mut list = TopicPartitionList::new();
                for at in &paused {
                    list.add_partition(&context.config.on_wire(at.topic), at.partition as i32);
                }
                return client.pause(&list).map_err(|e| error::log_error("pause", &e));
            }
            let place = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
            client
                .seek(&context.config.on_wire(at.topic), at.partition as i32, place, CALL)
                .map_err(|e| error::log_error("seek", &e))
        })
        .await
    }
}

/// Polls until something is there, then takes what is at hand. Rebalances run in here.
fn poll(client: &BaseConsumer<Context>, limits: PollLimits) -> Result<Polled, LogError> {
    let context = client.context();
    let deadline = Instant::now() + limits.wait;
    let mut records: Vec<Record> = Vec::new();
    let mut names = Vec::new();
    let mut bytes = 0;
    if context.happened().events.is_empty() {
        context.take_up(client); // what could not be taken up in the rebalance
    }
    loop {
        let carried = {
            let mut happened = context.happened();
            if records.is_empty()
                && let Some(event) = happened.events.pop_front()
            {
                return event;
            }
            happened.carry.take()
        };
        let next = match carried {
            Some(record) => Some(record),
            None => {
                let wait = if records.is_empty() {
                    deadline.saturating_duration_since(Instant::now())
                } else {
                    Duration::ZERO
                };
                match client.poll(wait.min(Duration::from_millis(200))) {
                    Some(Ok(message)) => record_of(context, &message, &mut names),
                    Some(Err(e)) => {
                        // Told after the records that are at hand: their place has moved on already.
                        if let Some(told) = failed(client, &e).transpose() {
                            context.happened().events.push_back(told);
                        }
                        None
                    }
                    None => None,
                }
            }
        };
        match next {
            Some(record) => {
                let size = record.value.as_ref().map_or(0, Bytes::len);
                let mut happened = context.happened();
                if !records.is_empty() && (records.len() >= limits.records || bytes + size > limits.bytes) {
                    happened.carry = Some(record);
                    return Ok(Polled::Records(records));
                }
                if let Some(place) = happened.places.get_mut(&record.from) {
                    *place = record.offset + 1;
                    bytes += size;
                    records.push(record);
                }
                if records.len() >= limits.records.max(1) || bytes >= limits.bytes {
                    return Ok(Polled::Records(records));
                }
            }
            None if !records.is_empty() => return Ok(Polled::Records(records)),
            None if Instant::now() >= deadline && context.happened().events.is_empty() => {
                return Ok(Polled::Records(records));
            }
            None => {}
        }
    }
}

/// What an error of the client means: out of range (the client does not say where, so the ends are looked up), or its class.
fn failed(client: &BaseConsumer<Context>, e: &KafkaError) -> Result<Option<Polled>, LogError> {
    if let KafkaError::PartitionEOF(partition) = e {
        at_the_end(client.context(), *partition);
        return Ok(None);
    }
    match e.rdkafka_error_code() {
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
            let context = client.context();
            let places: Vec<_> = {
                let happened = context.happened();
                happened
                    .places
                    .iter()
                    .filter(|(at, _)| !happened.lost.contains(at))
                    .map(|(at, place)| (*at, *place))
                    .collect()
            };
            for (at, wanted) in places {
                let ends = watermarks(&context.config, client, &context.config.on_wire(at.topic), at.partition)?;
                if wanted < ends.low || wanted > ends.high {
                    context.happened().lost.insert(at);
                    return Ok(Some(Polled::OutOfRange { at, wanted, oldest: ends.low }));
                }
            }
            Ok(None)
        }
        // Brokers come and go; the client connects again by itself.
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut,
        ) => {
            tracing::warn!(error = %e, "kafka client");
            Ok(None)
        }
        _ => Err(refused(client.context(), "read", e)),
    }
}

/// An error with what it takes to read what this client reads.
fn refused(context: &Context, what: &str, e: &KafkaError) -> LogError {
    let config = &context.config;
    let topics: std::collections::BTreeSet<String> = context.topics.iter().map(|t| config.on_wire(t)).collect();
    let group = match &context.group {
        Some(group) => Need::group("Read", group),
        None => Need::group("Describe", &config.on_wire(READER_GROUP)),
    };
    error::refusable(config, what, e, &[Need::topics("Read", topics), group])
}

/// The client stands at the end of a partition (of readers only). It does not say of which topic, so this counts where only one
/// topic is read. That everything up to the end that was seen at the beginning is read is certain; what came later is not.
fn at_the_end(context: &Context, partition: i32) {
    let mut happened = context.happened();
    let mut of_it = happened.places.keys().copied().filter(|at| i64::from(at.partition) == i64::from(partition));
    if let (Some(at), None) = (of_it.next(), of_it.next())
        && !happened.lost.contains(&at)
        && happened.carry.as_ref().is_none_or(|r| r.from != at)
    {
        let end = happened.ends.get(&at).copied().unwrap_or(0);
        if let Some(place) = happened.places.get_mut(&at) {
            *place = (*place).max(end);
        }
    }
}

/// Most header names that one poll remembers: ours are few, other people's records may have any.
const NAMES: usize = 32;

/// A record in one buffer: key, value and headers are slices of it, and header names are shared within a poll.
fn record_of(context: &Context, message: &BorrowedMessage<'_>, names: &mut Vec<Arc<str>>) -> Option<Record> {
    let from =
        TopicPartition { topic: context.topic(message.topic())?, partition: u32::try_from(message.partition()).ok()? };
    let (key, value, headers) = (message.key(), message.payload(), message.headers());
    let of_headers: usize = headers.map_or(0, |headers| headers.iter().map(|h| h.value.map_or(0, <[u8]>::len)).sum());
    let mut buffer = BytesMut::with_capacity(key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + of_headers);
    let mut take = |bytes: &[u8]| {
        buffer.extend_from_slice(bytes);
        buffer.len() - bytes.len()..buffer.len()
    };
    let (key, value) = (key.map(&mut take), value.map(&mut take));
    let mut shared = |name: &str| {
        if let Some(known) = names.iter().find(|known| ***known == *name) {
            return known.clone();
        }
        let name: Arc<str> = Arc::from(name);
        if names.len() < NAMES {
            names.push(name.clone());
        }
        name
    };
    let headers: Vec<(Arc<str>, Range<usize>)> = headers.map_or_else(Vec::new, |headers| {
        headers.iter().map(|h| (shared(h.key), take(h.value.unwrap_or_default()))).collect()
    });
    let buffer = buffer.freeze();
    let headers: Headers = headers.into_iter().map(|(name, range)| (name, buffer.slice(range))).collect();
    Some(Record {
        from,
        offset: u64::try_from(message.offset()).ok()?,
        timestamp: TimeMs(message.timestamp().to_millis().unwrap_or(0)),
        key: key.map(|range| buffer.slice(range)),
        value: value.map(|range| buffer.slice(range)),
        headers,
    })
}

/// A member of a group.
pub struct KafkaConsumer(Client);

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
        Ok(Self(Client { client, running: None }))
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
pub struct KafkaReader(Client);

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
        Ok(Self(Client { client, running: None }))
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
