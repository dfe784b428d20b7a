//! A simulated EVM node: recorded blocks, replayed in a cycle as one valid chain.
//!
//! Guarantee: every block served links to the one below by a hash computed from its own header, transactions and receipts
//! are the recorded ones, so both roots hold; and with the same seed, settings and origin it is the same chain after every
//! restart, forks included (rule 25). A replayed transaction occurs again one cycle later: look-ups by hash give the newest.
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
mod dataset;
mod error;
mod faults;
mod origin;
mod recorded;
mod rpc;
mod server;
mod stats;
mod template;

pub use chain::{Schedule, Sealed};
pub use dataset::Dataset;
pub use error::Error;
pub use faults::{Fault, FaultKind, When};
pub use origin::Origin;
pub use recorded::{Facts, Recorded, Sealing};
pub use stats::Counts;

use alloy_primitives::B256;
use chain::{Chain, Plan};
use faults::Faults;
use origin::{Identity, Timeline};
use schemas::limits::simulator::HEADS_BEHIND;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Canonical blocks kept in memory at least.
const WINDOW: usize = 4096;

/// What makes blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clock {
    /// Time: so many blocks a second.
    Rate(f64),
    /// Orders only ([`Simulator::advance`], `sim_advance`). Timestamps are one second apart.
    Manual,
}

/// A simulated node's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is replayed.
    pub data: Arc<Dataset>,
    /// Default: a free port on 127.0.0.1.
    pub listen: SocketAddr,
    /// Another seed is another chain.
    pub seed: u64,
    /// Default: the data set's.
    pub chain_id: Option<u64>,
    /// The first height; nothing is known below it. Default 1.
    pub start_height: u64,
    /// Blocks beyond the first that exist at the origin. Default 0.
    pub history: u64,
    /// Default: one block in two seconds.
    pub clock: Clock,
    /// The chain ends after so many blocks. Default: endless.
    pub blocks: Option<u64>,
    /// Forks on a schedule. Default: none.
    pub forks: Option<Schedule>,
    /// Default: now.
    pub origin: Origin,
    /// Faults from the start on. Default: none.
    pub faults: Vec<Fault>,
    /// How far `finalized` is behind the head. Default 64.
    pub finality_depth: u64,
    /// How far `safe` is behind the head. Default 32.
    pub safe_depth: u64,
    /// Canonical blocks kept in memory, at least 4,096 (default 8,192); deeper ones are computed again when asked for.
    pub window: usize,
    /// Compress answers for clients that accept gzip. Default: no.
    pub gzip: bool,
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new(data: impl Into<Arc<Dataset>>) -> Self {
        Self {
            data: data.into(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            seed: 0,
            chain_id: None,
            start_height: 1,
            history: 0,
            clock: Clock::Rate(0.5),
            blocks: None,
            forks: None,
            origin: Origin::Now,
            faults: Vec::new(),
            finality_depth: 64,
            safe_depth: 32,
            window: 2 * WINDOW,
            gzip: false,
        }
    }
}

/// One canonical block, as a test compares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canonical {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block below.
    pub parent_hash: B256,
    /// Unix time in seconds.
    pub timestamp: u64,
    /// Counts from its receipts.
    #[serde(flatten)]
    pub facts: Facts,
    /// The recorded block that it replays: `chain/number`.
    pub recorded: String,
    /// How often a fork has replaced this height.
    pub version: u32,
}

/// A block became visible as the head.
#[derive(Clone, Copy, Debug)]
pub struct HeadEvent {
    /// The block.
    pub block: Sealed,
    /// Its transactions.
    pub tx_count: u64,
    /// When requests began to see it.
    pub at: Instant,
    /// The same as wall-clock time.
    pub wall: SystemTime,
}

pub(crate) struct Shared {
    data: Arc<Dataset>,
    chain: Mutex<Chain>,
    chain_id: u64,
    finality_depth: u64,
    safe_depth: u64,
    gzip: bool,
    faults: Faults,
    stats: stats::Stats,
    heads: broadcast::Sender<HeadEvent>,
    drops: watch::Sender<u64>,
    sockets: Arc<tokio::sync::Semaphore>,
    shutdown: CancellationToken,
}

impl Shared {
    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn span(&self) -> (u64, u64) {
        let chain = self.chain();
        (chain.start(), chain.head().height)
    }

    /// Tells subscribers of new heads, in order. Called while no lock is held.
    fn publish(&self, new: Vec<Sealed>) {
        let (at, wall) = (Instant::now(), SystemTime::now());
        for block in new {
            let tx_count = self.data.blocks()[block.recorded].facts().tx_count;
            // No subscriber is no mistake.
            let _ = self.heads.send(HeadEvent { block, tx_count, at, wall });
        }
    }

    fn advance(&self, n: u64) -> Result<u64, Error> {
        let mut chain = self.chain();
        let new = chain.advance(n)?;
        let head = chain.head().height;
        drop(chain);
        self.publish(new);
        Ok(head)
    }

    fn fork(&self, depth: u64, more: u64) -> Result<u64, Error> {
        let mut chain = self.chain();
        let new = chain.fork(depth, more)?;
        let head = chain.head().height;
        drop(chain);
        self.publish(new);
        Ok(head)
    }

    fn fault(&self, fault: Fault) {
        let head = self.chain().head().height;
        self.faults.add(fault, head);
    }

    fn drop_websockets(&self) {
        self.drops.send_modify(|n| *n += 1);
    }

    fn canonical(&self, heights: RangeInclusive<u64>) -> Vec<Canonical> {
        let blocks = self.chain().range(heights);
        let describe = |block: Sealed| {
            let recorded = &self.data.blocks()[block.recorded];
            Canonical {
                height: block.height,
                hash: block.hash,
                parent_hash: block.parent,
                timestamp: block.timestamp,
                facts: recorded.facts(),
                recorded: recorded.name().to_owned(),
                version: block.version,
            }
        };
        blocks.into_iter().map(describe).collect()
    }

    /// Makes blocks as time passes, until the chain's end.
    async fn tick(&self) -> Result<(), Error> {
        loop {
            let due = {
                let mut chain = self.chain();
                if chain.ended() {
                    return Ok(());
                }
                let next = chain.head().height + 1;
                let due = chain.timeline.time_ms(next);
                if chain.timeline.head() >= next {
                    chain.timeline.reach(next)?;
                    let new = chain.step();
                    drop(chain);
                    self.publish(new);
                    continue;
                }
                due
            };
            let wait = due.saturating_sub(origin::now_ms()).clamp(1, 1000);
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
        }
    }
}

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
    let chain = Chain::new(config.data.clone(), Timeline::open(config.origin, identity)?, plan);
    let shared = Arc::new(Shared {
        data: config.data,
        chain: Mutex::new(chain),
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
