//! What a node's endpoints, clock and handle share: the chain behind its lock, and who hears of heads.
//!
//! Guarantee: a head is announced after requests see it, in order, and its instant is taken in between.

use super::chain::{Chain, Sealed};
use super::known::Known;
use super::recorded::Facts;
use super::{Dataset, Endpoint, Error, origin};
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// One canonical block, as a test compares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canonical {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block below.
    pub parent_hash: B256,
    /// Unix time in seconds.
    pub timestamp: u64,
    /// Counts from its receipts.
    #[serde(flatten)]
    pub facts: Facts,
    /// The recorded block that it replays: `chain/number`.
    pub recorded: String,
    /// How often a fork has replaced this height.
    pub version: u32,
}

/// A block became visible as the head.
#[derive(Clone, Copy, Debug)]
pub struct HeadEvent {
    /// The block.
    pub block: Sealed,
    /// Its transactions.
    pub tx_count: u64,
    /// When requests began to see it.
    pub at: Instant,
    /// The same as wall-clock time.
    pub wall: SystemTime,
}

pub(crate) struct Shared {
    pub data: Arc<Dataset>,
    pub chain: Mutex<Chain>,
    pub known: Mutex<Known>,
    pub chain_id: u64,
    pub finality_depth: u64,
    pub safe_depth: u64,
    pub gzip: bool,
    pub heads: broadcast::Sender<HeadEvent>,
    /// All endpoints of the node, the first first; set once they are made.
    pub endpoints: OnceLock<Vec<Weak<Endpoint>>>,
    pub shutdown: CancellationToken,
}

impl Shared {
    pub(crate) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hashes of a block's transactions. Called while no lock is held.
    pub(crate) fn hashes(&self, block: &Sealed) -> Arc<[B256]> {
        let recorded = &self.data.blocks()[block.recorded];
        let Some(mark) = block.mark else { return recorded.hashes(None) };
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hashes) = known().get(block.recorded, mark) {
            return hashes;
        }
        let hashes = recorded.hashes(Some(&mark));
        known().insert(*block, mark, &hashes);
        hashes
    }

    /// The canonical block, at most at `head`, and the place in it of a transaction.
    pub(crate) fn find(&self, hash: &B256, head: u64) -> Option<(Sealed, usize)> {
        if let Some((recorded, index)) = self.data.find(hash) {
            return Some((self.chain().replaying(recorded, head)?, index));
        }
        let (block, index) = self.known.lock().unwrap_or_else(PoisonError::into_inner).find(hash)?;
        (block.height <= head && self.chain().holds(&block)).then_some((block, index))
    }

    /// The block, canonical or not, and the place in it of a transaction of a later lap or another branch.
    pub(crate) fn known(&self, hash: &B256) -> Option<(Sealed, usize)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).find(hash)
    }

    pub(crate) fn span(&self) -> (u64, u64) {
        let chain = self.chain();
        (chain.start(), chain.head().height)
    }

    /// Tells subscribers of new heads, in order. Called while no lock is held.
    pub(crate) fn publish(&self, new: Vec<Sealed>) {
        let (at, wall) = (Instant::now(), SystemTime::now());
        for block in new {
            let tx_count = self.data.blocks()[block.recorded].facts().tx_count;
            // No subscriber is no mistake.
            let _ = self.heads.send(HeadEvent { block, tx_count, at, wall });
        }
    }

    pub(crate) fn advance(&self, n: u64) -> Result<u64, Error> {
        let mut chain = self.chain();
        let new = chain.advance(n)?;
        let head = chain.head().height;
        drop(chain);
        self.publish(new);
        Ok(head)
    }

    pub(crate) fn fork(&self, depth: u64, more: u64) -> Result<u64, Error> {
        let mut chain = self.chain();
        let new = chain.fork(depth, more)?;
        let head = chain.head().height;
        drop(chain);
        self.publish(new);
        Ok(head)
    }

    pub(crate) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.endpoints.get().into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn canonical(&self, heights: RangeInclusive<u64>) -> Vec<Canonical> {
        let blocks = self.chain().range(heights);
        let describe = |block: Sealed| {
            let recorded = &self.data.blocks()[block.recorded];
            Canonical {
                height: block.height,
                hash: block.hash,
                parent_hash: block.parent,
                timestamp: block.timestamp,
                facts: recorded.facts(),
                recorded: recorded.name().to_owned(),
                version: block.version,
            }
        };
        blocks.into_iter().map(describe).collect()
    }

    /// Makes blocks as time passes, until the chain's end.
    pub(crate) async fn tick(&self) -> Result<(), Error> {
        loop {
            let due = {
                let mut chain = self.chain();
                if chain.ended() {
                    return Ok(());
                }
                let next = chain.head().height + 1;
                let due = chain.timeline.time_ms(next);
                if chain.timeline.head() >= next {
                    chain.timeline.reach(next)?;
                    let new = chain.step();
                    drop(chain);
                    self.publish(new);
                    continue;
                }
                due
            };
            let wait = due.saturating_sub(origin::now_ms()).clamp(1, 1000);
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
        }
    }
}
