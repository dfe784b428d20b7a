//! Hashes of the transactions of the blocks that were served last, so that a block's receipts need not hash again what its
//! transactions did, and a transaction is found by its hash.
//!
//! Guarantee: bounded ([`KNOWN_TRANSACTIONS`]); whatever is forgotten is computed again when its block is asked for.

use super::chain::Sealed;
use super::content::Mark;
use alloy_primitives::B256;
use alloy_primitives::map::B256Map;
use schemas::limits::simulator::KNOWN_TRANSACTIONS;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A recorded block under a mark.
type Key = (usize, Mark);

#[derive(Debug, Default)]
pub(crate) struct Known {
    blocks: HashMap<Key, (Sealed, Arc<[B256]>)>,
    order: VecDeque<Key>,
    places: B256Map<(Key, usize)>,
}

impl Known {
    pub(crate) fn get(&self, recorded: usize, mark: Mark) -> Option<Arc<[B256]>> {
        self.blocks.get(&(recorded, mark)).map(|(_, hashes)| hashes.clone())
    }

    pub(crate) fn insert(&mut self, block: Sealed, mark: Mark, hashes: &Arc<[B256]>) {
        let key = (block.recorded, mark);
        if self.blocks.insert(key, (block, hashes.clone())).is_some() {
            return;
        }
        self.order.push_back(key);
        self.places.extend(hashes.iter().enumerate().map(|(index, hash)| (*hash, (key, index))));
        while self.places.len() > KNOWN_TRANSACTIONS
            && let Some((_, old)) = self.order.pop_front().and_then(|old| self.blocks.remove(&old))
        {
            for hash in old.iter() {
                self.places.remove(hash);
            }
        }
    }

    /// The block and the place in it of a transaction.
    pub(crate) fn find(&self, hash: &B256) -> Option<(Sealed, usize)> {
        let (key, index) = self.places.get(hash)?;
        Some((self.blocks.get(key)?.0, *index))
    }
}
