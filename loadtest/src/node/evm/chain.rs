//! The simulated chain: which recorded block stands at which height, with which parent, under which hash.
//!
//! Guarantee (rule 25): the canonical chain is a pure function of (seed, start, timeline, head). A height's version is how
//! often forks have replaced it; (height, version) chooses the recorded block and, but for the first appearance of each, the
//! state root and the mark that its transactions carry, so that no transaction occurs twice; the parent is the canonical block
//! below. A fork replaces everything from its lowest block to the head, so the chain links at
//! every moment. A restart works out what no fork reaches any more from the last hash that was written down. Kept in memory: a window of canonical blocks below the head, some replaced ones, and one hash every
//! [`STRIDE`] heights, from which deeper blocks are computed again when asked for.

use super::Schedule;
use super::content::Mark;
use super::dataset::Dataset;
use super::error::Error;
use super::origin::{Fork, Timeline};
use super::recorded::Rewrite;
use super::template::{Fill, Values};
use alloy_primitives::{B256, keccak256};
use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Heights between two hashes that are kept forever.
const STRIDE: u64 = 1024;
/// Recomputed stretches of [`STRIDE`] heights that are kept.
const STRETCHES: usize = 8;
/// From so many blocks on their roots are computed on all cores.
const MANY: usize = 64;

/// One block of the simulated chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its height.
    pub height: u64,
    /// How often a fork had replaced its height.
    pub version: u32,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block below.
    pub parent: B256,
    /// Unix time in seconds.
    pub timestamp: u64,
    pub(crate) state_root: B256,
    pub(crate) transactions_root: B256,
    pub(crate) recorded: usize,
    /// What its transactions carry; `None`: they are as recorded.
    pub(crate) mark: Option<Mark>,
}

impl Sealed {
    /// `hashes`: of its transactions.
    pub(crate) fn fill<'a>(&self, hashes: &'a [B256]) -> Fill<'a> {
        Fill::new(&Values {
            hash: self.hash,
            parent: self.parent,
            state_root: self.state_root,
            transactions_root: self.transactions_root,
            number: self.height,
            timestamp: self.timestamp,
            hashes,
            mark: self.mark,
        })
    }
}

/// What a block has in it, whatever is below it.
#[derive(Clone, Copy)]
struct Body {
    version: u32,
    recorded: usize,
    state_root: B256,
    transactions_root: B256,
    mark: Option<Mark>,
}

#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) data: Arc<Dataset>,
    pub(crate) timeline: Timeline,
    seed: u64,
    chain_id: u64,
    start: u64,
    /// The last height there will ever be.
    last: u64,
    schedule: Option<Schedule>,
    window: usize,
    /// Canonical, contiguous, up to the head; never empty.
    recent: VecDeque<Sealed>,
    by_hash: HashMap<B256, Sealed>,
    replaced: VecDeque<B256>,
    /// Hashes at multiples of [`STRIDE`].
    milestones: Vec<(u64, B256)>,
    stretches: VecDeque<Vec<Sealed>>,
    /// By recorded block: the height at which it was last served with its transactions as recorded.
    served: Vec<u64>,
}

pub(crate) struct Plan {
    pub seed: u64,
    pub chain_id: u64,
    pub start: u64,
    pub blocks: Option<u64>,
    pub schedule: Option<Schedule>,
    pub window: usize,
}

impl Chain {
    pub(crate) fn new(data: Arc<Dataset>, timeline: Timeline, plan: Plan) -> Self {
        let last = plan.blocks.map_or(u64::MAX - 1, |n| plan.start.saturating_add(n.max(1) - 1));
        let mut chain = Self {
            served: vec![0; data.blocks().len()],
            data,
            timeline,
            seed: plan.seed,
            chain_id: plan.chain_id,
            start: plan.start,
            last,
            schedule: plan.schedule,
            window: plan.window,
            recent: VecDeque::new(),
            by_hash: HashMap::new(),
            replaced: VecDeque::new(),
            milestones: Vec::new(),
            stretches: VecDeque::new(),
        };
        let head = chain.timeline.head().min(last);
        // What a former run has settled need not be worked out again, but for the window.
        let known = chain.timeline.settled().iter().take_while(|(height, _)| height + plan.window as u64 <= head);
        chain.milestones = known.copied().collect();
        let (mut next, mut tip) =
            chain.milestones.last().map_or((chain.start, chain.root()), |(at, hash)| (at + 1, *hash));
        while next <= head {
            let to = (next + STRIDE - 1).min(head);
            chain.stretch(next..=to, head, tip).into_iter().for_each(|block| chain.push(block));
            (next, tip) = (to + 1, chain.tip());
        }
        chain
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn head(&self) -> Sealed {
        // Filled by `new` with at least the first block, and never emptied: a fork keeps the first block.
        self.recent[self.recent.len() - 1]
    }

    pub(crate) fn ended(&self) -> bool {
        self.head().height >= self.last
    }

    /// Goes one block on, with the scheduled fork if it is time for one. Returns the new blocks, lowest first.
    pub(crate) fn step(&mut self) -> Vec<Sealed> {
        let head = self.head().height;
        if self.ended() {
            return Vec::new();
        }
        let depth = self.schedule.filter(|s| head > 0 && head.is_multiple_of(s.every)).map_or(0, |s| s.depth);
        self.grow(depth, head + 1)
    }

    /// The head that an order may ask for: at most the last height.
    fn reachable(&self, more: u64) -> u64 {
        self.head().height.saturating_add(more).min(self.last)
    }

    /// Goes `n` blocks on, out of turn, scheduled forks included.
    pub(crate) fn advance(&mut self, n: u64) -> Result<Vec<Sealed>, Error> {
        let (head, target) = (self.head().height, self.reachable(n));
        self.timeline.order(None, head, target)?;
        let mut new = Vec::new();
        while self.head().height < target {
            new.extend(self.step());
        }
        Ok(new)
    }

    /// Replaces the last `depth` blocks by others, and adds `more`.
    pub(crate) fn fork(&mut self, depth: u64, more: u64) -> Result<Vec<Sealed>, Error> {
        let head = self.head().height;
        let most = (head - self.start).min(self.window as u64 - 1);
        if depth == 0 || depth > most {
            return Err(Error::Order(format!("a fork of depth {depth}: possible now is 1 to {most}")));
        }
        let target = self.reachable(more);
        self.timeline.order(Some(Fork { top: head, depth }), head, target)?;
        let mut new = self.grow(depth, head);
        while self.head().height < target {
            new.extend(self.step());
        }
        Ok(new)
    }

    fn grow(&mut self, depth: u64, head: u64) -> Vec<Sealed> {
        let before = self.head().height;
        let low = (before.saturating_sub(depth) + 1).max(self.start + 1);
        while self.head().height >= low {
            if let Some(old) = self.recent.pop_back() {
                self.replaced.push_back(old.hash);
            }
        }
        self.milestones.retain(|(height, _)| *height < low);
        while self.replaced.len() > self.window {
            if let Some(hash) = self.replaced.pop_front() {
                self.by_hash.remove(&hash);
            }
        }
        let new = self.stretch(low..=head, head, self.tip());
        new.iter().for_each(|block| self.push(*block));
        new
    }

    fn push(&mut self, block: Sealed) {
        if block.height.is_multiple_of(STRIDE) {
            self.milestones.push((block.height, block.hash));
        }
        self.by_hash.insert(block.hash, block);
        self.recent.push_back(block);
        if self.recent.len() > self.window
            && let Some(old) = self.recent.pop_front()
        {
            self.by_hash.remove(&old.hash);
            if old.height.is_multiple_of(STRIDE) {
                self.timeline.settle(old.height, old.hash);
            }
        }
    }

    fn tip(&self) -> B256 {
        self.recent.back().map_or_else(|| self.root(), |block| block.hash)
    }

    /// The parent of the first block: it carries what makes chains differ.
    fn root(&self) -> B256 {
        let mut text = b"headwater simulated chain".to_vec();
        for part in [self.seed, self.chain_id, self.start] {
            text.extend_from_slice(&part.to_be_bytes());
        }
        keccak256(text)
    }

    fn version(&self, height: u64, head: u64) -> u32 {
        if height <= self.start {
            return 0;
        }
        let scheduled = self.schedule.map_or(0, |s| s.version(height, head));
        let ordered = self.timeline.forks().iter().filter(|f| height <= f.top && height > f.top - f.depth).count();
        (scheduled + ordered as u64) as u32
    }

    /// What (height, version) has in it.
    fn body(&self, height: u64, version: u32) -> Body {
        let blocks = self.data.blocks();
        let place = height - self.start + u64::from(version);
        let recorded = (place % blocks.len() as u64) as usize;
        let block = &blocks[recorded];
        let repeats = self.timeline.repeats();
        let again = version > 0 || (place >= blocks.len() as u64 && !repeats);
        let salt = again.then(|| {
            let mut text = self.root().to_vec();
            text.extend_from_slice(&height.to_be_bytes());
            text.extend_from_slice(&version.to_be_bytes());
            keccak256(text)
        });
        let mark = salt.filter(|_| !repeats).and_then(|salt| salt.first_chunk().copied());
        Body {
            version,
            recorded,
            state_root: salt.unwrap_or_else(|| block.state_root()),
            transactions_root: block.transactions_root(mark.as_ref()),
            mark,
        }
    }

    /// The blocks at `heights` once the head is `head`, on top of `parent`. Many of them are worked out on all cores.
    fn stretch(&self, heights: RangeInclusive<u64>, head: u64, mut parent: B256) -> Vec<Sealed> {
        let heights: Vec<u64> = heights.collect();
        let body = |height: &u64| self.body(*height, self.version(*height, head));
        let cores = if heights.len() < MANY { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
        let bodies: Vec<Body> = std::thread::scope(|scope| {
            let (mine, others) = heights.split_at(heights.len().div_ceil(cores));
            let others: Vec<_> = others
                .chunks(heights.len().div_ceil(cores).max(1))
                .map(|part| scope.spawn(move || part.iter().map(body).collect::<Vec<Body>>()))
                .collect();
            let mut bodies: Vec<Body> = mine.iter().map(body).collect();
            for other in others {
                match other.join() {
                    Ok(part) => bodies.extend(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            bodies
        });
        let seal = |(height, body): (u64, Body)| {
            let block = self.seal(height, body, parent);
            parent = block.hash;
            block
        };
        heights.into_iter().zip(bodies).map(seal).collect()
    }

    fn seal(&self, height: u64, body: Body, parent: B256) -> Sealed {
        let Body { version, recorded, state_root, transactions_root, mark } = body;
        let timestamp = self.timeline.time_ms(height) / 1000;
        let rewrite = Rewrite { number: height, parent, timestamp, state_root, transactions_root };
        let hash = self.data.blocks()[recorded].seal(&rewrite);
        Sealed { height, version, hash, parent, timestamp, state_root, transactions_root, recorded, mark }
    }

    /// The canonical block at `height`.
    pub(crate) fn at(&mut self, height: u64) -> Option<Sealed> {
        if height < self.start || height > self.head().height {
            return None;
        }
        let low = self.recent[0].height;
        if height >= low {
            return self.recent.get((height - low) as usize).copied();
        }
        Some(self.deep(height))
    }

    /// A canonical or recently replaced block.
    pub(crate) fn by_hash(&self, hash: &B256) -> Option<Sealed> {
        let stretch = || self.stretches.iter().flatten().find(|block| block.hash == *hash).copied();
        self.by_hash.get(hash).copied().or_else(stretch)
    }

    fn deep(&mut self, height: u64) -> Sealed {
        let holds = |s: &Vec<Sealed>| s[0].height <= height && height <= s[s.len() - 1].height;
        if let Some(stretch) = self.stretches.iter().find(|s| holds(s)) {
            return stretch[(height - stretch[0].height) as usize];
        }
        let below = self.milestones.partition_point(|(h, _)| *h < height);
        let (from, parent) = match below.checked_sub(1).map(|n| self.milestones[n]) {
            Some((milestone, hash)) => (milestone + 1, hash),
            None => (self.start, self.root()),
        };
        // Below the window no fork reaches any more: what is computed here stays true.
        let to = (from + STRIDE - 1).min(self.recent[0].height - 1);
        let head = self.head().height;
        let stretch = self.stretch(from..=to, head, parent);
        let block = stretch[(height - from) as usize];
        self.stretches.push_back(stretch);
        if self.stretches.len() > STRETCHES {
            self.stretches.pop_front();
        }
        block
    }

    /// Remembers that somebody saw the transactions of `block`, if they are as recorded.
    pub(crate) fn serve(&mut self, block: &Sealed) {
        if block.mark.is_none() {
            self.served[block.recorded] = block.height;
        }
    }

    /// The canonical block, at most at `head`, that has the transactions of recorded block `recorded` as they were recorded: the
    /// one that was served last with its transactions, else the newest in memory, else their first appearance.
    pub(crate) fn replaying(&mut self, recorded: usize, head: u64) -> Option<Sealed> {
        let is = |block: &Sealed| block.recorded == recorded && block.mark.is_none() && block.height <= head;
        let served = self.served[recorded];
        if let Some(block) = self.at(served).filter(is) {
            return Some(block);
        }
        let recent = self.recent.iter().rev().find(|block| is(block)).copied();
        recent.or_else(|| self.at(self.start + recorded as u64).filter(is))
    }

    /// Whether `block` is canonical.
    pub(crate) fn holds(&mut self, block: &Sealed) -> bool {
        self.at(block.height).as_ref() == Some(block)
    }

    pub(crate) fn range(&mut self, heights: RangeInclusive<u64>) -> Vec<Sealed> {
        heights.map_while(|height| self.at(height)).collect()
    }
}

mod lies;
#[cfg(test)]
mod tests;
