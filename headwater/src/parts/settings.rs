//! What each stage is told, out of the configuration file.

use std::collections::{HashMap, HashSet};

use nodes::fleet::Limits;
use runtime::config::{Config, Confirm, Live, Network, Start, Verify};
use store::{
    StoreConfig,
    sink::{Keep, Keeping, SinkConfig, week_of_heights},
};

use super::{fleets, log::chain_partitions};

/// What ingest is told, but for its networks.
pub fn ingest_config(config: &Config) -> ingest::config::Config {
    ingest::config::Config {
        instance: config.instance.clone(),
        partitions: chain_partitions(config),
        ..Default::default()
    }
}

/// The networks that ingest follows. `limits` are those of all endpoints of the process: an account may serve several networks.
pub fn ingest_networks(config: &Config, limits: &Limits) -> Vec<ingest::config::NetworkConfig> {
    config.networks.iter().map(|n| ingest_network(n, config, limits)).collect()
}

fn ingest_network(n: &Network, config: &Config, limits: &Limits) -> ingest::config::NetworkConfig {
    ingest::config::NetworkConfig {
        slug: n.slug.clone(),
        chain: fleets::chain(n, &config.data_dir),
        start: match n.start {
            Start::Latest => ingest::config::Start::Latest,
            Start::Height(height) => ingest::config::Start::Height(height),
        },
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
pub fn enrich_config(live: &mut Live) -> enrich::Config {
    let chain_ids = |config: &Config| -> HashMap<schemas::Network, Option<u64>> {
        config.networks.iter().map(|n| (n.slug.clone(), n.chain.evm_id())).collect()
    };
    let events = |config: &Config| -> HashSet<schemas::Network> {
        config.networks.iter().filter(|n| n.events).map(|n| n.slug.clone()).collect()
    };
    let instance = live.config().instance.clone();
    let chain_ids = live.setting(chain_ids);
    enrich::Config::following(instance, chain_ids).with_events(live.setting(events))
}

/// What aggregate is told.
pub fn aggregate_config(live: &mut Live) -> aggregate::Config {
    let instance = live.config().instance.clone();
    let families = |config: &Config| -> HashMap<schemas::Network, schemas::Family> {
        config.networks.iter().map(|n| (n.slug.clone(), n.family())).collect()
    };
    aggregate::Config::following(instance, live.setting(families))
}

/// What alerts are told.
pub fn alerts_config(live: &mut Live) -> alerts::Config {
    let families = |config: &Config| -> HashMap<schemas::Network, schemas::Family> {
        config.networks.iter().map(|n| (n.slug.clone(), n.family())).collect()
    };
    let families = live.setting(families);
    let config = live.config();
    let scheme = if config.api.tls.is_some() { "https" } else { "http" };
    let public_url = match &config.api.public_url {
        Some(url) => url.to_string(),
        None => format!("{scheme}://{}", config.api_listen),
    };
    alerts::Config {
        alerts: config.alerts.clone(),
        control: Some(config.control.clone()),
        ..alerts::Config::following(config.instance.clone(), families, &public_url)
    }
}

/// What the sink is told.
pub fn sink_config(live: &mut Live, store: StoreConfig) -> SinkConfig {
    let week = |n: &Network| (n.slug.clone(), week_of_heights(n.chain.block_time_ms()));
    let spans = live.setting(move |config| config.networks.iter().map(week).collect());
    let keeping = Keeping::default();
    live.follow({
        let keeping = keeping.clone();
        move |config| keeping.set(keep(config))
    });
    SinkConfig { spans, keep: keeping, ..SinkConfig::new(store, &live.config().instance) }
}

/// How long rows are kept.
fn keep(config: &Config) -> Keep {
    Keep {
        everywhere: config.store.keep,
        networks: config.networks.iter().filter_map(|n| Some((n.slug.clone(), n.keep?))).collect(),
        max_bytes: config.store.max_bytes,
        windows: config.store.keep_windows,
    }
}

/// What the API is told.
pub fn api_config(
    live: &mut Live,
    control: api::ControlStore,
    certificate: Option<api::tls::Certificate>,
) -> api::Config {
    let network = |n: &Network| api::NetworkConfig { network: n.slug.clone(), family: n.family() };
    let networks = live.setting(move |config| config.networks.iter().map(network).collect());
    let contracts = live.setting(|config| config.contracts.clone());
    let plans = live.setting(|config| config.plans.clone());
    let config = live.config();
    let builtin = config.log.kafka.as_ref().is_none_or(|kafka| kafka.schema_registry.is_none());
    let public = config.api.public_url.as_ref().and_then(|url| url.host_str().map(str::to_owned));
    api::Config {
        contracts,
        plans,
        cache: config.cache.clone(),
        analysts_see_contracts: config.analysts_see_contracts(),
        registry_prefix: builtin.then(|| config.log.prefix.clone()),
        hosts: config.api_hosts.iter().cloned().chain(public).collect(),
        allowed_origins: config.allowed_origins.clone(),
        instance: config.instance.clone(),
        control,
        auth: config.auth.clone(),
        bounds: control::Bounds::of(&config.alerts),
        max_steps: config.alerts.max_steps,
        open_door: config.auth.warnings(&config.doors()).into_iter().next(),
        public_url: config.api.public_url.clone(),
        trusted_proxies: config.api.trusted_proxies.clone(),
        rate_limit: config.api.rate_limit,
        certificate,
        ..api::Config::following(networks)
    }
}
