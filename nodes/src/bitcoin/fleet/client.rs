//! A client of an endpoint, of whichever kind: what Bitcoin Core and an Electrum server have in common.

use std::sync::Arc;

use schemas::{BitcoinHash, bitcoin::BitcoinChain};

use crate::{
    bitcoin::{
        Endpoint, Kind,
        core::{CoreClient, CoreTuning},
        electrum::{ElectrumClient, ElectrumTuning},
        header::Header,
    },
    error::{NodeError, NodeErrorKind},
    fleet::Meter,
};

/// Deadlines and retries of endpoints, by kind.
#[derive(Debug, Clone, Default)]
pub struct Tuning {
    /// Of Bitcoin Core.
    pub core: CoreTuning,
    /// Of Electrum servers.
    pub electrum: ElectrumTuning,
}

/// A client of one endpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Client {
    /// Gives bodies.
    Core(CoreClient),
    /// Gives headers.
    Electrum(ElectrumClient),
}

impl Client {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// What cannot be used as it is configured, and what to write instead.
    pub fn new(endpoint: Endpoint, chain: BitcoinChain, tuning: &Tuning) -> Result<Self, String> {
        match endpoint.kind() {
            Kind::Core => CoreClient::new(endpoint, chain, tuning.core.clone()).map(Self::Core),
            Kind::Electrum => ElectrumClient::new(endpoint, chain, tuning.electrum.clone()).map(Self::Electrum),
        }
    }

    /// The same client on its way through a fleet, where `others` can be asked or not, on this chain.
    #[must_use]
    pub(super) fn through(&self, meter: Arc<dyn Meter>, others: bool, chain: BitcoinChain) -> Self {
        match self {
            Self::Core(core) => Self::Core(core.through(meter, others).on(chain)),
            Self::Electrum(server) => Self::Electrum(server.through(meter, others).on(chain)),
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Core(_) => Kind::Core,
            Self::Electrum(_) => Kind::Electrum,
        }
    }

    /// The endpoint as configured.
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Core(core) => core.endpoint(),
            Self::Electrum(server) => server.endpoint(),
        }
    }

    /// An error of a call to it.
    pub fn error(&self, method: &str, height: Option<u64>, kind: NodeErrorKind) -> NodeError {
        match self {
            Self::Core(core) => core.error(method, height, kind),
            Self::Electrum(server) => server.error(method, height, kind),
        }
    }

    /// The first block's hash, whichever chain that is of.
    pub async fn genesis(&self) -> Result<BitcoinHash, NodeError> {
        match self {
            Self::Core(core) => core.genesis().await,
            Self::Electrum(server) => server.genesis().await,
        }
    }

    /// The newest block's height and header.
    pub async fn tip(&self) -> Result<(u64, Header), NodeError> {
        match self {
            Self::Core(core) => core.tip().await.map(|tip| (tip.height, tip.header)),
            Self::Electrum(server) => server.tip().await,
        }
    }

    /// The header at a height. Class `Empty` above the tip.
    pub async fn header_at(&self, height: u64) -> Result<Header, NodeError> {
        match self {
            Self::Core(core) => core.header_at(height).await.map(|at| at.header),
            Self::Electrum(server) => server.header_at(height).await,
        }
    }

    /// Linked headers from a height on: at least one, at most so many.
    pub async fn headers(&self, from: u64, count: usize) -> Result<Vec<Header>, NodeError> {
        match self {
            Self::Core(core) => {
                core.headers(from, count).await.map(|all| all.into_iter().map(|at| at.header).collect())
            }
            Self::Electrum(server) => server.headers(from, count).await,
        }
    }
}
