//! What makes the transactions of a replayed block its own: a mark of 16 bytes that each of them carries.
//!
//! Guarantee: with another mark every transaction has another hash, and what follows from its hash follows again: a signed
//! transaction carries the mark as the lower half of its signature's `s`, an OP-stack deposit as that of its `sourceHash`, and
//! hash and root of the transactions are those of the encoded content. Receipts hold no hash of their transaction, so their root
//! and blooms stay. Where a recorded hash or root does not follow from the encoding (chains' own types, Cosmos chains), so that no
//! profile checks it, a keccak of the recorded one and the mark stands in for it. Senders stay as recorded: nobody can sign for
//! them, so they no longer follow from the signatures.
//!
//! Of what is hashed only the end changes: everything before the mark has been taken in once, when the block was read, and a
//! replay goes on from there.

use super::encode;
use super::recorded::quantity;
use alloy_primitives::{B256, Keccak256, U256, keccak256};
use alloy_rlp::Encodable as _;
use alloy_trie::nodes::LeafNodeRef;
use alloy_trie::root::{adjust_index_for_rlp, ordered_trie_root_encoded};
use alloy_trie::{HashBuilder, Nibbles};
use serde_json::Value;

/// What a replay's transactions carry.
pub(crate) type Mark = [u8; 16];

/// The field of a transaction's JSON that carries the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carrier {
    pub key: &'static str,
    /// The field as it was recorded.
    pub recorded: String,
    /// What stands before the mark's 32 digits.
    pub before: String,
}

impl Carrier {
    /// Where a transaction has room for a mark.
    pub(super) fn of(tx: &Value) -> Option<Self> {
        let deposit = tx["type"].as_str().and_then(quantity) == Some(encode::DEPOSIT);
        let key = if deposit { "sourceHash" } else { "s" };
        let recorded = tx[key].as_str()?.to_owned();
        let before = if deposit {
            recorded.get(..34)?.to_owned()
        } else {
            // Numbers have no leading zeros: where there are no digits above the mark's, there is one now.
            let above: U256 = recorded.parse::<U256>().ok()? >> 128usize;
            format!("{:#x}", above.max(U256::ONE))
        };
        Some(Self { key, recorded, before })
    }

    fn marked(&self, tx: &Value, mark: &Mark) -> Option<Vec<u8>> {
        let mut tx = tx.clone();
        tx[self.key] = format!("{}{}", self.before, const_hex::encode(mark)).into();
        encode::transaction(&tx)
    }
}

/// Bytes that hold a mark: what stands before it has been hashed, what stands behind it is kept.
#[derive(Debug)]
struct Marked {
    before: Keccak256,
    behind: Vec<u8>,
}

impl Marked {
    fn new(bytes: &[u8], at: usize) -> Self {
        let mut before = Keccak256::new();
        before.update(&bytes[..at]);
        Self { before, behind: bytes[at + size_of::<Mark>()..].to_vec() }
    }

    fn hash(&self, mark: &Mark) -> B256 {
        let mut hasher = self.before.clone();
        hasher.update(mark);
        hasher.update(&self.behind);
        hasher.finalize()
    }
}

/// How a transaction's hash is found.
#[derive(Debug)]
enum Hash {
    Encoded(Box<Marked>),
    /// Made of the recorded one.
    StandIn(B256),
}

/// How the transactions' root is found.
#[derive(Debug)]
enum Root {
    /// From its leaves, in the order of their keys.
    Trie(Vec<(Nibbles, Marked)>),
    /// Made of the recorded one.
    StandIn(B256),
    /// There is nothing in it.
    Empty(B256),
}

/// A recorded block's transactions, prepared to be marked.
#[derive(Debug)]
pub(crate) struct Content {
    pub carriers: Vec<Option<Carrier>>,
    hashes: Vec<Hash>,
    root: Root,
}

fn stand_in(recorded: &B256, mark: &Mark) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(recorded);
    hasher.update(mark);
    hasher.finalize()
}

/// A transaction's encoding with room for a mark, where the room is, and who carries it.
struct Room {
    bytes: Vec<u8>,
    at: usize,
    carrier: Carrier,
}

fn room(tx: &Value) -> Option<Room> {
    let carrier = Carrier::of(tx)?;
    let bytes = carrier.marked(tx, &[0; 16])?;
    let other = carrier.marked(tx, &[0xff; 16])?;
    let at = bytes.iter().zip(&other).position(|(a, b)| a != b)?;
    Some(Room { bytes, at, carrier })
}

impl Content {
    /// `hashes`, `root`: the recorded ones, in the order of the transactions.
    pub(crate) fn of(transactions: &[Value], hashes: &[B256], root: B256) -> Self {
        if transactions.is_empty() {
            return Self { carriers: Vec::new(), hashes: Vec::new(), root: Root::Empty(root) };
        }
        let recorded: Vec<Option<Vec<u8>>> = transactions
            .iter()
            .zip(hashes)
            .map(|(tx, hash)| encode::transaction(tx).filter(|bytes| keccak256(bytes) == *hash))
            .collect();
        let rooms: Vec<Option<Room>> =
            transactions.iter().zip(&recorded).map(|(tx, recorded)| recorded.as_ref().and_then(|_| room(tx))).collect();
        // Polygon's state syncs were in no root: the last transaction may stand outside.
        let rooted = [transactions.len(), transactions.len() - 1].into_iter().find(|count| {
            let inside: Option<Vec<&Vec<u8>>> = recorded[..*count].iter().map(Option::as_ref).collect();
            inside.is_some_and(|inside| ordered_trie_root_encoded(&inside) == root)
        });
        let inside: Option<Vec<&Room>> = rooted.and_then(|count| rooms[..count].iter().map(Option::as_ref).collect());
        let root = inside.map_or(Root::StandIn(root), |inside| Root::Trie(leaves(&inside)));
        let hash = |(room, hash): (&Option<Room>, &B256)| match room {
            Some(room) => Hash::Encoded(Box::new(Marked::new(&room.bytes, room.at))),
            None => Hash::StandIn(*hash),
        };
        let hashes = rooms.iter().zip(hashes).map(hash).collect();
        Self { carriers: rooms.into_iter().map(|room| Some(room?.carrier)).collect(), hashes, root }
    }

    /// The marked transactions' hashes.
    pub(crate) fn hashes(&self, mark: &Mark) -> Vec<B256> {
        let hash = |hash: &Hash| match hash {
            Hash::Encoded(marked) => marked.hash(mark),
            Hash::StandIn(recorded) => stand_in(recorded, mark),
        };
        self.hashes.iter().map(hash).collect()
    }

    /// The marked transactions' root.
    pub(crate) fn root(&self, mark: &Mark) -> B256 {
        match &self.root {
            Root::Empty(root) => *root,
            Root::StandIn(recorded) => stand_in(recorded, mark),
            Root::Trie(leaves) => {
                let mut trie = HashBuilder::default();
                for (place, leaf) in leaves {
                    trie.add_branch(*place, leaf.hash(mark), false);
                }
                trie.root()
            }
        }
    }

    /// Whether hashes and root follow from the encoded content, whatever the mark.
    #[cfg(test)]
    pub(crate) fn is_whole(&self) -> bool {
        self.hashes.iter().all(|hash| matches!(hash, Hash::Encoded(_))) && !matches!(self.root, Root::StandIn(_))
    }
}

/// The leaves of an ordered trie (Yellow Paper, appendix D) and where they hang, in the order of their keys. A leaf holds a
/// whole transaction, so it is longer than what would stand in its parent itself.
fn leaves(rooms: &[&Room]) -> Vec<(Nibbles, Marked)> {
    let indexes = (0..rooms.len()).map(|i| adjust_index_for_rlp(i, rooms.len()));
    let keys: Vec<(usize, Nibbles)> = indexes.map(|i| (i, Nibbles::unpack(alloy_rlp::encode_fixed_size(&i)))).collect();
    let leaf = |(n, (index, key)): (usize, &(usize, Nibbles))| {
        let neighbours = [n.checked_sub(1).and_then(|before| keys.get(before)), keys.get(n + 1)];
        let depth = neighbours.into_iter().flatten().map(|(_, other)| key.common_prefix_length(other) + 1).max();
        let depth = depth.unwrap_or(0);
        let Room { bytes, at, .. } = rooms[*index];
        let mut encoded = Vec::with_capacity(bytes.len() + 16);
        LeafNodeRef::new(&key.slice(depth..), bytes).encode(&mut encoded);
        // The transaction is the leaf's end.
        let at = encoded.len() - bytes.len() + at;
        (key.slice(..depth), Marked::new(&encoded, at))
    };
    keys.iter().enumerate().map(leaf).collect()
}
