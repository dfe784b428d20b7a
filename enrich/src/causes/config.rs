//! What the stage is told.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use nodes::evm::fleet::EvmFleet;
use runtime::beat::Board;
use schemas::{
    Network,
    limits::facts as limits,
    records::stage_status::{stage, state},
};
use tokio::sync::watch;

use super::{budget::Budgets, facts::sources::SourceConfig, failures::Failures};

/// How nodes of a network may be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calls {
    /// Questions a second, of one network.
    pub per_second: f64,
    /// Questions a day (UTC), of one network.
    pub per_day: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { per_second: f64::from(limits::CALLS.0), per_day: limits::CALLS.1 }
    }
}

/// A network's nodes.
#[derive(Clone)]
pub struct Nodes {
    /// Its chain id (EIP-155).
    pub chain_id: u64,
    /// Its endpoints.
    pub fleet: EvmFleet,
}

/// The EVM networks' nodes, as the configuration changes. Clones are the same.
#[derive(Clone, Default)]
pub struct AllNodes {
    of: Arc<Mutex<BTreeMap<Network, Nodes>>>,
    changed: Arc<watch::Sender<()>>,
}

impl AllNodes {
    /// From now on these.
    pub fn set(&self, nodes: BTreeMap<Network, Nodes>) {
        *self.of.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
        self.changed.send_replace(());
    }

    /// A network's.
    pub fn of(&self, network: &Network) -> Option<Nodes> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).get(network).cloned()
    }

    /// All networks, and their chain ids.
    pub fn networks(&self) -> Vec<(Network, u64)> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.iter().map(|(network, nodes)| (network.clone(), nodes.chain_id)).collect()
    }

    /// Tells when they are others.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// The stage's configuration.
#[derive(Clone)]
pub struct Config {
    /// Names this process to the consumer group, and is the end of its transactional id (`[runtime] instance`).
    pub instance: String,
    /// The networks' nodes.
    pub nodes: AllNodes,
    /// How often they may be asked, for facts and for failures together.
    pub budgets: Budgets,
    /// Whether they are asked what stands behind contracts.
    pub calls: bool,
    /// How causes of failures are found.
    pub failures: Failures,
    /// Who is asked for names and ABIs, in this order.
    pub sources: Vec<SourceConfig>,
    /// Where answers of sources are kept.
    pub cache: PathBuf,
    /// What the stage says of itself.
    pub board: Board,
}

impl Config {
    /// One that asks nobody: what logs and operators say is published.
    pub fn new(instance: impl Into<String>, cache: PathBuf) -> Self {
        Self {
            instance: instance.into(),
            nodes: AllNodes::default(),
            budgets: Budgets::new(Calls::default()),
            calls: false,
            failures: Failures::default(),
            sources: Vec::new(),
            cache,
            board: Board::new(stage::CAUSES, state::RUNNING),
        }
    }
}
