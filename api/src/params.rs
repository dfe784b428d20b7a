//! Query and path parameters, strictly: each is known, comes once, has a value, and is parsed at the edge. Every mistake is
//! a 400 that names the parameter, its value and what to write instead.

use std::{collections::BTreeSet, fmt::Display, str::FromStr};

use schemas::{Network, TimeMs, limits};
use store::query::Sort;
use url::form_urlencoded;

use crate::error::{ApiError, cut};

/// The query parameters of one request.
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Splits a raw query. Parameters that are not in `known`, or come twice, are refused.
    pub fn parse(raw: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(ApiError::UnknownParameter { parameter: cut(&name), known });
            }
            if pairs.iter().any(|(n, _)| *n == name) {
                return Err(ApiError::invalid(&name, &value, "one value; the parameter came more than once"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// The text of a parameter. An empty one is refused: leaving it out and giving nothing are different things.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.pairs.iter().find(|(n, _)| n == name) {
            None => Ok(None),
            Some((_, v)) if v.is_empty() => {
                Err(ApiError::invalid(name, "", "a value; leave the parameter out when you do not need it"))
            }
            Some((_, v)) => Ok(Some(v)),
        }
    }

    /// A parameter that parses by its type.
    pub fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        self.text(name)?.map(|v| parse(v).ok_or_else(|| ApiError::invalid(name, v, expected))).transpose()
    }

    /// `limit`: items of a page.
    pub fn limit(&self) -> Result<u32, ApiError> {
        self.limited((limits::PAGE_ITEMS_MAX, limits::PAGE_ITEMS_DEFAULT))
    }

    /// `limit`, at most so much, and so much by default.
    pub fn limited(&self, (most, default): (u32, u32)) -> Result<u32, ApiError> {
        let expected = format!("a number from 1 to {most}");
        let in_range = |v: &str| v.parse().ok().filter(|n| (1..=most).contains(n));
        Ok(self.parsed("limit", &expected, in_range)?.unwrap_or(default))
    }

    /// A position in a transaction, from 0; 0 where it is left out.
    pub fn position(&self, name: &str) -> Result<u32, ApiError> {
        let expected = format!("a position from 0 to {POSITION}");
        let in_range = |v: &str| v.parse::<u32>().ok().filter(|n| *n <= POSITION);
        Ok(self.parsed(name, &expected, in_range)?.unwrap_or_default())
    }

    /// `sort`: `newest` (default) or `oldest` first.
    pub fn sort(&self) -> Result<Sort, ApiError> {
        let parse = |v: &str| match v {
            "newest" => Some(Sort::Newest),
            "oldest" => Some(Sort::Oldest),
            _ => None,
        };
        Ok(self.parsed("sort", "newest or oldest", parse)?.unwrap_or_default())
    }

    /// `network`: a slug.
    pub fn network(&self) -> Result<Option<Network>, ApiError> {
        self.parsed("network", NETWORK, |v| v.parse().ok())
    }

    /// A point in time.
    pub fn time(&self, name: &str) -> Result<Option<TimeMs>, ApiError> {
        let expected = "a time such as 2026-01-31T12:00:00Z or 2026-01-31T12:00:00.250Z (RFC 3339; write + as %2B)";
        self.parsed(name, expected, |v| {
            chrono::DateTime::parse_from_rfc3339(v).ok().map(|t| TimeMs(t.timestamp_millis()))
        })
    }

    /// An account or contract address.
    pub fn address(&self, name: &str) -> Result<Option<String>, ApiError> {
        self.parsed(name, ADDRESS, address)
    }
}

/// Words of a kind with commas between them, in order and each once; none where the parameter is left out.
pub fn words<T: FromStr + Display>(params: &Params, name: &str, known: &str) -> Result<Vec<String>, ApiError> {
    let parse = |text: &str| {
        let words = text.split(',').map(|word| word.parse::<T>().ok().map(|word| word.to_string()));
        words.collect::<Option<BTreeSet<String>>>()
    };
    let found = params.parsed(name, &format!("one of: {known}; or several with commas between them"), parse)?;
    Ok(found.unwrap_or_default().into_iter().collect())
}

/// The highest position of an input or output that can be asked for: no block has room for so many.
pub const POSITION: u32 = 1_000_000;

/// What an address is.
pub const ADDRESS: &str = "an address: 0x and 40 hex digits, or as explorers of the chain print it";

const NETWORK: &str = "a network slug such as ethereum-mainnet; /api/v1/health lists them";

/// A network in a path.
pub fn path_network(value: &str) -> Result<Network, ApiError> {
    value.parse().map_err(|_| ApiError::invalid("network", value, NETWORK))
}

/// A transaction's hash in a path, in the form that is stored.
pub fn path_hash(value: &str) -> Result<String, ApiError> {
    hash(value).ok_or_else(|| ApiError::invalid("hash", value, "64 hex digits, with 0x in front on EVM chains"))
}

/// A block as a path names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockName {
    /// By height.
    Height(u64),
    /// By hash.
    Hash(String),
}

/// A height or a hash in a path.
pub fn path_block(value: &str) -> Result<BlockName, ApiError> {
    if value.len() <= 20
        && value.bytes().all(|b| b.is_ascii_digit())
        && let Ok(height) = value.parse()
    {
        return Ok(BlockName::Height(height));
    }
    hash(value).map(BlockName::Hash).ok_or_else(|| {
        ApiError::invalid(
            "block",
            value,
            "a height such as 18000000, or a block hash of 64 hex digits (0x in front on EVM)",
        )
    })
}

/// A failure's cause: a word.
pub fn cause(text: &str) -> Option<String> {
    let is_word = (1..=64).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    is_word.then(|| text.to_owned())
}

/// 64 hex digits with or without `0x`, in lower case.
fn hash(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    (digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

/// EVM addresses in lower case, and bech32 too, which may be written in capitals (BIP-173: codes that cameras read are); those of other families
/// as they are, whose alphabets (base58, strkey) are alphanumeric and at most 90 characters long.
pub fn address(text: &str) -> Option<String> {
    match text.strip_prefix("0x") {
        Some(digits) => {
            (digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
        }
        None => ((14..=90).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()))
            .then(|| bech32(text).unwrap_or_else(|| text.to_owned())),
    }
}

/// What bech32 addresses begin with: main chain, test chains, regtest.
pub const BECH32: [&str; 3] = ["bc1", "tb1", "bcrt1"];

/// A bech32 address of one case, by its beginning, in lower case.
pub fn bech32(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let one_case = text == lower || text.bytes().all(|b| !b.is_ascii_lowercase());
    (one_case && BECH32.iter().any(|prefix| lower.starts_with(prefix))).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["limit", "network", "from", "address"];

    fn refused(query: &str) -> ApiError {
        let params = match Params::parse(Some(query), KNOWN) {
            Ok(p) => p,
            Err(e) => return e,
        };
        let all = params.limit().map(drop).and(params.network().map(drop));
        let all = all.and(params.time("from").map(drop)).and(params.address("address").map(drop));
        all.expect_err(query)
    }

    #[test]
    fn every_mistake_names_the_parameter() {
        for (query, parameter) in [
            ("limt=3", "limt"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=", "limit"),
            ("limit=3&limit=4", "limit"),
            ("network=A%20b", "network"),
            ("from=yesterday", "from"),
            ("from=2026-01-01T00:00:00+00:00", "from"),
            ("address=0x12", "address"),
            ("address=0x%27%3B--", "address"),
        ] {
            let problem = refused(query).problem();
            assert_eq!((problem.status, problem.parameter.as_deref()), (400, Some(parameter)), "{query}");
            assert!(problem.expected.is_some(), "{query}");
        }
    }

    #[test]
    fn bech32_in_capitals_is_the_same_address() {
        let lower = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
        assert_eq!(address(&lower.to_uppercase()).as_deref(), Some(lower));
        assert_eq!(address(lower).as_deref(), Some(lower));
        // Of two cases it is none (BIP-173), and base58 has both.
        for text in ["bc1QAR0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"] {
            assert_eq!(address(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn values_are_normalised() {
        let q = "address=0xABCDEF0123456789abcdef0123456789ABCDEF01&from=2026-01-01T01:00:00%2B01:00";
        let params = Params::parse(Some(q), KNOWN).expect("known");
        assert_eq!(
            params.address("address").expect("valid").as_deref(),
            Some("0xabcdef0123456789abcdef0123456789abcdef01")
        );
        let midnight = TimeMs::from_secs(1_767_225_600);
        assert_eq!(params.time("from").expect("valid"), Some(midnight));
        assert_eq!(params.limit().expect("default"), limits::PAGE_ITEMS_DEFAULT);
    }

    #[test]
    fn blocks_are_named_by_height_or_hash() {
        assert_eq!(path_block("17").expect("height"), BlockName::Height(17));
        let upper = format!("0x{}", "AB".repeat(32));
        assert_eq!(path_block(&upper).expect("hash"), BlockName::Hash(upper.to_lowercase()));
        for bad in ["", "-1", "1e3", "0x12", "99999999999999999999", &"9".repeat(65)] {
            assert!(path_block(bad).is_err(), "{bad}");
        }
    }
}
