//! A block of a simulated chain, whole: what every way of asking for it is answered from.

use super::prevout::Origin;
use super::wire::Hash;
use axum::body::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// A header's 80 bytes.
pub(crate) type Header = [u8; 80];

/// A block with what its transactions spend.
#[derive(Debug)]
pub(crate) struct Block {
    pub height: u64,
    pub hash: Hash,
    /// Header and transactions (BIP-144).
    pub raw: Bytes,
    /// Where each transaction stands in `raw`.
    pub spans: Vec<Range<usize>>,
    pub txids: Vec<Hash>,
    /// As `/rest/spenttxouts/HASH.bin` has it.
    pub undo: Bytes,
    /// Where each spent output comes from, in the order of the inputs.
    pub origins: Arc<[Origin]>,
}

/// The root of the transactions' tree.
pub(crate) fn root_of(header: &Header) -> &[u8] {
    &header[36..68]
}

/// The hash of the block below.
pub(crate) fn parent_of(header: &Header) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(&header[4..36]);
    hash
}

fn number(header: &Header, at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// Version bits.
pub(crate) fn version_of(header: &Header) -> u32 {
    number(header, 0)
}

/// Seconds since 1970.
pub(crate) fn time_of(header: &Header) -> u32 {
    number(header, 68)
}

/// The target in compact form.
pub(crate) fn bits_of(header: &Header) -> u32 {
    number(header, 72)
}

/// The nonce.
pub(crate) fn nonce_of(header: &Header) -> u32 {
    number(header, 76)
}

/// The median of these time stamps, of at most the last eleven (Bitcoin Core `CBlockIndex::GetMedianTimePast`); 0 of none.
pub(crate) fn median(times: impl Iterator<Item = u32>) -> u32 {
    let mut times: Vec<u32> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
