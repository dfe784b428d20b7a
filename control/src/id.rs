//! Identities: ULIDs as text (26 characters of Crockford's base 32: 48 bits of milliseconds, 80 random bits), so that ids sort by age.

use std::{fmt, str::FromStr};

use runtime::private;
use schemas::TimeMs;

use crate::error::Error;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;

/// The id of a tenant, key, contract or entry of the audit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; LENGTH]);

impl Id {
    /// The tenant of a deployment that has no others.
    pub const DEFAULT_TENANT: Self = Self([b'0'; LENGTH]);

    /// A new one.
    pub(crate) fn new(now: TimeMs) -> Result<Self, Error> {
        let random = private::random::<10>().map_err(|e| Error::Settings(format!("no random numbers: {e}")))?;
        let mut value = (now.0.max(0) as u128) << 80;
        for (i, byte) in random.into_iter().enumerate() {
            value |= u128::from(byte) << (8 * i);
        }
        let mut text = [0u8; LENGTH];
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(value & 31) as usize];
            value >>= 5;
        }
        Ok(Self(text))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Id {
    type Err = Error;
    /// Only the one way to write it: what is another text is another id, and so not there.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| Error::NotFound)?;
        match bytes.iter().all(|b| ALPHABET.contains(b)) {
            true => Ok(Self(bytes)),
            false => Err(Error::NotFound),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age_and_are_read_in_one_way_only() {
        let (old, new) = (Id::new(TimeMs(1_469_918_176_385)).unwrap(), Id::new(TimeMs(1_795_860_000_000)).unwrap());
        // The time of the specification's example.
        assert!(old.as_str().starts_with("01ARYZ6S41"), "{old}");
        assert!(old < new && old.as_str() < new.as_str());
        assert_eq!(new.as_str().parse::<Id>().unwrap(), new);
        assert_ne!(Id::new(TimeMs(1)).unwrap(), Id::new(TimeMs(1)).unwrap());
        for wrong in ["", "x", &new.as_str().to_lowercase(), &format!("{new}0"), "01ARYZ6S41ILOU000000000000"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}
