//! Chain profiles: what is known of a chain, one row per chain, with a tolerant default (rule 24).
//!
//! Checks of hashes and roots are decisive only where the profile says that they hold; elsewhere they only count. Each
//! `true` in [`table`] was seen on recorded blocks of the chain, or the chain runs the same client as one where it was.
//! Whether recorded receipts of the chain itself bear its fees out is told by [`Profile::proof`]
//! (`enrich/tests/fees.rs` keeps that word true).

mod table;

pub use table::PROFILES;

/// How a transaction's fee follows from its receipt. `docs/fees.md` has the formulas with their sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeeModel {
    /// Gas used × effective gas price, and for EIP-4844 transactions the blob fee.
    Ethereum,
    /// As Ethereum, and the L1 data fee and the operator fee (OP-stack specification, Bedrock to Jovian). Deposits pay
    /// nothing.
    OpStack,
    /// As OP-stack; `l1Fee` is in MNT already. Before Arsia it is inside the gas used, since then on top, with an operator
    /// fee of gas used × scalar × 100 + constant.
    Mantle {
        /// When Arsia was activated: block time, seconds since 1970.
        arsia: u64,
    },
    /// As OP-stack, where L1 data fee and operator fee are zero by configuration; fees may be paid in a token (CIP-64).
    Celo,
    /// As Ethereum: the gas used already has the L1 part in it. Arbitrum's own transactions pay nothing.
    Arbitrum,
    /// Gas used × effective gas price, and the L1 data fee. Messages from L1 pay nothing.
    Scroll,
    /// Gas used × the price in the receipt: no other price is the one paid, not the cap, not base fee and tip. Transactions
    /// from L1 (0xff) and upgrades (0xfe) have paid elsewhere.
    ZkSync,
    /// Gas used × the price in the receipt: the sequencer takes a share of the offered price.
    ReceiptPrice,
    /// The gas limit × effective gas price: what was not used is paid, too.
    GasLimit,
    /// As Ethereum, but the block's first transaction, the anchor, pays nothing.
    Taiko,
    /// As Ethereum; the distribution at the beginning of a block (0x7e) pays nothing.
    Berachain,
    /// The receipts do not tell it.
    NotInReceipt,
    /// Not known: what the receipt has fields for is paid.
    FromReceipt,
}

/// How a chain says what is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finality {
    /// The node answers the block tags `safe` and `finalized`.
    Tags,
    /// A block is final when it is there.
    Instant,
    /// Not known; the tags are asked for and may fail.
    Unknown,
}

/// What a profile rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Recorded receipts of this chain: its fees are recomputed from them to the last wei.
    Proved,
    /// The chain's documentation and code only.
    Unproven,
    /// A development node: it is believed, and nothing of it is decisive.
    Development,
    /// There is no profile.
    Unknown,
}

impl Proof {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Unproven => "unproven",
            Self::Development => "development",
            Self::Unknown => "unknown",
        }
    }
}

/// The coin that gas is paid in. Prices are in its smallest unit, "wei", per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coin {
    /// Its symbol; empty where it is not known.
    pub symbol: &'static str,
    /// Decimal places between the coin and its wei.
    pub decimals: u8,
}

/// What is known of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// EIP-155 chain id; 0 in the default.
    pub chain_id: u64,
    /// Name that people know it by.
    pub name: &'static str,
    /// How fees follow from receipts.
    pub fee_model: FeeModel,
    /// What gas is paid in.
    pub coin: Coin,
    /// Whether the block hash is keccak256 of the header's Ethereum RLP.
    pub ethereum_rlp: bool,
    /// Whether the transactions' root follows from the transactions with their Ethereum or OP-stack encoding.
    pub transactions_root: bool,
    /// Whether the receipts' root follows from the receipts.
    pub receipts_root: bool,
    /// Whether the price that a receipt states is EIP-1559's: the stated price, or what the caps allow over the base fee.
    pub effective_gas_price: bool,
    /// Whether blocks may end with a state sync of Polygon's: of type 0 and in no root, or of type 0x7f and in the roots, its
    /// hash being made of what JSON-RPC does not show.
    pub state_sync: bool,
    /// Usual time between blocks, milliseconds; `None` when it varies or has changed often.
    pub block_time_ms: Option<u64>,
    /// How finality is told.
    pub finality: Finality,
    /// What the row rests on.
    pub proof: Proof,
}

/// Of a chain of which nothing is known: nothing is decisive, fees by what the receipts have.
pub const TOLERANT: Profile = Profile {
    chain_id: 0,
    name: "unknown chain",
    fee_model: FeeModel::FromReceipt,
    coin: Coin { symbol: "", decimals: 18 },
    ethereum_rlp: false,
    transactions_root: false,
    receipts_root: false,
    effective_gas_price: false,
    state_sync: false,
    block_time_ms: None,
    finality: Finality::Unknown,
    proof: Proof::Unknown,
};

impl Profile {
    /// The profile of a chain; [`TOLERANT`] when there is none.
    pub fn of(chain_id: u64) -> Self {
        PROFILES.iter().find(|p| p.chain_id == chain_id).copied().unwrap_or(TOLERANT)
    }
}

impl Default for Profile {
    fn default() -> Self {
        TOLERANT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_per_chain_and_a_tolerant_default() {
        for (i, profile) in PROFILES.iter().enumerate() {
            assert!(PROFILES[i + 1..].iter().all(|p| p.chain_id != profile.chain_id), "{}", profile.name);
            assert_eq!(Profile::of(profile.chain_id).name, profile.name);
            assert_ne!(profile.proof, Proof::Unknown, "{}", profile.name);
            let development = profile.proof == Proof::Development;
            assert_eq!(profile.coin.symbol.is_empty(), development, "{}: whoever runs it names the coin", profile.name);
        }
        let unknown = Profile::of(987_654_321);
        for tolerant in [unknown, Profile::of(31_337), Profile::of(1_337)] {
            assert!(!tolerant.ethereum_rlp && !tolerant.transactions_root && !tolerant.receipts_root);
            assert!(!tolerant.effective_gas_price);
        }
    }

    /// What no recorded block has shown decides nothing, unless the chain runs a client where one has: go-ethereum's and
    /// op-geth's networks, Nitro's, Bor's and Mantle's.
    #[test]
    fn what_is_unproven_decides_nothing_but_where_a_proved_client_runs() {
        let decisive = |p: &Profile| p.ethereum_rlp || p.transactions_root || p.receipts_root || p.effective_gas_price;
        let client = |p: &Profile| matches!(p.fee_model, FeeModel::OpStack | FeeModel::Arbitrum) || p.state_sync;
        let holders = [17_000, 560_048];
        for p in PROFILES.iter().filter(|p| p.proof == Proof::Unproven && decisive(p)) {
            assert!(client(p) || holders.contains(&p.chain_id), "{}", p.name);
        }
    }
}
