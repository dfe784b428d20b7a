//! Which logs are transfers of ERC-20 or ERC-721: those that a block's summary counts.
//!
//! The two standards share a signature and are told apart by what is indexed: an ERC-20 log has three topics and one word of data,
//! an ERC-721 log four topics and no data. An address with anything but zeros in front is malformed, and the log is none.

use alloy_primitives::{B256, b256};

/// keccak256("Transfer(address,address,uint256)")
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// Whether a log with these topics, and so many bytes of data, moves a token.
pub fn is_transfer(topics: &[B256], data_len: usize) -> bool {
    match topics {
        [TRANSFER, from, to, rest @ ..] => {
            matches!((rest.len(), data_len), (0, 32) | (1, 0)) && is_address(from) && is_address(to)
        }
        _ => false,
    }
}

fn is_address(word: &B256) -> bool {
    word.0[..12] == [0; 12]
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn transfers_of_both_standards_and_nothing_else() {
        let [from, to, id] = [1, 2, u8::MAX].map(B256::with_last_byte);
        assert_eq!(TRANSFER, keccak256("Transfer(address,address,uint256)"));
        assert!(is_transfer(&[TRANSFER, from, to], 32) && is_transfer(&[TRANSFER, from, to, B256::repeat_byte(9)], 0));
        // Another event; one topic too few or too many for the data; something in front of an address.
        assert!(!is_transfer(&[keccak256("Approval(address,address,uint256)"), from, to], 32));
        for (topics, data_len) in [
            (&[TRANSFER, from, to][..], 0),
            (&[TRANSFER, from, to], 31),
            (&[TRANSFER, from, to, id], 32),
            (&[TRANSFER, from], 64),
            (&[TRANSFER], 96),
            (&[], 32),
            (&[TRANSFER, B256::repeat_byte(1), to], 32),
            (&[TRANSFER, from, B256::repeat_byte(1)], 32),
        ] {
            assert!(!is_transfer(topics, data_len), "{topics:?} {data_len}");
        }
    }
}
