//! Numbers in sketches: LEB128, seven bits a byte, the lowest first, in the shortest form only.

use super::NotASketch;

/// Appends a number.
pub(super) fn put(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes the number at the front.
pub(super) fn take(from: &mut &[u8]) -> Result<u64, NotASketch> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first().ok_or(NotASketch::Truncated)?;
        *from = rest;
        let is_last = byte & 0x80 == 0;
        if (shift == 63 && byte > 1) || (is_last && byte == 0 && shift > 0) {
            return Err(NotASketch::Number);
        }
        n |= u64::from(byte & 0x7f) << shift;
        if is_last {
            return Ok(n);
        }
    }
    Err(NotASketch::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_only_in_their_shortest_form() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let mut out = Vec::new();
            put(n, &mut out);
            let mut from = &out[..];
            assert_eq!((take(&mut from), from.len()), (Ok(n), 0));
            assert_eq!(take(&mut &out[..out.len() - 1]), Err(NotASketch::Truncated));
        }
        for wrong in
            [&[0x80, 0][..], &[0xff, 0], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
        {
            assert_eq!(take(&mut &*wrong), Err(NotASketch::Number), "{wrong:?}");
        }
    }
}
