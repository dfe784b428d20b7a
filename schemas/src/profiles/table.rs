//! The rows. Chain ids, coins and block times are from the chains' own documentation; what their receipts have, and what
//! follows from it, from their clients (`docs/fees.md` names both).

use super::{Coin, FeeModel, Finality, Profile, Proof, TOLERANT};

const fn coin(symbol: &'static str) -> Coin {
    Coin { symbol, decimals: 18 }
}

const fn ethereum(chain_id: u64, name: &'static str) -> Profile {
    Profile {
        chain_id,
        name,
        fee_model: FeeModel::Ethereum,
        coin: coin("ETH"),
        ethereum_rlp: true,
        transactions_root: true,
        receipts_root: true,
        effective_gas_price: true,
        state_sync: false,
        block_time_ms: Some(12_000),
        finality: Finality::Tags,
        proof: Proof::Proved,
    }
}

const fn op_stack(chain_id: u64, name: &'static str) -> Profile {
    Profile { fee_model: FeeModel::OpStack, block_time_ms: Some(2_000), ..ethereum(chain_id, name) }
}

/// Mantle's deposits have an encoding of their own (a field `ethValue`), so its roots do not follow from standard ones.
const fn mantle(chain_id: u64, name: &'static str, arsia: u64) -> Profile {
    Profile {
        fee_model: FeeModel::Mantle { arsia },
        coin: coin("MNT"),
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
    Profile { coin: coin("POL"), state_sync: true, block_time_ms: Some(2_000), ..ethereum(chain_id, name) }
}

/// Chains of the Cosmos family hash another header and keep other roots.
const fn cronos(chain_id: u64, name: &'static str) -> Profile {
    let fee_model = FeeModel::Ethereum;
    Profile {
        coin: coin("CRO"),
        finality: Finality::Instant,
        proof: Proof::Proved,
        ..tolerant(chain_id, name, fee_model)
    }
}

/// A development node: transactions of impersonated accounts have no real signature and a hash that is not theirs, and a fork
/// serves the blocks of whatever chain it was forked from. So nothing is decisive, and all is counted. A fork that keeps the
/// other chain's id is followed with `verify = "structure"`.
const fn development(chain_id: u64, name: &'static str) -> Profile {
    Profile { chain_id, name, finality: Finality::Tags, proof: Proof::Development, ..TOLERANT }
}

/// No block of the chain was recorded.
const fn unproven(profile: Profile) -> Profile {
    Profile { proof: Proof::Unproven, ..profile }
}

/// A chain of a client of which nothing was recorded: nothing is decisive, all is counted.
const fn tolerant(chain_id: u64, name: &'static str, fee_model: FeeModel) -> Profile {
    Profile {
        chain_id,
        name,
        fee_model,
        coin: coin("ETH"),
        finality: Finality::Tags,
        proof: Proof::Unproven,
        ..TOLERANT
    }
}

const fn every(block_time_ms: u64, profile: Profile) -> Profile {
    Profile { block_time_ms: Some(block_time_ms), ..profile }
}

const fn paid_in(symbol: &'static str, profile: Profile) -> Profile {
    Profile { coin: coin(symbol), ..profile }
}

const fn instant(profile: Profile) -> Profile {
    Profile { finality: Finality::Instant, ..profile }
}

/// The table. Sorted by kind: it is short and read once per network.
pub const PROFILES: &[Profile] = &[
    ethereum(1, "Ethereum"),
    ethereum(11_155_111, "Sepolia"),
    unproven(ethereum(17_000, "Holesky")),
    unproven(ethereum(560_048, "Hoodi")),
    development(31_337, "Anvil or Hardhat"),
    development(1_337, "Ganache, geth --dev or GoQuorum"),
    development(5_777, "Ganache"),
    paid_in(
        "HYPE",
        Profile {
            block_time_ms: Some(1_000),
            finality: Finality::Unknown,
            effective_gas_price: false,
            ..ethereum(999, "HyperEVM")
        },
    ),
    // OP-stack, on op-geth or op-reth as they are.
    op_stack(10, "OP Mainnet"),
    unproven(op_stack(11_155_420, "OP Sepolia")),
    unproven(op_stack(420, "OP Goerli")),
    op_stack(8_453, "Base"),
    unproven(op_stack(84_532, "Base Sepolia")),
    op_stack(84_531, "Base Goerli"),
    unproven(every(1_000, op_stack(4_153, "RISE"))),
    unproven(every(1_000, op_stack(130, "Unichain"))),
    unproven(every(1_000, op_stack(1_301, "Unichain Sepolia"))),
    unproven(every(1_000, op_stack(57_073, "Ink"))),
    unproven(op_stack(480, "World Chain")),
    unproven(op_stack(1_868, "Soneium")),
    unproven(op_stack(7_777_777, "Zora")),
    unproven(op_stack(34_443, "Mode")),
    // OP-stack, with changes of their own.
    every(2_000, tolerant(81_457, "Blast", FeeModel::OpStack)),
    every(2_000, tolerant(1_135, "Lisk", FeeModel::OpStack)),
    every(2_000, tolerant(60_808, "BOB", FeeModel::OpStack)),
    every(2_000, tolerant(1_923, "Swellchain", FeeModel::OpStack)),
    tolerant(169, "Manta Pacific", FeeModel::OpStack),
    paid_in("BNB", tolerant(204, "opBNB", FeeModel::OpStack)),
    paid_in("BNB", tolerant(5_611, "opBNB Testnet", FeeModel::OpStack)),
    paid_in("FRAX", every(2_000, tolerant(252, "Fraxtal", FeeModel::OpStack))),
    paid_in("CELO", every(1_000, tolerant(42_220, "Celo", FeeModel::Celo))),
    paid_in("CELO", every(1_000, tolerant(44_787, "Celo Alfajores", FeeModel::Celo))),
    paid_in("CELO", every(1_000, tolerant(11_142_220, "Celo Sepolia", FeeModel::Celo))),
    mantle(5_000, "Mantle", 1_776_841_200),
    mantle(5_003, "Mantle Sepolia", 1_774_422_000),
    // Nitro.
    arbitrum(42_161, "Arbitrum One"),
    unproven(arbitrum(42_170, "Arbitrum Nova")),
    unproven(arbitrum(421_614, "Arbitrum Sepolia")),
    paid_in("APE", tolerant(33_139, "ApeChain", FeeModel::Arbitrum)),
    // Zero-knowledge rollups.
    tolerant(534_352, "Scroll", FeeModel::Scroll),
    tolerant(534_351, "Scroll Sepolia", FeeModel::Scroll),
    tolerant(324, "ZKsync Era", FeeModel::ZkSync),
    tolerant(300, "ZKsync Sepolia", FeeModel::ZkSync),
    tolerant(2_741, "Abstract", FeeModel::ZkSync),
    tolerant(11_124, "Abstract Testnet", FeeModel::ZkSync),
    paid_in("GHO", tolerant(232, "Lens", FeeModel::ZkSync)),
    paid_in("SOPH", tolerant(50_104, "Sophon", FeeModel::ZkSync)),
    every(2_000, tolerant(59_144, "Linea", FeeModel::Ethereum)),
    every(2_000, tolerant(59_141, "Linea Sepolia", FeeModel::Ethereum)),
    tolerant(1_101, "Polygon zkEVM", FeeModel::ReceiptPrice),
    tolerant(2_442, "Polygon zkEVM Cardona", FeeModel::ReceiptPrice),
    tolerant(167_000, "Taiko", FeeModel::Taiko),
    tolerant(167_009, "Taiko Hekla", FeeModel::Taiko),
    // Chains of their own.
    polygon(137, "Polygon PoS"),
    unproven(polygon(80_002, "Polygon Amoy")),
    cronos(25, "Cronos"),
    unproven(cronos(338, "Cronos Testnet")),
    paid_in("BNB", tolerant(56, "BNB Smart Chain", FeeModel::Ethereum)),
    paid_in("BNB", tolerant(97, "BNB Smart Chain Testnet", FeeModel::Ethereum)),
    paid_in("AVAX", instant(tolerant(43_114, "Avalanche C-Chain", FeeModel::Ethereum))),
    paid_in("AVAX", instant(tolerant(43_113, "Avalanche Fuji", FeeModel::Ethereum))),
    paid_in("xDAI", every(5_000, tolerant(100, "Gnosis", FeeModel::Ethereum))),
    paid_in("xDAI", every(5_000, tolerant(10_200, "Gnosis Chiado", FeeModel::Ethereum))),
    paid_in("FTM", instant(tolerant(250, "Fantom", FeeModel::Ethereum))),
    paid_in("S", instant(tolerant(146, "Sonic", FeeModel::Ethereum))),
    paid_in("S", instant(tolerant(57_054, "Sonic Blaze", FeeModel::Ethereum))),
    paid_in("BERA", every(2_000, instant(tolerant(80_094, "Berachain", FeeModel::Berachain)))),
    paid_in("BERA", every(2_000, instant(tolerant(80_069, "Berachain Bepolia", FeeModel::Berachain)))),
    paid_in("MON", every(400, tolerant(143, "Monad", FeeModel::GasLimit))),
    paid_in("MON", every(400, tolerant(10_143, "Monad Testnet", FeeModel::GasLimit))),
    paid_in("RON", tolerant(2_020, "Ronin", FeeModel::Ethereum)),
    paid_in("WND", every(6_000, tolerant(420_420_421, "Westend Asset Hub", FeeModel::NotInReceipt))),
];
