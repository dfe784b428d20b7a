//! A simulated EVM node: recorded blocks, replayed in a cycle as one valid chain.
//!
//! Guarantee: every block served links to the one below by a hash computed from its own header, and both roots hold; the
//! first appearance of a recorded block has the recorded transactions, each later one, on every branch, has its own: the same
//! but for a mark and their hashes, which no other block has; and with the same seed, settings and origin it is the same chain
//! after every restart, forks included (rule 25). Look-ups by hash know the transactions of the blocks that were served last
//! (131,072 of them), and recorded ones.
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
mod config;
mod content;
mod dataset;
mod encode;
mod error;
mod faults;
mod known;
mod origin;
mod recorded;
mod rpc;
mod server;
mod shared;
mod stats;
mod template;

pub use chain::{Schedule, Sealed};
pub use config::{Clock, Config};
pub use dataset::Dataset;
pub use error::Error;
pub use faults::{Fault, FaultKind, When};
pub use origin::Origin;
pub use recorded::{Facts, Recorded, Sealing};
pub use shared::{Canonical, HeadEvent};
pub use stats::Counts;

use chain::{Chain, Plan};
use config::WINDOW;
use faults::Faults;
use origin::{Identity, Timeline};
use schemas::limits::simulator::HEADS_BEHIND;
use shared::Shared;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running simulated node. Dropping it ends it.
pub struct Simulator {
    addr: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a simulated node on the current runtime.
///
/// # Errors
/// When a setting is out of range, the origin belongs to another chain, or the address is taken.
pub async fn spawn(config: Config) -> Result<Simulator, Error> {
    let interval = match config.clock {
        Clock::Manual => Duration::from_secs(1),
        Clock::Rate(rate) if rate.is_finite() && (1e-6..=1e6).contains(&rate) => Duration::from_secs_f64(1.0 / rate),
        Clock::Rate(rate) => {
            return Err(Error::Setting(format!(
                "a rate of {rate} blocks per second: possible is 0.000001 to 1,000,000"
            )));
        }
    };
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
    let listen = |source| Error::Listen { addr: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;
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
        faults: Faults::new(config.seed),
        stats: stats::Stats::default(),
        heads: broadcast::channel(HEADS_BEHIND).0,
        drops: watch::channel(0).0,
        sockets: server::socket_permits(),
        shutdown: CancellationToken::new(),
    });
    config.faults.into_iter().for_each(|fault| shared.fault(fault));
    let mut tasks = Vec::new();
    let server = shared.clone();
    tasks.push(tokio::spawn(async move {
        if let Err(error) = server::serve(server.clone(), listener, server.shutdown.clone()).await {
            tracing::error!(%error, "the simulated node's server ended");
        }
    }));
    if clocked {
        let clock = shared.clone();
        tasks.push(tokio::spawn(async move {
            if let Err(error) = clock.tick().await {
                tracing::error!(%error, "the simulated chain stands still");
            }
        }));
    }
    Ok(Simulator { addr, shared, tasks })
}

impl Simulator {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// JSON-RPC over HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// JSON-RPC over a WebSocket.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.addr)
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

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        self.shared.fault(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Each fault as it was written, with how often it hit.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, u64)> {
        self.shared.faults.list()
    }

    /// Ends all WebSockets, without a farewell.
    pub fn drop_websockets(&self) {
        self.shared.drop_websockets();
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

    /// What it was asked and what it served.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.stats.snapshot()
    }

    /// Ends it, and waits at most five seconds for requests that are being answered.
    pub async fn shutdown(mut self) {
        self.shared.shutdown.cancel();
        for task in &mut self.tasks {
            // A task that panicked or takes too long is aborted by the drop.
            let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.shutdown.cancel();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
