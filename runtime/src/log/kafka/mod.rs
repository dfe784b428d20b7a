//! Apache Kafka as the log, through librdkafka.
//!
//! It keeps the guarantees of [`super`] with Kafka's own means: idempotent transactional producers (acks=all), read_committed
//! consumers, the `range` assignor with static membership (rule 9), positions in the transaction fenced by generation (KIP-447).
//! librdkafka's calls block, so each runs on a blocking thread under a deadline of its own.
//!
//! Where Kafka is weaker than the embedded log, the trait says so: a static member that is dropped keeps its partitions until its
//! session times out, and compaction happens when it happens.

mod client;
mod consumer;
mod error;
mod heard;
#[cfg(test)]
mod outcomes;
mod producer;
mod rebalance;
#[cfg(test)]
mod tests;
mod topics;
#[cfg(any(test, feature = "conformance"))]
mod trouble;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic},
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use schemas::{
    limits::{RECORD_HEADERS_BYTES, RECORD_KEY_BYTES, RECORD_VALUE_BYTES},
    topics::TopicSpec,
};

use error::Need;
use heard::Heard;
pub use topics::Difference;

use super::{Consumer, Lag, Log, LogError, LogErrorKind, Producer, Reader, Topic, TopicPartition, Watermarks};
use crate::config::Secret;

/// Group of readers, who never join it: librdkafka asks for its coordinator all the same.
pub const READER_GROUP: &str = "reader";

/// Deadline of a single question to the cluster.
const CALL: Duration = Duration::from_secs(10);
/// Deadline of a whole commit, whatever the client's own deadlines do: then its outcome is unknown.
const COMMIT: Duration = Duration::from_secs(10);

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Bootstrap servers, `host:port` separated by commas.
    pub brokers: String,
    /// Prefix of topics, groups and transactional ids.
    pub prefix: String,
    /// Handed to librdkafka as they are; a value may be a password.
    pub properties: Vec<(String, Secret)>,
    /// Replicas of topics that are made; -1 for the broker's default.
    pub replication: i32,
    /// Further properties of topics that are made.
    pub topic_properties: Vec<(String, String)>,
}

impl KafkaConfig {
    /// Names carry the default prefix, topics the broker's default replication.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            prefix: schemas::topics::DEFAULT_PREFIX.into(),
            properties: Vec::new(),
            replication: -1,
            topic_properties: Vec::new(),
        }
    }

    /// A client's configuration: ours first, then the operator's.
    fn client(&self, ours: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("message.max.bytes", max_message_bytes().to_string())
            // A broker that died is missed soon, and asked again soon.
            .set("socket.connection.setup.timeout.ms", "3000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            // So soon added partitions are taken up.
            .set("topic.metadata.refresh.interval.ms", "30000");
        for (key, value) in ours {
            config.set(*key, *value);
        }
        // Our OpenSSL has no folder of its own for the system's authorities: librdkafka looks in the usual places.
        if self.is_encrypted() && self.property("ssl.ca.pem").is_none() {
            config.set("ssl.ca.location", "probe");
        }
        for (key, value) in &self.properties {
            config.set(key, value.expose());
        }
        config
    }

    /// The last of a property's values.
    fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.expose())
    }

    fn is_encrypted(&self) -> bool {
        self.property("security.protocol").is_some_and(|p| p.to_ascii_lowercase().ends_with("ssl"))
    }

    /// Who we are to the cluster's authorizer, as far as that can be told from here.
    fn principal(&self) -> String {
        let sasl = self.property("security.protocol").is_some_and(|p| p.to_ascii_lowercase().starts_with("sasl"));
        match self.property("sasl.username") {
            Some(name) if sasl => format!("User:{name}"),
            _ if sasl => "User:(of the ticket or token)".to_owned(),
            _ if self.is_encrypted() => "User:(name in the client's certificate)".to_owned(),
            _ => "User:ANONYMOUS".to_owned(),
        }
    }

    fn reading(&self, group: Option<&str>, ours: &[(&str, &str)]) -> ClientConfig {
        let fetch = (2 * max_message_bytes()).to_string();
        let base = [
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"), // nothing jumps
            ("check.crcs", "true"),
            ("fetch.wait.max.ms", "500"), // while there is nothing: what comes is handed over at once
            ("fetch.message.max.bytes", "1048576"),
            ("fetch.max.bytes", &fetch),
            ("receive.message.max.bytes", "104857600"),
            ("queued.max.messages.kbytes", "16384"), // per client
            ("allow.auto.create.topics", "false"),
        ];
        let group = group.map(|group| ("group.id", group));
        self.client(&[&base[..], group.as_slice(), ours].concat())
    }

    fn on_wire(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }
}

/// A record with its key, headers and framing.
fn max_message_bytes() -> usize {
    RECORD_VALUE_BYTES + RECORD_KEY_BYTES + RECORD_HEADERS_BYTES + (64 << 10)
}

/// What a topic's `max.message.bytes` leaves to the value of a record. It is meant before compression, though the broker counts
/// after it: whether a record fits must not depend on what it is batched with.
fn value_limit(max_message_bytes: usize) -> usize {
    max_message_bytes.saturating_sub(FRAMING).min(RECORD_VALUE_BYTES)
}

/// Key, headers and batch of one of our records: some 300 bytes.
const FRAMING: usize = 1 << 10;

/// A log in a Kafka cluster.
pub struct KafkaLog {
    config: Arc<KafkaConfig>,
    admin: AdminClient<Heard>,
    /// Answers questions about topics; belongs to no group.
    query: Arc<BaseConsumer<Heard>>,
}

impl KafkaLog {
    /// Connects. Fails when no broker answers, and at once when a broker refuses who we are.
    pub async fn connect(config: KafkaConfig) -> Result<Arc<Self>, LogError> {
        let config = Arc::new(config);
        let asked = config.clone();
        let (admin, query) = blocking(move || {
            let failed = |e: KafkaError| error::log_error("make a client", &e);
            let query: BaseConsumer<Heard> =
                asked.reading(None, &[]).create_with_context(Heard::default()).map_err(failed)?;
            reach(&asked, &query)?;
            let admin: AdminClient<Heard> = asked.client(&[]).create_with_context(Heard::default()).map_err(failed)?;
            Ok((admin, Arc::new(query)))
        })
        .await?;
        Ok(Arc::new(Self { config, admin, query }))
    }

    /// Number of partitions of a topic, `None` where there is none; asked by one who is to have `operation` on it.
    pub async fn partition_count(&self, topic: &str, operation: &'static str) -> Result<Option<u32>, LogError> {
        let (config, query, name) = (self.config.clone(), self.query.clone(), self.config.on_wire(topic));
        blocking(move || partitions_of(&config, query.client(), &name, operation)).await
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

/// Number of partitions of a topic; `None`: there is none. Whoever may not even know is told.
fn partitions_of<C: rdkafka::ClientContext>(
    config: &KafkaConfig,
    client: &rdkafka::client::Client<C>,
    name: &str,
    operation: &'static str,
) -> Result<Option<u32>, LogError> {
    let told = |e| error::refusable(config, "read metadata", &e, &[Need::topic(operation, name)]);
    let metadata = client.fetch_metadata(Some(name), CALL).map_err(told)?;
    let Some(topic) = metadata.topics().iter().find(|t| t.name() == name) else { return Ok(None) };
    if let Some(code) = topic.error().map(RDKafkaErrorCode::from)
        && error::class_of(code) == LogErrorKind::Denied
    {
        return Err(told(KafkaError::MetadataFetch(code)));
    }
    Ok((topic.error().is_none() && !topic.partitions().is_empty()).then(|| topic.partitions().len() as u32))
}

/// What librdkafka says against a property, without its value; `None`: it takes it. Opens nothing.
pub fn wrong_property(name: &str, value: &str) -> Option<String> {
    match ClientConfig::new().set(name, value).create_native_config() {
        Err(KafkaError::ClientConfig(_, why, ..)) => Some(why),
        Err(_) => Some("cannot be set".to_owned()),
        Ok(_) => None,
    }
}

/// Runs a blocking call of librdkafka. Should it outlast every deadline of its own, the caller still gets an answer.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    within(3 * CALL, "a question", call).await
}

/// The same with a deadline of its own. Some calls ignore theirs (librdkafka #5456): their thread is left behind.
async fn within<T: Send + 'static>(
    deadline: Duration,
    what: &'static str,
    call: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    match tokio::time::timeout(deadline, tokio::task::spawn_blocking(call)).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(LogError::new(LogErrorKind::Closed, "the runtime is shutting down")),
        Err(_) => Err(LogError::new(
            LogErrorKind::Indefinite,
            format!("the Kafka client did not answer {what} within {deadline:?}"),
        )),
    }
}

fn partition_list(config: &KafkaConfig, offsets: &[(TopicPartition, u64)]) -> Result<TopicPartitionList, LogError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (at, offset) in offsets {
        let offset = i64::try_from(*offset).map_err(|_| {
            LogError::new(LogErrorKind::Invalid, format!("offset {offset} of {} [{}]", at.topic, at.partition))
        })?;
        list.add_partition_offset(&config.on_wire(at.topic), at.partition as i32, Offset::Offset(offset))
            .map_err(|e| error::log_error("name an offset", &e))?;
    }
    Ok(list)
}

#[async_trait]
impl Log for KafkaLog {
    async fn ensure_topics(&self, specs: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        for spec in specs {
            if self.partition_count(spec.name, "Describe").await?.is_some() {
                continue; // its retention is the operator's from here on
            }
            let name = self.config.on_wire(spec.name);
            let partitions = if spec.per_network { chain_partitions.max(1) } else { 1 };
            let wanted = topics::properties(spec);
            let mut topic = NewTopic::new(&name, partitions as i32, self.replication());
            for (key, value) in &wanted {
                topic = topic.set(key, value);
            }
            for (key, value) in &self.config.topic_properties {
                topic = topic.set(key, value);
            }
            let options = AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL));
            let what = format!("make topic {name}");
            let failed = |e: &KafkaError| error::refusable(&self.config, &what, e, &[Need::topic("Create", &name)]);
            let made = self.admin.create_topics([&topic], &options).await.map_err(|e| failed(&e))?;
            for result in made {
                match result {
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((_, code)) => return Err(failed(&KafkaError::AdminOp(code))),
                }
            }
            // Metadata takes a moment to come round.
            let deadline = tokio::time::Instant::now() + CALL;
            while self.partition_count(spec.name, "Describe").await?.is_none() {
                if tokio::time::Instant::now() > deadline {
                    return Err(LogError::new(
                        LogErrorKind::Unavailable,
                        format!("topic {name} was made but does not appear"),
                    ));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        // Who asks wants to read.
        let count = self.partition_count(topic, "Read").await?;
        count.ok_or_else(|| error::no_topic(&self.config.on_wire(topic)))
    }

    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        self.topic_value_limit(topic).await
    }

    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        let (config, query, name) = (self.config.clone(), self.query.clone(), self.config.on_wire(at.topic));
        blocking(move || watermarks(&config, &query, &name, at.partition)).await
    }

    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(producer::KafkaProducer::new(self.config.clone(), transactional_id).await?))
    }

    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        for topic in topics {
            self.partitions(topic).await?;
        }
        Ok(Box::new(consumer::KafkaConsumer::join(self.config.clone(), group, instance, topics).await?))
    }

    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(consumer::KafkaReader::new(self.config.clone(), from).await?))
    }

    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        let mut places = Vec::new();
        for topic in topics {
            places.extend((0..self.partitions(topic).await?).map(|partition| TopicPartition { topic, partition }));
        }
        let (config, group) = (self.config.clone(), self.config.on_wire(group));
        blocking(move || {
            let client: BaseConsumer<Heard> = config
                .reading(Some(&group), &[])
                .create_with_context(Heard::default())
                .map_err(|e| error::log_error("ask for positions", &e))?;
            let mut list = TopicPartitionList::new();
            for at in &places {
                list.add_partition(&config.on_wire(at.topic), at.partition as i32);
            }
            let needs = [Need::group("Describe", &group)];
            let stored = client
                .committed_offsets(list, CALL)
                .map_err(|e| error::refusable(&config, "read positions", &e, &needs))?;
            places
                .into_iter()
                .map(|at| {
                    let name = config.on_wire(at.topic);
                    let position =
                        stored.find_partition(&name, at.partition as i32).and_then(|e| offset_of(e.offset()));
                    Ok(Lag { at, position, ends: watermarks(&config, &client, &name, at.partition)? })
                })
                .collect()
        })
        .await
    }
}

fn offset_of(offset: Offset) -> Option<u64> {
    match offset {
        Offset::Offset(n) => u64::try_from(n).ok(),
        _ => None,
    }
}

/// Low watermark and last stable offset, since the client is read_committed.
fn watermarks<C: rdkafka::consumer::ConsumerContext>(
    config: &KafkaConfig,
    client: &BaseConsumer<C>,
    topic: &str,
    partition: u32,
) -> Result<Watermarks, LogError> {
    let deadline = Instant::now() + CALL;
    loop {
        match client.fetch_watermarks(topic, partition as i32, CALL) {
            Ok((low, high)) => return Ok(Watermarks { low: low.max(0) as u64, high: high.max(0) as u64 }),
            // A topic that was just made, a partition whose leader has just changed, a broker that comes back.
            Err(KafkaError::MetadataFetch(
                RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::DestroyBroker, // the client gave its connection up while it asked
            )) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Err(e) => {
                let what = format!("read the ends of {topic} [{partition}]");
                return Err(error::refusable(config, &what, &e, &[Need::topic("Describe", topic)]));
            }
        }
    }
}
