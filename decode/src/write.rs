//! Values as JSON, appended to a reused text without allocation.

use alloy_primitives::U256;
use schemas::wire::{U256_DIGITS, decimal_text};

/// `"0x…"` of at most 64 bytes.
pub(crate) fn hex_short(bytes: &[u8], out: &mut String) {
    let mut text = [0u8; 4 + 128];
    let end = 3 + 2 * bytes.len();
    text[..3].copy_from_slice(b"\"0x");
    // Twice the bytes is all that it can object to; of more nothing is written.
    if bytes.len() <= 64 && const_hex::encode_to_slice(bytes, &mut text[3..end]).is_ok() {
        text[end] = b'"';
        out.push_str(std::str::from_utf8(&text[..=end]).unwrap_or_default());
    }
}

/// `"0x…"` of any length.
pub(crate) fn hex(bytes: &[u8], out: &mut String) {
    if bytes.len() <= 64 {
        return hex_short(bytes, out);
    }
    out.reserve(2 * bytes.len() + 4);
    out.push_str("\"0x");
    for chunk in bytes.chunks(512) {
        let mut text = [0u8; 1024];
        let text = &mut text[..2 * chunk.len()];
        if const_hex::encode_to_slice(chunk, text).is_ok() {
            out.push_str(std::str::from_utf8(text).unwrap_or_default());
        }
    }
    out.push('"');
}

/// A number below 2^256 as decimal text.
pub(crate) fn unsigned(word: &[u8; 32], negative: bool, out: &mut String) {
    let mut digits = [0; U256_DIGITS];
    let n = U256::from_be_bytes(*word);
    let n = if negative { n.wrapping_neg() } else { n };
    out.push_str(if negative { "\"-" } else { "\"" });
    out.push_str(decimal_text(&n, &mut digits));
    out.push('"');
}

/// Text as a JSON string (RFC 8259, section 7).
pub(crate) fn text(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        // What is escaped is ASCII, so that both ends are between characters.
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str(escaped);
        if escaped.is_empty() {
            let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n & 15)]);
            out.push_str("\\u00");
            out.push(digit(byte >> 4));
            out.push(digit(byte));
        }
        from = at + 1;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_json() {
        let every: String = (0..0x250).filter_map(char::from_u32).chain("\u{2028}🦀\"".chars()).collect();
        let mut out = String::new();
        text(&every, &mut out);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), every);
    }

    #[test]
    fn bytes_of_any_length() {
        for n in [0, 1, 31, 64, 65, 511, 512, 513, 2000] {
            let bytes: Vec<u8> = (0..n).map(|i| i as u8).collect();
            let mut out = String::new();
            hex(&bytes, &mut out);
            assert_eq!(out, format!("\"{}\"", const_hex::encode_prefixed(&bytes)));
        }
    }
}
