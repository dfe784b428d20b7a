//! Hex text as the bytes that it stands for.
//!
//! Two thirds of a record are hashes, addresses and data in hex. To a compressor that looks for repeated text they are the
//! worst there is: among sixteen letters everything was there before, four letters at a time, and nothing much longer. As bytes
//! they are half as long, and what repeats does so in one piece.
//!
//! Guarantee: [`unpack`] gives back what [`pack`] was given, byte for byte, whatever it was; bytes that [`pack`] did not make are
//! an error or give some bytes, at most twice as many, and never a panic.
//!
//! ```text
//! until the end: length, so many bytes as they are, then (unless that was the end) length, so many bytes to be shown in hex
//! lengths are LEB128
//! ```

use super::blob::put_len;

/// Digits that are worth it.
const LEAST: usize = 16;
/// Digits that are looked at together.
const TOGETHER: usize = 32;

/// Appends `raw`, packed. `false`: nothing in it is worth it, and nothing was appended.
pub fn pack(raw: &[u8], out: &mut Vec<u8>) -> bool {
    let (mut kept, mut from) = (0, 0);
    while let Some(x) = memchr::memchr(b'x', &raw[from..]).map(|at| from + at) {
        from = x + 1;
        if x == 0 || raw[x - 1] != b'0' {
            continue;
        }
        let digits = digits(&raw[from..]) & !1;
        if digits < LEAST {
            continue;
        }
        put_len(out, from - kept);
        out.extend_from_slice(&raw[kept..from]);
        put_len(out, digits / 2);
        let start = out.len();
        out.resize(start + digits / 2, 0);
        // They are digits, two for each byte: there is nothing to object to.
        let done = const_hex::decode_to_slice(&raw[from..from + digits], &mut out[start..]);
        debug_assert!(done.is_ok());
        from += digits;
        kept = from;
    }
    if kept > 0 {
        put_len(out, raw.len() - kept);
        out.extend_from_slice(&raw[kept..]);
    }
    kept > 0
}

/// How many lower-case hex digits stand at the start.
fn digits(text: &[u8]) -> usize {
    let is = |b: u8| (b.wrapping_sub(b'0') < 10) | (b.wrapping_sub(b'a') < 6);
    let (chunks, _) = text.as_chunks::<TOGETHER>();
    // Without a branch per digit, so that a chunk is looked at at once.
    let whole = chunks.iter().take_while(|chunk| chunk.iter().fold(true, |all, b| all & is(*b))).count() * TOGETHER;
    whole + text[whole..].iter().take_while(|b| is(**b)).count()
}

/// The bytes that were packed, `length` of them; `None` when these are not such.
pub fn unpack(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    // No length that is made up gets memory.
    if length / 2 > packed.len() {
        return None;
    }
    let mut out = vec![0; length];
    let (mut rest, mut filled) = (packed, 0usize);
    while !rest.is_empty() {
        let kept = take(&mut rest)?;
        let place = out.get_mut(filled..filled.checked_add(kept.len())?)?;
        place.copy_from_slice(kept);
        filled += kept.len();
        if rest.is_empty() {
            break;
        }
        let bytes = take(&mut rest)?;
        let place = out.get_mut(filled..filled.checked_add(2 * bytes.len())?)?;
        const_hex::encode_to_slice(bytes, place).ok()?;
        filled += 2 * bytes.len();
    }
    (filled == length).then_some(out)
}

/// A length and so many bytes.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut n = 0usize;
    for shift in (0..35).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        n |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let (bytes, behind) = rest.split_at_checked(n)?;
            *rest = behind;
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(raw: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        pack(raw, &mut out).then_some(out)
    }

    #[test]
    fn what_is_hex_is_half_as_long() {
        let hash = format!("{{\"a\":\"0x{}\"}}", "0123456789abcdef".repeat(4));
        let short = packed(hash.as_bytes()).unwrap();
        assert_eq!(short.len(), hash.len() - 32 + 3, "half of 64 digits, and three lengths");
        assert_eq!(unpack(&short, hash.len()).unwrap(), hash.as_bytes());
        // Too few digits, none, upper case, no prefix.
        for plain in ["0x0123456789abcde", "x", "0x", "", "0x0123456789ABCDEF", "0123456789abcdef0123"] {
            assert_eq!(packed(plain.as_bytes()), None, "{plain}");
        }
        // An odd digit stays as it is; what begins like another prefix is none.
        for odd in [
            "0x0123456789abcdef0",
            "0x0x0123456789abcdef",
            "00x0123456789abcdef00x",
            "0x0123456789abcdef0x0123456789abcdef",
        ] {
            let short = packed(odd.as_bytes()).unwrap();
            assert!(short.len() < odd.len(), "{odd}");
            assert_eq!(unpack(&short, odd.len()).unwrap(), odd.as_bytes());
        }
    }

    /// Text in which hex of every length stands at every place.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "0x[0-9a-f]{0,150}".prop_map(String::into_bytes),
            "[0-9a-fx]{0,40}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..20),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_packed_is_unpacked(raw in text()) {
            if let Some(short) = packed(&raw) {
                prop_assert_eq!(unpack(&short, raw.len()), Some(raw.clone()));
                prop_assert_eq!(unpack(&short, raw.len() + 1), None);
                prop_assert_eq!(unpack(&short, raw.len() - 1), None);
            }
        }

        #[test]
        fn any_bytes_are_unpacked_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), length in 0usize..200) {
            let out = unpack(&bytes, length);
            prop_assert!(out.is_none_or(|out| out.len() == length && length <= 2 * bytes.len() + 1));
        }
    }
}
