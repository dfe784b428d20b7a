//! What each stage is told, out of the configuration file.

use nodes::fleet::Limits;
use runtime::config::{Config, Confirm, Endpoint, Network, Start, Verify};
use store::{StoreConfig, sink::SinkConfig};

use super::{fleets, log::chain_partitions};

/// What ingest is told.
pub fn ingest_config(config: &Config) -> ingest::config::Config {
    // One set for all networks: an account may serve several.
    let limits = Limits::default();
    ingest::config::Config {
        networks: config.networks.iter().map(|n| ingest_network(n, config, &limits)).collect(),
        instance: config.instance.clone(),
        partitions: chain_partitions(config),
        ..Default::default()
    }
}

fn ingest_network(n: &Network, config: &Config, limits: &Limits) -> ingest::config::NetworkConfig {
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
        members: fleets::members(n),
        fleet: fleets::fleet(&config.providers, n, limits),
        verify: match n.verify {
            Verify::Profile => ingest::config::Verify::Profile,
            Verify::Signatures => ingest::config::Verify::Signatures,
            Verify::Structure => ingest::config::Verify::Structure,
        },
        confirm: match n.confirm {
            Confirm::Auto => nodes::fleet::Confirm::Auto,
            Confirm::Never => nodes::fleet::Confirm::Never,
            Confirm::Operators(n) => nodes::fleet::Confirm::Operators(n),
        },
        confirm_within: n.confirm_within,
    }
}

/// What enrich is told.
pub fn enrich_config(config: &Config) -> enrich::Config {
    enrich::Config::new(&config.instance, config.networks.iter().map(|n| (n.slug.clone(), n.chain_id)).collect())
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
        instance: config.instance.clone(),
        ..api::Config::new(config.networks.iter().map(network).collect())
    }
}
