//! What all clients of a process share: one client that answers questions, one that administers, what is known of topics, and the
//! watch over their calls.
//!
//! Guarantees: a topic is looked up once for all that want to know of it, and again by who has reason to think that it has
//! changed; the ends of any number of partitions are one question per broker.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, ConfigResource, ConfigSource, ResourceSpecifier},
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};
use schemas::limits::KAFKA_QUESTIONS;

use super::{
    CALL, KafkaConfig,
    config::max_message_bytes,
    error::{self, Need},
    heard::Heard,
    threads::{Threads, Watch},
};
use crate::log::{LogError, LogErrorKind, TopicPartition, Watermarks};

/// How long what is known of a topic holds for who asks for its limits.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// What the cluster has of a topic.
#[derive(Debug, Clone)]
pub struct Known {
    /// Number of partitions.
    pub partitions: u32,
    /// The least number of replicas of a partition.
    pub replicas: usize,
    /// Value of each property, and whether it was set on the topic itself.
    pub properties: HashMap<String, (String, bool)>,
}

impl Known {
    /// The value of a property; empty: there is none.
    pub fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", |(value, _)| value.as_str())
    }

    /// Whether only the newest record of a key is kept.
    pub fn is_compacted(&self) -> bool {
        self.property("cleanup.policy").contains("compact")
    }

    /// Bytes of a batch of records, at most.
    pub fn max_message_bytes(&self) -> usize {
        self.property("max.message.bytes").parse().unwrap_or_else(|_| max_message_bytes())
    }
}

/// A look-up that everybody waits for who wants to know the same, and what it found. That there is no such topic is not kept.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Arc<Known>)>>>;

/// What the next producer of a transactional id must be like, since the last one could not write what it had to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Bytes of records that it puts together at most.
    pub batch_bytes: usize,
    /// How long one of its transactions may take.
    pub patience: Duration,
}

/// What all clients share.
pub struct Cluster {
    /// How to reach it.
    pub config: Arc<KafkaConfig>,
    /// The only client that administers.
    pub admin: AdminClient<Heard>,
    /// Notices calls that never come back.
    pub watch: Arc<Watch>,
    /// Answers questions; belongs to no group.
    query: Arc<BaseConsumer<Heard>>,
    /// Sees what is not decided yet; made when that is first asked.
    uncommitted: Mutex<Option<Arc<BaseConsumer<Heard>>>>,
    questions: Threads,
    /// One client for each group whose positions are asked for: there are as many as stages.
    groups: Mutex<HashMap<String, Arc<BaseConsumer<Heard>>>>,
    known: Mutex<HashMap<String, Slot>>,
    fits: Mutex<HashMap<String, Fit>>,
}

impl Cluster {
    /// Connects. Fails when no broker answers, and at once when a broker refuses who we are.
    pub async fn connect(config: KafkaConfig) -> Result<Arc<Self>, LogError> {
        let config = Arc::new(config);
        let watch = Watch::start()?;
        let questions = Threads::new(&watch, "questions", KAFKA_QUESTIONS.0, KAFKA_QUESTIONS.1);
        let asked = config.clone();
        let made = questions.call(3 * CALL, "the first question", move || {
            let failed = |e: KafkaError| error::log_error("make a client", &e);
            let query: BaseConsumer<Heard> =
                asked.reading(None, &[]).create_with_context(Heard::default()).map_err(failed)?;
            reach(&asked, &query)?;
            let admin: AdminClient<Heard> = asked.client(&[]).create_with_context(Heard::default()).map_err(failed)?;
            Ok((admin, Arc::new(query)))
        });
        let (admin, query) = made.await?;
        let (uncommitted, groups, known, fits) = Default::default();
        Ok(Arc::new(Self { config, admin, watch, query, uncommitted, questions, groups, known, fits }))
    }

    /// Asks with the shared client, on a thread of its own.
    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        question: impl FnOnce(&KafkaConfig, &BaseConsumer<Heard>) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let (config, query) = (self.config.clone(), self.query.clone());
        self.questions.call(3 * CALL, what, move || question(&config, &query)).await
    }

    /// Number of partitions of a topic as it is now, `None` where there is none; asked by one who is to have `operation` on it.
    pub async fn partition_count(&self, topic: &str, operation: &'static str) -> Result<Option<u32>, LogError> {
        let name = self.config.on_wire(topic);
        let shape =
            self.ask("the number of partitions", move |config, query| shape(config, query, &name, operation)).await?;
        Ok(shape.map(|(partitions, _)| partitions))
    }

    /// Ends of partitions as a read_committed reader sees them, in their order.
    pub async fn ends(&self, of: Vec<TopicPartition>) -> Result<Vec<Watermarks>, LogError> {
        self.ask("the ends of partitions", move |config, query| ends(config, query, &of)).await
    }

    /// Where the first open transaction of a partition begins, if there is one.
    pub async fn undecided(&self, at: TopicPartition) -> Result<Option<u64>, LogError> {
        let there = self.uncommitted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (config, query) = (self.config.clone(), self.query.clone());
        let (client, open) = self
            .questions
            .call(3 * CALL, "whether a transaction is open", move || {
                let client = match there {
                    Some(client) => client,
                    None => Arc::new(
                        config
                            .reading(None, &[("isolation.level", "read_uncommitted")])
                            .create_with_context(Heard::default())
                            .map_err(|e| error::log_error("ask for open transactions", &e))?,
                    ),
                };
                // In this order: one that ends between the two questions is none.
                let end = ends(&config, &client, &[at])?.iter().map(|ends| ends.high).max();
                let decided = ends(&config, &query, &[at])?.iter().map(|ends| ends.high).max();
                Ok((client, decided.filter(|decided| Some(*decided) < end)))
            })
            .await?;
        *self.uncommitted.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        Ok(open)
    }

    /// Positions of a group, in the order of the partitions.
    pub async fn positions(&self, group: &str, of: Vec<TopicPartition>) -> Result<Vec<Option<u64>>, LogError> {
        let group = self.config.on_wire(group);
        let there = self.groups.lock().unwrap_or_else(PoisonError::into_inner).get(&group).cloned();
        let (config, name) = (self.config.clone(), group.clone());
        let (client, positions) = self
            .questions
            .call(3 * CALL, "a group's positions", move || {
                let client = match there {
                    Some(client) => client,
                    None => Arc::new(
                        config
                            .reading(Some(&name), &[])
                            .create_with_context(Heard::default())
                            .map_err(|e| error::log_error("ask for positions", &e))?,
                    ),
                };
                let positions = positions(&config, &client, &name, &of)?;
                Ok((client, positions))
            })
            .await?;
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).insert(group, client);
        Ok(positions)
    }

    /// What is known of a topic, not from before `since`; asked by one who is to have `operation` on it.
    pub async fn known(&self, topic: &str, operation: &'static str, since: Instant) -> Result<Arc<Known>, LogError> {
        self.find(topic, operation, since).await?.ok_or_else(|| error::no_topic(&self.config.on_wire(topic)))
    }

    /// The same, as fresh as the limits of a topic have to be.
    pub async fn known_lately(&self, topic: &str, operation: &'static str) -> Result<Arc<Known>, LogError> {
        self.known(topic, operation, self.lately()).await
    }

    /// What is known from then on is fresh enough, unless there is reason to doubt it.
    pub fn lately(&self) -> Instant {
        Instant::now().checked_sub(KNOWN_FOR).unwrap_or_else(Instant::now)
    }

    /// What is known is known no longer, since something of it was wrong.
    pub fn forget(&self, topic: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    /// What there is of a topic, not from before `since`.
    pub async fn find(
        &self,
        topic: &str,
        operation: &'static str,
        since: Instant,
    ) -> Result<Option<Arc<Known>>, LogError> {
        let slot =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(topic.to_owned()).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some((at, known)) = &*slot
            && *at >= since
        {
            return Ok(Some(known.clone()));
        }
        let asked = Instant::now();
        let known = self.look_up(&self.config.on_wire(topic), operation).await?.map(Arc::new);
        *slot = known.clone().map(|known| (asked, known));
        Ok(known)
    }

    /// Asks the cluster for all that there is to know of a topic.
    async fn look_up(&self, name: &str, operation: &'static str) -> Result<Option<Known>, LogError> {
        let wanted = name.to_owned();
        let shape =
            self.ask("a topic's partitions", move |config, query| shape(config, query, &wanted, operation)).await?;
        let Some((partitions, replicas)) = shape else { return Ok(None) };
        let options = AdminOptions::new().request_timeout(Some(CALL));
        let topic = ResourceSpecifier::Topic(name);
        let described = self.admin.describe_configs([&topic], &options);
        let what = format!("read the properties of {name}");
        let failed = |e| error::refusable(&self.config, &what, &e, &[Need::topic("DescribeConfigs", name)]);
        let described = tokio::time::timeout(2 * CALL, described).await.map_err(|_| {
            LogError::new(LogErrorKind::Unavailable, format!("Kafka: cannot {what}: no answer within {:?}", 2 * CALL))
        })?;
        let mut properties = HashMap::new();
        for resource in described.map_err(failed)? {
            let ConfigResource { entries, .. } = match resource {
                // Deleted in between.
                Err(RDKafkaErrorCode::UnknownTopicOrPartition) => return Ok(None),
                other => other.map_err(|code| failed(KafkaError::AdminOp(code)))?,
            };
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
        Ok(Some(Known { partitions, replicas, properties }))
    }

    /// What the next producer of a transactional id must be like, if that was remembered.
    pub fn fit(&self, id: &str) -> Option<Fit> {
        self.fits.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    /// Remembers it.
    pub fn remember_fit(&self, id: &str, fit: Fit) {
        self.fits.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), fit);
    }
}

/// Waits for the first answer of a broker, with an ear to refusals: the client itself would try for ever.
fn reach(config: &KafkaConfig, query: &BaseConsumer<Heard>) -> Result<(), LogError> {
    const SLICE: Duration = Duration::from_millis(500);
    const LISTEN: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + CALL;
    let mut heard = None;
    loop {
        let Err(e) = query.fetch_metadata(None, SLICE) else { return Ok(()) };
        // Not without waiting at all: such a poll ends at the first line of the client's own log.
        while query.poll(LISTEN).is_some() && Instant::now() < deadline {}
        heard = query.context().take().or(heard);
        let refused = heard.as_ref().is_some_and(|(code, _)| error::class_of(*code) == LogErrorKind::Denied);
        if refused || Instant::now() >= deadline {
            let Some((code, words)) = heard else {
                return Err(error::refusable(config, "reach the brokers", &e, &[]));
            };
            let kind = if refused { LogErrorKind::Denied } else { error::class(&e) };
            let advice = error::advice(config, code, &[]);
            return Err(LogError::new(kind, format!("Kafka: cannot reach the brokers: {words}{advice}")));
        }
    }
}

/// Numbers of partitions and of replicas of a topic; `None`: there is none. Whoever may not even know is told.
fn shape(
    config: &KafkaConfig,
    client: &BaseConsumer<Heard>,
    name: &str,
    operation: &'static str,
) -> Result<Option<(u32, usize)>, LogError> {
    let told = |e| error::refusable(config, "read metadata", &e, &[Need::topic(operation, name)]);
    let metadata = client.fetch_metadata(Some(name), CALL).map_err(told)?;
    let Some(topic) = metadata.topics().iter().find(|t| t.name() == name) else { return Ok(None) };
    if let Some(code) = topic.error().map(RDKafkaErrorCode::from)
        && error::class_of(code) == LogErrorKind::Denied
    {
        return Err(told(KafkaError::MetadataFetch(code)));
    }
    if topic.error().is_some() || topic.partitions().is_empty() {
        return Ok(None);
    }
    let replicas = topic.partitions().iter().map(|p| p.replicas().len()).min().unwrap_or(0);
    Ok(Some((topic.partitions().len() as u32, replicas)))
}

/// Low watermarks and last stable offsets, since the client is read_committed: one question per broker for each.
pub fn ends<C: ConsumerContext>(
    config: &KafkaConfig,
    client: &BaseConsumer<C>,
    of: &[TopicPartition],
) -> Result<Vec<Watermarks>, LogError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let deadline = Instant::now() + CALL;
    loop {
        let both = ask_ends(config, client, of, Offset::Beginning)
            .and_then(|low| Ok(low.into_iter().zip(ask_ends(config, client, of, Offset::End)?)));
        match both {
            Ok(both) => return Ok(both.map(|(low, high)| Watermarks { low: low.min(high), high }).collect()),
            // A topic that was just made, a partition whose leader has just changed, a broker that comes back.
            Err((
                _,
                KafkaError::MetadataFetch(
                    RDKafkaErrorCode::NotLeaderForPartition
                    | RDKafkaErrorCode::LeaderNotAvailable
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::DestroyBroker // the client gave its connection up while it asked
                    | RDKafkaErrorCode::FencedLeaderEpoch
                    | RDKafkaErrorCode::UnknownLeaderEpoch
                    | RDKafkaErrorCode::OffsetNotAvailable,
                ),
            )) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Err((topics, e)) => {
                let what = format!("read the ends of {}", topics.join(", "));
                return Err(error::refusable(config, &what, &e, &[Need::topics("Describe", topics)]));
            }
        }
    }
}

/// One end of each partition. Of an error, the topics that it is about, by their names in the cluster.
fn ask_ends<C: ConsumerContext>(
    config: &KafkaConfig,
    client: &BaseConsumer<C>,
    of: &[TopicPartition],
    which: Offset,
) -> Result<Vec<u64>, (Vec<String>, KafkaError)> {
    let all = || {
        let mut names: Vec<String> = of.iter().map(|at| config.on_wire(at.topic)).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let mut list = TopicPartitionList::with_capacity(of.len());
    for at in of {
        list.add_partition_offset(&config.on_wire(at.topic), at.partition as i32, which).map_err(|e| (all(), e))?;
    }
    // In the place of a time, the protocol takes the two ends.
    let found = client.offsets_for_times(list, CALL).map_err(|e| (all(), e))?;
    let missing = |at: &TopicPartition, code| (vec![config.on_wire(at.topic)], KafkaError::MetadataFetch(code));
    of.iter()
        .map(|at| {
            let element = found.find_partition(&config.on_wire(at.topic), at.partition as i32);
            let element = element.ok_or_else(|| missing(at, RDKafkaErrorCode::UnknownPartition))?;
            if let Err(e) = element.error() {
                return Err(missing(at, error::code(&e).unwrap_or(RDKafkaErrorCode::Fail)));
            }
            super::offset_of(element.offset()).ok_or_else(|| missing(at, RDKafkaErrorCode::LeaderNotAvailable))
        })
        .collect()
}

/// Positions of a group, in the order of the partitions.
fn positions(
    config: &KafkaConfig,
    client: &BaseConsumer<Heard>,
    group: &str,
    of: &[TopicPartition],
) -> Result<Vec<Option<u64>>, LogError> {
    let mut list = TopicPartitionList::with_capacity(of.len());
    for at in of {
        list.add_partition(&config.on_wire(at.topic), at.partition as i32);
    }
    let needs = [Need::group("Describe", group)];
    let stored =
        client.committed_offsets(list, CALL).map_err(|e| error::refusable(config, "read positions", &e, &needs))?;
    let of_one = |at: &TopicPartition| {
        let element = stored.find_partition(&config.on_wire(at.topic), at.partition as i32)?;
        super::offset_of(element.offset())
    };
    Ok(of.iter().map(of_one).collect())
}
