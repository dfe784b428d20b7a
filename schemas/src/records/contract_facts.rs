//! `contract.facts`, compacted, keyed `network/address`: what is known of a contract beyond what a block says (rule 14): its name, its
//! ABI, and which code stands behind it at which height. Written by the stage `causes` only.

use alloy_primitives::{Address, FixedBytes};

use crate::primitives::{BlockHash, Network, TimeMs};

/// The present facts of one contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractFacts {
    /// Its network.
    pub network: Network,
    /// Its address.
    pub address: Address,
    /// Rises with every change of the key, removal included; a record with a lower one than was seen says nothing.
    pub revision: u64,
    /// What it is called.
    pub name: Option<String>,
    /// Who says so.
    pub name_source: Option<FactSource>,
    /// Its own ABI, a JSON array that [`crate::abi::Abi::read`] takes; that of a proxy is the proxy's, not what stands behind it.
    pub abi: Option<String>,
    /// Who says so.
    pub abi_source: Option<FactSource>,
    /// Host of the contract source that gave ABI or name, where one did.
    pub source_host: Option<String>,
    /// How it hands calls on, where it does.
    pub proxy: Option<ProxyKind>,
    /// What it hands calls on to, by height, lowest first; of a diamond by height and selector. Also set of a beacon: what it names.
    pub implementations: Vec<Implementation>,
    /// When the newest of this was found, by the stage's clock.
    pub found_at: TimeMs,
}

impl ContractFacts {
    /// Nothing is known of a contract.
    pub fn nothing(network: Network, address: Address) -> Self {
        Self {
            network,
            address,
            revision: 0,
            name: None,
            name_source: None,
            abi: None,
            abi_source: None,
            source_host: None,
            proxy: None,
            implementations: Vec::new(),
            found_at: TimeMs(0),
        }
    }

    /// The key of a contract.
    pub fn key_of(network: &Network, address: Address) -> String {
        format!("{network}/{}", const_hex::encode_prefixed(address))
    }

    /// Network and address in a key; `None` for a key of another shape.
    pub fn in_key(key: &str) -> Option<(Network, Address)> {
        let (network, address) = key.split_once('/')?;
        let good = address.len() == 42 && address.starts_with("0x") && !address.bytes().any(|b| b.is_ascii_uppercase());
        Some((network.parse().ok()?, good.then(|| address.parse().ok())??))
    }

    /// Whether nothing is known: its key is removed then.
    pub fn is_nothing(&self) -> bool {
        self.name.is_none() && self.abi.is_none() && self.proxy.is_none() && self.implementations.is_empty()
    }
}

/// Which code a contract hands calls on to, from a height on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Implementation {
    /// The first block in which it holds. It holds until the next entry (of the same selector).
    pub from_height: u64,
    /// Of a diamond (EIP-2535): calls with this selector only.
    pub selector: Option<FixedBytes<4>>,
    /// The code's address, or the beacon's that names it; `None`: nothing any more.
    pub address: Option<Address>,
    /// How it was found.
    pub found_by: FoundBy,
    /// The block of the evidence: the one whose log said so, or at whose state was asked.
    pub block_hash: Option<BlockHash>,
}

/// What follows from the records of `contract.facts`, taken one after the other: a newer record of a contract takes the former's place.
pub trait FactsFold {
    /// The present facts of a contract.
    fn put(&mut self, facts: ContractFacts);
    /// Nothing is known of it any more.
    fn remove(&mut self, network: &Network, address: Address);
}

words! {
    /// Who says something of a contract.
    FactSource, "source of a fact" {
        /// The operator: a `[[contract]]`, or while `[auth]` is `none` whoever added it. It stands over all others.
        Operator = "operator",
        /// A Sourcify repository.
        Sourcify = "sourcify",
        /// A Blockscout instance.
        Blockscout = "blockscout",
        /// An Etherscan-compatible explorer.
        Etherscan = "etherscan",
    }
}

words! {
    /// How a contract hands calls on.
    ProxyKind, "kind of proxy" {
        /// EIP-1967: the implementation stands in a slot.
        Eip1967 = "eip1967",
        /// EIP-1967 with a beacon, which names the implementation.
        Beacon = "beacon",
        /// EIP-1167: the implementation stands in the code.
        Eip1167 = "eip1167",
        /// EIP-1822: the implementation stands in the slot `PROXIABLE`.
        Eip1822 = "eip1822",
        /// EIP-2535: a diamond, with an implementation for each selector.
        Eip2535 = "eip2535",
        /// EIP-7702: an account that has another's code.
        Eip7702 = "eip7702",
        /// A Safe: the implementation stands in slot 0.
        Safe = "safe",
    }
}

words! {
    /// How an implementation was found.
    FoundBy, "way of finding" {
        /// A log of the stream.
        Stream = "stream",
        /// A call to a node at a block's hash.
        Call = "call",
    }
}

#[expect(clippy::derivable_impls, reason = "the words are made by a macro")]
impl Default for FoundBy {
    fn default() -> Self {
        Self::Stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let network: Network = "eth".parse().expect("a slug");
        let address = Address::repeat_byte(0xab);
        let key = ContractFacts::key_of(&network, address);
        assert_eq!(key, format!("eth/0x{}", "ab".repeat(20)));
        assert_eq!(ContractFacts::in_key(&key), Some((network, address)));
        for other in ["eth", "eth/", "eth/0xab", &key.to_uppercase(), &format!("{key}00"), "network/eth"] {
            assert_eq!(ContractFacts::in_key(other), None, "{other}");
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for kind in ProxyKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("EIP1967".parse::<ProxyKind>().is_err() && "guess".parse::<FactSource>().is_err());
        assert!("".parse::<FoundBy>().is_err());
    }
}
