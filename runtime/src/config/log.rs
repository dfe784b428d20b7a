//! `[log]`: the embedded log, or a Kafka cluster and its schema registry.

use url::Url;

use super::{
    Secret,
    source::{Collector, Placed, Section},
};
use crate::log::kafka::wrong_property;

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Topic prefix.
    pub prefix: String,
    /// A Kafka cluster; `None`: the embedded log.
    pub kafka: Option<Kafka>,
    /// Whether a commit waits for the disk (`"disk"`, the default) or for the operating system only (`"os"`: faster; a power
    /// loss may lose the last commits, a killed process does not). Embedded only.
    pub sync_to_disk: bool,
    /// Largest size of the embedded log in bytes, at least [`schemas::limits::LOG_BYTES_LEAST`]; `None` for no limit but the
    /// disk's.
    pub max_bytes: Option<u64>,
    /// Free bytes that the embedded log leaves on its disk.
    pub min_free_bytes: u64,
}

/// Where the cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Bootstrap servers, `host:port` separated by commas.
    pub brokers: String,
    /// The schema registry's base URL, which may have a path; `None`: the built-in ids.
    pub schema_registry: Option<Url>,
    /// Handed to librdkafka as they are; values may be secret.
    pub properties: Vec<(String, Secret)>,
    /// Replicas of topics that are made; `None`: the brokers' default.
    pub replication: Option<u16>,
    /// Partitions that chain topics are to have; `None`: as many as they have, or the default where none is there.
    pub partitions: Option<u32>,
    /// Whether a stage makes missing topics when it starts, and registers schemas.
    pub create_topics: bool,
}

impl Kafka {
    /// What is no mistake but should be known.
    pub fn warnings(&self) -> Vec<String> {
        let words = match self.replication {
            Some(1) => {
                "[log] replication: topics with one replica are lost with its broker's disk, acknowledged blocks included; write 3"
            }
            Some(2) => {
                "[log] replication: with two replicas a write is acknowledged while only one of them has it (min.insync.replicas = 1),                  and is lost with that broker's disk; with three, min.insync.replicas is 2"
            }
            None => {
                "[log] replication: left out, topics get the brokers' default.replication.factor; only where that is 3 or more are                  acknowledged blocks on two disks (min.insync.replicas = 2); `headwater topics diff` looks"
            }
            Some(_) => return Vec::new(),
        };
        vec![words.to_owned()]
    }
}

/// librdkafka properties that carry our guarantees, so that nobody may set them.
const OURS: [&str; 9] = [
    "acks",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "partition.assignment.strategy",
    "transactional.id",
];

pub fn read(mut s: Section, c: &mut Collector) -> Log {
    let prefix = read_prefix(&mut s, c);
    let brokers = s.string("kafka", c);
    let registry = s.parsed::<Url>("schema_registry", "a URL such as \"http://10.0.0.3:8081\"", c);
    let replication = s.number("replication", c);
    let partitions = s.number("partitions", c);
    let create = s.string("topics", c);
    let properties_at = s.has("properties");
    let properties = s.section("properties", c).strings(c);
    let kafka_only = |c: &mut Collector, at: usize, key: String| {
        c.mistake(at, &key, "belongs to a Kafka cluster", "add `kafka = \"host:9092\"`, or leave this key out");
    };
    let at = s.at();
    let kafka = match brokers {
        Some(brokers) => {
            for problem in wrong_brokers(&brokers.value) {
                c.mistake(brokers.at, &s.key("kafka"), problem, "write \"host:9092\" or \"host1:9092,host2:9092\"");
            }
            if let Some(url) = &registry
                && !matches!(url.value.scheme(), "http" | "https")
            {
                c.mistake(url.at, &s.key("schema_registry"), "is no http or https URL", "write \"http://host:8081\"");
            }
            for (name, value) in &properties {
                if OURS.contains(&name.as_str()) {
                    let key = s.key(&format!("properties.{name}"));
                    c.mistake(value.at, &key, "is set by Headwater: its guarantees hang on it", "leave it out");
                } else if let Some(problem) = wrong_property(name, &value.value) {
                    let key = s.key(&format!("properties.{name}"));
                    c.mistake(value.at, &key, problem, "see librdkafka's list of properties (CONFIGURATION.md)");
                }
            }
            if let Some((name, value)) = unused_login(&properties) {
                let cure = "add `\"security.protocol\" = \"SASL_SSL\"`, or leave it out";
                let key = s.key(&format!("properties.{name}"));
                c.mistake(value.at, &key, "has no effect without SASL in `security.protocol`", cure);
            }
            let within = |n: &Placed<u64>, low, high| (low..=high).contains(&n.value);
            if let Some(n) = replication.as_ref().filter(|n| !within(n, 1, 32)) {
                c.mistake(n.at, &s.key("replication"), format!("is {}", n.value), "write a number from 1 to 32");
            }
            if let Some(n) = partitions.as_ref().filter(|n| !within(n, 1, 10_000)) {
                c.mistake(n.at, &s.key("partitions"), format!("is {}", n.value), "write a number from 1 to 10000");
            }
            let create_topics = match &create {
                None => true,
                Some(p) if p.value == "create" => true,
                Some(p) if p.value == "check" => false,
                Some(p) => {
                    let cure = "write \"create\" (default) or \"check\"";
                    c.mistake(p.at, &s.key("topics"), format!("is `{}`", p.value), cure);
                    true
                }
            };
            Some(Kafka {
                brokers: brokers.value,
                schema_registry: registry.map(|p| p.value),
                properties: properties.into_iter().map(|(name, p)| (name, Secret::new(p.value))).collect(),
                replication: replication.map(|n| n.value as u16),
                partitions: partitions.map(|n| n.value as u32),
                create_topics,
            })
        }
        None => {
            let keys = [
                ("schema_registry", registry.map(|p| p.at)),
                ("replication", replication.map(|p| p.at)),
                ("partitions", partitions.map(|p| p.at)),
                ("topics", create.map(|p| p.at)),
                ("properties", properties_at.then_some(at)),
            ];
            for (name, at) in keys {
                if let Some(at) = at {
                    kafka_only(c, at, s.key(name));
                }
            }
            None
        }
    };
    let sync = s.string("sync", c);
    let max_bytes = s.number("max_bytes", c);
    let min_free_bytes = s.number("min_free_bytes", c);
    let embedded_only = [
        ("sync", sync.as_ref().map(|p| p.at)),
        ("max_bytes", max_bytes.as_ref().map(|p| p.at)),
        ("min_free_bytes", min_free_bytes.as_ref().map(|p| p.at)),
    ];
    for (name, at) in embedded_only {
        if let (Some(at), true) = (at, kafka.is_some()) {
            let problem = "belongs to the embedded log and has no effect with `kafka`";
            c.mistake(at, &s.key(name), problem, "leave it out: what the cluster keeps, and how safely, is set there");
        }
    }
    let sync_to_disk = match sync {
        None => true,
        Some(p) if p.value == "disk" => true,
        Some(p) if p.value == "os" => false,
        Some(p) => {
            c.mistake(p.at, &s.key("sync"), format!("is `{}`", p.value), "write \"disk\" (default) or \"os\"");
            true
        }
    };
    let least = schemas::limits::LOG_BYTES_LEAST;
    if let (Some(p), None) = (max_bytes.as_ref().filter(|p| p.value < least), &kafka) {
        let problem = format!("is {}, which the log's own journals and buffers take", p.value);
        c.mistake(p.at, &s.key("max_bytes"), problem, format!("write at least {least} (256 MiB), or leave it out"));
    }
    let max_bytes = max_bytes.map(|p| p.value);
    let min_free_bytes = min_free_bytes.map_or(512 << 20, |p| p.value);
    s.finish(c);
    Log { prefix, kafka, sync_to_disk, max_bytes, min_free_bytes }
}

fn read_prefix(s: &mut Section, c: &mut Collector) -> String {
    let Some(prefix) = s.string("prefix", c) else { return schemas::topics::DEFAULT_PREFIX.to_owned() };
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if prefix.value.len() > 100 || !prefix.value.bytes().all(good) {
        let cure = "write at most 100 letters, digits, `.`, `_` and `-`: it becomes part of topic names";
        c.mistake(prefix.at, &s.key("prefix"), format!("is `{}`", prefix.value), cure);
    }
    prefix.value
}

/// A login that would never be sent, since the protocol knows none.
fn unused_login(properties: &[(String, Placed<String>)]) -> Option<(&String, &Placed<String>)> {
    let protocol = properties.iter().find(|(name, _)| name == "security.protocol");
    if protocol.is_some_and(|(_, p)| p.value.to_ascii_lowercase().starts_with("sasl")) {
        return None;
    }
    properties.iter().find(|(name, _)| name.starts_with("sasl.")).map(|(name, value)| (name, value))
}

/// What is wrong with a list of brokers.
fn wrong_brokers(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|one| {
            let port = one.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
            !matches!(port, Some((false, Ok(1..))))
        })
        .map(|one| format!("has `{one}`, which is not host:port"))
        .collect()
}
