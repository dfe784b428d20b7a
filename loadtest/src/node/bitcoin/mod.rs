//! A simulated Bitcoin node and simulated Electrum servers over one chain: recorded transactions, replayed in a cycle as a valid chain of
//! regtest's difficulty, or recorded blocks as they are.
//!
//! Guarantee: every header links to the one below, meets its target and has its transactions' merkle root, witness commitments hold, no
//! two transactions have one id, and what is spent is told by both ways alike (`/rest/spenttxouts`, `getblock` 3); with the same
//! seed, settings and origin it is the same chain after every restart, forks included (rule 25). Signatures, subsidies and what
//! was spent before are not a node's. Endpoints share the chain and nothing else: each has its own port, kind, latency and faults.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use loadtest::node::bitcoin::{Clock, Config, Dataset, EndpointConfig, spawn};
//! let endpoints = vec![EndpointConfig::core("core"), EndpointConfig::electrum("electrum")];
//! let data = Dataset::embedded("small")?;
//! let node = spawn(Config { clock: Clock::Manual, history: 100, ..Config::new(data, endpoints) }).await?;
//! node.advance(10)?;
//! node.fork_and_advance(3, 1)?;
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod block;
mod branch;
mod chain;
mod config;
mod core;
mod dataset;
mod electrum;
mod endpoint;
mod faults;
mod kept;
mod maker;
mod orders;
mod prevout;
mod recorded;
mod server;
mod shared;
mod told;
mod wire;
mod zmq;

pub use super::clock::{Clock, Schedule};
pub use super::error::Error;
pub use super::latency::Latency;
pub use super::origin::Origin;
pub use super::when::When;
pub use config::{Config, EndpointConfig, Kind, Protocol};
pub use dataset::Dataset;
pub use endpoint::{Counts, Endpoint};
pub use faults::{Fault, FaultKind};
pub use shared::HeadEvent;
pub use told::{Canonical, Told};

use super::door;
use super::origin::{Identity, Timeline};
use super::tasks::Tasks;
use chain::{Chain, Plan, WINDOW};
use kept::Kept;
use maker::Maker;
use schemas::bitcoin::BitcoinChain;
use schemas::limits::simulator::HEADS_BEHIND;
use shared::Shared;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// A running simulated chain with its endpoints. Dropping it ends it.
pub struct Simulator {
    shared: Arc<Shared>,
    chain: BitcoinChain,
    /// At least one.
    endpoints: Vec<Arc<Endpoint>>,
    tasks: Tasks,
}

/// Starts a simulated chain and its endpoints on the current runtime.
///
/// # Errors
/// When a setting is out of range, the origin belongs to another chain, or an address is taken.
pub async fn spawn(config: Config) -> Result<Simulator, Error> {
    let interval = config.clock.interval()?;
    let chain = config.data.chain();
    let replays = chain == BitcoinChain::Regtest;
    if let Some(Schedule { depth, every }) = config.forks
        && (depth == 0 || every == 0 || depth >= WINDOW || !replays)
    {
        return Err(Error::Setting(format!(
            "forks of depth {depth} every {every}: both start at 1, depth ends below {WINDOW}, and a recorded chain has none"
        )));
    }
    if config.endpoints.is_empty() {
        return Err(Error::Setting("a simulated chain wants an endpoint".into()));
    }
    let clocked = config.clock != Clock::Manual;
    let identity = Identity {
        seed: config.seed,
        // Of an EVM chain; here the one chain that is replayed, or the one that is served as it is.
        chain_id: u64::from(!replays),
        start: u64::from(replays),
        history: config.history,
        interval,
        clocked,
    };
    let mut doors = Vec::with_capacity(config.endpoints.len());
    for endpoint in config.endpoints {
        if doors
            .iter()
            .any(|(known, ..): &(EndpointConfig, TcpListener, Option<TcpListener>)| known.name == endpoint.name)
        {
            return Err(Error::Setting(format!("two endpoints are called {:?}", endpoint.name)));
        }
        let listen = |source| Error::Listen { addr: endpoint.listen, source };
        let listener = TcpListener::bind(endpoint.listen).await.map_err(listen)?;
        let zmq = match endpoint.kind == Kind::Core && endpoint.zmq {
            true => Some(TcpListener::bind((endpoint.listen.ip(), 0)).await.map_err(listen)?),
            false => None,
        };
        doors.push((endpoint, listener, zmq));
    }
    let kept = match &config.origin {
        Origin::File { path, .. } if replays => Some(Kept::open(path.with_extension("headers"))?),
        _ => None,
    };
    let plan = Plan { blocks: config.blocks, schedule: config.forks, cache: config.cache_bytes, kept };
    let maker = Arc::new(Maker { data: config.data, seed: config.seed });
    let timeline = Timeline::open(config.origin, identity)?;
    // A long history takes a while.
    let made = tokio::task::spawn_blocking(move || Chain::new(maker, timeline, plan)).await;
    let made = made.map_err(|e| Error::Setting(format!("the chain could not be made: {e}")))??;
    let shared = Arc::new(Shared {
        chain: Mutex::new(made),
        heads: broadcast::channel(HEADS_BEHIND).0,
        endpoints: OnceLock::new(),
        shutdown: CancellationToken::new(),
    });
    let (mut endpoints, mut tasks) = (Vec::new(), Tasks::new(shared.shutdown.clone()));
    for (settings, listener, zmq) in doors {
        let listen = |source| Error::Listen { addr: settings.listen, source };
        let addr = listener.local_addr().map_err(listen)?;
        let told = zmq.as_ref().map(TcpListener::local_addr).transpose().map_err(listen)?;
        let endpoint = Arc::new(Endpoint::new(settings, (addr, told), shared.clone(), config.seed));
        if let Some(zmq) = zmq {
            tasks.start(zmq::serve(endpoint.clone(), zmq));
        }
        tasks.start(door::run(endpoint.clone(), listener));
        endpoints.push(endpoint);
    }
    // Set once, here.
    let _ = shared.endpoints.set(endpoints.iter().map(Arc::downgrade).collect());
    if clocked {
        let clock = shared.clone();
        tasks.clock(async move { clock.tick().await });
    }
    Ok(Simulator { shared, chain, endpoints, tasks })
}

impl Simulator {
    /// All its endpoints, in the order of the settings.
    #[must_use]
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// An endpoint by its name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.endpoints.iter().find(|endpoint| endpoint.name() == name).cloned()
    }

    /// Which chain it is.
    #[must_use]
    pub fn chain(&self) -> BitcoinChain {
        self.chain
    }

    /// What stands in a configuration behind its slug: these further keys, and all its endpoints, each of an operator of its own.
    #[must_use]
    pub fn section(&self, keys: &str) -> String {
        let mut lines = format!("family = \"bitcoin\"\nchain = \"{}\"\nstart = 1\n{keys}", self.chain);
        for endpoint in &self.endpoints {
            let (name, url) = (endpoint.name(), endpoint.url());
            let zmq = endpoint.zmq_url().map(|url| format!("zmq = \"{url}\"\n")).unwrap_or_default();
            lines += &format!("[[network.endpoint]]\nname = \"{name}\"\noperator = \"{name}\"\nurl = \"{url}\"\n{zmq}");
        }
        lines
    }

    /// The height of the head.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.shared.head()
    }

    /// Goes `n` blocks on at once, as far as the chain goes. Returns the new head's height.
    ///
    /// # Errors
    /// When the order cannot be written down.
    pub fn advance(&self, n: u64) -> Result<u64, Error> {
        self.shared.advance(n)
    }

    /// Replaces the last `depth` blocks by a branch that is `more` blocks longer: with none it has no more work, and no node would follow
    /// it. Returns the new head's height.
    ///
    /// # Errors
    /// When the chain is not so long or is served as it is, or the order cannot be written down.
    pub fn fork_and_advance(&self, depth: u64, more: u64) -> Result<u64, Error> {
        self.shared.fork(depth, more)
    }

    /// The present canonical chain at `heights`, as far as it exists.
    #[must_use]
    pub fn canonical(&self, heights: RangeInclusive<u64>) -> Vec<Canonical> {
        self.shared.canonical(heights)
    }

    /// The transactions of the canonical block at a height.
    #[must_use]
    pub fn transactions(&self, height: u64) -> Vec<Told> {
        self.shared.told(height)
    }

    /// Hears of every new head. A receiver that is 4,096 heads behind misses some and is told.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<HeadEvent> {
        self.shared.heads.subscribe()
    }

    /// Ends it, and waits at most five seconds for calls that are being answered.
    pub async fn shutdown(self) {
        self.tasks.end().await;
    }
}
