//! Makes blocks of a replayed chain: which recorded block stands at a height, and the header that it is found under.
//!
//! Guarantee: a pure function of the seed, the height, how often the height was replaced, the block below, and the time.

use super::block::{Block, Header};
use super::chain::BITS;
use super::dataset::{Content, Dataset};
use super::recorded::{Body, Mark, Recorded};
use super::wire::{Hash, meets, sha256d};
use std::sync::Arc;

/// The version of every header: no deployment is signalled (BIP-9).
const VERSION: u32 = 0x2000_0000;

/// Knows the recorded blocks and the seed.
#[derive(Debug)]
pub(crate) struct Maker {
    pub data: Arc<Dataset>,
    pub seed: u64,
}

/// How a block is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// As every block.
    Done,
    /// Its hash is above the target.
    Missing,
}

/// What a block is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub height: u64,
    /// How often its height was replaced.
    pub version: u32,
}

impl Maker {
    fn nth(place: Place) -> u64 {
        place.height.saturating_sub(1) + u64::from(place.version)
    }

    /// Transactions of the block at a place.
    pub(crate) fn count(&self, place: Place) -> u64 {
        match self.data.content() {
            Content::Replayed(_) if place.height == 0 => 1,
            Content::Replayed(blocks) => blocks[(Self::nth(place) % blocks.len() as u64) as usize].count(),
            Content::Fixed(blocks) => {
                blocks.get(place.height as usize).map_or(0, |(_, block)| block.txids.len() as u64)
            }
        }
    }

    fn body(&self, place: Place) -> Option<(&Recorded, Body)> {
        let Content::Replayed(blocks) = self.data.content() else { return None };
        let nth = Self::nth(place);
        let recorded = &blocks[(nth % blocks.len() as u64) as usize];
        let again = place.version > 0 || nth >= blocks.len() as u64;
        Some((recorded, recorded.body(place.height, &self.mark(place), again)))
    }

    fn mark(&self, place: Place) -> Mark {
        let parts: [&[u8]; 4] = [
            b"headwater simulated chain",
            &self.seed.to_be_bytes(),
            &place.height.to_be_bytes(),
            &place.version.to_be_bytes(),
        ];
        let hash = sha256d(&parts);
        let mut mark: Mark = [0; 16];
        mark.copy_from_slice(&hash[..16]);
        mark
    }

    /// A new block on top of `parent`; `None` of a chain that is served as it is.
    pub(crate) fn seal(&self, place: Place, parent: &Hash, time: u32, work: Work) -> Option<(Header, Arc<Block>)> {
        let (recorded, body) = self.body(place)?;
        let mut header: Header = [0; 80];
        header[..4].copy_from_slice(&VERSION.to_le_bytes());
        header[4..36].copy_from_slice(parent);
        header[36..68].copy_from_slice(&body.root);
        header[68..72].copy_from_slice(&time.to_le_bytes());
        header[72..76].copy_from_slice(&BITS.to_le_bytes());
        // Every second nonce does.
        for nonce in 0..=u32::MAX {
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            if meets(&sha256d(&[&header]), BITS) == (work == Work::Done) {
                break;
            }
        }
        Some((header, whole(place.height, &header, recorded, body)))
    }

    /// The block at a place again, whose header is known.
    pub(crate) fn again(&self, place: Place, header: &Header) -> Option<Arc<Block>> {
        if place.height == 0 {
            return self.data.first().ok().map(|(_, block)| block);
        }
        if let Content::Fixed(blocks) = self.data.content() {
            return blocks.get(place.height as usize).map(|(_, block)| block.clone());
        }
        let (recorded, body) = self.body(place)?;
        Some(whole(place.height, header, recorded, body))
    }
}

fn whole(height: u64, header: &Header, recorded: &Recorded, body: Body) -> Arc<Block> {
    let Body { bytes, txids, mut spans, .. } = body;
    let mut raw = Vec::with_capacity(80 + bytes.len());
    raw.extend_from_slice(header);
    raw.extend_from_slice(&bytes);
    spans.iter_mut().for_each(|span| *span = span.start + 80..span.end + 80);
    Arc::new(Block {
        height,
        hash: sha256d(&[header]),
        raw: raw.into(),
        spans,
        txids,
        undo: recorded.undo.clone(),
        origins: recorded.origins.clone(),
    })
}
