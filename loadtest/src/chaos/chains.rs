//! Chains that grow at a steady rate of blocks and fork now and then, each as its seed says.

use crate::cluster::Endpoint;
use crate::failure::Failure;
use crate::node::bitcoin;
use crate::node::evm::{Clock, Config, Dataset, Simulator, spawn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Recorded chains that are replayed.
const CHAINS: [&str; 3] = ["ethereum", "optimism", "polygon"];
/// The Bitcoin chain beside them: blocks from a node, heads from a server too.
const BITCOIN: &str = "bitcoin";
/// How often a chain may grow.
const TICK: Duration = Duration::from_millis(200);
/// One tick in so many is a fork …
const FORK_TICKS: u32 = 50;
/// … and one fork in so many may be as deep as [`DEEPEST`]; the others have depths of 1 to 4.
const DEEP_FORKS: u32 = 8;
/// Deepest fork, in blocks.
const DEEPEST: u64 = 64;
/// Blocks that are there at the beginning.
const HISTORY: u64 = 80;

/// A chain and its node.
pub struct Chain {
    /// Name of the network.
    pub slug: &'static str,
    /// Its node.
    pub node: Node,
    /// Transactions of the blocks that it replays, on average.
    mean: f64,
    /// Forks so far.
    pub forks: AtomicU64,
}

/// A node of one family or another.
pub enum Node {
    /// Of an EVM chain.
    Evm(Simulator),
    /// Of a Bitcoin chain.
    Bitcoin(bitcoin::Simulator),
}

/// Starts the nodes.
///
/// # Errors
/// When a node cannot listen.
pub async fn start() -> Result<Vec<Arc<Chain>>, Failure> {
    let mut chains = Vec::new();
    for slug in CHAINS {
        let data = Arc::new(Dataset::embedded(slug)?);
        let counts: Vec<u64> = data.blocks().iter().map(|block| block.facts().tx_count).collect();
        let node = spawn(Config { clock: Clock::Manual, history: HISTORY, ..Config::new(data) }).await?;
        chains.push(Chain::new(slug, Node::Evm(node), &counts));
    }
    let data = bitcoin::Dataset::embedded("small")?;
    let (counts, endpoints) = (
        data.counts(),
        vec![
            bitcoin::EndpointConfig { zmq: true, ..bitcoin::EndpointConfig::core("core") },
            bitcoin::EndpointConfig::electrum("electrum"),
        ],
    );
    let config = bitcoin::Config { clock: Clock::Manual, history: HISTORY, ..bitcoin::Config::new(data, endpoints) };
    chains.push(Chain::new(BITCOIN, Node::Bitcoin(bitcoin::spawn(config).await?), &counts));
    Ok(chains)
}

/// Blocks per second of each chain that make so many transactions per second of all together.
pub fn blocks_per_second(chains: &[Arc<Chain>], transactions: f64) -> f64 {
    transactions / chains.iter().map(|chain| chain.mean).sum::<f64>()
}

impl Node {
    /// The height of its head.
    pub fn head(&self) -> u64 {
        match self {
            Self::Evm(node) => node.head(),
            Self::Bitcoin(node) => node.head(),
        }
    }

    /// The hash of its head, as rows have it.
    pub fn tip(&self) -> Option<String> {
        match self {
            Self::Evm(node) => node.canonical(node.head()..=node.head()).pop().map(|block| block.hash.to_string()),
            Self::Bitcoin(node) => node.canonical(node.head()..=node.head()).pop().map(|block| block.hash),
        }
    }

    /// As a configuration names it.
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Evm(node) => Endpoint::from(node),
            Self::Bitcoin(node) => Endpoint::from(node),
        }
    }

    fn advance(&self, n: u64) -> Result<(), Failure> {
        match self {
            Self::Evm(node) => node.advance(n)?,
            Self::Bitcoin(node) => node.advance(n)?,
        };
        Ok(())
    }

    fn fork(&self, depth: u64, more: u64) -> Result<(), Failure> {
        match self {
            Self::Evm(node) => node.fork_and_advance(depth, more)?,
            // No node follows a branch that has no more work.
            Self::Bitcoin(node) => node.fork_and_advance(depth, more.max(1))?,
        };
        Ok(())
    }
}

impl Chain {
    fn new(slug: &'static str, node: Node, counts: &[u64]) -> Arc<Self> {
        let mean = counts.iter().sum::<u64>() as f64 / counts.len().max(1) as f64;
        Arc::new(Self { slug, node, mean, forks: AtomicU64::new(0) })
    }

    /// Grows by so many blocks per second until it is told to stop.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn grow(&self, seed: u64, rate: f64, stop: CancellationToken) -> Result<(), Failure> {
        let mut random = fastrand::Rng::with_seed(seed);
        let (begun, mut made) = (Instant::now(), 0_u64);
        while !stop.is_cancelled() {
            if random.u32(0..FORK_TICKS) == 0 {
                let most = if random.u32(0..DEEP_FORKS) == 0 { DEEPEST } else { 4 };
                self.node.fork(random.u64(1..=most), random.u64(0..3))?;
                self.forks.fetch_add(1, Ordering::Relaxed);
            }
            let due = (begun.elapsed().as_secs_f64() * rate) as u64;
            if due > made {
                self.node.advance(due - made)?;
                made = due;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        Ok(())
    }
}
