//! The recent live blocks that a reorg may revert: linked by hashes, ending at the tip. Heights without a block lie between.

use std::collections::VecDeque;

use schemas::records::RingEntry;

use super::position::Position;

/// Blocks at most `limit` heights below the highest ever applied, lowest first.
#[derive(Debug, Clone)]
pub(super) struct Held {
    limit: u64,
    highest: u64,
    blocks: VecDeque<RingEntry>,
}

impl Held {
    /// From stored entries: those above the tip are ignored, the newest sequence per height wins (rule 4), and what is not
    /// linked down from the tip is not held.
    pub fn restore(limit: u64, position: &Position, mut ring: Vec<RingEntry>) -> Self {
        let highest = position.highest.unwrap_or(0);
        let mut held = Self { limit, highest, blocks: VecDeque::new() };
        let Some((tip, tip_hash)) = &position.tip else { return held };
        ring.sort_by_key(|e| std::cmp::Reverse((e.height, e.sequence)));
        let (mut highest, mut hash) = (*tip, tip_hash.clone());
        for entry in ring {
            if entry.height > highest || entry.block_hash != hash {
                continue;
            }
            let above_first = position.first.is_none_or(|f| entry.height >= f);
            if !above_first || !held.is_recent(entry.height) {
                break;
            }
            (highest, hash) = (entry.height.saturating_sub(1), entry.parent_hash.clone());
            held.blocks.push_front(entry);
        }
        held
    }

    /// Whether a block at this height may still be reverted.
    pub fn is_recent(&self, height: u64) -> bool {
        height + self.limit > self.highest
    }

    pub fn push(&mut self, entry: RingEntry) {
        self.highest = self.highest.max(entry.height);
        self.blocks.push_back(entry);
        while self.blocks.front().is_some_and(|e| !self.is_recent(e.height)) {
            self.blocks.pop_front();
        }
    }

    pub fn pop(&mut self) -> Option<RingEntry> {
        self.blocks.pop_back()
    }

    /// Forgets this height and all above; depth is counted from `highest` on.
    pub fn give_up(&mut self, height: u64, highest: u64) {
        while self.blocks.back().is_some_and(|e| e.height >= height) {
            self.blocks.pop_back();
        }
        self.highest = highest;
    }

    pub fn tip(&self) -> Option<&RingEntry> {
        self.blocks.back()
    }

    pub fn lowest(&self) -> Option<&RingEntry> {
        self.blocks.front()
    }

    pub fn get(&self, height: u64) -> Option<&RingEntry> {
        self.below(height.saturating_add(1)).filter(|e| e.height == height)
    }

    /// The highest block below this height.
    pub fn below(&self, height: u64) -> Option<&RingEntry> {
        self.blocks.get(self.blocks.partition_point(|e| e.height < height).checked_sub(1)?)
    }

    /// Number of blocks at this height and above.
    pub fn count_from(&self, height: u64) -> usize {
        self.blocks.iter().rev().take_while(|e| e.height >= height).count()
    }

    pub fn iter(&self) -> impl Iterator<Item = &RingEntry> {
        self.blocks.iter()
    }
}
