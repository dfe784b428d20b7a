//! Bitcoin's chains: one row per chain.
//!
//! Sources: Bitcoin Core `kernel/chainparams.cpp` (genesis blocks, prefixes), BIP-173 (human-readable parts), BIP-94 (testnet4),
//! BIP-325 (signet).

use crate::primitives::{BitcoinHash, word_enum};

word_enum! {
    /// A Bitcoin chain, in Bitcoin Core's words (`getblockchaininfo.chain`).
    BitcoinChain, "Bitcoin chain", "main, test, testnet4, signet or regtest" {
        /// The main chain.
        Main = "main",
        /// testnet3.
        Test = "test",
        /// testnet4 (BIP-94).
        Testnet4 = "testnet4",
        /// The default signet (BIP-325).
        Signet = "signet",
        /// A chain of one's own, for tests.
        Regtest = "regtest",
    }
}

impl BitcoinChain {
    /// Hash of its first block.
    pub fn genesis(self) -> BitcoinHash {
        let text = match self {
            Self::Main => "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            Self::Test => "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
            Self::Testnet4 => "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
            Self::Signet => "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
            Self::Regtest => "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
        };
        text.parse().unwrap_or_default()
    }

    /// The chain that begins with this block; a custom signet is none of these.
    pub fn of_genesis(hash: &BitcoinHash) -> Option<Self> {
        [Self::Main, Self::Test, Self::Testnet4, Self::Signet, Self::Regtest].into_iter().find(|c| c.genesis() == *hash)
    }

    /// Usual time between blocks, milliseconds; `None` where blocks come as somebody likes.
    pub const fn block_time_ms(self) -> Option<u64> {
        match self {
            Self::Regtest => None,
            _ => Some(600_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chain_is_found_by_its_first_block() {
        for chain in ["main", "test", "testnet4", "signet", "regtest"] {
            let chain: BitcoinChain = chain.parse().unwrap();
            assert_ne!(chain.genesis(), BitcoinHash::default());
            assert_eq!(BitcoinChain::of_genesis(&chain.genesis()), Some(chain));
        }
    }
}
