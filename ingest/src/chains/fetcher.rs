//! Blocks in order, fetched in parallel, several in one question where the source likes that.
//!
//! Guarantee: bounded (at most `max` questions are in flight or waiting; of all networks together, those beyond the first of each are
//! counted too; one is about a block, or about as many small ones as the source takes [at once](ChainSource::at_once)), in order, and
//! adaptive: a node that throttles or times out is asked for fewer at a time, one that answers for more. Near the head each block comes by
//! itself, so that none waits for another.

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
type Task<B> = AbortOnDropHandle<Result<VecDeque<Fetched<B>>, NodeError>>;

/// So near to the last height that is wanted, blocks of the stream come by themselves.
const NEAR: u64 = 8;

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

/// Heights that are on their way, with their place where they are not the first.
struct Ahead<B> {
    from: u64,
    to: u64,
    task: Task<B>,
    place: Option<OwnedSemaphorePermit>,
}

/// Blocks that came together and wait for their turn, and how far was asked.
struct Came<B> {
    /// The height of the first of them, or from which on the rest is to be asked for.
    next: u64,
    blocks: VecDeque<Fetched<B>>,
    /// Up to here was asked.
    to: u64,
    _place: Option<OwnedSemaphorePermit>,
}

/// Fetches ahead of the watcher.
pub struct Fetcher<B> {
    node: Node<B>,
    came: Option<Came<B>>,
    window: VecDeque<Ahead<B>>,
    places: Places,
    width: f64,
    max: usize,
    /// Whether final heights are fetched beside the stream.
    history: bool,
}

impl<B: SourceBlock> Fetcher<B> {
    /// At most `max` questions at a time; begins with two.
    pub fn new(node: Node<B>, max: usize, places: Places) -> Self {
        Self { node, came: None, window: VecDeque::new(), places, width: 2.0, max: max.max(1), history: false }
    }

    /// The same for final heights beside the stream.
    pub fn of_history(node: Node<B>, max: usize, places: FillPlaces) -> Self {
        Self { history: true, ..Self::new(node, max, places.0) }
    }

    /// The block at `from`, with those after it up to `to` on their way. `hash`: what is expected at `from`, where a head told it.
    /// Cancel-safe.
    pub async fn next(&mut self, from: u64, to: u64, hash: Option<&BlockHash>) -> Result<Fetched<B>, NodeError> {
        // What lies below is not wanted any more: there was no block.
        while self.window.pop_front_if(|ahead| ahead.to < from).is_some() {}
        if let Some(fetched) = self.take_come(from) {
            let begin = self.came.as_ref().map_or(from, |came| came.to).saturating_add(1);
            self.fill(begin, to, None);
            return Ok(fetched);
        }
        let owed = self.came.take().filter(|came| hash.is_none() && (came.next..=came.to).contains(&from));
        match (self.window.front().map(|ahead| ahead.from), owed) {
            (Some(first), _) if first == from => {}
            // What came was less than was asked for: the rest of it goes before what was asked for after it.
            (Some(first), Some(came)) if came.to.checked_add(1) == Some(first) => {
                self.ask(from, came.to, None, true);
            }
            _ => self.clear(),
        }
        self.fill(from, to, hash);
        let outcome = match self.window.front_mut() {
            Some(ahead) => (&mut ahead.task).await,
            None => return self.fetch_here(from, hash).await,
        };
        let (Some(ahead), Ok(outcome)) = (self.window.pop_front(), outcome) else {
            // The task was ended from outside, as at shutdown: once more, here.
            return self.fetch_here(from, hash).await;
        };
        let came = |next, blocks| Some(Came { next, blocks, to: ahead.to, _place: ahead.place });
        match outcome {
            Ok(blocks) => {
                self.width = (self.width + 1.0 / self.width).min(self.max as f64);
                self.came = came(from, blocks);
            }
            Err(e) if matches!(e.kind, NodeErrorKind::Throttled(..) | NodeErrorKind::Timeout(_)) => {
                self.width = (self.width / 2.0).max(1.0);
                self.clear();
                return Err(e);
            }
            Err(e) => {
                // Of the others nothing is known.
                self.came = came(from.saturating_add(1), VecDeque::new()).filter(|came| came.next <= came.to);
                return Err(e);
            }
        }
        match self.take_come(from) {
            Some(fetched) => Ok(fetched),
            None => self.fetch_here(from, hash).await,
        }
    }

    /// The block at a height, where it came together with one before it.
    fn take_come(&mut self, from: u64) -> Option<Fetched<B>> {
        let came = self.came.as_mut().filter(|came| came.next == from)?;
        let fetched = came.blocks.pop_front()?;
        came.next += 1;
        if came.next > came.to {
            self.came = None;
        }
        Some(fetched)
    }

    /// Asks for what follows what is on its way; `from` where nothing is.
    fn fill(&mut self, from: u64, to: u64, hash: Option<&BlockHash>) {
        let mut height = self.window.back().map_or(from, |ahead| ahead.to.saturating_add(1));
        let at_once = self.node.at_once().max(1) as u64;
        while self.window.len() < (self.width as usize).max(1) && height <= to {
            let hash = hash.filter(|_| height == from);
            let last = match (self.history, hash) {
                (_, Some(_)) => height,
                (true, None) => to,
                (false, None) => to.saturating_sub(NEAR).max(height),
            };
            let last = last.min(height.saturating_add(at_once - 1));
            if !self.ask(height, last, hash.cloned(), false) {
                return; // as many are on their way as may be
            }
            height = last.saturating_add(1);
        }
    }

    /// Asks for these heights; `first` before all others. False where as many are on their way as may be.
    fn ask(&mut self, from: u64, to: u64, hash: Option<BlockHash>, first: bool) -> bool {
        let place = match first || self.window.is_empty() {
            true => None,
            false => match self.places.0.clone().try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return false,
            },
        };
        let (node, history) = (self.node.clone(), self.history);
        let task = tokio::spawn(async move {
            if from == to {
                return Ok(VecDeque::from([fetch(&*node, history, from, hash.as_ref()).await?]));
            }
            let count = usize::try_from(to - from + 1).unwrap_or(usize::MAX);
            let blocks = node.fetch_together(from, count, history).await?;
            let observed_at = TimeMs::now();
            Ok(blocks.into_iter().map(|block| Fetched { block, observed_at }).collect())
        });
        let ahead = Ahead { from, to, task: AbortOnDropHandle::new(task), place };
        match first {
            true => self.window.push_front(ahead),
            false => self.window.push_back(ahead),
        }
        true
    }

    async fn fetch_here(&self, height: u64, hash: Option<&BlockHash>) -> Result<Fetched<B>, NodeError> {
        fetch(&*self.node, self.history, height, hash).await
    }

    /// Forgets what is on its way: it may be of another branch.
    pub fn clear(&mut self) {
        self.came = None;
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
