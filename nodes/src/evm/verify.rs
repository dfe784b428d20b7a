//! Whether an answer is to be believed (rule 24). Pure but for counting.
//!
//! Always decisive: the block is the one asked for; one receipt per transaction, in the block's order, all of this very block.
//! Decisive where the chain's profile says that they hold, only counted elsewhere: header hash, transaction hashes, root of
//! the transactions, root and blooms of the receipts, and what no root covers but follows from what one does: stated places,
//! gas used, prices, created addresses, senders. Receipts of another block therefore never pass.

use alloy_primitives::{Address, B256, Bloom, U256};

use schemas::profiles::Profile;

use super::keccak::keccak256_all;
use super::trie::ordered_root;
use super::{
    encode, sender,
    wire::{Block, Log, Receipt, Transaction},
};
use crate::metrics;

/// What a receipt takes without logs, and a log without data, at most (data's own length included).
const RECEIPT_BYTES: usize = 320;
const LOG_BYTES: usize = 170;

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

/// Checks of hashes, roots, and of what follows from them, as a chain's profile has them.
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
    /// The place in the block that transactions and receipts state. What counts is the place where they stand.
    pub places: Weight,
    /// Gas used, from the gas used so far.
    pub gas_used: Weight,
    /// The price paid, from the transaction and the base fee (EIP-1559).
    pub price: Weight,
    /// A created contract's address, from sender and nonce.
    pub created: Weight,
    /// The sender, recovered from the signature ([`senders`]).
    pub senders: Weight,
    /// Whether the last transaction may be a state sync of Polygon's.
    pub state_sync: bool,
    /// Whether receipts that belong to no transaction may follow those that do (Celo's block receipts).
    pub other_receipts: bool,
}

impl Checks {
    /// All checks with one weight, but for senders: recovering them is by far the dearest.
    pub const fn all(weight: Weight) -> Self {
        Self {
            header_hash: weight,
            transaction_hashes: weight,
            transactions_root: weight,
            receipts_root: weight,
            places: weight,
            gas_used: weight,
            price: weight,
            created: weight,
            senders: Weight::Off,
            state_sync: false,
            other_receipts: false,
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
            places: weight(profile.receipts_root),
            gas_used: weight(profile.receipts_root),
            price: weight(profile.effective_gas_price),
            created: weight(profile.transactions_root),
            senders: Weight::Off,
            state_sync: profile.state_sync,
            other_receipts: !profile.receipts_root,
        }
    }

    /// And senders recovered from signatures: decisive where transaction hashes are.
    #[must_use]
    pub const fn with_senders(self) -> Self {
        Self { senders: self.transaction_hashes, ..self }
    }

    /// Links, counts and order only.
    pub const fn structure(profile: &Profile) -> Self {
        Self { other_receipts: !profile.receipts_root, ..Self::OFF }
    }

    /// Links, counts and order only, on a chain of which nothing is known.
    pub const OFF: Self = Self::all(Weight::Off);
}

/// Why an answer is not believed.
pub type Lie = String;

/// Checks a block and its receipts against the question, each other and their hashes. Senders are for [`senders`].
pub fn verify(block: &Block, receipts: &[Receipt], asked: u64, checks: &Checks) -> Result<(), Lie> {
    structure(block, receipts, asked, checks)?;
    decide("header_hash", checks.header_hash, || {
        Some(encode::header_hash(block).and_then(|hash| {
            let told = block.hash.unwrap_or_default();
            if hash == told { Ok(()) } else { Err(format!("the header's fields hash to {hash}, not to {told}")) }
        }))
    })?;
    let list = block.transactions.as_deref().unwrap_or_default();
    // What is in no root is left out of them.
    let rooted = list.len() - usize::from(stands_outside(list, receipts, checks)?);
    transactions(block, &list[..rooted], checks)?;
    let in_root = if rooted < list.len() { &receipts[..rooted] } else { receipts };
    decide("receipts_root", checks.receipts_root, || Some(receipts_root(block, in_root)))?;
    follows(block, &list[..rooted], receipts, checks)
}

/// Whether the last transaction is in no root: Polygon's state syncs before the Madhugiri upgrade, of type 0, from the zero
/// address, unsigned. Since then (PIP-74) they are of type 0x7f and part of the roots, the last of their block, zero to
/// zero, unsigned. Their hash is made of what JSON-RPC does not show, so that the root of the transactions cannot be
/// recomputed for their block; the receipts' can.
fn stands_outside(list: &[Transaction], receipts: &[Receipt], checks: &Checks) -> Result<bool, Lie> {
    let (true, Some((last, others))) = (checks.state_sync, list.split_last()) else { return Ok(false) };
    // One that is not last, or that moves or pays anything, only serves to keep the others from being checked.
    let typed = |t: &Transaction| t.transaction_type == Some(encode::STATE_SYNC);
    if let Some(i) = others.iter().position(typed) {
        return Err(format!("transaction {i} is a state sync (type 0x7f) and not the last of its block"));
    }
    let zero = |address: Option<Address>| address.is_some_and(|a| a.is_zero());
    let nothing = |v: &Option<U256>| v.is_none_or(|v| v.is_zero());
    let unsigned = zero(last.from) && nothing(&last.r) && nothing(&last.s);
    if typed(last) {
        let gas = receipts.get(others.len()).and_then(|r| r.gas_used).unwrap_or_default();
        if unsigned && zero(last.to) && nothing(&last.value) && gas == 0 {
            return Ok(false);
        }
        return Err("the state sync (type 0x7f) is signed, moves something or pays for gas".into());
    }
    Ok(unsigned && last.transaction_type.unwrap_or_default() == 0)
}

/// What needs no hashing.
fn structure(block: &Block, receipts: &[Receipt], asked: u64, checks: &Checks) -> Result<(), Lie> {
    if block.number != Some(asked) {
        return Err(format!("asked for block {asked}, got {}", block.number.map_or("none".into(), |n| n.to_string())));
    }
    let hash = block.hash.ok_or("the block has no hash")?;
    let transactions = block.transactions.as_deref().unwrap_or_default();
    let (listed, others) = receipts.split_at(receipts.len().min(transactions.len()));
    if listed.len() < transactions.len() || !(others.is_empty() || checks.other_receipts) {
        return Err(format!("block {asked} has {} transactions but {} receipts", transactions.len(), receipts.len()));
    }
    for (i, (t, r)) in transactions.iter().zip(listed).enumerate() {
        if t.hash.is_none() || t.hash != r.transaction_hash {
            return Err(format!("transaction {i} of block {asked} and receipt {i} have different hashes"));
        }
        if t.block_hash.is_some_and(|h| h != hash) {
            return Err(format!("receipt or transaction {i} belongs to another block than {hash}"));
        }
        let elsewhere = |told: Option<u64>| told.is_some_and(|told| told != i as u64);
        for (field, told) in
            [("Transaction.transactionIndex", t.transaction_index), ("Receipt.transactionIndex", r.transaction_index)]
        {
            match checks.places {
                Weight::Decide if elsewhere(told) => {
                    return Err(format!("receipt or transaction {i} of block {asked} states another index"));
                }
                _ if elsewhere(told) => metrics::odd_field(field, metrics::OTHER),
                _ => {}
            }
        }
    }
    for (i, r) in receipts.iter().enumerate() {
        // One that belongs to no transaction must say that it belongs to the block.
        if r.block_hash.map_or(i >= listed.len(), |h| h != hash) {
            return Err(format!("receipt or transaction {i} belongs to another block than {hash}"));
        }
        // A log belongs to the receipt that it stands in: that is what the receipts' root says.
        let logs = r.logs.iter().flatten().filter(|l| l.transaction_hash.is_some());
        let strange = logs.filter(|l| l.transaction_hash != r.transaction_hash).count();
        metrics::odd_fields("Log.transactionHash", metrics::OTHER, strange);
    }
    if let Some(i) = others.iter().position(|o| transactions.iter().any(|t| t.hash == o.transaction_hash)) {
        return Err(format!("transaction of receipt {} of block {asked} has a receipt already", listed.len() + i));
    }
    metrics::odd_fields("Receipt.transactionHash", metrics::OTHER, others.len());
    Ok(())
}

fn transactions(block: &Block, list: &[Transaction], checks: &Checks) -> Result<(), Lie> {
    if checks.transaction_hashes == Weight::Off && checks.transactions_root == Weight::Off {
        return Ok(());
    }
    let encoded: Vec<Option<Vec<u8>>> = list.iter().map(encode::any_transaction).collect();
    decide("transaction_hashes", checks.transaction_hashes, || {
        if let Some(i) = (0..list.len()).find(|i| encoded[*i].is_none() && encode::is_known(&list[*i])) {
            return Some(Err(format!("transaction {i} lacks what its hash is made of")));
        }
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

fn receipts_root(block: &Block, receipts: &[Receipt]) -> Result<(), Lie> {
    let encoded = receipts.iter().enumerate().map(|(i, r)| {
        let data = |l: &Log| l.data.as_ref().map_or(0, |data| data.len());
        let room = r.logs.iter().flatten().map(|l| LOG_BYTES + data(l)).sum::<usize>();
        let mut out = Vec::with_capacity(RECEIPT_BYTES + room);
        let done = encode::receipt(r, &mut out);
        done.map(|()| out).ok_or_else(|| format!("receipt {i} lacks what the receipts' root is made of"))
    });
    let root = ordered_root(&encoded.collect::<Result<Vec<_>, Lie>>()?);
    if let Some(told) = block.logs_bloom {
        let mut bloom = Bloom::ZERO;
        for r in receipts {
            bloom |= encode::bloom(r);
        }
        if bloom != told {
            return Err("the receipts' blooms do not add up to the header's".into());
        }
    }
    same_root("receipts", root, block.receipts_root)
}

fn same_root(of: &str, root: B256, told: Option<B256>) -> Result<(), Lie> {
    match told {
        Some(told) if told == root => Ok(()),
        Some(told) => Err(format!("the {of} have root {root}, the header says {told}")),
        None => Err(format!("the header leaves out the root of the {of}")),
    }
}

/// What stands in no root and follows from what does.
fn follows(block: &Block, list: &[Transaction], receipts: &[Receipt], checks: &Checks) -> Result<(), Lie> {
    let both = || list.iter().zip(receipts).enumerate();
    each("gas_used", checks.gas_used, both().scan(0, |before, (i, (_, r))| Some((i, gas_used(before, r)))))?;
    each("effective_gas_price", checks.price, both().map(|(i, (t, r))| (i, price(block.base_fee_per_gas, t, r))))?;
    each("contract_address", checks.created, both().map(|(i, (t, r))| (i, created(t, r))))
}

/// Gas used is the difference of the gas used so far. `before`: of the receipt before.
fn gas_used(before: &mut u64, r: &Receipt) -> Option<Result<(), Lie>> {
    let so_far = r.cumulative_gas_used?;
    let used = so_far.checked_sub(std::mem::replace(before, so_far));
    let told = r.gas_used?;
    Some(if used == Some(told) {
        Ok(())
    } else {
        Err(format!("states that {told} gas were used, which the gas used so far does not allow"))
    })
}

/// EIP-1559: the stated price, or the cap's and the tip's. `None` for types that are not known here, and where a part is missing.
fn price(base_fee: Option<U256>, t: &Transaction, r: &Receipt) -> Option<Result<(), Lie>> {
    let right = match t.transaction_type.unwrap_or_default() {
        0 | 1 => t.gas_price?,
        2..=4 => t.max_fee_per_gas?.min(base_fee?.saturating_add(t.max_priority_fee_per_gas?)),
        _ => return None,
    };
    let told = r.effective_gas_price?;
    Some(if told == right { Ok(()) } else { Err(format!("states a price of {told} wei per gas, it is {right}")) })
}

/// The address of a contract follows from its maker and the maker's nonce (Yellow Paper, section 7). Types that are not known here
/// are not judged; OP-stack's deposits are not either, of which nodes before Canyon stated another one.
fn created(t: &Transaction, r: &Receipt) -> Option<Result<(), Lie>> {
    let told = r.contract_address.filter(|_| encode::is_known(t))?;
    if t.to.is_some() {
        return Some(Err(format!("states the created contract {told}, but it is a call")));
    }
    let right = t.from?.create(t.nonce?);
    Some(if told == right { Ok(()) } else { Err(format!("states the created contract {told}, it is {right}")) })
}

/// Checks each of a block's receipts. One word for the block is counted.
fn each(
    name: &'static str,
    weight: Weight,
    mut outcomes: impl Iterator<Item = (usize, Option<Result<(), Lie>>)>,
) -> Result<(), Lie> {
    decide(name, weight, || {
        let wrong = outcomes.find_map(|(i, outcome)| Some((i, outcome?.err()?)));
        Some(wrong.map_or(Ok(()), |(i, lie)| Err(format!("receipt {i} {lie}"))))
    })
}

/// Checks senders against signatures. `first`: place of the list's first transaction in its block. It is arithmetic on a curve for
/// each transaction: long lists are better checked in pieces.
pub fn senders(first: usize, list: &[Transaction], checks: &Checks) -> Result<(), Lie> {
    decide("sender", checks.senders, || {
        let wrong = list.iter().enumerate().find_map(|(i, t)| {
            let (i, signer) = (first + i, sender::recover(t)?);
            match (signer, t.from) {
                (Some(signer), Some(from)) if signer == from => None,
                (Some(signer), from) => {
                    let from = from.map_or("nobody".into(), |from| from.to_string());
                    Some(format!("transaction {i} was signed by {signer}, not by {from}"))
                }
                (None, _) => Some(format!("transaction {i} has a signature that nobody can have made")),
            }
        });
        Some(wrong.map_or(Ok(()), Err))
    })
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
            metrics::check_undecided(name, outcome.is_some());
            Ok(())
        }
    }
}
