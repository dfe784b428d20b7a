//! A simulated EVM node: recorded blocks, replayed in a cycle as one valid chain.
//!
//! Guarantee: every block served links to the one below by a hash computed from its own header, and both roots hold; the
//! first appearance of a recorded block has the recorded transactions, each later one, on every branch, has its own: the same
//! but for a mark and their hashes, which no other block has; and with the same seed, settings and origin it is the same chain
//! after every restart, forks included (rule 25). Look-ups by hash know the transactions of the blocks that were served last
//! (131,072 of them), and recorded ones. Endpoints share the chain and nothing else: each has its own port, latency, limit, faults
//! and lies.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use loadtest::node::evm::{Clock, Config, Dataset, spawn};
//! let node = spawn(Config { clock: Clock::Manual, history: 100, ..Config::new(Dataset::embedded("ethereum")?) }).await?;
//! println!("{}", node.url());
//! node.advance(10)?;
//! node.fork(3)?;
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod chain;
mod client;
mod config;
mod content;
mod control;
mod dataset;
mod encode;
mod endpoint;
mod faults;
mod known;
mod lies;
mod limit;
mod recorded;
mod rpc;
mod server;
mod session;
mod shared;
mod staged;
mod stats;
mod template;
mod traces;
mod view;

pub use super::clock::{Clock, Schedule};
pub use super::error::Error;
pub use super::latency::Latency;
pub use super::origin::Origin;
pub use super::when::When;
pub use chain::Sealed;
pub use client::Client;
pub use config::Config;
pub use dataset::Dataset;
pub use endpoint::{Endpoint, EndpointConfig};
pub use faults::{Blocks, Fault, FaultKind};
pub use limit::{Limit, Refusal};
pub use recorded::{Facts, Recorded, Sealing};
pub use shared::{Canonical, HeadEvent};
pub use staged::Look;
pub use stats::Counts;

use super::tasks::Tasks;
use super::{dice, door, error, origin, socket};
use chain::{Chain, Plan};
use config::WINDOW;
use origin::{Identity, Timeline};
use schemas::limits::simulator::HEADS_BEHIND;
use shared::Shared;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// What the first endpoint is called.
pub const MAIN: &str = "main";

/// A running simulated node. Dropping it ends it.
pub struct Simulator {
    shared: Arc<Shared>,
    /// At least the first.
    endpoints: Vec<Arc<Endpoint>>,
    tasks: Tasks,
}

/// Starts a simulated node on the current runtime.
///
/// # Errors
/// When a setting is out of range, the origin belongs to another chain, or the address is taken.
pub async fn spawn(config: Config) -> Result<Simulator, Error> {
    let interval = config.clock.interval()?;
    let window = config.window.max(WINDOW);
    if let Some(forks) = config.forks
        && (forks.depth == 0 || forks.every == 0 || forks.depth >= window as u64)
    {
        let Schedule { depth, every } = forks;
        return Err(Error::Setting(format!(
            "forks of depth {depth} every {every}: both start at 1, and depth ends below the window of {window} blocks"
        )));
    }
    let chain_id = config.chain_id.unwrap_or_else(|| config.data.chain_id());
    let clocked = config.clock != Clock::Manual;
    let identity = Identity {
        seed: config.seed,
        chain_id,
        start: config.start_height,
        history: config.history,
        interval,
        clocked,
    };
    let first = EndpointConfig { listen: config.listen, faults: config.faults, ..EndpointConfig::new(MAIN) };
    let mut doors = Vec::with_capacity(1 + config.endpoints.len());
    for endpoint in std::iter::once(first).chain(config.endpoints) {
        if doors.iter().any(|(known, _): &(EndpointConfig, TcpListener)| known.name == endpoint.name) {
            return Err(Error::Setting(format!("two endpoints are called {:?}", endpoint.name)));
        }
        let listen = |source| Error::Listen { addr: endpoint.listen, source };
        let listener = TcpListener::bind(endpoint.listen).await.map_err(listen)?;
        doors.push((endpoint, listener));
    }
    let plan = Plan {
        seed: config.seed,
        chain_id,
        start: config.start_height,
        blocks: config.blocks,
        schedule: config.forks,
        window,
    };
    let (data, timeline) = (config.data.clone(), Timeline::open(config.origin, identity)?);
    // A long history takes a while.
    let made = tokio::task::spawn_blocking(move || Chain::new(data, timeline, plan)).await;
    let chain = made.map_err(|e| Error::Setting(format!("the chain could not be made: {e}")))?;
    let shared = Arc::new(Shared {
        data: config.data,
        chain: Mutex::new(chain),
        known: Mutex::default(),
        chain_id,
        finality_depth: config.finality_depth,
        safe_depth: config.safe_depth,
        gzip: config.gzip,
        heads: broadcast::channel(HEADS_BEHIND).0,
        endpoints: OnceLock::new(),
        shutdown: CancellationToken::new(),
    });
    let (mut endpoints, mut tasks) = (Vec::new(), Tasks::new(shared.shutdown.clone()));
    for (settings, listener) in doors {
        let addr = listener.local_addr().map_err(|source| Error::Listen { addr: settings.listen, source })?;
        let endpoint = Arc::new(Endpoint::new(settings, addr, shared.clone(), config.seed));
        tasks.start(door::run(endpoint.clone(), listener));
        endpoints.push(endpoint);
    }
    // Set once, here.
    let _ = shared.endpoints.set(endpoints.iter().map(Arc::downgrade).collect());
    if clocked {
        let clock = shared.clone();
        tasks.clock(async move { clock.tick().await });
    }
    Ok(Simulator { shared, endpoints, tasks })
}

impl Simulator {
    /// All its endpoints, the first ([`MAIN`]) first.
    #[must_use]
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// An endpoint by its name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.endpoints.iter().find(|endpoint| endpoint.name() == name).cloned()
    }

    fn main(&self) -> &Endpoint {
        &self.endpoints[0]
    }

    /// Where its first endpoint listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.main().addr()
    }

    /// JSON-RPC over HTTP, of the first endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.main().url()
    }

    /// JSON-RPC over a WebSocket, of the first endpoint.
    #[must_use]
    pub fn ws_url(&self) -> String {
        self.main().ws_url()
    }

    /// Its chain id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.shared.chain_id
    }

    /// The height of the head.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.shared.span().1
    }

    /// Goes `n` blocks on at once, as far as the chain goes. Returns the new head's height.
    ///
    /// # Errors
    /// When the order cannot be written down.
    pub fn advance(&self, n: u64) -> Result<u64, Error> {
        self.shared.advance(n)
    }

    /// Replaces the last `depth` blocks; the head's height stays. Returns it.
    ///
    /// # Errors
    /// When the chain is not so long, or the order cannot be written down.
    pub fn fork(&self, depth: u64) -> Result<u64, Error> {
        self.fork_and_advance(depth, 0)
    }

    /// Replaces the last `depth` blocks by a branch that is `more` blocks longer. Returns the new head's height.
    ///
    /// # Errors
    /// When the chain is not so long, or the order cannot be written down.
    pub fn fork_and_advance(&self, depth: u64, more: u64) -> Result<u64, Error> {
        self.shared.fork(depth, more)
    }

    /// Adds a fault to the first endpoint.
    pub fn fault(&self, fault: Fault) {
        self.main().fault(fault);
    }

    /// Removes all faults of the first endpoint.
    pub fn clear_faults(&self) {
        self.main().clear_faults();
    }

    /// Each fault of the first endpoint as it was written, with how often it hit.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, u64)> {
        self.main().faults()
    }

    /// Ends all WebSockets of the first endpoint, without a farewell.
    pub fn drop_websockets(&self) {
        self.main().drop_websockets();
    }

    /// The present canonical chain at `heights`, as far as it exists.
    #[must_use]
    pub fn canonical(&self, heights: RangeInclusive<u64>) -> Vec<Canonical> {
        self.shared.canonical(heights)
    }

    /// Hears of every new head, replaced branches included. A receiver that is 4,096 heads behind misses some and is told.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<HeadEvent> {
        self.shared.heads.subscribe()
    }

    /// What the first endpoint was asked and what it served.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.main().counts()
    }

    /// Ends it, and waits at most five seconds for requests that are being answered.
    pub async fn shutdown(self) {
        self.tasks.end().await;
    }
}
