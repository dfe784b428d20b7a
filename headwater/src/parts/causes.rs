//! What the stage `causes` is told, out of the configuration file: nodes, how they may be asked, contract sources, and the table of causes.

use std::{
    collections::BTreeMap,
    io::Read as _,
    sync::{Arc, Mutex, PoisonError},
};

use enrich::causes::{
    Budgets, Calls, Config, Nodes,
    failures::{Failures, Table},
    sources::SourceConfig,
};
use nodes::{
    evm::{
        Checks, Endpoint, Tuning,
        fleet::{EvmFleet, EvmFleetConfig},
    },
    fleet::{Clock, Confirm, Limits},
};
use runtime::config::{self, ContractSource, Live, Network, Providers};
use schemas::{
    profiles::Profile,
    records::{ProviderSample, stage_status::stage},
};

use super::fleets;

/// Largest file of rows for the table of causes, in bytes.
const TABLE_BYTES: u64 = 1 << 20;

/// The stage's configuration. `limits` are those of all endpoints of the process.
///
/// # Errors
/// An endpoint that cannot be used as configured: what is wrong.
pub fn causes_config(live: &mut Live, limits: &Limits) -> Result<Config, String> {
    let file = live.config().clone();
    let calls = Calls { per_second: file.causes.limit.per_second(), per_day: file.causes.per_day };
    let mut settings = Config::new(&file.instance, file.data_dir.join("contracts-cache"));
    settings.budgets = Budgets::new(calls);
    settings.calls = file.causes.calls;
    settings.failures = Failures {
        traces: file.causes.traces,
        table: table_of_causes(&file)?,
        give_up_after: file.causes.give_up_after,
    };
    settings.sources = file.contract_sources.iter().map(source).collect();
    let followed = Followed { limits: limits.clone(), instance: file.instance.clone(), before: Mutex::default() };
    settings.nodes.set(followed.nodes(&file)?);
    let nodes = settings.nodes.clone();
    live.follow(move |config| match followed.nodes(config) {
        Ok(all) => nodes.set(all),
        Err(error) => tracing::error!(error, "facts and causes are found by the former endpoints"),
    });
    Ok(settings)
}

/// The table of causes: the rows of `[causes] table`, where there is one, before ours.
///
/// # Errors
/// The file cannot be read, or has mistakes: all of them, with what to write instead.
pub fn table_of_causes(config: &config::Config) -> Result<Arc<Table>, String> {
    let Some(file) = &config.causes.table else { return Ok(Arc::new(Table::builtin().clone())) };
    let name = file.display();
    let mut text = String::new();
    let opened = std::fs::File::open(file).and_then(|file| file.take(TABLE_BYTES + 1).read_to_string(&mut text));
    opened.map_err(|e| format!("{name}: {e}; `[causes] table` names the file"))?;
    if text.len() as u64 > TABLE_BYTES {
        return Err(format!("{name}: `[causes] table` has more than {TABLE_BYTES} bytes; take rows out"));
    }
    Table::parse(&text).map(Arc::new).map_err(|mistakes| {
        let lines = mistakes.iter().map(|m| format!("{name}: {}: {}; {}", m.path, m.problem, m.cure));
        lines.collect::<Vec<_>>().join("\n")
    })
}

fn source(s: &ContractSource) -> SourceConfig {
    SourceConfig {
        kind: s.kind,
        url: s.url.clone(),
        key: s.key.clone(),
        networks: s.networks.clone(),
        per_second: s.limit.per_second(),
        per_day: s.per_day,
    }
}

/// The fleets of all networks, as they were made last: one stays as long as nothing of its network changes.
struct Followed {
    limits: Limits,
    instance: String,
    before: Mutex<BTreeMap<schemas::Network, (Network, Providers, Nodes)>>,
}

impl Followed {
    fn nodes(&self, config: &config::Config) -> Result<BTreeMap<schemas::Network, Nodes>, String> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeMap::new();
        let asked = config.networks.iter().filter(|n| !n.endpoints.is_empty());
        for (network, chain_id) in asked.filter_map(|n| Some((n, n.chain.evm_id()?))) {
            let same = before.get(&network.slug).filter(|(n, p, _)| n == network && *p == config.providers);
            let nodes = match same {
                Some((.., nodes)) => nodes.clone(),
                None => self.fleet(network, chain_id, &config.providers)?,
            };
            now.insert(network.slug.clone(), (network.clone(), config.providers, nodes));
        }
        *before = now;
        Ok(before.iter().map(|(network, (.., nodes))| (network.clone(), nodes.clone())).collect())
    }

    fn fleet(&self, network: &Network, chain_id: u64, providers: &Providers) -> Result<Nodes, String> {
        let settings = EvmFleetConfig {
            network: network.slug.clone(),
            chain_id,
            observer: ProviderSample::observer_of(stage::CAUSES, &self.instance),
            checks: Checks::of(&Profile::of(chain_id)),
            tuning: Tuning::default(),
            confirm: Confirm::Never,
            confirm_within: network.confirm_within,
            fleet: fleets::fleet(providers, network, &self.limits),
        };
        let endpoints: Vec<Endpoint> = network.endpoints.iter().map(fleets::endpoint).collect();
        let members = fleets::members(network).into_iter().zip(endpoints).collect();
        let fleet = EvmFleet::new(settings, members, Clock::system())?;
        Ok(Nodes { chain_id, fleet })
    }
}
