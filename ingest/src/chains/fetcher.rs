//! Blocks in order, fetched in parallel.
//!
//! Guarantee: bounded (at most `max` blocks are in flight or waiting), in order, and adaptive: a node that throttles or times
//! out is asked for fewer at a time, one that answers for more.

use std::{collections::VecDeque, sync::Arc};

use nodes::{
    NodeError, NodeErrorKind,
    evm::{EvmBlock, EvmSource},
};
use schemas::TimeMs;
use tokio_util::task::AbortOnDropHandle;

/// A block and when it was first seen.
pub struct Fetched {
    /// The block.
    pub block: EvmBlock,
    /// When its answer was complete.
    pub observed_at: TimeMs,
}

type Task = AbortOnDropHandle<Result<Fetched, NodeError>>;

/// Fetches ahead of the watcher.
pub struct Fetcher {
    node: Arc<dyn EvmSource>,
    window: VecDeque<(u64, Task)>,
    width: f64,
    max: usize,
}

impl Fetcher {
    /// At most `max` blocks at a time; begins with two.
    pub fn new(node: Arc<dyn EvmSource>, max: usize) -> Self {
        Self { node, window: VecDeque::new(), width: 2.0, max: max.max(1) }
    }

    /// The block at `from`, with those after it up to `to` on their way. Cancel-safe.
    pub async fn next(&mut self, from: u64, to: u64) -> Result<Fetched, NodeError> {
        if self.window.front().is_none_or(|(height, _)| *height != from) {
            self.clear();
        }
        self.fill(from, to);
        let outcome = match self.window.front_mut() {
            Some((_, task)) => task.await,
            None => return self.fetch_here(from).await,
        };
        self.window.pop_front();
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // The task was ended from outside, as at shutdown: once more, here.
            Err(_) => return self.fetch_here(from).await,
        };
        match &outcome {
            Ok(_) => self.width = (self.width + 1.0 / self.width).min(self.max as f64),
            Err(e) if matches!(e.kind, NodeErrorKind::Throttled(..) | NodeErrorKind::Timeout(_)) => {
                self.width = (self.width / 2.0).max(1.0);
                self.clear();
            }
            Err(_) => {}
        }
        outcome
    }

    fn fill(&mut self, from: u64, to: u64) {
        let mut height = self.window.back().map_or(from, |(h, _)| h + 1);
        while self.window.len() < (self.width as usize).max(1) && height <= to {
            let node = self.node.clone();
            let task = tokio::spawn(async move { fetch(&*node, height).await });
            self.window.push_back((height, AbortOnDropHandle::new(task)));
            height += 1;
        }
    }

    async fn fetch_here(&self, height: u64) -> Result<Fetched, NodeError> {
        fetch(&*self.node, height).await
    }

    /// Forgets what is on its way: it may be of another branch.
    pub fn clear(&mut self) {
        self.window.clear();
    }
}

async fn fetch(node: &dyn EvmSource, height: u64) -> Result<Fetched, NodeError> {
    let block = node.fetch(height).await?;
    Ok(Fetched { block, observed_at: TimeMs::now() })
}
