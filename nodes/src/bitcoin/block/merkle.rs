//! The tree over transactions' ids (Bitcoin Core's `consensus/merkle.cpp`). Pure.

use sha2::{Digest, Sha256};

/// SHA-256 of SHA-256.
pub(super) fn double_sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    Sha256::digest(hasher.finalize()).into()
}

/// An inner node.
pub(super) fn hash_pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    double_sha256(&[left, right])
}

/// The root over these leaves (as they are serialized), all zero over none. `None` where two neighbours are equal: other leaves would
/// give the same root (CVE-2012-2459).
pub fn merkle_root(leaves: Vec<[u8; 32]>) -> Option<[u8; 32]> {
    let (root, doubled) = reduce(leaves);
    (!doubled).then_some(root)
}

/// The root over witness ids, whose doubles are excluded by the other tree.
pub(super) fn witness_root(leaves: Vec<[u8; 32]>) -> [u8; 32] {
    reduce(leaves).0
}

fn reduce(mut level: Vec<[u8; 32]>) -> ([u8; 32], bool) {
    let mut doubled = false;
    while level.len() > 1 {
        let mut above = Vec::with_capacity(level.len().div_ceil(2));
        for pair in level.chunks(2) {
            let node = match pair {
                [left, right] => {
                    doubled |= left == right;
                    hash_pair(left, right)
                }
                [last] => hash_pair(last, last),
                _ => continue,
            };
            above.push(node);
        }
        level = above;
    }
    (level.first().copied().unwrap_or_default(), doubled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(n: u8) -> Vec<[u8; 32]> {
        (1..=n).map(|i| [i; 32]).collect()
    }

    #[test]
    fn an_odd_level_takes_its_last_twice_and_such_leaves_are_refused() {
        let pair = |a: &[u8; 32], b: &[u8; 32]| hash_pair(a, b);
        assert_eq!(merkle_root(Vec::new()), Some([0; 32]));
        assert_eq!(merkle_root(leaves(1)), Some([1; 32]));
        let (ab, cc) = (pair(&[1; 32], &[2; 32]), pair(&[3; 32], &[3; 32]));
        assert_eq!(merkle_root(leaves(3)), Some(pair(&ab, &cc)));
        let mut doubled = leaves(3);
        doubled.push([3; 32]);
        assert_eq!(merkle_root(doubled.clone()), None);
        assert_eq!(witness_root(doubled), pair(&ab, &cc), "the same root");
        let mut pairs = leaves(2);
        pairs.extend(leaves(2));
        assert_eq!(merkle_root(pairs), None, "doubled one level up");
    }
}
