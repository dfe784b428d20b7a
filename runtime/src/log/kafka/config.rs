//! How to reach a cluster, and what librdkafka is told.
//!
//! Guarantee: the properties that carry the log's guarantees are set here and nowhere else; what the operator adds cannot undo them
//! (`[log.properties]` refuses their names).

use rdkafka::{ClientConfig, Offset, TopicPartitionList, error::KafkaError};
use schemas::limits::{RECORD_HEADERS_BYTES, RECORD_KEY_BYTES, RECORD_VALUE_BYTES};

use super::error;
use crate::{
    log::{LogError, LogErrorKind, TopicPartition},
    secret::Secret,
};

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
    pub(super) fn client(&self, ours: &[(&str, &str)]) -> ClientConfig {
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
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.expose())
    }

    fn is_encrypted(&self) -> bool {
        self.property("security.protocol").is_some_and(|p| p.to_ascii_lowercase().ends_with("ssl"))
    }

    /// Who we are to the cluster's authorizer, as far as that can be told from here.
    pub(super) fn principal(&self) -> String {
        let sasl = self.property("security.protocol").is_some_and(|p| p.to_ascii_lowercase().starts_with("sasl"));
        match self.property("sasl.username") {
            Some(name) if sasl => format!("User:{name}"),
            _ if sasl => "User:(of the ticket or token)".to_owned(),
            _ if self.is_encrypted() => "User:(name in the client's certificate)".to_owned(),
            _ => "User:ANONYMOUS".to_owned(),
        }
    }

    /// A reading client's configuration.
    pub(super) fn reading(&self, group: Option<&str>, ours: &[(&str, &str)]) -> ClientConfig {
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

    /// The name in the cluster of a topic, a group or a transactional id.
    pub(super) fn on_wire(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }
}

/// A record with its key, headers and framing, bytes.
pub(super) fn max_message_bytes() -> usize {
    RECORD_VALUE_BYTES + RECORD_KEY_BYTES + RECORD_HEADERS_BYTES + (64 << 10)
}

/// What a topic's `max.message.bytes` leaves to the value of a record. It is meant before compression, though the broker counts
/// after it: whether a record fits must not depend on what it is batched with.
pub(super) fn value_limit(max_message_bytes: usize) -> usize {
    max_message_bytes.saturating_sub(FRAMING).min(RECORD_VALUE_BYTES)
}

/// Key, headers and batch of one of our records: some 300 bytes.
pub(super) const FRAMING: usize = 1 << 10;

/// What librdkafka says against a property, without its value; `None`: it takes it. Opens nothing.
pub fn wrong_property(name: &str, value: &str) -> Option<String> {
    match ClientConfig::new().set(name, value).create_native_config() {
        Err(KafkaError::ClientConfig(_, why, ..)) => Some(why),
        Err(_) => Some("cannot be set".to_owned()),
        Ok(_) => None,
    }
}

/// Offsets as librdkafka takes them.
pub(super) fn partition_list(
    config: &KafkaConfig,
    offsets: &[(TopicPartition, u64)],
) -> Result<TopicPartitionList, LogError> {
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
