//! Chains that grow at a steady rate of blocks and fork now and then, each as its seed says.

use crate::failure::Failure;
use crate::node::evm::{Clock, Config, Dataset, Simulator, spawn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Recorded chains that are replayed.
const CHAINS: [&str; 3] = ["ethereum", "optimism", "polygon"];
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

/// A chain and its recorded blocks.
pub struct Chain {
    /// Name of the network.
    pub slug: &'static str,
    /// Its node.
    pub node: Simulator,
    /// What it replays.
    pub data: Arc<Dataset>,
    /// Forks so far.
    pub forks: AtomicU64,
}

/// Starts the nodes.
///
/// # Errors
/// When a node cannot listen.
pub async fn start() -> Result<Vec<Arc<Chain>>, Failure> {
    let mut chains = Vec::new();
    for slug in CHAINS {
        let data = Arc::new(Dataset::embedded(slug)?);
        let node = spawn(Config { clock: Clock::Manual, history: HISTORY, ..Config::new(data.clone()) }).await?;
        chains.push(Arc::new(Chain { slug, node, data, forks: AtomicU64::new(0) }));
    }
    Ok(chains)
}

/// Blocks per second of each chain that make so many transactions per second of all together.
pub fn blocks_per_second(chains: &[Arc<Chain>], transactions: f64) -> f64 {
    let mean = |chain: &Arc<Chain>| {
        let counts: u64 = chain.data.blocks().iter().map(|b| b.facts().tx_count).sum();
        counts as f64 / chain.data.blocks().len() as f64
    };
    transactions / chains.iter().map(mean).sum::<f64>()
}

impl Chain {
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
                self.node.fork_and_advance(random.u64(1..=most), random.u64(0..3))?;
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
