//! A client that reads, and its poll loop; the same for members of groups and readers.
//!
//! Guarantee: a poll whose caller went away loses nothing, and what did not fit into one comes with the next.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _},
};
use schemas::TimeMs;
use tokio::task::JoinHandle;

use super::{
    CALL, READER_GROUP, blocking,
    error::{self, Need},
    partition_list,
    rebalance::Context,
    watermarks,
};
use crate::log::{Headers, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition};

/// A client and what it brought.
pub struct ReadClient {
    /// librdkafka's.
    pub client: Arc<BaseConsumer<Context>>,
    /// A poll whose caller went away: what it brings is not lost.
    running: Option<JoinHandle<Result<Polled, LogError>>>,
}

impl ReadClient {
    /// Of a client that subscribes or is assigned.
    pub fn new(client: Arc<BaseConsumer<Context>>) -> Self {
        Self { client, running: None }
    }

    /// The next thing that happened.
    pub async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
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

    /// Stops delivering from these partitions.
    pub fn pause(&self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.client.context().happened().paused.extend(at);
        self.client.pause(&self.list(at)).map_err(|e| error::log_error("pause", &e))
    }

    /// Undoes it.
    pub fn resume(&self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.client.context().happened().paused.retain(|p| !at.contains(p));
        self.client.resume(&self.list(at)).map_err(|e| error::log_error("resume", &e))
    }

    /// Moves the place of a partition.
    pub async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError> {
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
pub fn refused(context: &Context, what: &str, e: &KafkaError) -> LogError {
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
