//! Chains that grow a block at a time, each in its turn, and of which it is known what has not arrived yet.

use crate::arrivals::Arrivals;
use crate::failure::Failure;
use crate::node::evm::{Clock, Config, Dataset, Simulator, spawn};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Blocks beyond the first that every chain has before.
const HISTORY: u64 = 3;

/// See the module.
pub(crate) struct Chains {
    /// By the slug of their network.
    pub nodes: Vec<(String, Simulator)>,
    /// When a block was made that has not arrived.
    pub made: HashMap<(String, u64), Instant>,
    /// How often one grew.
    turn: usize,
}

impl Chains {
    /// So many, each of a simulated node of its own.
    ///
    /// # Errors
    /// A node cannot be started.
    pub(crate) async fn spawn(many: u64) -> Result<Self, Failure> {
        let data = Arc::new(Dataset::embedded("optimism")?);
        let mut nodes = Vec::new();
        for n in 0..many {
            let config = Config { clock: Clock::Manual, history: HISTORY, seed: n, ..Config::new(data.clone()) };
            nodes.push((format!("net-{n}"), spawn(config).await?));
        }
        Ok(Self { nodes, made: HashMap::new(), turn: 0 })
    }

    /// Nothing is awaited any more, and the first is the next to grow.
    pub(crate) fn begin(&mut self) {
        self.made.clear();
        self.turn = 0;
    }

    /// The next one grows by a block.
    ///
    /// # Errors
    /// The node does not make it.
    pub(crate) fn grow(&mut self) -> Result<(), Failure> {
        let (slug, node) = &self.nodes[self.turn % self.nodes.len()];
        self.turn += 1;
        let head = node.advance(1)?;
        self.made.insert((slug.clone(), head), Instant::now());
        Ok(())
    }

    /// How many have a head that has not arrived.
    pub(crate) fn missing(&self, seen: &Arrivals) -> usize {
        self.nodes.iter().filter(|(slug, node)| seen.height(slug) < node.head()).count()
    }
}
