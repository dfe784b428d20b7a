//! The text of a key.

use runtime::config::Secret;

use crate::{error::Error, random};

/// Characters of the prefix, and of what follows it: 22 × 5.95 = 131 bits.
const PREFIX: usize = 8;
const SECRET: usize = 22;
const WORD: &str = "hw_";

/// A new key.
pub(super) struct Text {
    pub(super) prefix: String,
    pub(super) whole: Secret,
}

pub(super) fn new() -> Result<Text, Error> {
    let random = |n| random::base62(n).map_err(|e| Error::Settings(format!("no random numbers: {e}")));
    let (prefix, secret) = (random(PREFIX)?, random(SECRET)?);
    let whole = Secret::new(format!("{WORD}{prefix}_{secret}"));
    Ok(Text { prefix, whole })
}

/// The prefix of what has the form of a key.
pub(super) fn prefix(presented: &str) -> Option<[u8; PREFIX]> {
    let (prefix, secret) = presented.strip_prefix(WORD)?.split_once('_')?;
    let good = |part: &str, length| part.len() == length && part.bytes().all(|b| random::BASE62.contains(&b));
    (good(prefix, PREFIX) && good(secret, SECRET)).then(|| prefix.as_bytes().try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_its_prefix_and_nothing_else_is_a_key() {
        let text = new().unwrap();
        let whole = text.whole.expose();
        assert_eq!(prefix(whole).unwrap(), text.prefix.as_bytes());
        assert_eq!(whole.len(), 34);
        assert!(f64::from(SECRET as u32) * 62f64.log2() >= 128.0);
        for wrong in [
            "",
            "hw_",
            "hw__",
            &whole[..33],
            &format!("{whole}x"),
            &whole.replace("hw_", "HW_"),
            &whole.replace('_', "-"),
        ] {
            assert_eq!(prefix(wrong), None, "{wrong}");
        }
        assert_eq!(prefix(&format!("hw_{}_{}", "a".repeat(8), "é".repeat(11))), None);
        assert_ne!(new().unwrap().whole, text.whole);
    }
}
