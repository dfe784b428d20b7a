//! Which family a block is of, and which tables hold what belongs to its block: what is deleted, dropped and looked through follows from
//! that list.
//!
//! Guarantee: the family is told by the block's hash alone, since a revert's record holds nothing else: EVM writes hashes with `0x`, Bitcoin without
//! (rule 20). A network is of one family for ever, so that what one of its events tells holds for all.

use schemas::{BlockHash, Family};

use super::delete::{BITCOIN_INPUTS, BITCOIN_OUTPUTS, BITCOIN_TRANSACTIONS, BLOCKS, LOGS, TRANSACTIONS, Table};

/// The family of a block.
pub(super) fn family_of(hash: &BlockHash) -> Family {
    Family::of_hash(hash.as_str())
}

/// The tables of what a block of a family holds.
pub(super) fn children_of(family: Family) -> &'static [Table] {
    match family {
        Family::Evm => &[TRANSACTIONS, LOGS],
        Family::Bitcoin => &[BITCOIN_TRANSACTIONS, BITCOIN_INPUTS, BITCOIN_OUTPUTS],
        Family::Stellar => &[],
    }
}

/// Every table whose rows are of a height, whatever family's.
pub(super) fn of_heights() -> impl Iterator<Item = Table> {
    Family::ALL.iter().flat_map(|&family| children_of(family)).copied().chain([BLOCKS])
}

/// The statement over what events behind `{stored:UInt64}` have rows of: sequence and hash, which children keep as bytes.
pub(super) fn written_behind() -> String {
    let of = |hash: &str, table: &Table| {
        format!(
            "SELECT sequence, {hash} AS hash FROM {} WHERE network = {{network:String}} AND sequence > {{stored:UInt64}} AND is_deleted = 0",
            table.name
        )
    };
    let children = Family::ALL.iter().flat_map(|&family| {
        let hash = match family {
            Family::Evm => "concat('0x', lower(hex(block_hash)))",
            Family::Bitcoin | Family::Stellar => "lower(hex(block_hash))",
        };
        children_of(family).iter().map(move |table| of(hash, table))
    });
    let all: Vec<String> = children.chain([of("hash", &BLOCKS)]).collect();
    format!("SELECT DISTINCT sequence, hash FROM ({})", all.join(" UNION ALL "))
}

#[cfg(test)]
mod tests {
    use schemas::BitcoinHash;

    use super::*;

    #[test]
    fn what_is_of_a_height_is_the_children_and_the_blocks() {
        let names: Vec<&str> = of_heights().map(|table| table.name).collect();
        let children = ["evm_transaction_rows", "evm_log_rows"];
        let of_bitcoin = ["bitcoin_transaction_rows", "bitcoin_input_rows", "bitcoin_output_rows"];
        assert_eq!(names, [&children[..], &of_bitcoin, &["block_rows"]].concat());
        let sql = written_behind();
        let hash = |of: &str| sql.contains(&format!("AS hash FROM {of} WHERE "));
        assert!(names.iter().all(|name| hash(name)), "{sql}");
        assert_eq!(sql.matches("concat('0x', ").count(), children.len());
    }

    #[test]
    fn a_hash_tells_the_family() {
        let evm: BlockHash = format!("0x{}", "ab".repeat(32)).parse().expect("a hash");
        assert_eq!(family_of(&evm), Family::Evm);
        assert_eq!(family_of(&BitcoinHash([0xab; 32]).into()), Family::Bitcoin);
    }
}
