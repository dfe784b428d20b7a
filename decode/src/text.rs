//! Readable text that is sent as a transaction's input: messages, inscriptions (`data:,…`). It is no call.

use schemas::limits::decoding as limits;

use crate::builtin;

/// The text, where all of the input is one: UTF-8 of at least [`limits::TEXT_BYTES`] bytes without control characters other than line
/// breaks and tabs, that is no exact call of the table. (Calls of ABIs are looked for before.)
pub fn text(input: &[u8]) -> Option<&str> {
    if input.len() < limits::TEXT_BYTES {
        return None;
    }
    let text = std::str::from_utf8(input).ok()?;
    let readable =
        |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\n' | '\r' | '\t');
    if !text.chars().all(readable) || text.trim().is_empty() {
        return None;
    }
    let known = input.first_chunk::<4>().is_some_and(|selector| builtin().has_function(*selector));
    (!known || crate::call(&[], input).is_none()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_people_can_read() {
        for good in ["hello", "data:,{\"p\":\"erc-20\"}", "two\nlines\ttab", "你好", "gm 🦀"] {
            assert_eq!(text(good.as_bytes()), Some(good));
        }
        // Four letters are a selector as well as a word.
        for bad in ["", "gm", "swap", "      ", "a\0b\0c\0", "\u{7f}bcdef", "tab\u{b}ulator"] {
            assert_eq!(text(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(text(b"caf\xe9 au lait"), None);
        assert_eq!(text(&[0xa9, 0x05, 0x9c, 0xbb]), None);
    }
}
