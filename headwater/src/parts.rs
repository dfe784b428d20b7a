//! The parts that commands are wired from. The choice between the embedded and the distributed parts is made here and nowhere
//! else: the stages cannot tell which they got.

use std::{collections::BTreeSet, future::Future, path::PathBuf, sync::Arc, time::Duration};

use runtime::{
    config::{Config, Endpoint, Kafka, Network, Start},
    log::{
        Log, LogError, LogErrorKind,
        embedded::{EmbeddedConfig, EmbeddedLog, Sync},
        kafka::{KafkaConfig, KafkaLog},
    },
    registry::{Missing, Registry},
    telemetry,
};
use schemas::{codec::Codec, profiles::Profile, topics};
use store::{Store, StoreConfig, engine, sink::SinkConfig};

use crate::{access, exit::Failure, up};

/// How long a connection to a process on this machine may take.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// Runs a command's work on a small runtime of its own. Stages get their own runtimes.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    telemetry::init_logs();
    // TLS is rustls with ring for every client; an error means that it was installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(16)
        .thread_name("main")
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(result)
}

/// Says to Prometheus what every room measures. Metrics must have been started.
pub fn describe_metrics() {
    runtime::metrics::describe();
    nodes::metrics::describe();
    ingest::metrics::describe();
    enrich::describe_metrics();
    store::sink::describe_metrics();
    api::describe_metrics();
}

/// Where the embedded log lives.
fn log_dir(config: &Config) -> PathBuf {
    config.data_dir.join("log")
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

/// Opens the log: the cluster where one is configured, else the embedded one.
pub async fn open_log(config: &Config) -> Result<OpenLog, LogError> {
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
    let embedded = EmbeddedLog::open(embedded).await?;
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
    config.log.kafka.as_ref().map_or(topics::DEFAULT_PARTITIONS, |kafka| kafka.partitions)
}

/// Makes the topics that are missing; where that is not ours to do (`topics = "check"`), says which of the stages' are missing, or
/// may not be looked at.
pub async fn prepare_topics(config: &Config, open: &OpenLog, stages: &[up::Stage]) -> Result<(), Failure> {
    let create = config.log.kafka.as_ref().is_none_or(|kafka| kafka.create_topics);
    let Some(kafka) = open.kafka.as_ref().filter(|_| !create) else {
        return Ok(open.log.ensure_topics(&topics::ALL, chain_partitions(config)).await?);
    };
    let mut missing = BTreeSet::new();
    for (spec, operation) in stages.iter().flat_map(|stage| access::topics_of(*stage)) {
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

/// Writes and reads values with the ids of the log's registry (rule 22).
pub async fn codec(config: &Config) -> Result<Codec, Failure> {
    let Some((kafka, url)) = config.log.kafka.as_ref().and_then(|k| Some((k, k.schema_registry.clone()?))) else {
        return Ok(Codec::builtin());
    };
    let missing = if kafka.create_topics { Missing::Register } else { Missing::Refuse };
    let ids = Registry::new(url, &config.log.prefix)?.ids(missing).await?;
    Ok(Codec::with_ids(ids.iter().map(|r| (r.topic, r.version, r.id)))?)
}

/// Opens a log that is there, for commands that only read: none is made.
pub async fn open_log_for_reading(config: &Config) -> Result<OpenLog, LogError> {
    let dir = log_dir(config);
    if config.log.kafka.is_none() && !dir.is_dir() {
        return Err(LogError::new(
            LogErrorKind::Invalid,
            format!("there is no log at {} yet; start `headwater up` with this configuration first", dir.display()),
        ));
    }
    open_log(config).await
}

/// What the store's process is told.
pub fn engine_config(config: &Config) -> engine::Config {
    engine::Config {
        listen: config.store.listen,
        hosts: config.store.hosts.clone(),
        database: config.store.database.clone(),
        user: config.store.user.clone(),
        password: config.store.password.clone(),
        analyst_password: config.store.analyst_password.clone(),
        analyst_without_landlock: config.store.analyst_without_landlock,
        ..engine::Config::new(&config.data_dir)
    }
}

/// The store, as the stages reach it: always over HTTP. Opens nothing.
pub fn connect_store(config: &Config) -> Result<(Store, StoreConfig), Failure> {
    let s = &config.store;
    let (url, password) = match &s.url {
        Some(url) => (url.clone(), s.password.as_ref().map_or("", |p| p.expose()).to_owned()),
        None => {
            let engine = engine_config(config);
            let made = engine::Credentials::load_or_create(&config.data_dir, engine.password, engine.analyst_password)?;
            (format!("http://{}", s.listen).parse()?, made.stages.expose().to_owned())
        }
    };
    let store = StoreConfig::new(url, &s.database, &s.user, password);
    Ok((Store::connect(store.clone())?, store))
}

/// What ingest is told.
pub fn ingest_config(config: &Config) -> ingest::config::Config {
    ingest::config::Config {
        networks: config.networks.iter().map(ingest_network).collect(),
        instance: config.instance.clone(),
        partitions: chain_partitions(config),
        ..Default::default()
    }
}

fn ingest_network(n: &Network) -> ingest::config::NetworkConfig {
    let endpoint = |e: &Endpoint| nodes::evm::Endpoint {
        name: e.name.clone(),
        url: e.url.clone(),
        ws: e.ws.clone(),
        headers: e.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
    };
    ingest::config::NetworkConfig {
        slug: n.slug.clone(),
        family: n.family,
        chain_id: n.chain_id,
        start: match n.start {
            Start::Latest => ingest::config::Start::Latest,
            Start::Height(height) => ingest::config::Start::Height(height),
        },
        endpoints: n.endpoints.iter().map(endpoint).collect(),
        verify: ingest::config::Verify::Profile,
    }
}

/// What enrich is told.
pub fn enrich_config(config: &Config) -> enrich::Config {
    let profiles = config.networks.iter().map(|n| (n.slug.clone(), Profile::of(n.chain_id))).collect();
    enrich::Config::new(&config.instance, profiles)
}

/// What the sink is told.
pub fn sink_config(config: &Config, store: StoreConfig) -> SinkConfig {
    SinkConfig::new(store, &config.instance)
}

/// What the API is told.
pub fn api_config(config: &Config) -> api::Config {
    let network = |n: &Network| api::NetworkConfig { network: n.slug.clone(), family: n.family };
    let builtin = config.log.kafka.as_ref().is_none_or(|kafka| kafka.schema_registry.is_none());
    api::Config {
        registry_prefix: builtin.then(|| config.log.prefix.clone()),
        hosts: config.api_hosts.clone(),
        allowed_origins: config.allowed_origins.clone(),
        ..api::Config::new(config.networks.iter().map(network).collect())
    }
}
