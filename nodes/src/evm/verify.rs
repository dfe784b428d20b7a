//! Whether an answer is to be believed (rule 24). Pure.
//!
//! Always decisive: the block is the one asked for; one receipt per transaction, index by index with the same hash, all of
//! this very block. Decisive where the chain's profile says that they hold, only counted elsewhere: header hash, transaction
//! hashes, root of the transactions, root and blooms of the receipts. Receipts of another block therefore never pass.

use alloy_primitives::{B256, Bloom};

use schemas::profiles::Profile;

use super::keccak::keccak256_all;
use super::trie::ordered_root;
use super::{
    encode,
    wire::{Block, Receipt, Transaction},
};
use crate::metrics;

/// How a check counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Not made.
    Off,
    /// Made and counted.
    Count,
    /// A block that fails it is not believed.
    Decide,
}

/// Checks of hashes and roots, as a chain's profile has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// The header's hash, recomputed.
    pub header_hash: Weight,
    /// Transaction hashes, recomputed.
    pub transaction_hashes: Weight,
    /// Root of the transactions.
    pub transactions_root: Weight,
    /// Root of the receipts, and the OR of their blooms.
    pub receipts_root: Weight,
    /// Whether the last transaction may be one that is in no root (Polygon's state syncs: from the zero address, unsigned).
    pub state_sync: bool,
}

impl Checks {
    /// All checks with one weight.
    pub const fn all(weight: Weight) -> Self {
        Self {
            header_hash: weight,
            transaction_hashes: weight,
            transactions_root: weight,
            receipts_root: weight,
            state_sync: false,
        }
    }
    /// What a chain's profile says: decisive where it holds, counted elsewhere.
    pub const fn of(profile: &Profile) -> Self {
        const fn weight(holds: bool) -> Weight {
            if holds { Weight::Decide } else { Weight::Count }
        }
        Self {
            header_hash: weight(profile.ethereum_rlp),
            transaction_hashes: weight(profile.transactions_root),
            transactions_root: weight(profile.transactions_root),
            receipts_root: weight(profile.receipts_root),
            state_sync: profile.state_sync,
        }
    }
    /// Structure only.
    pub const OFF: Self = Self::all(Weight::Off);
}

/// Why an answer is not believed.
pub type Lie = String;

/// Checks a block and its receipts against the question, each other and their hashes.
pub fn verify(block: &Block, receipts: &[Receipt], asked: u64, checks: &Checks) -> Result<(), Lie> {
    structure(block, receipts, asked)?;
    decide("header_hash", checks.header_hash, || {
        encode::header_hash(block).map(|hash| {
            let told = block.hash.unwrap_or_default();
            if hash == told { Ok(()) } else { Err(format!("the header's fields hash to {hash}, not to {told}")) }
        })
    })?;
    let list = block.transactions.as_deref().unwrap_or_default();
    // What is in no root is left out of them.
    let rooted = match list.last() {
        Some(last) if checks.state_sync && is_state_sync(last) => list.len() - 1,
        _ => list.len(),
    };
    transactions(block, &list[..rooted], checks)?;
    decide("receipts_root", checks.receipts_root, || receipts_root(block, &receipts[..rooted]))
}

fn is_state_sync(t: &Transaction) -> bool {
    let nothing = |v: &Option<alloy_primitives::U256>| v.is_none_or(|v| v.is_zero());
    t.from.is_some_and(|from| from.is_zero()) && nothing(&t.r) && nothing(&t.s)
}

/// What needs no hashing.
fn structure(block: &Block, receipts: &[Receipt], asked: u64) -> Result<(), Lie> {
    if block.number != Some(asked) {
        return Err(format!("asked for block {asked}, got {}", block.number.map_or("none".into(), |n| n.to_string())));
    }
    let hash = block.hash.ok_or("the block has no hash")?;
    let transactions = block.transactions.as_deref().unwrap_or_default();
    if transactions.len() != receipts.len() {
        return Err(format!("block {asked} has {} transactions but {} receipts", transactions.len(), receipts.len()));
    }
    for (i, (t, r)) in transactions.iter().zip(receipts).enumerate() {
        if t.hash.is_none() || t.hash != r.transaction_hash {
            return Err(format!("transaction {i} of block {asked} and receipt {i} have different hashes"));
        }
        if r.block_hash.is_some_and(|h| h != hash) || t.block_hash.is_some_and(|h| h != hash) {
            return Err(format!("receipt or transaction {i} belongs to another block than {hash}"));
        }
        if [t.transaction_index, r.transaction_index].into_iter().flatten().any(|told| told != i as u64) {
            return Err(format!("receipt or transaction {i} of block {asked} states another index"));
        }
    }
    Ok(())
}

fn transactions(block: &Block, list: &[Transaction], checks: &Checks) -> Result<(), Lie> {
    if checks.transaction_hashes == Weight::Off && checks.transactions_root == Weight::Off {
        return Ok(());
    }
    let encoded: Vec<Option<Vec<u8>>> = list.iter().map(encode::any_transaction).collect();
    decide("transaction_hashes", checks.transaction_hashes, || {
        // A type that is not known here is judged by the root only.
        let known = || encoded.iter().enumerate().filter_map(|(i, bytes)| Some((i, bytes.as_deref()?)));
        let hashes = keccak256_all(&known().map(|(_, bytes)| bytes).collect::<Vec<_>>());
        match known().zip(hashes).find(|((i, _), hash)| list[*i].hash != Some(*hash)) {
            Some(((i, _), _)) => Some(Err(format!("transaction {i} does not hash to what the node states"))),
            None => Some(Ok(())),
        }
    })?;
    decide("transactions_root", checks.transactions_root, || {
        let encoded: Option<Vec<Vec<u8>>> = encoded.into_iter().collect();
        let root = ordered_root(&encoded?);
        Some(same_root("transactions", root, block.transactions_root))
    })
}

fn receipts_root(block: &Block, receipts: &[Receipt]) -> Option<Result<(), Lie>> {
    let encoded = receipts.iter().map(|r| {
        let mut out = Vec::new();
        encode::receipt(r, &mut out).map(|()| out)
    });
    let root = ordered_root(&encoded.collect::<Option<Vec<_>>>()?);
    if let Some(told) = block.logs_bloom {
        let mut bloom = Bloom::ZERO;
        for r in receipts {
            bloom |= encode::bloom(r);
        }
        if bloom != told {
            return Some(Err("the receipts' blooms do not add up to the header's".into()));
        }
    }
    Some(same_root("receipts", root, block.receipts_root))
}

fn same_root(of: &str, root: B256, told: Option<B256>) -> Result<(), Lie> {
    match told {
        Some(told) if told != root => Err(format!("the {of} have root {root}, the header says {told}")),
        _ => Ok(()),
    }
}

/// Weighs a check's outcome; `None` is "could not be made".
fn decide(name: &'static str, weight: Weight, check: impl FnOnce() -> Option<Result<(), Lie>>) -> Result<(), Lie> {
    if weight == Weight::Off {
        return Ok(());
    }
    match (check(), weight) {
        (Some(Ok(())), _) => Ok(()),
        (Some(Err(lie)), Weight::Decide) => Err(lie),
        (outcome, _) => {
            metrics::check_undecided(name, matches!(outcome, Some(Ok(()))));
            Ok(())
        }
    }
}
