//! Identities that follow from what they are of: ULIDs as text, as the control store makes them, whose random part is a digest. Whoever
//! does the same work again gives the same name.

use alloy_primitives::keccak256;

use crate::primitives::TimeMs;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;

/// The ULID of this time and these bytes: 48 bits of milliseconds, then the first 80 bits of the bytes' Keccak-256, as 26 characters of
/// Crockford's base 32. Equal for equal arguments, and sorted by time. A time before 1970 counts as 1970.
pub fn ulid_of(time: TimeMs, of: &[u8]) -> String {
    let digest = keccak256(of);
    let digest = digest.iter().take(10).fold(0u128, |n, byte| n << 8 | u128::from(*byte));
    let value = u128::from(u64::try_from(time.0).unwrap_or(0) & ((1 << 48) - 1)) << 80 | digest;
    let digit = |place: usize| {
        let at = usize::try_from(value >> (5 * place) & 31).unwrap_or(0);
        char::from(ALPHABET.get(at).copied().unwrap_or(b'0'))
    };
    (0..LENGTH).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_from_time_and_bytes_and_sorts_by_time() {
        // The time of the specification's example.
        let id = ulid_of(TimeMs(1_469_918_176_385), b"a");
        assert!(id.starts_with("01ARYZ6S41") && id.len() == 26, "{id}");
        assert_eq!(id, ulid_of(TimeMs(1_469_918_176_385), b"a"));
        assert_ne!(id, ulid_of(TimeMs(1_469_918_176_385), b"b"));
        assert!(id < ulid_of(TimeMs(1_469_918_176_386), b"a"));
        assert!(ulid_of(TimeMs(-5), b"a").starts_with("0000000000"));
    }
}
