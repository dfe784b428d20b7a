//! What tests compare rows with: the canonical chain's blocks and transactions, read from their bytes.
//!
//! Guarantee: nothing of it comes from Headwater's own readers.

use super::block::{Block, Header, parent_of, time_of};
use super::wire::{Reader, Transaction, shown};
use serde::{Deserialize, Serialize};

/// One canonical block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canonical {
    /// Its height.
    pub height: u64,
    /// Its hash, as people see it.
    pub hash: String,
    /// The hash of the block below.
    pub parent_hash: String,
    /// Unix time in seconds.
    pub timestamp: u64,
    /// Transactions, the coinbase among them.
    pub tx_count: u64,
    /// Their inputs without the coinbase's.
    pub inputs: u64,
    /// Their outputs.
    pub outputs: u64,
    /// What they pay, satoshi.
    pub fees: u64,
    /// Bytes of the block with witnesses.
    pub size: u64,
}

/// One transaction, as a row must say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Transaction id, as people see it.
    pub txid: String,
    /// Hash with witnesses.
    pub wtxid: String,
    /// Bytes with witnesses.
    pub size: u64,
    /// Weight units (BIP-141).
    pub weight: u64,
    /// Satoshi; 0 of a coinbase.
    pub fee: u64,
    /// Sum of its outputs, satoshi.
    pub output_value: u64,
    /// What its inputs spend: transaction, output, satoshi. Empty of a coinbase.
    pub inputs: Vec<(String, u32, u64)>,
    /// Its outputs: satoshi and script in hex.
    pub outputs: Vec<(u64, String)>,
}

impl Canonical {
    pub(crate) fn of(header: &Header, block: &Block) -> Self {
        let all = Told::of(block);
        Self {
            height: block.height,
            hash: shown(&block.hash),
            parent_hash: shown(&parent_of(header)),
            timestamp: time_of(header).into(),
            tx_count: all.len() as u64,
            inputs: all.iter().map(|one| one.inputs.len() as u64).sum(),
            outputs: all.iter().map(|one| one.outputs.len() as u64).sum(),
            fees: all.iter().map(|one| one.fee).sum(),
            size: block.raw.len() as u64,
        }
    }
}

/// Satoshi and scripts of what a transaction spends.
type Spent<'a> = Vec<(u64, &'a [u8])>;

/// What each transaction spends.
pub(crate) fn spent(undo: &[u8]) -> Vec<Spent<'_>> {
    let mut reader = Reader::new(undo);
    let mut read = || -> Result<Vec<Spent<'_>>, String> {
        let mut all = Vec::new();
        for _ in 0..reader.size()? {
            let mut of_one = Vec::new();
            for _ in 0..reader.size()? {
                of_one.push((reader.u64()?, reader.bytes()?));
            }
            all.push(of_one);
        }
        Ok(all)
    };
    // It was written here.
    read().unwrap_or_default()
}

impl Told {
    pub(crate) fn of(block: &Block) -> Vec<Self> {
        let read = |(span, prevouts): (&std::ops::Range<usize>, Spent<'_>)| {
            // What stands there was read before.
            let one = Transaction::read(&block.raw[span.clone()]).ok()?;
            let output_value: u64 = one.outputs.iter().map(|output| output.value).sum();
            let input_value: u64 = prevouts.iter().map(|(value, _)| value).sum();
            let spends = one.inputs.iter().zip(&prevouts);
            Some(Self {
                txid: shown(&one.txid()),
                wtxid: shown(&one.wtxid()),
                size: one.raw.len() as u64,
                weight: one.weight() as u64,
                fee: input_value.saturating_sub(output_value),
                output_value,
                inputs: spends.map(|(input, (value, _))| (shown(&input.spent), input.index, *value)).collect(),
                outputs: one.outputs.iter().map(|output| (output.value, const_hex::encode(output.script))).collect(),
            })
        };
        block.spans.iter().zip(spent(&block.undo)).filter_map(read).collect()
    }
}
