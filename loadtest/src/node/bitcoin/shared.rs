//! What a node's endpoints, clock and handle share: the chain behind its lock, and who hears of heads.
//!
//! Guarantee: a head is announced after calls see it, and its instant is taken in between. No block is made for a reader under the lock.

use super::block::{Block, Header};
use super::chain::Chain;
use super::maker::Place;
use super::told::{Canonical, Told};
use super::wire::Hash;
use super::{Endpoint, Error};
use crate::node::origin;
use schemas::primitives::BitcoinHash;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// A block became visible as the head.
#[derive(Clone, Copy, Debug)]
pub struct HeadEvent {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BitcoinHash,
    /// When calls began to see it.
    pub at: Instant,
    /// The same as wall-clock time.
    pub wall: SystemTime,
}

pub(crate) struct Shared {
    pub chain: Mutex<Chain>,
    pub heads: broadcast::Sender<HeadEvent>,
    /// All endpoints of the node; set once they are made.
    pub endpoints: OnceLock<Vec<Weak<Endpoint>>>,
    pub shutdown: CancellationToken,
}

impl Shared {
    pub(crate) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block at a place, whole.
    pub(crate) fn block(&self, place: Place, header: &Header, hash: &Hash) -> Option<Arc<Block>> {
        let maker = {
            let chain = self.chain();
            if let Some(block) = chain.cached(hash) {
                return Some(block);
            }
            chain.maker.clone()
        };
        let block = maker.again(place, header)?;
        self.chain().keep(&block);
        Some(block)
    }

    /// The canonical block at a height, whole.
    fn at(&self, height: u64) -> Option<(Header, Arc<Block>)> {
        let (header, hash, place) = {
            let chain = self.chain();
            let (header, hash) = chain.at(height)?;
            (header, hash, chain.place(&hash)?.0)
        };
        Some((header, self.block(place, &header, &hash)?))
    }

    pub(crate) fn head(&self) -> u64 {
        self.chain().head()
    }

    /// Tells subscribers of the head. Called while no lock is held.
    fn publish(&self) {
        let (height, (_, hash)) = {
            let chain = self.chain();
            (chain.head(), chain.tip())
        };
        let hash = BitcoinHash::from_internal(hash);
        // No subscriber is no mistake.
        let _ = self.heads.send(HeadEvent { height, hash, at: Instant::now(), wall: SystemTime::now() });
    }

    pub(crate) fn advance(&self, n: u64) -> Result<u64, Error> {
        self.chain().advance(n)?;
        self.publish();
        Ok(self.head())
    }

    pub(crate) fn fork(&self, depth: u64, more: u64) -> Result<u64, Error> {
        self.chain().fork(depth, more)?;
        self.publish();
        Ok(self.head())
    }

    pub(crate) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.endpoints.get().into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn canonical(&self, heights: RangeInclusive<u64>) -> Vec<Canonical> {
        heights.map_while(|height| self.at(height)).map(|(header, block)| Canonical::of(&header, &block)).collect()
    }

    pub(crate) fn told(&self, height: u64) -> Vec<Told> {
        self.at(height).map_or_else(Vec::new, |(_, block)| Told::of(&block))
    }

    /// Makes blocks as time passes, until the chain's end.
    pub(crate) async fn tick(&self) -> Result<(), Error> {
        loop {
            let due = {
                let mut chain = self.chain();
                if chain.ended() {
                    return Ok(());
                }
                let next = chain.head() + 1;
                let due = chain.timeline.time_ms(next);
                if chain.timeline.head() >= next {
                    chain.timeline.reach(next)?;
                    chain.step()?;
                    None
                } else {
                    Some(due)
                }
            };
            let Some(due) = due else {
                self.publish();
                continue;
            };
            let wait = due.saturating_sub(origin::now_ms()).clamp(1, 1000);
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
        }
    }
}
