//! The simulated chain: which block stands at each height, forks included.
//!
//! Guarantee: every header links to the one below, meets its target, and has a time above the median of the eleven before; which
//! blocks there are follows from the seed, the settings and the timeline alone (rule 25). Headers are all kept; blocks as many as
//! the cache takes, deeper ones are made again when they are asked for.

use super::Error;
use super::block::{Block, Header, median, parent_of, time_of};
use super::dataset::Content;
use super::kept::Kept;
use super::maker::{Maker, Place, Work};
use super::wire::Hash;
use crate::node::clock::Schedule;
use crate::node::origin::{Fork, Timeline};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The target of regtest in compact form.
pub(crate) const BITS: u32 = 0x207f_ffff;
/// The deepest fork, and replaced blocks that can still be asked for.
pub(crate) const WINDOW: u64 = 1_024;

/// A header with its hash.
pub(crate) type Sealed = (Header, Hash);

/// Blocks that were asked for or made last, by their hash.
#[derive(Debug)]
struct Cache {
    blocks: HashMap<Hash, Arc<Block>>,
    order: VecDeque<Hash>,
    bytes: usize,
    most: usize,
}

impl Cache {
    fn insert(&mut self, block: &Arc<Block>) {
        if self.blocks.insert(block.hash, block.clone()).is_some() {
            return;
        }
        self.bytes += block.raw.len();
        self.order.push_back(block.hash);
        while self.bytes > self.most && self.order.len() > 1 {
            let Some(old) = self.order.pop_front().and_then(|hash| self.blocks.remove(&hash)) else { break };
            self.bytes -= old.raw.len();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) maker: Arc<Maker>,
    pub(crate) timeline: Timeline,
    /// The last height there will ever be.
    last: u64,
    schedule: Option<Schedule>,
    /// By height, from 0 on; never empty.
    headers: Vec<Sealed>,
    /// Of all canonical blocks and those that were replaced last.
    places: HashMap<Hash, (Place, Header)>,
    replaced: VecDeque<Hash>,
    cache: Cache,
    kept: Option<Kept>,
}

pub(crate) struct Plan {
    pub blocks: Option<u64>,
    pub schedule: Option<Schedule>,
    /// Bytes of blocks that are kept.
    pub cache: usize,
    pub kept: Option<Kept>,
}

impl Chain {
    pub(crate) fn new(maker: Arc<Maker>, timeline: Timeline, plan: Plan) -> Result<Self, Error> {
        let most = plan.blocks.map_or(u64::MAX - 1, |n| n.max(1));
        let last = match maker.data.content() {
            Content::Replayed(_) => most,
            Content::Fixed(blocks) => (blocks.len() as u64 - 1).min(most),
        };
        let first = maker.data.first()?;
        let cache = Cache { blocks: HashMap::new(), order: VecDeque::new(), bytes: 0, most: plan.cache };
        let mut chain = Self {
            maker,
            timeline,
            last,
            schedule: plan.schedule,
            headers: Vec::new(),
            places: HashMap::new(),
            replaced: VecDeque::new(),
            cache,
            kept: None,
        };
        chain.push(first.0, &first.1, 0)?;
        let head = chain.timeline.head().min(last);
        if let Some(mut kept) = plan.kept {
            chain.resume(&mut kept, head)?;
            chain.kept = Some(kept);
        }
        while chain.head() < head {
            chain.add(head)?;
        }
        Ok(chain)
    }

    /// Takes the headers over that a former run has kept.
    fn resume(&mut self, kept: &mut Kept, head: u64) -> Result<(), Error> {
        let headers = kept.read()?;
        let ours = |chain: &Self| chain.next(head).is_some_and(|(header, _)| headers.first() == Some(&header));
        if !headers.is_empty() && ours(self) {
            for header in headers {
                let height = self.headers.len() as u64;
                let hash = super::wire::sha256d(&[&header]);
                if height + WINDOW > head || parent_of(&header) != self.tip().1 {
                    break;
                }
                self.headers.push((header, hash));
                let place = Place { height, version: self.version(height, head) };
                self.places.insert(hash, (place, header));
            }
        }
        kept.cut(self.headers.len() - 1)
    }

    /// The height of the head.
    pub(crate) fn head(&self) -> u64 {
        self.headers.len() as u64 - 1
    }

    pub(crate) fn tip(&self) -> Sealed {
        // Filled by `new`, and a fork keeps the first block.
        self.headers[self.headers.len() - 1]
    }

    pub(crate) fn ended(&self) -> bool {
        self.head() >= self.last
    }

    /// The canonical header at a height.
    pub(crate) fn at(&self, height: u64) -> Option<Sealed> {
        self.headers.get(usize::try_from(height).ok()?).copied()
    }

    /// Whether this block is canonical, or was not long ago, and its height.
    pub(crate) fn place(&self, hash: &Hash) -> Option<(Place, Header)> {
        self.places.get(hash).copied()
    }

    pub(crate) fn cached(&self, hash: &Hash) -> Option<Arc<Block>> {
        self.cache.blocks.get(hash).cloned()
    }

    pub(crate) fn keep(&mut self, block: &Arc<Block>) {
        self.cache.insert(block);
    }

    /// Goes one block on, with the scheduled fork if it is time for one. Whether the head changed.
    pub(crate) fn step(&mut self) -> Result<bool, Error> {
        let head = self.head();
        if self.ended() {
            return Ok(false);
        }
        let due = self.schedule.filter(|schedule| head > 0 && head.is_multiple_of(schedule.every));
        self.grow(due.map_or(0, |schedule| schedule.depth), head + 1)?;
        Ok(true)
    }

    fn reachable(&self, more: u64) -> u64 {
        self.head().saturating_add(more).min(self.last)
    }

    /// Goes `n` blocks on, out of turn, scheduled forks included.
    pub(crate) fn advance(&mut self, n: u64) -> Result<(), Error> {
        let (head, target) = (self.head(), self.reachable(n));
        self.timeline.order(None, head, target)?;
        while self.head() < target {
            self.step()?;
        }
        Ok(())
    }

    /// Replaces the last `depth` blocks by others, and adds `more`.
    pub(crate) fn fork(&mut self, depth: u64, more: u64) -> Result<(), Error> {
        let head = self.head();
        let most = if self.replays() { head.saturating_sub(1).min(WINDOW - 1) } else { 0 };
        if depth == 0 || depth > most {
            return Err(Error::Order(format!("a fork of depth {depth}: possible now is 1 to {most}")));
        }
        let target = self.reachable(more);
        self.timeline.order(Some(Fork { top: head, depth }), head, target)?;
        self.grow(depth, head)?;
        while self.head() < target {
            self.step()?;
        }
        Ok(())
    }

    pub(crate) fn replays(&self) -> bool {
        matches!(self.maker.data.content(), Content::Replayed(_))
    }

    fn grow(&mut self, depth: u64, head: u64) -> Result<(), Error> {
        let low = (self.head().saturating_sub(depth) + 1).max(2);
        while self.head() >= low {
            if let Some((_, hash)) = self.headers.pop() {
                self.replaced.push_back(hash);
            }
        }
        while self.replaced.len() as u64 > WINDOW {
            if let Some(hash) = self.replaced.pop_front() {
                self.places.remove(&hash);
            }
        }
        while self.head() < head {
            self.add(head)?;
        }
        Ok(())
    }

    /// The block above the tip, once the head is `head`.
    fn next(&self, head: u64) -> Option<(Header, Arc<Block>)> {
        let height = self.head() + 1;
        if let Content::Fixed(blocks) = self.maker.data.content() {
            return blocks.get(height as usize).cloned();
        }
        let below = self.headers.iter().rev().take(11).map(|(header, _)| time_of(header));
        let time = ((self.timeline.time_ms(height) / 1000) as u32).max(median(below) + 1);
        let place = Place { height, version: self.version(height, head) };
        self.maker.seal(place, &self.tip().1, time, Work::Done)
    }

    fn add(&mut self, head: u64) -> Result<(), Error> {
        let height = self.head() + 1;
        let none = || Error::Order(format!("there is no block {height}"));
        let (header, block) = self.next(head).ok_or_else(none)?;
        self.push(header, &block, self.version(height, head))
    }

    fn push(&mut self, header: Header, block: &Arc<Block>, version: u32) -> Result<(), Error> {
        let height = self.headers.len() as u64;
        self.headers.push((header, block.hash));
        self.places.insert(block.hash, (Place { height, version }, header));
        self.cache.insert(block);
        // What no fork reaches any more need not be made again after a restart.
        if let Some(kept) = &mut self.kept
            && kept.count() as u64 + 1 + WINDOW <= height
        {
            kept.add(&self.headers[kept.count() + 1].0)?;
        }
        Ok(())
    }

    /// How often the height was replaced once the head is `head`.
    fn version(&self, height: u64, head: u64) -> u32 {
        if height <= 1 || !self.replays() {
            return 0;
        }
        let scheduled = self.schedule.map_or(0, |schedule| schedule.version(height, head));
        let over = |fork: &&Fork| height <= fork.top && height > fork.top - fork.depth;
        (scheduled + self.timeline.forks().iter().filter(over).count() as u64) as u32
    }
}

#[cfg(test)]
mod tests;
