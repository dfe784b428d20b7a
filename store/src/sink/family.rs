//! Which family a block is of, and which tables hold what belongs to its block.
//!
//! Guarantee: it is told by the block's hash alone, since a revert's record holds nothing else: EVM writes hashes with `0x`, Bitcoin without
//! (rule 20). A network is of one family for ever, so that what one of its events tells holds for all.

use schemas::{BlockHash, Family};

use super::delete::{BITCOIN_INPUTS, BITCOIN_OUTPUTS, BITCOIN_TRANSACTIONS, LOGS, TRANSACTIONS, Table};

/// The family of a block.
pub(super) fn family_of(hash: &BlockHash) -> Family {
    match hash.as_str().starts_with("0x") {
        true => Family::Evm,
        false => Family::Bitcoin,
    }
}

/// The tables of what a block of a family holds.
pub(super) fn children_of(family: Family) -> &'static [Table] {
    match family {
        Family::Evm => &[TRANSACTIONS, LOGS],
        Family::Bitcoin => &[BITCOIN_TRANSACTIONS, BITCOIN_INPUTS, BITCOIN_OUTPUTS],
        Family::Stellar => &[],
    }
}

#[cfg(test)]
mod tests {
    use schemas::BitcoinHash;

    use super::*;

    #[test]
    fn a_hash_tells_the_family() {
        let evm: BlockHash = format!("0x{}", "ab".repeat(32)).parse().expect("a hash");
        assert_eq!(family_of(&evm), Family::Evm);
        assert_eq!(family_of(&BitcoinHash([0xab; 32]).into()), Family::Bitcoin);
    }
}
