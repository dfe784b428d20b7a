//! Follows rebalances of a client: what it takes up and gives up, in order, with the group's positions.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};

use super::{
    CALL, KafkaConfig,
    cluster::ends,
    config::partition_list,
    error::{self, Need},
    heard::Heard,
    offset_of,
};
use crate::log::{LogError, Polled, Record, Topic, TopicPartition};

/// What the client's thread hands over.
#[derive(Default)]
pub struct Happened {
    /// Rebalances and errors in order.
    pub events: VecDeque<Result<Polled, LogError>>,
    /// The group's position per partition that is ours, as far as it was stored; where reading began while it has none.
    pub stored: HashMap<TopicPartition, u64>,
    /// An assignment of the group that could not be taken up yet.
    pub pending: Option<TopicPartitionList>,
    /// Next offset per partition that is ours.
    pub places: HashMap<TopicPartition, u64>,
    /// The client has stopped a partition whose offset was out of range; from when on it is to be found out which.
    pub stopped: Option<Instant>,
    /// Out of range until a seek.
    pub lost: HashSet<TopicPartition>,
    /// Paused by the caller.
    pub paused: HashSet<TopicPartition>,
    /// A record that did not fit into the last poll.
    pub carry: Option<Record>,
    /// Of readers: where the partition ended when reading began.
    pub ends: HashMap<TopicPartition, u64>,
}

/// Follows rebalances.
pub struct Context {
    /// How to reach the cluster.
    pub config: Arc<KafkaConfig>,
    /// What is read.
    pub topics: Vec<Topic>,
    /// The group on the wire; `None` of readers.
    pub group: Option<String>,
    /// What the client says beside its answers.
    pub heard: Heard,
    /// What happened since the last poll.
    pub happened: Mutex<Happened>,
}

impl Context {
    /// A topic by its name on the wire.
    pub fn topic(&self, wire: &str) -> Option<Topic> {
        let name = wire.strip_prefix(self.config.prefix.as_str())?;
        self.topics.iter().copied().find(|t| *t == name)
    }

    fn places(&self, list: &TopicPartitionList) -> Vec<(TopicPartition, Offset)> {
        list.elements()
            .iter()
            .filter_map(|e| {
                Some((
                    TopicPartition { topic: self.topic(e.topic())?, partition: u32::try_from(e.partition()).ok()? },
                    e.offset(),
                ))
            })
            .collect()
    }

    /// What happened.
    pub fn happened(&self) -> std::sync::MutexGuard<'_, Happened> {
        self.happened.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Takes up what the group assigned, if that has not been done. The group takes us for the holder from the rebalance on: what
    /// fails is told, and tried again at the next poll.
    pub fn take_up(&self, client: &BaseConsumer<Self>) {
        let Some(list) = self.happened().pending.clone() else { return };
        let assigned = self.assign(client, &list);
        let mut happened = self.happened();
        if assigned.is_ok() {
            happened.pending = None;
        }
        if !matches!(&assigned, Ok(Polled::Assigned(list)) if list.is_empty()) {
            happened.events.push_back(assigned);
        }
    }

    fn assign(&self, client: &BaseConsumer<Self>, list: &TopicPartitionList) -> Result<Polled, LogError> {
        let needs = self.group.as_ref().map(|group| Need::group("Read", group));
        let stored = client
            .committed_offsets(list.clone(), CALL)
            .map_err(|e| error::refusable(&self.config, "read positions", &e, needs.as_slice()))?;
        // A refusal for one topic is told there only; taken for no position, reading would begin anew.
        for element in stored.elements() {
            let needs = [Need::topic("Read", element.topic())];
            element.error().map_err(|e| error::refusable(&self.config, "read positions", &e, &needs))?;
        }
        let assigned: Vec<(TopicPartition, Option<u64>)> =
            self.places(&stored).into_iter().map(|(at, offset)| (at, offset_of(offset))).collect();
        // Where there is no position, reading begins at the oldest record: one question for all of them.
        let new: Vec<TopicPartition> =
            assigned.iter().filter(|(_, position)| position.is_none()).map(|(at, _)| *at).collect();
        let oldest: HashMap<TopicPartition, u64> =
            new.iter().copied().zip(ends(&self.config, client, &new)?.iter().map(|ends| ends.low)).collect();
        let starts: Vec<(TopicPartition, u64)> = assigned
            .iter()
            .map(|(at, position)| (*at, position.unwrap_or_else(|| oldest.get(at).copied().unwrap_or(0))))
            .collect();
        client
            .assign(&partition_list(&self.config, &starts)?)
            .map_err(|e| error::log_error("take up partitions", &e))?;
        if let Some(group) = &self.group {
            let partitions: BTreeSet<u32> = starts.iter().map(|(at, _)| at.partition).collect();
            tracing::info!(group, ?partitions, "partitions of the group taken up");
        }
        let mut happened = self.happened();
        happened.places = starts.into_iter().collect();
        happened.stored = happened.places.clone();
        happened.lost.clear();
        happened.stopped = None;
        happened.paused.clear();
        Ok(Polled::Assigned(assigned))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.heard.log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.error(error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, client: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.happened().pending = Some(list.clone());
            return self.take_up(client);
        }
        let gone: Vec<TopicPartition> = self.places(list).into_iter().map(|(at, _)| at).collect();
        let unassigned = client.unassign();
        let mut happened = self.happened();
        happened.pending = None;
        happened.places.clear();
        happened.stored.clear();
        happened.carry = None;
        happened.stopped = None;
        if !gone.is_empty() {
            happened.events.push_back(Ok(Polled::Revoked(gone)));
        }
        if let Err(e) = unassigned {
            happened.events.push_back(Err(error::log_error("give up partitions", &e)));
        }
    }

    fn main_queue_min_poll_interval(&self) -> rdkafka::util::Timeout {
        rdkafka::util::Timeout::After(Duration::from_millis(100))
    }
}
