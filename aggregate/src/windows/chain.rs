//! The canonical blocks of a line that are held: how far its clock is, and which can still be reverted.

use std::collections::VecDeque;

use schemas::{BlockHash, limits::REORG_LIMIT_BLOCKS};

use super::{
    NEVER,
    change::{Applied, Parts, Place},
};

/// Blocks whose times make a median (Bitcoin's median-time-past, BIP 113).
const MEDIAN: usize = 11;

/// By what a chain tells that a time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// By a block's time: EVM, Stellar, where it never falls.
    #[default]
    BlockTime,
    /// By the median of the last eleven blocks' times: Bitcoin, where a block's own may fall, but never below that.
    MedianTimePast,
}

impl Clock {
    /// Blocks that are held below those that are needed, so that medians, links, and what began before are known to whoever reads from there.
    const fn trail(self) -> usize {
        match self {
            Self::BlockTime => MEDIAN + 1,
            // More than come in twice the margin.
            Self::MedianTimePast => 64,
        }
    }

    /// Milliseconds that a block's time may be ahead of a later one's: no node takes a block from further in the future.
    pub(crate) const fn ahead(self) -> i64 {
        match self {
            Self::BlockTime => 0,
            Self::MedianTimePast => 2 * 3_600 * 1_000,
        }
    }
}

/// A block.
pub struct Block {
    pub height: u64,
    pub hash: BlockHash,
    /// Milliseconds.
    pub time: i64,
    pub sequence: u64,
    pub place: Place,
    /// What it adds; `None` once it cannot be reverted and its minute is merged.
    pub parts: Option<Parts>,
    /// Up to where time has passed, by the chain's clock, as long as this block stands.
    water: i64,
    /// The same by the median, whatever the clock.
    median: i64,
}

/// The blocks, lowest first. What is below them is not known.
pub struct Chain {
    clock: Clock,
    blocks: VecDeque<Block>,
    /// How many of them, from the lowest, cannot be reverted.
    released: usize,
    /// No height up to this one is reverted.
    finalized: Option<u64>,
    /// Whether no block is reverted: they are final when they come.
    is_final: bool,
}

impl Chain {
    /// Without blocks. `is_final`: none will be reverted.
    pub fn new(clock: Clock, is_final: bool) -> Self {
        Self { clock, blocks: VecDeque::new(), released: 0, finalized: None, is_final }
    }

    /// By what its time passes.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The highest.
    pub fn tip(&self) -> Option<&Block> {
        self.blocks.back()
    }

    /// Where to read from to know enough of what comes next: some blocks back.
    pub fn trail(&self) -> Option<Place> {
        self.blocks.get(self.blocks.len().saturating_sub(self.clock.trail())).map(|block| block.place)
    }

    /// Up to where time has passed; [`NEVER`]: not known.
    pub fn water(&self) -> i64 {
        self.tip().map_or(NEVER, |block| block.water)
    }

    /// Up to where no block falls any more, whatever is reverted; [`NEVER`]: not known.
    pub fn settled(&self) -> i64 {
        self.released.checked_sub(1).and_then(|last| self.blocks.get(last)).map_or(NEVER, |block| block.median)
    }

    /// One more.
    pub fn push(&mut self, sequence: u64, place: Place, block: Applied) {
        let Applied { height, hash, parts, .. } = block;
        let time = block.time.0;
        let (water, median) = self.tip().map_or((NEVER, NEVER), |tip| (tip.water, tip.median));
        // The record may know it of blocks that are not held.
        let told = block.median_time.map_or(NEVER, |median| median.0);
        let median = median.max(self.median_with(time)).max(told);
        let passed = match self.clock {
            Clock::BlockTime => time,
            Clock::MedianTimePast => median,
        };
        let water = water.max(passed);
        self.blocks.push_back(Block { height, hash, time, sequence, place, parts: Some(parts), water, median });
    }

    /// The median of the last blocks' times and this one; [`NEVER`] where they are too few.
    fn median_with(&self, time: i64) -> i64 {
        let mut times: Vec<i64> = self.blocks.iter().rev().take(MEDIAN - 1).map(|block| block.time).collect();
        times.push(time);
        if times.len() < MEDIAN {
            return NEVER;
        }
        times.sort_unstable();
        times.get(MEDIAN / 2).copied().unwrap_or(NEVER)
    }

    /// Takes the highest off.
    pub fn pop(&mut self) -> Option<Block> {
        let block = self.blocks.pop_back();
        self.released = self.released.min(self.blocks.len());
        block
    }

    /// No height up to this one is reverted any more.
    pub fn finalize(&mut self, height: Option<u64>) {
        self.finalized = self.finalized.max(height);
    }

    /// The times of blocks that cannot be reverted since the last time.
    pub fn release(&mut self) -> Vec<i64> {
        let tip = self.tip().map_or(0, |block| block.height);
        let (finalized, is_final) = (self.finalized, self.is_final);
        let cannot = |block: &&Block| {
            is_final
                || finalized.is_some_and(|height| block.height <= height)
                || block.height.saturating_add(REORG_LIMIT_BLOCKS) < tip
        };
        let times: Vec<i64> =
            self.blocks.iter().skip(self.released).take_while(cannot).map(|block| block.time).collect();
        self.released += times.len();
        times
    }

    /// What blocks of a span of time add, lowest first.
    pub fn parts(&self, from: i64, until: i64) -> impl Iterator<Item = &Parts> {
        let inside = move |block: &&Block| (from..until).contains(&block.time);
        self.blocks.iter().filter(inside).filter_map(|block| block.parts.as_ref())
    }

    /// Drops what is not needed: of blocks that cannot be reverted, what they add where `is_merged` says so of their time, and the blocks
    /// themselves but for the last of these.
    pub fn trim(&mut self, is_merged: impl Fn(i64) -> bool) {
        for block in self.blocks.iter_mut().take(self.released) {
            if block.parts.is_some() && is_merged(block.time) {
                block.parts = None;
            }
        }
        let bare = self.blocks.iter().take(self.released).take_while(|block| block.parts.is_none()).count();
        let gone = bare.saturating_sub(self.clock.trail());
        self.blocks.drain(..gone);
        self.released -= gone;
    }

    /// Blocks that are held.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }
}
