//! The log: embedded or Kafka, its topics, and the codec of its values.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use runtime::{
    config::{Config, Kafka},
    log::{
        Log, LogError, LogErrorKind,
        embedded::{EmbeddedConfig, EmbeddedLog, Sync},
        kafka::{KafkaConfig, KafkaLog},
    },
    registry::{Missing, Registry},
};
use schemas::{codec::Codec, topics};

use crate::{access, exit::Failure, stage::Stage};

/// How long a log that another process has is waited for.
const IN_USE: Duration = Duration::from_secs(5);
/// Pause before it is tried again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Where the embedded log lives.
fn log_dir(config: &Config) -> PathBuf {
    config.data_dir.join("log")
}

/// Whether there is a log: a cluster is, an embedded one once it was made.
pub fn has_log(config: &Config) -> bool {
    config.log.kafka.is_some() || log_dir(config).is_dir()
}

/// The log, and what it takes to close it.
pub struct OpenLog {
    /// As the stages reach it.
    pub log: Arc<dyn Log>,
    embedded: Option<Arc<EmbeddedLog>>,
    kafka: Option<Arc<KafkaLog>>,
}

impl OpenLog {
    /// Closes the embedded log; a cluster goes on.
    pub async fn close(self) -> Result<(), LogError> {
        match self.embedded {
            Some(embedded) => embedded.close().await,
            None => Ok(()),
        }
    }
}

/// Opens the log: the cluster where one is configured, else the embedded one, for all stages. A command that looks into an embedded log
/// while nothing runs on it has it for a moment: that is waited for.
pub async fn open_log(config: &Config) -> Result<OpenLog, LogError> {
    let until = Instant::now() + IN_USE;
    loop {
        let for_stages = |embedded| EmbeddedConfig { readers: topics::READING_GROUPS.to_vec(), ..embedded };
        match open(config, for_stages).await {
            Err(error) if error.kind == LogErrorKind::InUse && Instant::now() < until => {
                tracing::info!("{error}; waiting some seconds for it");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            opened => return opened,
        }
    }
}

async fn open(config: &Config, purpose: impl FnOnce(EmbeddedConfig) -> EmbeddedConfig) -> Result<OpenLog, LogError> {
    if let Some(kafka) = &config.log.kafka {
        let log = connect_kafka(config, kafka).await?;
        return Ok(OpenLog { log: log.clone(), embedded: None, kafka: Some(log) });
    }
    let embedded = EmbeddedConfig {
        sync: if config.log.sync_to_disk { Sync::Data } else { Sync::Os },
        max_bytes: config.log.max_bytes,
        min_free_bytes: config.log.min_free_bytes,
        ..EmbeddedConfig::new(log_dir(config))
    };
    let embedded = EmbeddedLog::open(purpose(embedded)).await?;
    Ok(OpenLog { log: embedded.clone(), embedded: Some(embedded), kafka: None })
}

/// The configured cluster.
pub async fn connect_kafka(config: &Config, kafka: &Kafka) -> Result<Arc<KafkaLog>, LogError> {
    KafkaLog::connect(KafkaConfig {
        prefix: config.log.prefix.clone(),
        properties: kafka.properties.clone(),
        replication: kafka.replication.map_or(-1, i32::from),
        ..KafkaConfig::new(&kafka.brokers)
    })
    .await
}

/// The cluster, for commands that make no sense without one.
pub fn kafka_of(config: &Config) -> Result<&Kafka, Failure> {
    config.log.kafka.as_ref().ok_or_else(|| {
        Failure::config("there is no `[log] kafka`: this command is about a Kafka cluster; add `kafka = \"host:9092\"`")
    })
}

/// Number of partitions of chain topics that are made.
pub fn chain_partitions(config: &Config) -> u32 {
    let of_kafka = |kafka: &Kafka| kafka.partitions.unwrap_or(topics::DEFAULT_KAFKA_PARTITIONS);
    config.log.kafka.as_ref().map_or(topics::DEFAULT_PARTITIONS, of_kafka)
}

/// Makes the topics that are missing; where that is not ours to do (`topics = "check"`), says which of the stages' are missing, or
/// may not be looked at.
pub async fn prepare_topics(config: &Config, open: &OpenLog, stages: &[Stage]) -> Result<(), Failure> {
    let create = config.log.kafka.as_ref().is_none_or(|kafka| kafka.create_topics);
    let Some(kafka) = open.kafka.as_ref().filter(|_| !create) else {
        return Ok(open.log.ensure_topics(&topics::ALL, chain_partitions(config)).await?);
    };
    let mut missing = BTreeSet::new();
    let needed = stages.iter().flat_map(|stage| access::topics_of(*stage));
    for (spec, operation) in needed.filter(|(spec, _)| !topics::FORMER.contains(spec)) {
        if kafka.partition_count(spec.name, operation).await?.is_none() {
            missing.insert(format!("{}{}", config.log.prefix, spec.name));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the cluster lacks {}: run `headwater topics apply` as a user who may",
        missing.into_iter().collect::<Vec<_>>().join(", ")
    )))
}

/// Opens a log that is there, for commands that only read: none is made, and nothing goes that a stage may still want.
pub async fn open_log_for_reading(config: &Config) -> Result<OpenLog, LogError> {
    let dir = log_dir(config);
    if config.log.kafka.is_none() && !dir.is_dir() {
        return Err(LogError::new(
            LogErrorKind::Invalid,
            format!("there is no log at {} yet; start `headwater up` with this configuration first", dir.display()),
        ));
    }
    open(config, |embedded| EmbeddedConfig { retention_check: None, ..embedded }).await
}

/// Writes and reads values with the ids of the log's registry (rule 22).
pub async fn codec(config: &Config) -> Result<Codec, Failure> {
    let Some((kafka, url)) = config.log.kafka.as_ref().and_then(|k| Some((k, k.schema_registry.clone()?))) else {
        return Ok(Codec::builtin());
    };
    let missing = if kafka.create_topics { Missing::Register } else { Missing::Refuse };
    let ids = Registry::new(url, &config.log.prefix)?.ids(missing).await?;
    Ok(Codec::with_ids(ids.iter().map(|r| (r.topic, r.version, r.id)))?)
}
