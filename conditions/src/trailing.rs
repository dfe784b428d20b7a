//! Trailing windows, which rules are evaluated over (rule 30): what blocks did in (t − w, t], t the time of a network's last block.
//!
//! Guarantee: a function of the network's events up to its last one: the merge of what rules need of the partials of the canonical blocks
//! whose time is in (t − w, t] ([`plain`]). Complete where no block that is not held has a time behind t − w: that of the first one that is
//! held never is. Held are the blocks of the longest window before every block that can still be reverted, and no others, and at most
//! [`TRAILING_HELD`] of them, those of contracts included. Where there is no room for more the oldest contracts go first, and blocks only when
//! no contract is left: of a chain with more the longest windows of contracts are never complete, and those of the network stay. A
//! contract's window is not complete either where a block of it left contracts out.
//!
//! Blocks stand in runs, and a full run is merged once: a window costs additions by its runs and by the blocks of two of them.

mod sums;

use std::collections::VecDeque;

use alloy_primitives::Address;
use schemas::{
    BlockHash, TimeMs,
    limits::{REORG_LIMIT_BLOCKS, conditions::TRAILING_HELD},
    records::Partial,
};

use crate::change::{Applied, Change};
use sums::Sums;

/// Blocks of a run: as many as can be reverted.
const RUN: usize = 256;
/// Runs at the end of which the hashes are kept: whatever is reverted, the parent of the next block is among them.
const RUNS_WITH_HASHES: usize = 3;

/// What windows give of a partial: blocks, transactions, failed ones, gas, base fees, fees and prices as sums, first and last block. Anything
/// else is zero, and what is distributed is not known.
pub fn plain(partial: &Partial) -> Partial {
    Sums::of(partial).partial()
}

/// What one block did, or several.
#[derive(Debug, Clone, Default)]
struct Did {
    network: Sums,
    /// By contract, in their order.
    contracts: Vec<(Address, Sums)>,
    /// Whether contracts were left out.
    left_out: bool,
}

impl Did {
    fn of(block: &Applied) -> Self {
        let mut did =
            Self { network: Sums::of(&block.parts.network), contracts: Vec::new(), left_out: block.parts.left_out };
        for part in &block.parts.contracts {
            did.at(part.contract, &Sums::of(&part.partial));
        }
        did.contracts.shrink_to_fit();
        did
    }

    fn at(&mut self, contract: Address, sums: &Sums) {
        match self.contracts.binary_search_by_key(&contract, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, known)) = self.contracts.get_mut(at) {
                    known.merge(sums);
                }
            }
            Err(at) => self.contracts.insert(at, (contract, *sums)),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.network.merge(&other.network);
        other.contracts.iter().for_each(|(contract, sums)| self.at(*contract, sums));
        self.left_out |= other.left_out;
    }

    /// Of the network, or of a contract.
    fn add_to(&self, contract: Option<Address>, sum: &mut Sums) {
        match contract {
            None => sum.merge(&self.network),
            Some(contract) => {
                if let Ok(at) = self.contracts.binary_search_by_key(&contract, |(known, _)| *known)
                    && let Some((_, sums)) = self.contracts.get(at)
                {
                    sum.merge(sums);
                }
            }
        }
    }

    /// How much is held of it.
    fn held(&self) -> usize {
        1 + self.contracts.len()
    }
}

#[derive(Debug)]
struct Block {
    height: u64,
    /// `None` of one that can be reverted no more.
    hash: Option<BlockHash>,
    time: i64,
    did: Did,
}

/// Blocks one behind the other.
#[derive(Debug, Default)]
struct Run {
    blocks: VecDeque<Block>,
    /// The merge of all of them, once there are [`RUN`], and until one goes.
    merged: Option<Did>,
    /// The least and the greatest of their times.
    times: Option<(i64, i64)>,
    /// Contracts in all of them.
    contracts: usize,
}

impl Run {
    fn push(&mut self, block: Block) {
        let (least, most) = self.times.unwrap_or((block.time, block.time));
        self.times = Some((least.min(block.time), most.max(block.time)));
        self.contracts += block.did.contracts.len();
        self.blocks.push_back(block);
        if self.blocks.len() >= RUN {
            let mut merged = Did::default();
            self.blocks.iter().for_each(|block| merged.merge(&block.did));
            self.merged = Some(merged);
        }
    }

    /// One of its blocks has gone.
    fn shrunk(&mut self) {
        self.merged = None;
        let times = self.blocks.iter().map(|block| block.time);
        self.times = times.clone().min().zip(times.max());
        self.contracts = self.blocks.iter().map(|block| block.did.contracts.len()).sum();
    }

    /// Lets go of what contracts did; what the network did stays, merged too.
    fn drop_contracts(&mut self) {
        let all = self.blocks.iter_mut().map(|block| &mut block.did).chain(&mut self.merged);
        all.for_each(|did| did.contracts = Vec::new());
        self.contracts = 0;
    }
}

/// What was let go of for want of room, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LetGo {
    /// What contracts did in blocks.
    pub contracts: u64,
    /// Blocks that a window still wanted.
    pub blocks: u64,
}

/// The blocks of a network that trailing windows are merged from.
#[derive(Debug)]
pub struct Trailing {
    longest_ms: i64,
    /// None is empty.
    runs: VecDeque<Run>,
    /// Blocks, and contracts in them.
    held: usize,
    /// No block that is not held has a later time.
    from: i64,
    /// No block whose contracts were let go of has a later time.
    contracts_from: i64,
    let_go: LetGo,
    sequence: Option<u64>,
}

impl Trailing {
    /// For windows of at most so many milliseconds.
    pub fn new(longest_ms: i64) -> Self {
        let (runs, let_go) = (VecDeque::new(), LetGo::default());
        Self { longest_ms, runs, held: 0, from: 0, contracts_from: 0, let_go, sequence: None }
    }

    /// Takes the next event of the network; live ones only count. Where events are missing it begins anew.
    ///
    /// `false`: it began anew, and blocks that were held are gone. Whoever can reads them back, into a new one.
    pub fn take(&mut self, sequence: u64, change: Change) -> bool {
        if matches!(change, Change::Finality(_)) || self.sequence.is_some_and(|last| sequence <= last) {
            return true;
        }
        let mut is_good = true;
        if self.sequence.is_some_and(|last| sequence != last.saturating_add(1)) {
            is_good &= self.clear();
        }
        self.sequence = Some(sequence);
        match change {
            Change::Apply(block) if block.origin == schemas::Origin::Live => {
                if self.tip().is_some_and(|tip| tip.hash.as_ref() != Some(&block.parent)) {
                    is_good &= self.clear();
                }
                if self.runs.is_empty() {
                    (self.from, self.contracts_from) = (block.time.0, block.time.0);
                }
                self.push(*block);
                self.forget();
            }
            Change::Revert(block) => match self.tip() {
                Some(tip) if tip.hash.as_ref() == Some(&block.hash) => self.pop_back(),
                _ => is_good &= self.clear(),
            },
            // What it did is not known, so that no window may reach over it.
            Change::Header { origin: schemas::Origin::Live, .. } => is_good &= self.clear(),
            Change::Apply(_) | Change::Header { .. } | Change::Finality(_) => {}
        }
        is_good
    }

    /// The latest time of a block that is held.
    pub fn latest(&self) -> Option<i64> {
        self.runs.iter().filter_map(|run| run.times).map(|(_, most)| most).max()
    }

    fn tip(&self) -> Option<&Block> {
        self.runs.back()?.blocks.back()
    }

    /// Whether nothing was lost.
    fn clear(&mut self) -> bool {
        let was_empty = self.runs.is_empty();
        self.runs.clear();
        self.held = 0;
        was_empty
    }

    fn push(&mut self, block: Applied) {
        if self.runs.back().is_none_or(|run| run.blocks.len() >= RUN) {
            self.runs.push_back(Run::default());
            // What can be reverted no more needs no hash.
            let old = self.runs.len().checked_sub(RUNS_WITH_HASHES + 1).and_then(|at| self.runs.get_mut(at));
            old.into_iter().flat_map(|run| &mut run.blocks).for_each(|block| block.hash = None);
        }
        let did = Did::of(&block);
        self.held += did.held();
        if let Some(run) = self.runs.back_mut() {
            run.push(Block { height: block.height, hash: Some(block.hash), time: block.time.0, did });
        }
    }

    fn pop_back(&mut self) {
        let Some(run) = self.runs.back_mut() else { return };
        if let Some(block) = run.blocks.pop_back() {
            self.held = self.held.saturating_sub(block.did.held());
        }
        run.shrunk();
        if run.blocks.is_empty() {
            self.runs.pop_back();
        }
    }

    fn pop_front(&mut self) {
        let Some(run) = self.runs.front_mut() else { return };
        if let Some(block) = run.blocks.pop_front() {
            self.held = self.held.saturating_sub(block.did.held());
            self.from = self.from.max(block.time);
        }
        run.shrunk();
        if run.blocks.is_empty() {
            self.runs.pop_front();
        }
    }

    /// Whatever block is the tip after a reorg, its window is held.
    fn forget(&mut self) {
        let Some(tip) = self.tip().map(|tip| tip.height) else { return };
        let newest = self.runs.iter().rev().flat_map(|run| run.blocks.iter().rev());
        let can_be_tip = |block: &&Block| block.height.saturating_add(REORG_LIMIT_BLOCKS) >= tip;
        let Some(least) = newest.take_while(can_be_tip).map(|block| block.time).min() else { return };
        let from = least.saturating_sub(self.longest_ms);
        let first = |runs: &VecDeque<Run>| runs.front().and_then(|run| run.blocks.front()).map(|block| block.time);
        while first(&self.runs).is_some_and(|time| time <= from) {
            self.pop_front();
        }
        while self.held > TRAILING_HELD && !self.runs.is_empty() {
            if !self.drop_contracts() {
                self.pop_front();
                self.let_go.blocks = self.let_go.blocks.saturating_add(1);
            }
        }
    }

    /// Lets go of what contracts did in the oldest run that has some. `false`: none has.
    fn drop_contracts(&mut self) -> bool {
        let Some(run) = self.runs.iter_mut().find(|run| run.contracts > 0) else { return false };
        self.held = self.held.saturating_sub(run.contracts);
        self.let_go.contracts = self.let_go.contracts.saturating_add(u64::try_from(run.contracts).unwrap_or(u64::MAX));
        if let Some((_, most)) = run.times {
            self.contracts_from = self.contracts_from.max(most);
        }
        run.drop_contracts();
        true
    }

    /// What was let go of for want of room.
    pub fn let_go(&self) -> LetGo {
        self.let_go
    }

    /// The window of so many milliseconds that ends with the last block, of the network or of a contract, and whether it is complete; `None`
    /// where there is no block. It is [`plain`].
    pub fn window(&self, ms: i64, contract: Option<Address>) -> Option<(TimeMs, Partial, bool)> {
        let end = self.tip()?.time;
        let from = end.saturating_sub(ms.min(self.longest_ms));
        let (mut sum, mut left_out) = (Sums::default(), false);
        for run in &self.runs {
            let Some((least, most)) = run.times else { continue };
            if most <= from || least > end {
                continue;
            }
            match &run.merged {
                Some(did) if least > from && most <= end => {
                    did.add_to(contract, &mut sum);
                    left_out |= did.left_out;
                }
                _ => {
                    for block in run.blocks.iter().filter(|block| block.time > from && block.time <= end) {
                        block.did.add_to(contract, &mut sum);
                        left_out |= block.did.left_out;
                    }
                }
            }
        }
        // A contract may have been among those for which a block's record had no room.
        let has_contract = contract.is_none() || self.contracts_from <= from && !left_out;
        let is_complete = self.from <= from && ms <= self.longest_ms && has_contract;
        Some((TimeMs(end), sum.partial(), is_complete))
    }
}
