//! The edge between configuration and watchers: a network and where its blocks come from, whatever its family.

use std::{pin::Pin, sync::Arc};

use nodes::ChainSource;
use schemas::{
    TimeMs,
    records::{NetworkState, NetworkStatus},
};
use tokio_util::sync::CancellationToken;

use crate::{
    chains::{Family, Seat, Watcher},
    config::NetworkConfig,
    samples::Observed,
};

/// A network and where its blocks come from.
#[derive(Clone)]
pub struct Source {
    /// As configured.
    pub network: NetworkConfig,
    /// Whose endpoints are told of in `providers.samples`; `None`: nobody's.
    pub observed: Option<Arc<dyn Observed>>,
    chain: Arc<dyn Watched>,
    changes: Option<Arc<dyn Changes>>,
}

/// Takes a change over that was made ready.
pub type TakeOver = Box<dyn FnOnce() + Send>;

/// A source whose endpoints can change while it is watched.
pub trait Changes: Send + Sync {
    /// Makes everything ready to go on with the endpoints and settings of `network`, which is on the same chain; nothing changes yet.
    ///
    /// # Errors
    /// No endpoint, or one that cannot be used as it is configured: what is wrong and what to write instead.
    fn prepare(&self, network: &NetworkConfig) -> Result<TakeOver, String>;
}

impl Source {
    /// A network of a family.
    pub fn new<F: Family>(network: NetworkConfig, family: F, node: Arc<dyn ChainSource<Block = F::Block>>) -> Self {
        Self { network, observed: None, chain: Arc::new(Chain { family: Arc::new(family), node }), changes: None }
    }

    /// The same, whose endpoints can change.
    pub fn changed_by(self, changes: Arc<dyn Changes>) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// The same source, of a network that is configured so.
    #[must_use]
    pub fn configured(&self, network: NetworkConfig) -> Self {
        Self { network, ..self.clone() }
    }

    /// Whether it is the same source, whatever its configuration is.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chain, &other.chain)
    }

    /// Makes other endpoints ready; `None` where the source has none that could change.
    ///
    /// # Errors
    /// See [`Changes::prepare`].
    pub fn change(&self, network: &NetworkConfig) -> Result<Option<TakeOver>, String> {
        self.changes.as_ref().map(|changes| changes.prepare(network)).transpose()
    }

    /// The same; what this fleet sees of its endpoints is told.
    pub fn observed(self, fleet: Arc<dyn Observed>) -> Self {
        Self { observed: Some(fleet), ..self }
    }

    /// Its status before anything is known.
    pub fn status(&self) -> NetworkStatus {
        NetworkStatus {
            network: self.network.slug.clone(),
            family: self.network.family(),
            state: NetworkState::Starting,
            tip_height: None,
            endpoint: Some(self.chain.endpoint()),
            detail: None,
            at: TimeMs::default(),
        }
    }

    /// Watches the network until cancelled.
    pub fn watch(&self, seat: Seat, cancel: CancellationToken) -> Watching {
        self.chain.watch(self.network.clone(), seat, cancel)
    }
}

/// A watcher at work.
pub type Watching = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A chain without its family's types.
trait Watched: Send + Sync {
    fn endpoint(&self) -> String;
    fn watch(&self, network: NetworkConfig, seat: Seat, cancel: CancellationToken) -> Watching;
}

struct Chain<F: Family> {
    family: Arc<F>,
    node: Arc<dyn ChainSource<Block = F::Block>>,
}

impl<F: Family> Watched for Chain<F> {
    fn endpoint(&self) -> String {
        self.node.endpoint()
    }

    fn watch(&self, network: NetworkConfig, seat: Seat, cancel: CancellationToken) -> Watching {
        Box::pin(Watcher::new(network, self.family.clone(), self.node.clone(), seat).run(cancel))
    }
}
