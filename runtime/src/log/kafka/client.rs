//! A client that reads, and its poll loop; the same for members of groups and readers.
//!
//! Guarantee: a poll whose caller went away loses nothing, and what did not fit into one comes with the next.

use std::{
    collections::HashSet,
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

use super::{
    CALL, READER_GROUP,
    cluster::ends,
    config::partition_list,
    error::{self, Need},
    rebalance::Context,
    threads::{Started, Threads},
};
use crate::log::{Headers, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition};

/// Beyond what a poll was asked to wait, the longest that it may take: a rebalance asks for positions and ends in it.
const POLL_BEYOND: Duration = Duration::from_secs(60);
/// Pause before it is asked again which partition the client has stopped.
const FIND_PAUSE: Duration = Duration::from_secs(1);

/// A client and what it brought.
pub struct ReadClient {
    /// librdkafka's; gone only when this is.
    client: Option<Arc<BaseConsumer<Context>>>,
    /// Polls have a thread of their own: nothing keeps the group waiting.
    polls: Option<Threads>,
    /// Whatever else is asked of the client.
    calls: Threads,
    /// A poll whose caller went away: what it brings is not lost.
    running: Option<Started<Polled>>,
}

impl ReadClient {
    /// Of a client that subscribes or is assigned, made on `calls`.
    pub fn new(client: Arc<BaseConsumer<Context>>, polls: Threads, calls: Threads) -> Self {
        Self { client: Some(client), polls: Some(polls), calls, running: None }
    }

    /// librdkafka's client.
    pub fn client(&self) -> &Arc<BaseConsumer<Context>> {
        self.client.as_ref().expect("there is one until the end")
    }

    /// Runs another call of the client.
    pub async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        call: impl FnOnce(&BaseConsumer<Context>) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let client = self.client().clone();
        self.calls.call(3 * CALL, what, move || call(&client)).await
    }

    /// The next thing that happened.
    pub async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError> {
        let running = match &mut self.running {
            Some(running) => running,
            none => {
                let client = self.client.clone().expect("there is one until the end");
                let polls = self.polls.as_ref().expect("there are some until the end");
                none.insert(polls.start(limits.wait + POLL_BEYOND, "a poll", move || poll(&client, limits))?)
            }
        };
        let result = running.outcome().await;
        self.running = None;
        result
    }

    fn list(&self, at: &[TopicPartition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        let config = &self.client().context().config;
        for at in at {
            list.add_partition(&config.on_wire(at.topic), at.partition as i32);
        }
        list
    }

    /// Stops delivering from these partitions.
    pub fn pause(&self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.client().context().happened().paused.extend(at);
        self.client().pause(&self.list(at)).map_err(|e| error::log_error("pause", &e))
    }

    /// Undoes it.
    pub fn resume(&self, at: &[TopicPartition]) -> Result<(), LogError> {
        self.client().context().happened().paused.retain(|p| !at.contains(p));
        self.client().resume(&self.list(at)).map_err(|e| error::log_error("resume", &e))
    }

    /// Moves the place of a partition.
    pub async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError> {
        if let Some(mut running) = self.running.take() {
            let _ = running.outcome().await; // of the place before the seek
        }
        self.call("a seek", move |client| {
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
                return assign(client, &places, &paused);
            }
            let place = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
            let sought = client.seek(&context.config.on_wire(at.topic), at.partition as i32, place, CALL);
            // One that was assigned just now may not run yet.
            sought.or_else(|_| assign(client, &places, &paused))
        })
        .await
    }
}

impl Drop for ReadClient {
    /// Leaving takes librdkafka a while; nobody has to wait for it. A poll that still runs ends first.
    fn drop(&mut self) {
        if let (Some(client), Some(polls)) = (self.client.take(), self.polls.take()) {
            polls.end(move || drop(client));
        }
    }
}

/// Reads these places and no others, paused as they were.
pub fn assign(
    client: &BaseConsumer<Context>,
    places: &[(TopicPartition, u64)],
    paused: &HashSet<TopicPartition>,
) -> Result<(), LogError> {
    let context = client.context();
    let config = &context.config;
    context.happened().carry = None; // it lies behind its partition's place, and comes again
    client.assign(&partition_list(config, places)?).map_err(|e| error::log_error("read partitions", &e))?;
    let mut list = TopicPartitionList::new();
    for at in paused.iter().filter(|at| places.iter().any(|(place, _)| place == *at)) {
        list.add_partition(&config.on_wire(at.topic), at.partition as i32);
    }
    client.pause(&list).map_err(|e| error::log_error("pause", &e))
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
        if let Some(told) = find_stopped(client).transpose() {
            return told;
        }
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
            client.context().happened().stopped = Some(Instant::now());
            find_stopped(client)
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

/// Finds out which partition the client has stopped reading since its offset was out of range: the client says it once, and does not
/// say where. Asked again until it is known; where no place is out of range any more (another replica leads, which has it), all are
/// read on from where they were.
fn find_stopped(client: &BaseConsumer<Context>) -> Result<Option<Polled>, LogError> {
    let context = client.context();
    let (places, paused) = {
        let mut happened = context.happened();
        if happened.stopped.is_none_or(|next| Instant::now() < next) {
            return Ok(None);
        }
        happened.stopped = Some(Instant::now() + FIND_PAUSE); // should the question fail
        let running = happened.places.iter().filter(|(at, _)| !happened.lost.contains(at));
        (running.map(|(at, place)| (*at, *place)).collect::<Vec<_>>(), happened.paused.clone())
    };
    let of: Vec<TopicPartition> = places.iter().map(|(at, _)| *at).collect();
    let ends = ends(&context.config, client, &of)?;
    let lost = places.iter().zip(&ends).find(|((_, wanted), ends)| *wanted < ends.low || *wanted > ends.high);
    if let Some((&(at, wanted), ends)) = lost {
        // Others may have stopped too: they are looked for at once.
        let mut happened = context.happened();
        happened.lost.insert(at);
        happened.stopped = Some(Instant::now());
        return Ok(Some(Polled::OutOfRange { at, wanted, oldest: ends.low }));
    }
    assign(client, &places, &paused)?;
    context.happened().stopped = None;
    Ok(None)
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
