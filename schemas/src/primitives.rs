//! Newtypes for what comes from outside. Each is parsed once, at the edge, and is valid from then on.

use std::{fmt, str::FromStr, sync::Arc};

use crate::limits;

/// Why a text is not a value of the type asked for. The message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {expected}")]
pub struct ParseError {
    /// The text as it came, cut to 80 characters.
    pub text: String,
    /// The kind of value that was wanted, such as "network slug".
    pub what: &'static str,
    /// What would have been right.
    pub expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(text: &str, what: &'static str, expected: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), what, expected }
    }
}

/// A network's slug, such as `mantle-mainnet`: 1–64 characters of `a-z`, `0-9` and `-`, starting with a letter or digit.
///
/// It is the key of every chain record and stands in URLs, so its alphabet is narrow. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(Arc<str>);

impl Network {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Network {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let ok = !s.is_empty()
            && s.len() <= limits::NETWORK_SLUG_BYTES
            && !s.starts_with('-')
            && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if ok {
            Ok(Self(s.into()))
        } else {
            Err(ParseError::new(s, "network slug", "1 to 64 characters of a-z, 0-9 and -, not starting with -"))
        }
    }
}

/// A block's hash as its chain's explorers print it: `0x` and 64 lower-case hex digits for EVM, 64 hex digits for Bitcoin
/// (byte-reversed) and Stellar.
///
/// Kept as text because it is compared, keyed and printed, never computed with. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHash(Arc<str>);

impl BlockHash {
    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlockHash {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let digits = s.strip_prefix("0x").unwrap_or(s);
        if digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(s.into()))
        } else {
            Err(ParseError::new(s, "block hash", "64 lower-case hex digits, with 0x in front on EVM chains"))
        }
    }
}

impl From<alloy_primitives::B256> for BlockHash {
    fn from(hash: alloy_primitives::B256) -> Self {
        Self(const_hex::encode_prefixed(hash).into())
    }
}

/// A hash of Bitcoin's: of a block, a transaction (`txid`, `wtxid`) or a merkle root. The bytes are in the order in which they are printed,
/// which is the reverse of the order in which they are computed and serialized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BitcoinHash(pub [u8; 32]);

impl BitcoinHash {
    /// From bytes as they are serialized.
    pub fn from_internal(mut bytes: [u8; 32]) -> Self {
        bytes.reverse();
        Self(bytes)
    }
    /// As they are serialized.
    pub fn to_internal(self) -> [u8; 32] {
        let mut bytes = self.0;
        bytes.reverse();
        bytes
    }
}

impl fmt::Display for BitcoinHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(const_hex::Buffer::<32, false>::new().format(&self.0))
    }
}

impl FromStr for BitcoinHash {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let mut bytes = [0; 32];
        match const_hex::decode_to_slice(s, &mut bytes) {
            Ok(()) if !s.starts_with("0x") => Ok(Self(bytes)),
            _ => Err(ParseError::new(s, "Bitcoin hash", "64 hex digits, as explorers print them")),
        }
    }
}

impl From<BitcoinHash> for BlockHash {
    fn from(hash: BitcoinHash) -> Self {
        Self(const_hex::encode(hash.0).into())
    }
}

macro_rules! text_newtype {
    ($($t:ty),*) => {$(
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &*self.0) }
        }
        impl serde::Serialize for $t {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_str(&self.0) }
        }
        impl<'de> serde::Deserialize<'de> for $t {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_newtype!(Network, BlockHash);

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct TimeMs(pub i64);

impl TimeMs {
    /// The present, by this machine's clock.
    pub fn now() -> Self {
        Self(chrono::Utc::now().timestamp_millis())
    }
    /// From whole seconds since 1970, as block headers carry them. Saturates.
    pub fn from_secs(secs: u64) -> Self {
        Self(i64::try_from(secs).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
    }
    /// From the time stamp of a block header: whole seconds since 1970, as the Yellow Paper has it, or a finer unit, as GoQuorum's
    /// Raft writes nanoseconds and others milliseconds.
    ///
    /// A number that is a second before 2262 is seconds. Else the one finer unit counts in which it lies between 2000 and 2262;
    /// the ranges do not touch. What is below a millisecond is cut. `None`: no time in any unit, and none is made up.
    pub fn from_stamp(stamp: u64) -> Option<Self> {
        const FIRST_MS: u64 = 946_684_800_000;
        let end_ms = limits::BLOCK_TIME_END_MS as u64;
        if stamp < end_ms / 1000 {
            return Some(Self::from_secs(stamp));
        }
        let in_unit = [1, 1_000, 1_000_000].into_iter().map(|per_ms| stamp / per_ms);
        in_unit.into_iter().find(|ms| (FIRST_MS..end_ms).contains(ms)).map(|ms| Self(ms as i64))
    }
    /// From RFC 3339 with any offset; what is below a millisecond is cut. `None`: it is none.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp_millis()))
    }
    /// RFC 3339 in UTC with milliseconds, as REST prints times.
    pub fn rfc3339(self) -> String {
        chrono::DateTime::from_timestamp_millis(self.0)
            .unwrap_or_default()
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }
}

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),* }
        impl $name {
            /// Every one, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The word that stands for it on the wire, in SQL and in REST.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),* } }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::primitives::ParseError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                match s { $($word => Ok(Self::$variant),)* _ => Err($crate::primitives::ParseError::new(s, $what, $expected)) }
            }
        }
    };
}
pub(crate) use word_enum;

word_enum! {
    /// What a header record does to the network's chain (rules 3 and 4).
    Op, "operation", "apply, revert or finality" {
        /// The block joins the canonical chain.
        Apply = "apply",
        /// The block leaves it: undoes the event named by `reverts_sequence`.
        Revert = "revert",
        /// No block event: repeats the last sequence and publishes safe and finalized heights.
        Finality = "finality",
    }
}
word_enum! {
    /// How a block came to be fetched (rule 3).
    Origin, "origin", "live or backfill" {
        /// While following the head.
        Live = "live",
        /// On request, for a finalized range.
        Backfill = "backfill",
    }
}
word_enum! {
    /// A chain family.
    Family, "chain family", "evm, bitcoin or stellar" {
        /// Ethereum and everything that speaks its JSON-RPC.
        Evm = "evm",
        /// Bitcoin.
        Bitcoin = "bitcoin",
        /// Stellar.
        Stellar = "stellar",
    }
}

impl Family {
    /// The family whose chains write a hash so (rule 20): EVM's with `0x` in front, Bitcoin's without.
    pub fn of_hash(hash: &str) -> Self {
        if hash.starts_with("0x") { Self::Evm } else { Self::Bitcoin }
    }
}

word_enum! {
    /// Outcome of a transaction (rule 20).
    Status, "status", "success, failed or unknown" {
        /// Receipt status 1.
        Success = "success",
        /// Receipt status 0.
        Failed = "failed",
        /// A receipt without status (before Byzantium, EIP-658) and nothing else that tells.
        Unknown = "unknown",
    }
}

impl Status {
    /// What a receipt's status says (EIP-658).
    pub fn of_receipt(status: Option<u64>) -> Self {
        match status {
            Some(1) => Self::Success,
            Some(0) => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_are_read_in_the_unit_in_which_they_are_a_time() {
        let of = |stamp| TimeMs::from_stamp(stamp).map(TimeMs::rfc3339);
        let at = |text: &str| Some(text.to_owned());
        assert_eq!(of(0), at("1970-01-01T00:00:00.000Z"));
        assert_eq!(of(1_438_269_988), at("2015-07-30T15:26:28.000Z"));
        assert_eq!(of(9_214_646_399), at("2261-12-31T23:59:59.000Z"));
        assert_eq!(of(1_761_317_324_396), at("2025-10-24T14:48:44.396Z"));
        assert_eq!(of(1_761_317_324_396_123), at("2025-10-24T14:48:44.396Z"));
        assert_eq!(of(0x1871_74c6_515d_89a4), at("2025-10-24T14:48:44.396Z"));
        assert_eq!(of(9_214_646_399_999_999_999), at("2261-12-31T23:59:59.999Z"));
        for none in [9_214_646_400, 946_684_799_999, 9_214_646_400_000, 9_214_646_400_000_000_000, u64::MAX] {
            assert_eq!(of(none), None, "{none}");
        }
        // Whatever is a time is one that every reader can show.
        for shift in 0..64 {
            for stamp in [1u64 << shift, (1 << shift) - 1, 3u64.wrapping_shl(shift)] {
                let ms = TimeMs::from_stamp(stamp).map_or(0, |t| t.0);
                assert!((0..limits::BLOCK_TIME_END_MS).contains(&ms), "{stamp}");
            }
        }
    }

    #[test]
    fn slugs_and_hashes_are_checked_at_the_edge() {
        assert!("mantle-mainnet".parse::<Network>().is_ok());
        for bad in ["", "-a", "Mantle", "a b", "a#1", &"x".repeat(65)] {
            assert!(bad.parse::<Network>().is_err(), "{bad:?}");
        }
        assert!(format!("0x{}", "ab".repeat(32)).parse::<BlockHash>().is_ok());
        assert!("ab".repeat(32).parse::<BlockHash>().is_ok());
        for bad in ["0x", "zz", &format!("0x{}", "AB".repeat(32)), &"ab".repeat(31)] {
            assert!(bad.parse::<BlockHash>().is_err(), "{bad:?}");
        }
    }
}
