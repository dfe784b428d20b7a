//! Opaque cursors: where a page ended, bound to the list and the filters that it came from.
//!
//! Guarantee: a cursor that we did not make, or made for other filters, is refused (a checksum over both, against mistakes;
//! it is no secret and needs none, since a cursor only says where to go on).

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{ApiError, cut};

/// Longest cursor, in characters.
pub const MAX_CHARS: usize = 1_024;
/// Shortest: a byte of JSON and the checksum.
pub const LEAST_CHARS: usize = 18;

/// As text. `list` names the list and its filters.
pub fn encode<C: Serialize>(list: &str, cursor: &C) -> String {
    let mut body = serde_json::to_vec(cursor).unwrap_or_default();
    body.extend_from_slice(&checksum(list, &body));
    const_hex::encode(body)
}

/// From text.
pub fn decode<C: DeserializeOwned>(list: &str, text: &str) -> Result<C, ApiError> {
    let refuse = || ApiError::InvalidCursor { value: cut(text) };
    if text.len() > MAX_CHARS {
        return Err(refuse());
    }
    let bytes = const_hex::decode(text).map_err(|_| refuse())?;
    let at = bytes.len().checked_sub(8).ok_or_else(refuse)?;
    let (body, sum) = bytes.split_at(at);
    if checksum(list, body) != *sum {
        return Err(refuse());
    }
    serde_json::from_slice(body).map_err(|_| refuse())
}

/// FNV-1a, 64 bits.
fn checksum(list: &str, body: &[u8]) -> [u8; 8] {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in list.bytes().chain([0]).chain(body.iter().copied()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip_and_only_with_the_same_list(time: i64, network in "[a-z-]{0,64}", number: u64, index: u32) {
            let cursor = (time, network, number, index);
            let text = encode("txs?status=failed", &cursor);
            prop_assert_eq!(decode::<(i64, String, u64, u32)>("txs?status=failed", &text), Ok(cursor));
            prop_assert!(decode::<(i64, String, u64, u32)>("txs?", &text).is_err());
        }

        #[test]
        fn other_texts_are_refused(text in "[0-9a-f]{0,80}|.{0,40}") {
            prop_assert!(decode::<(i64, String, u64, u32)>("txs", &text).is_err());
        }

        #[test]
        fn a_changed_cursor_is_refused(at in 0usize..20, bit in 0u8..4) {
            let mut text = encode("blocks", &(1i64, "a".to_owned(), 2u64)).into_bytes();
            let digits = b"0123456789abcdef";
            let old = digits.iter().position(|d| *d == text[at]).expect("hex");
            text[at] = digits[old ^ (1 << bit)];
            prop_assert!(decode::<(i64, String, u64)>("blocks", &String::from_utf8(text).expect("ascii")).is_err());
        }
    }
}
