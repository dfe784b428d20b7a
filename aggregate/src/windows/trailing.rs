//! Trailing windows, which rules are evaluated over (rule 30): what blocks did in (t − w, t], t the time of a network's last block.
//!
//! Guarantee: a function of the network's events up to its last one: the merge of the partials of the canonical blocks whose time is in
//! (t − w, t]. Complete where no block that is not held has a time behind t − w: that of the first one that is held never is. Held are the
//! blocks of the longest window before every block that can still be reverted, and no others.

use std::collections::VecDeque;

use schemas::{BlockHash, TimeMs, limits::REORG_LIMIT_BLOCKS, records::Partial};

use super::change::{Change, Part};

struct Block {
    height: u64,
    hash: BlockHash,
    time: i64,
    network: Partial,
    contracts: Vec<Part>,
}

/// The blocks of a network that trailing windows are merged from.
pub struct Trailing {
    longest_ms: i64,
    blocks: VecDeque<Block>,
    /// No block that is not held has a later time.
    from: i64,
    sequence: Option<u64>,
}

impl Trailing {
    /// For windows of at most so many milliseconds.
    pub fn new(longest_ms: i64) -> Self {
        Self { longest_ms, blocks: VecDeque::new(), from: 0, sequence: None }
    }

    /// Takes the next event of the network; live ones only count. Where events are missing it begins anew.
    pub fn take(&mut self, sequence: u64, change: Change) {
        if matches!(change, Change::Finality(_)) || self.sequence.is_some_and(|last| sequence <= last) {
            return;
        }
        if self.sequence.is_some_and(|last| sequence != last + 1) {
            self.blocks.clear();
        }
        self.sequence = Some(sequence);
        match change {
            Change::Apply(block) if block.origin == schemas::Origin::Live => {
                if self.blocks.back().is_some_and(|tip| tip.hash != block.parent) {
                    self.blocks.clear();
                }
                if self.blocks.is_empty() {
                    self.from = block.time.0;
                }
                let parts = block.parts;
                self.blocks.push_back(Block {
                    height: block.height,
                    hash: block.hash,
                    time: block.time.0,
                    network: parts.network,
                    contracts: parts.contracts,
                });
                self.forget();
            }
            Change::Revert(block) => match self.blocks.back() {
                Some(tip) if tip.hash == block.hash => drop(self.blocks.pop_back()),
                _ => self.blocks.clear(),
            },
            Change::Apply(_) | Change::Finality(_) => {}
        }
    }

    /// Whatever block is the tip after a reorg, its window is held.
    fn forget(&mut self) {
        let Some(tip) = self.blocks.back().map(|tip| tip.height) else { return };
        let can_be_tip = |block: &&Block| block.height.saturating_add(REORG_LIMIT_BLOCKS) >= tip;
        let Some(least) = self.blocks.iter().filter(can_be_tip).map(|block| block.time).min() else { return };
        let from = least.saturating_sub(self.longest_ms);
        while let Some(first) = self.blocks.pop_front_if(|first| first.time <= from) {
            self.from = self.from.max(first.time);
        }
    }

    /// The window of so many milliseconds that ends with the last block, of the network or of a contract, and whether it is complete; `None`
    /// where there is no block.
    pub fn window(&self, ms: i64, contract: Option<alloy_primitives::Address>) -> Option<(TimeMs, Partial, bool)> {
        let end = self.blocks.back()?.time;
        let from = end.saturating_sub(ms.min(self.longest_ms));
        let mut sum = Partial::default();
        for block in self.blocks.iter().filter(|block| block.time > from && block.time <= end) {
            match contract {
                None => sum.merge(&block.network),
                Some(contract) => {
                    let parts = block.contracts.iter().filter(|part| part.contract == contract);
                    parts.for_each(|part| sum.merge(&part.partial));
                }
            }
        }
        let is_complete = self.from <= from && ms <= self.longest_ms;
        Some((TimeMs(end), sum, is_complete))
    }
}
