//! Lies about blocks: what one endpoint shows in place of the canonical block, and of its receipts.
//!
//! Guarantee: a forged block is whole in itself (its hash is that of its header; transactions and receipts have its roots) and
//! the same however it is asked for: by height, by tag, by its hash, as a new head. Forged blocks in a row link to each other; the
//! lowest links to the true block below, but for another chain's, which links to nothing of ours. The true block of a height of which a
//! lie is told is not known by its hash.

use super::chain::Sealed;
use super::endpoint::Endpoint;
use super::faults::{FaultKind, Forgery};
use alloy_primitives::B256;
use schemas::limits::simulator::TALES;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};

/// A forged block and the one in whose place it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tale {
    pub forgery: Forgery,
    pub block: Sealed,
    pub truth: Sealed,
}

/// The forged blocks that an endpoint told of last; what is forgotten is forged again, the same.
#[derive(Debug, Default)]
pub(crate) struct Tales {
    by_truth: HashMap<(B256, Forgery), B256>,
    by_hash: HashMap<B256, Tale>,
    order: VecDeque<B256>,
}

impl Tales {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn instead(&self, truth: &Sealed, forgery: Forgery) -> Option<Sealed> {
        self.by_hash.get(self.by_truth.get(&(truth.hash, forgery))?).map(|tale| tale.block)
    }

    fn insert(&mut self, tale: Tale) {
        if self.by_truth.insert((tale.truth.hash, tale.forgery), tale.block.hash).is_none() {
            self.order.push_back(tale.block.hash);
        }
        self.by_hash.insert(tale.block.hash, tale);
        while self.order.len() > TALES
            && let Some(old) = self.order.pop_front().and_then(|old| self.by_hash.remove(&old))
        {
            self.by_truth.remove(&(old.truth.hash, old.forgery));
        }
    }
}

impl Endpoint {
    fn tales(&self) -> MutexGuard<'_, Tales> {
        self.tales.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is forged of the block at `height`.
    pub(crate) fn forgery(&self, height: u64) -> Option<(FaultKind, Forgery)> {
        self.faults.lies(height).into_iter().find_map(|kind| Some((kind, kind.forgery()?)))
    }

    /// The block that is shown in place of a canonical one; counted as told. Called while no lock is held.
    pub(crate) fn told(&self, truth: Sealed) -> Sealed {
        if let Some((kind, _)) = self.forgery(truth.height) {
            self.faults.told(kind, truth.height);
        }
        self.instead(truth)
    }

    /// As [`Self::told`], not counted.
    pub(crate) fn instead(&self, truth: Sealed) -> Sealed {
        self.forgery(truth.height).map_or(truth, |(_, forgery)| self.forge(truth, forgery))
    }

    fn forge(&self, truth: Sealed, forgery: Forgery) -> Sealed {
        // Down to a height that is known, or of which no such lie is told.
        let mut row = vec![truth];
        let mut parent = loop {
            let lowest = row[row.len() - 1];
            if let Some(known) = self.tales().instead(&lowest, forgery) {
                row.pop();
                break known.hash;
            }
            let below = lowest.height.saturating_sub(1);
            let goes_on = row.len() < TALES && self.forgery(below).is_some_and(|(_, other)| other == forgery);
            let chain = self.shared.chain();
            match chain.by_hash(&lowest.parent).filter(|_| goes_on) {
                Some(below) => row.push(below),
                None if forgery == Forgery::OtherChain => break chain.foreign(below),
                None => break lowest.parent,
            }
        };
        for truth in row.into_iter().rev() {
            let block = self.shared.chain().forged(&truth, forgery, parent);
            self.tales().insert(Tale { forgery, block, truth });
            parent = block.hash;
        }
        self.tales().instead(&truth, forgery).unwrap_or(truth)
    }

    /// A forged block by its hash, while that lie is told.
    pub(crate) fn tale(&self, hash: &B256) -> Option<Tale> {
        let tale = self.tales().by_hash.get(hash).copied()?;
        let told = self.forgery(tale.block.height).is_some_and(|(_, forgery)| forgery == tale.forgery);
        told.then_some(tale)
    }

    /// The hashes of a block's transactions. Called while no lock is held.
    pub(crate) fn hashes(&self, block: &Sealed) -> Arc<[B256]> {
        match self.tale(&block.hash) {
            // It has the true block's transactions: they are known as that one's.
            Some(tale) if tale.forgery == Forgery::Header => self.shared.hashes(&tale.truth),
            _ => self.shared.hashes(block),
        }
    }
}

/// Does to a block's receipts what a fault or lie does; `false` when there was nothing to do it to.
pub(crate) fn falsify(receipts: &mut Vec<Value>, kind: FaultKind) -> bool {
    match kind {
        FaultKind::EmptyReceipts => receipts.clear(),
        FaultKind::DoubledReceipts => {
            *receipts = receipts.drain(..).flat_map(|receipt| [receipt.clone(), receipt]).collect();
        }
        FaultKind::DroppedReceipt => return receipts.pop().is_some(),
        FaultKind::ChangedLog => {
            let mut logs = receipts.iter_mut().flat_map(|receipt| receipt["logs"].as_array_mut().into_iter().flatten());
            return logs.next().is_some_and(change);
        }
        _ => return false,
    }
    true
}

/// Changes the last digit of a log's data, or, where it has none, of its address.
fn change(log: &mut Value) -> bool {
    let key = if log["data"].as_str().is_some_and(|data| data.len() > 2) { "data" } else { "address" };
    let Some(mut text) = log[key].as_str().map(str::to_owned) else { return false };
    let other = if text.ends_with('0') { '1' } else { '0' };
    text.pop();
    text.push(other);
    log[key] = text.into();
    true
}
