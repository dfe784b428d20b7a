//! What somebody may mean by what is pasted into a search box. Pure.

use crate::params::{BECH32, bech32};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A hash, in both of the forms in which chains write them, in lower case: with `0x`, and without.
    Hash(String, String),
    /// An address of an EVM chain, lower case, or of Bitcoin, as it is printed.
    Address(String),
    /// A height, which may be a part of a name as well.
    Height(u64),
    /// A part of a name.
    Name,
}

/// Reads it. Hashes and addresses are found in whatever stands around them, such as the address of an explorer's page.
pub fn read(text: &str) -> Asked {
    // The longest such run: a page's address may have a contract's address before the hash.
    let (mut address, mut coins) = (None, None);
    for run in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        let digits = run.strip_prefix("0x").or_else(|| run.strip_prefix("0X")).unwrap_or(run);
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            coins = coins.or_else(|| bitcoin(run));
            continue;
        }
        match digits.len() {
            64 => {
                let digits = digits.to_ascii_lowercase();
                return Asked::Hash(format!("0x{digits}"), digits);
            }
            40 if address.is_none() => address = Some(format!("0x{}", digits.to_ascii_lowercase())),
            _ => {}
        }
    }
    if let Some(address) = address.or(coins) {
        return Asked::Address(address);
    }
    // People write heights as pages show them: 18,000,000 or 18 000 000 or #18000000.
    let digits: String =
        text.trim_start_matches('#').chars().filter(|c| !matches!(c, ',' | '_' | ' ' | '\'' | '\u{202f}')).collect();
    let is_height = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(height) if is_height => Asked::Height(height),
        _ => Asked::Name,
    }
}

/// An address of Bitcoin by its form: base58 (P2PKH, P2SH) as it is, bech32 (BIP-173, BIP-350) in lower case. Nobody is told that it is
/// right: it is looked for, and found or not.
fn bitcoin(run: &str) -> Option<String> {
    if let Some(lower) = bech32(run) {
        let data = BECH32.iter().find_map(|prefix| lower.strip_prefix(prefix))?;
        let is_data = (11..=84).contains(&data.len()) && data.bytes().all(|b| BECH32_ALPHABET.contains(&b));
        return is_data.then_some(lower);
    }
    let begins = run.starts_with(['1', '2', '3', 'm', 'n']);
    let is_base58 = |b: u8| b.is_ascii_alphanumeric() && !matches!(b, b'0' | b'O' | b'I' | b'l');
    (begins && (26..=35).contains(&run.len()) && run.bytes().all(is_base58)).then(|| run.to_owned())
}

/// The characters of their data part (BIP-173).
const BECH32_ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_pasted_is_understood() {
        let hash = "ab".repeat(32);
        let asked = Asked::Hash(format!("0x{hash}"), hash.clone());
        for text in [
            hash.clone(),
            format!("0x{hash}"),
            format!("0X{}", hash.to_uppercase()),
            format!("https://etherscan.io/tx/0x{hash}"),
            format!("https://explorer.example/address/0x{}/tx/0x{hash}#eventlog", "cd".repeat(20)),
            format!(" \"0x{hash}\"\n"),
        ] {
            assert_eq!(read(&text), asked, "{text}");
        }
        let address = format!("0x{}", "cd".repeat(20));
        for text in [address.clone(), "CD".repeat(20), format!("https://etherscan.io/token/{address}?a=1")] {
            assert_eq!(read(&text), Asked::Address(address.clone()), "{text}");
        }
        for (text, address) in [
            ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", None),
            (
                "https://explorer.example/address/3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy?x=1",
                Some("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
            ),
            ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", None),
            ("BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ", Some("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq")),
            ("bcrt1pfeesnyr2tx", None),
        ] {
            assert_eq!(read(text), Asked::Address(address.unwrap_or(text).to_owned()), "{text}");
        }
        for text in ["bc1", "bc1qAr0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "1234567890123456789012345O", "market maker"]
        {
            assert_eq!(read(text), Asked::Name, "{text}");
        }
        for text in ["18000000", "18,000,000", "#18 000 000", "18_000_000"] {
            assert_eq!(read(text), Asked::Height(18_000_000), "{text}");
        }
        for text in ["Router", "0x12", "1e9", "99999999999999999999999", "transfer(address,uint256)", ",", ""] {
            assert_eq!(read(text), Asked::Name, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,300}") {
            drop(read(&text));
        }
    }
}
