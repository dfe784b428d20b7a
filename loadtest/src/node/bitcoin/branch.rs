//! A branch of an endpoint's own: what it shows in the place of the chain from some height on.
//!
//! Guarantee: it is as high as the chain, and follows from the seed, the endpoint's name and the block that it leaves the chain at; it links
//! and meets its targets but where its kind says that it does not. What is told of it is told alike however it is asked for.

use super::block::{Block, Header, median, time_of};
use super::chain::Sealed;
use super::faults::FaultKind;
use super::maker::{Place, Work};
use super::shared::Shared;
use super::wire::{Hash, sha256d};
use std::sync::Arc;

/// A branch as far as it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    /// Height and hash of the chain's block that it leaves.
    leaves: (u64, Hash),
    kind: Option<FaultKind>,
    /// Its blocks, the lowest first.
    blocks: Vec<Sealed>,
    /// What its heights are replaced by.
    version: u32,
}

impl Branch {
    /// Brings it to where the chain is now, of which it left the block at `from`.
    pub(crate) fn follow(&mut self, shared: &Shared, kind: FaultKind, from: u64, version: u32) {
        let chain = shared.chain();
        let Some((_, hash)) = chain.at(from) else { return };
        if self.leaves != (from, hash) || self.kind != Some(kind) {
            *self = Self { leaves: (from, hash), kind: Some(kind), blocks: Vec::new(), version };
        }
        let (head, maker) = (chain.head(), chain.maker.clone());
        let ms = |height| chain.timeline.time_ms(height);
        while from + (self.blocks.len() as u64) < head {
            let height = from + 1 + self.blocks.len() as u64;
            let own = self.blocks.iter().rev().map(|(header, _)| *header);
            let below = (0..=from).rev().filter_map(|height| chain.at(height)).map(|(header, _)| header);
            let times = own.chain(below).take(11).map(|header| time_of(&header));
            let time = ((ms(height) / 1000) as u32).max(median(times) + 1);
            let parent = match self.blocks.last() {
                Some((_, hash)) => *hash,
                None if kind == FaultKind::Unlinked => sha256d(&[&hash]),
                None => hash,
            };
            let work = if kind == FaultKind::NoWork { Work::Missing } else { Work::Done };
            let place = Place { height, version: self.version };
            let Some((header, block)) = maker.seal(place, &parent, time, work) else { return };
            self.blocks.push((header, block.hash));
        }
    }

    /// Its header at a height above the block that it leaves.
    pub(crate) fn at(&self, height: u64) -> Option<Sealed> {
        let nth = height.checked_sub(self.leaves.0 + 1)?;
        self.blocks.get(usize::try_from(nth).ok()?).copied()
    }

    /// Where its block with this hash stands.
    pub(crate) fn place(&self, hash: &Hash) -> Option<(Place, Header)> {
        let nth = self.blocks.iter().position(|(_, known)| known == hash)?;
        let place = Place { height: self.leaves.0 + 1 + nth as u64, version: self.version };
        Some((place, self.blocks[nth].0))
    }

    /// A block of it, whole.
    pub(crate) fn block(&self, shared: &Shared, hash: &Hash) -> Option<Arc<Block>> {
        let (place, header) = self.place(hash)?;
        shared.block(place, &header, hash)
    }
}
