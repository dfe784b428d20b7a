//! The root of an ordered trie (transactions, receipts), its leaves hashed together.
//!
//! Where a leaf hangs follows from its neighbours' keys alone, so all leaves are encoded and hashed first, and what is left
//! to the trie builder are branches.
//!
//! Source: Ethereum Yellow Paper, appendix D.

use alloy_primitives::B256;
use alloy_rlp::Encodable;
use alloy_trie::nodes::LeafNodeRef;
use alloy_trie::root::{adjust_index_for_rlp, ordered_trie_root_encoded};
use alloy_trie::{HashBuilder, Nibbles};

use super::keccak::keccak256_all;

/// A node that is shorter stands in its parent itself, not by its hash.
const HASHED: usize = 32;

/// The root of the trie that has `items` under the RLP of their indexes.
pub fn ordered_root(items: &[Vec<u8>]) -> B256 {
    let indexes = (0..items.len()).map(|i| adjust_index_for_rlp(i, items.len()));
    let keys: Vec<(usize, Nibbles)> = indexes.map(|i| (i, Nibbles::unpack(alloy_rlp::encode_fixed_size(&i)))).collect();
    let (mut places, mut ends) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
    let mut leaves = Vec::with_capacity(items.iter().map(|item| item.len() + 8).sum());
    for (n, (index, key)) in keys.iter().enumerate() {
        let neighbours = [n.checked_sub(1).and_then(|before| keys.get(before)), keys.get(n + 1)];
        let depth = neighbours.into_iter().flatten().map(|(_, other)| key.common_prefix_length(other) + 1).max();
        let (place, rest) = (key.slice(..depth.unwrap_or(0)), key.slice(depth.unwrap_or(0)..));
        let start = leaves.len();
        LeafNodeRef::new(&rest, &items[*index]).encode(&mut leaves);
        if leaves.len() - start < HASHED {
            return ordered_trie_root_encoded(items);
        }
        places.push(place);
        ends.push(start..leaves.len());
    }
    let leaves: Vec<&[u8]> = ends.into_iter().map(|range| &leaves[range]).collect();
    let mut trie = HashBuilder::default();
    for (place, hash) in places.into_iter().zip(keccak256_all(&leaves)) {
        trie.add_branch(place, hash, false);
    }
    trie.root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_those_of_the_plain_trie() {
        for count in (0..140).chain([255, 256, 257, 300, 70_000]) {
            for length in [1, 29, 33, 200] {
                let item = |n: usize| (0..length + n % 7).map(|k| (n * 131 + k * 17 + 1) as u8).collect();
                let items: Vec<Vec<u8>> = (0..count).map(item).collect();
                assert_eq!(ordered_root(&items), ordered_trie_root_encoded(&items), "{count} items of {length} bytes");
                if count > 1_000 {
                    break;
                }
            }
        }
    }
}
