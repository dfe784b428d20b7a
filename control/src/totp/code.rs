//! One-time codes (RFC 6238 over RFC 4226): SHA-1, six digits, thirty seconds, which is what every authenticator knows. Pure.

use ring::hmac;
use schemas::limits::people as limits;

/// A secret: 160 bits (RFC 4226, section 4, R6).
pub(super) const SECRET: usize = 20;
const DIGITS: usize = 6;

/// The code of a step.
fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
    let four = tag.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).unwrap_or_default();
    let number = (u32::from_be_bytes(four) & 0x7fff_ffff) % 10u32.pow(DIGITS as u32);
    format!("{number:0DIGITS$}")
}

/// The step that a code is of, among those that are taken at a time; the same time whichever it is.
pub(super) fn step_of(secret: &[u8], given: &str, now_ms: i64) -> Option<i64> {
    let given: String = given.chars().filter(|c| !c.is_whitespace()).take(DIGITS + 1).collect();
    let present = now_ms / limits::TOTP_STEP.as_millis() as i64;
    let mut found = None;
    for step in present - limits::TOTP_SKEW..=present + limits::TOTP_SKEW {
        if crate::secret::same_text(&code(secret, step), &given) {
            found = Some(step);
        }
    }
    found
}

/// RFC 4648 without padding, as authenticators read it.
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for five in bytes.chunks(5) {
        let mut wide = [0u8; 8];
        wide[3..3 + five.len()].copy_from_slice(five);
        let value = u64::from_be_bytes(wide);
        for place in 0..(five.len() * 8).div_ceil(5) {
            text.push(char::from(ALPHABET[(value >> (35 - 5 * place)) as usize & 31]));
        }
    }
    text
}

/// The text of the picture that authenticators look at.
pub(super) fn uri(secret: &[u8], email: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'@');
    let account: String =
        email.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    let (secret, period) = (base32(secret), limits::TOTP_STEP.as_secs());
    format!(
        "otpauth://totp/Headwater:{account}?secret={secret}&issuer=Headwater&algorithm=SHA1&digits={DIGITS}&period={period}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4226, appendix D; RFC 6238, appendix B (the last six of its eight digits).
    #[test]
    fn codes_are_those_of_the_specifications() {
        let secret = b"12345678901234567890";
        let first: Vec<String> = (0..4).map(|step| code(secret, step)).collect();
        assert_eq!(first, ["755224", "287082", "359152", "969429"]);
        for (seconds, told) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code(secret, seconds / 30), told);
        }
    }

    #[test]
    fn the_steps_beside_the_present_one_are_taken_and_no_others() {
        let secret = b"12345678901234567890";
        let now = 1_800_000_000_000;
        let present = now / 30_000;
        for (step, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let found = step_of(secret, &code(secret, present + step), now);
            assert_eq!(found, taken.then_some(present + step), "{step}");
        }
        let text = code(secret, present);
        assert_eq!(step_of(secret, &format!("{} {}", &text[..3], &text[3..]), now), Some(present));
        for wrong in ["", "1", &format!("{text}0"), &text[1..], "abcdef"] {
            assert_eq!(step_of(secret, wrong, now), None, "{wrong}");
        }
    }

    /// RFC 4648, section 10.
    #[test]
    fn base32_is_that_of_the_specification() {
        for (plain, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")]
        {
            assert_eq!(base32(plain.as_bytes()), text);
        }
        assert_eq!(base32(b"foobar"), "MZXW6YTBOI");
        let uri = uri(b"12345678901234567890", "a+b&c@example.org");
        assert!(
            uri.contains("/Headwater:a%2Bb%26c@example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer="),
            "{uri}"
        );
    }
}
