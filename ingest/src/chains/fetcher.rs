//! Blocks in order, fetched in parallel.
//!
//! Guarantee: bounded (at most `max` blocks are in flight or waiting; of all networks together, those beyond the first of each are
//! counted too), in order, and adaptive: a node that throttles or times out is asked for fewer at a time, one that answers for more.

use std::{collections::VecDeque, sync::Arc};

use nodes::{ChainSource, NodeError, NodeErrorKind, SourceBlock};
use schemas::{
    BlockHash, TimeMs,
    limits::{INGEST_FETCHES, INGEST_FILL_FETCHES},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

/// A block and when it was first seen.
pub struct Fetched<B> {
    /// The block.
    pub block: B,
    /// When its answer was complete.
    pub observed_at: TimeMs,
}

type Node<B> = Arc<dyn ChainSource<Block = B>>;
type Task<B> = AbortOnDropHandle<Result<Fetched<B>, NodeError>>;

/// Blocks that all networks of a process fetch ahead together. The block that a network waits for needs none of these places, so that
/// no network waits for another.
#[derive(Clone)]
pub struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(INGEST_FETCHES)))
    }
}

/// The same for what is fetched beside the stream (rule 5): places of its own, so that it never takes one of the stream's.
#[derive(Clone)]
pub struct FillPlaces(Places);

impl Default for FillPlaces {
    fn default() -> Self {
        Self(Places(Arc::new(Semaphore::new(INGEST_FILL_FETCHES))))
    }
}

/// A block on its way, with its place where it is not the first.
struct Ahead<B> {
    height: u64,
    task: Task<B>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Fetches ahead of the watcher.
pub struct Fetcher<B> {
    node: Node<B>,
    window: VecDeque<Ahead<B>>,
    places: Places,
    width: f64,
    max: usize,
    /// Whether final heights are fetched beside the stream.
    history: bool,
}

impl<B: SourceBlock> Fetcher<B> {
    /// At most `max` blocks at a time; begins with two.
    pub fn new(node: Node<B>, max: usize, places: Places) -> Self {
        Self { node, window: VecDeque::new(), places, width: 2.0, max: max.max(1), history: false }
    }

    /// The same for final heights beside the stream.
    pub fn of_history(node: Node<B>, max: usize, places: FillPlaces) -> Self {
        Self { history: true, ..Self::new(node, max, places.0) }
    }

    /// The block at `from`, with those after it up to `to` on their way. `hash`: what is expected at `from`, where a head told it.
    /// Cancel-safe.
    pub async fn next(&mut self, from: u64, to: u64, hash: Option<&BlockHash>) -> Result<Fetched<B>, NodeError> {
        // What lies below is not wanted any more: there was no block.
        while self.window.pop_front_if(|ahead| ahead.height < from).is_some() {}
        if self.window.front().is_none_or(|ahead| ahead.height != from) {
            self.clear();
        }
        self.fill(from, to, hash);
        let outcome = match self.window.front_mut() {
            Some(ahead) => (&mut ahead.task).await,
            None => return self.fetch_here(from, hash).await,
        };
        self.window.pop_front();
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // The task was ended from outside, as at shutdown: once more, here.
            Err(_) => return self.fetch_here(from, hash).await,
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

    fn fill(&mut self, from: u64, to: u64, hash: Option<&BlockHash>) {
        let mut height = self.window.back().map_or(from, |ahead| ahead.height + 1);
        while self.window.len() < (self.width as usize).max(1) && height <= to {
            let place = match self.window.is_empty() {
                true => None,
                false => match self.places.0.clone().try_acquire_owned() {
                    Ok(place) => Some(place),
                    Err(_) => return, // as many are on their way as may be
                },
            };
            let (node, history) = (self.node.clone(), self.history);
            let hash = hash.filter(|_| height == from).cloned();
            let task = tokio::spawn(async move { fetch(&*node, history, height, hash.as_ref()).await });
            self.window.push_back(Ahead { height, task: AbortOnDropHandle::new(task), _place: place });
            height += 1;
        }
    }

    async fn fetch_here(&self, height: u64, hash: Option<&BlockHash>) -> Result<Fetched<B>, NodeError> {
        fetch(&*self.node, self.history, height, hash).await
    }

    /// Forgets what is on its way: it may be of another branch.
    pub fn clear(&mut self) {
        self.window.clear();
    }
}

async fn fetch<B: SourceBlock>(
    node: &dyn ChainSource<Block = B>,
    history: bool,
    height: u64,
    hash: Option<&BlockHash>,
) -> Result<Fetched<B>, NodeError> {
    let block = if history { node.fetch_history(height).await? } else { node.fetch(height, hash).await? };
    Ok(Fetched { block, observed_at: TimeMs::now() })
}
