//! What an event does to windows.

use alloy_primitives::Address;
use schemas::{
    BlockHash, Op, Origin, TimeMs,
    limits::BLOCK_TIME_END_MS,
    records::{Coverage, EnrichedBlock, Partial},
};

/// Where an event stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its offset in the network's partition of `enriched.blocks`.
    pub offset: u64,
    /// When it was written there.
    pub at: TimeMs,
}

/// What a watched contract adds to its windows.
#[derive(Debug, Clone)]
pub struct Part {
    /// The contract.
    pub contract: Address,
    /// From which block time on each block's summary names the contract where it was touched; `None`: not known.
    pub watched_from: Option<TimeMs>,
    /// Its sums.
    pub partial: Partial,
}

/// What a block adds to windows.
#[derive(Debug, Clone)]
pub struct Parts {
    /// To the network's.
    pub network: Partial,
    /// To those of watched contracts that it touched.
    pub contracts: Vec<Part>,
    /// Whether it touched watched contracts for which its record had no room.
    pub left_out: bool,
}

/// A block that was applied.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Live or filled in.
    pub origin: Origin,
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// Its parent's hash.
    pub parent: BlockHash,
    /// Its time.
    pub time: TimeMs,
    /// The median of the times of this block and the ten before it, where its record says it (Bitcoin's median time past, BIP-113).
    pub median_time: Option<TimeMs>,
    /// The highest final height, where the chain says so.
    pub finalized: Option<u64>,
    /// What it adds.
    pub parts: Parts,
}

/// A block that was reverted.
#[derive(Debug, Clone)]
pub struct Reverted {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time.
    pub time: TimeMs,
}

/// An event.
#[derive(Debug, Clone)]
pub enum Change {
    /// A block.
    Apply(Box<Applied>),
    /// A block of which the header alone is known: nothing is said about what it did.
    Header {
        /// Live or filled in.
        origin: Origin,
        /// Its height.
        height: u64,
    },
    /// One fewer.
    Revert(Reverted),
    /// Nothing but that no height up to this one is reverted any more.
    Finality(Option<u64>),
}

impl Change {
    /// What a record of `enriched.blocks` does.
    ///
    /// # Errors
    /// An applied block without a summary, of which more than the header was to be had: what is wrong.
    pub fn of(block: &EnrichedBlock) -> Result<Self, &'static str> {
        let e = &block.envelope;
        let finalized = e.finalized_height;
        match e.op {
            Op::Finality => return Ok(Self::Finality(finalized)),
            Op::Revert => {
                return Ok(Self::Revert(Reverted { height: e.height, hash: e.block_hash.clone(), time: e.block_time }));
            }
            Op::Apply => {}
        }
        if block.bitcoin.as_ref().is_some_and(|header| header.coverage == Coverage::Header) {
            return Ok(Self::Header { origin: e.origin, height: e.height });
        }
        let summary = block.summary.as_ref().ok_or("an applied block without a summary")?;
        let contracts = summary.contracts.iter().map(|sum| Part {
            contract: sum.address,
            watched_from: sum.watched_from,
            // What a former version counted is too little, and is told as not known.
            partial: Partial::of_contract(e, sum).unwrap_or_default(),
        });
        let parts = Parts {
            network: Partial::of_block(e, block.evm.as_deref(), summary).with_room(block.bitcoin.as_deref()),
            contracts: contracts.collect(),
            left_out: summary.contracts_left_out > 0,
        };
        Ok(Self::Apply(Box::new(Applied {
            origin: e.origin,
            height: e.height,
            hash: e.block_hash.clone(),
            parent: e.parent_hash.clone(),
            time: in_time(e.block_time),
            median_time: block.bitcoin.as_ref().and_then(|header| header.median_time).map(in_time),
            finalized,
            parts,
        })))
    }
}

/// A time that all that is computed of windows has room for.
fn in_time(time: TimeMs) -> TimeMs {
    TimeMs(time.0.clamp(0, BLOCK_TIME_END_MS))
}
