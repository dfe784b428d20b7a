//! Addresses that monitors look at, of any family.
//!
//! Guarantee: an address that is taken can be written by its chain: a Bitcoin address has the right checksum (BIP-173, BIP-350, Base58Check).
//! Two that are written differently and mean the same are one.

use std::{fmt, sync::Arc};

use alloy_primitives::Address;
use bitcoin::address::NetworkUnchecked;
use schemas::Family;

use crate::rule;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// Of an EVM chain.
    Evm(Address),
    /// Of a Bitcoin chain, as the chain's explorers print it.
    Bitcoin(Arc<str>),
}

/// What to write instead of what is no address.
pub(crate) const CURE: &str = "write 0x and 40 hex digits, or a Bitcoin address";

impl Party {
    /// `0x` and 40 hex digits in any case; or a Bitcoin address of any chain.
    pub fn read(text: &str) -> Option<Self> {
        if text.starts_with("0x") {
            return rule::address(text).map(Self::Evm);
        }
        let address: bitcoin::Address<NetworkUnchecked> = text.parse().ok()?;
        // Which chain it is of, its network says; here it is only written in its one form.
        Some(Self::Bitcoin(address.assume_checked().to_string().into()))
    }

    /// Whose chains write it so.
    pub const fn family(&self) -> Family {
        match self {
            Self::Evm(_) => Family::Evm,
            Self::Bitcoin(_) => Family::Bitcoin,
        }
    }

    /// Where it is one of an EVM chain.
    pub const fn evm(&self) -> Option<Address> {
        match self {
            Self::Evm(address) => Some(*address),
            Self::Bitcoin(_) => None,
        }
    }
}

impl fmt::Display for Party {
    /// In the form that records, rows and REST have: EVM's in lower case with `0x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(address) => f.write_str(&const_hex::encode_prefixed(address)),
            Self::Bitcoin(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_its_one_form_or_refused() {
        let read = |text: &str| Party::read(text).map(|party| (party.to_string(), party.family()));
        let usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";
        assert_eq!(read(usdc), Some((usdc.to_ascii_lowercase(), Family::Evm)));
        for text in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "mgH23ztiZbemarVZwTWcGVQqmSKAKVEAeL",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
        ] {
            assert_eq!(read(text), Some((text.to_owned(), Family::Bitcoin)), "{text}");
        }
        let large = "BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ";
        assert_eq!(read(large), Some((large.to_ascii_lowercase(), Family::Bitcoin)));
        for text in [
            "",
            "0x12",
            "A0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            // A letter of another, and cases mixed.
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp",
            "bc1QAR0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
