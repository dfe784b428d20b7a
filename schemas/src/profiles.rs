//! Chain profiles: what is known of a chain, one row per chain, with a tolerant default (rule 24).
//!
//! Checks of hashes and roots are decisive only where the profile says that they hold; elsewhere they only count. Each
//! `true` below was seen on recorded blocks of the chain, or the chain runs the same client as one where it was.

/// How a transaction's fee follows from its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeeModel {
    /// Gas used × effective gas price, and for EIP-4844 transactions the blob fee.
    Ethereum,
    /// As Ethereum, and the L1 data fee and the operator fee (OP-stack specification, Isthmus and Jovian). Deposits pay
    /// nothing.
    OpStack,
    /// As OP-stack; `l1Fee` is in MNT already, and the operator fee is gas used × scalar × 100 + constant.
    Mantle,
    /// As Ethereum: the gas used already has the L1 part in it. Arbitrum's own transactions pay nothing.
    Arbitrum,
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

/// What is known of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// EIP-155 chain id; 0 in the default.
    pub chain_id: u64,
    /// Name that people know it by.
    pub name: &'static str,
    /// How fees follow from receipts.
    pub fee_model: FeeModel,
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
    /// Usual time between blocks, milliseconds; `None` when it varies.
    pub block_time_ms: Option<u64>,
    /// How finality is told.
    pub finality: Finality,
}

/// Of a chain of which nothing is known: nothing is decisive, fees by what the receipts have.
pub const TOLERANT: Profile = Profile {
    chain_id: 0,
    name: "unknown chain",
    fee_model: FeeModel::FromReceipt,
    ethereum_rlp: false,
    transactions_root: false,
    receipts_root: false,
    effective_gas_price: false,
    state_sync: false,
    block_time_ms: None,
    finality: Finality::Unknown,
};

const fn ethereum(chain_id: u64, name: &'static str) -> Profile {
    Profile {
        chain_id,
        name,
        fee_model: FeeModel::Ethereum,
        ethereum_rlp: true,
        transactions_root: true,
        receipts_root: true,
        effective_gas_price: true,
        state_sync: false,
        block_time_ms: Some(12_000),
        finality: Finality::Tags,
    }
}

const fn op_stack(chain_id: u64, name: &'static str) -> Profile {
    Profile { fee_model: FeeModel::OpStack, block_time_ms: Some(2_000), ..ethereum(chain_id, name) }
}

/// Mantle's deposits have an encoding of their own (a field `ethValue`), so its roots do not follow from standard ones.
const fn mantle(chain_id: u64, name: &'static str) -> Profile {
    Profile {
        fee_model: FeeModel::Mantle,
        transactions_root: false,
        receipts_root: false,
        effective_gas_price: false,
        ..op_stack(chain_id, name)
    }
}

/// Arbitrum's own transaction types have encodings of their own, which the transactions' root is made of. The base fee is paid,
/// whatever was offered.
const fn arbitrum(chain_id: u64, name: &'static str) -> Profile {
    Profile {
        fee_model: FeeModel::Arbitrum,
        transactions_root: false,
        effective_gas_price: false,
        block_time_ms: Some(250),
        ..ethereum(chain_id, name)
    }
}

/// Polygon's state syncs stand among the transactions of some blocks, since Madhugiri (PIP-74) in their roots too.
const fn polygon(chain_id: u64, name: &'static str) -> Profile {
    Profile { state_sync: true, block_time_ms: Some(2_000), ..ethereum(chain_id, name) }
}

/// Chains of the Cosmos family hash another header and keep other roots.
const fn cronos(chain_id: u64, name: &'static str) -> Profile {
    Profile { chain_id, name, fee_model: FeeModel::Ethereum, finality: Finality::Instant, ..TOLERANT }
}

/// A development node: transactions of impersonated accounts have no real signature and a hash that is not theirs, and a fork
/// serves the blocks of whatever chain it was forked from. So nothing is decisive, and all is counted. A fork that keeps the
/// other chain's id is followed with `verify = "structure"`.
const fn development(chain_id: u64, name: &'static str) -> Profile {
    Profile { chain_id, name, finality: Finality::Tags, ..TOLERANT }
}

/// The table. Sorted by nothing: it is short and read once per network.
pub const PROFILES: [Profile; 25] = [
    ethereum(1, "Ethereum"),
    ethereum(11_155_111, "Sepolia"),
    ethereum(17_000, "Holesky"),
    ethereum(560_048, "Hoodi"),
    development(31_337, "Anvil or Hardhat"),
    development(1_337, "Ganache, geth --dev or GoQuorum"),
    development(5_777, "Ganache"),
    Profile {
        block_time_ms: Some(1_000),
        finality: Finality::Unknown,
        effective_gas_price: false,
        ..ethereum(999, "HyperEVM")
    },
    op_stack(10, "OP Mainnet"),
    op_stack(11_155_420, "OP Sepolia"),
    op_stack(420, "OP Goerli"),
    op_stack(8_453, "Base"),
    op_stack(84_532, "Base Sepolia"),
    op_stack(84_531, "Base Goerli"),
    Profile { block_time_ms: Some(1_000), ..op_stack(4_153, "RISE") },
    op_stack(130, "Unichain"),
    mantle(5_000, "Mantle"),
    mantle(5_003, "Mantle Sepolia"),
    arbitrum(42_161, "Arbitrum One"),
    arbitrum(42_170, "Arbitrum Nova"),
    arbitrum(421_614, "Arbitrum Sepolia"),
    polygon(137, "Polygon PoS"),
    polygon(80_002, "Polygon Amoy"),
    cronos(25, "Cronos"),
    cronos(338, "Cronos Testnet"),
];

impl Profile {
    /// The profile of a chain; [`TOLERANT`] when there is none.
    pub fn of(chain_id: u64) -> Self {
        PROFILES.into_iter().find(|p| p.chain_id == chain_id).unwrap_or(TOLERANT)
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
        }
        let unknown = Profile::of(987_654_321);
        for tolerant in [unknown, Profile::of(31_337), Profile::of(1_337)] {
            assert!(!tolerant.ethereum_rlp && !tolerant.transactions_root && !tolerant.receipts_root);
            assert!(!tolerant.effective_gas_price);
        }
    }
}
