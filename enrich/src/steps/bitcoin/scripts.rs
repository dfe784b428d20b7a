//! What kind of script an output has, and its addresses, as Bitcoin Core's `Solver` and `ExtractDestination` tell it
//! (`script/solver.cpp`, `addresstype.cpp`).
//!
//! A public key (P2PK) has no address: its owner never wrote one. A bare multisig has one for each of its keys, as explorers and the public
//! datasets show them.

use bitcoin::{
    Address, KnownHrp, NetworkKind, Opcode, PubkeyHash, Script, ScriptHash, WitnessProgram, WitnessVersion,
    hashes::Hash as _, script::Instruction,
};
use schemas::{bitcoin::BitcoinChain, records::ScriptKind};

const OP_PUSHBYTES_1: u8 = 0x01;
const OP_1: u8 = 0x51;
const OP_16: u8 = 0x60;
const OP_RETURN: u8 = 0x6a;
const OP_DUP: u8 = 0x76;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_HASH160: u8 = 0xa9;
const OP_CHECKSIG: u8 = 0xac;
const OP_CHECKMULTISIG: u8 = 0xae;
/// The program of pay to anchor.
const ANCHOR: [u8; 2] = [0x4e, 0x73];
/// Keys of a bare multisig (Core's `MAX_PUBKEYS_PER_MULTISIG`).
const MOST_KEYS: u8 = 20;

/// The kind of an output's script, and its addresses on a chain.
pub fn read(chain: BitcoinChain, script: &[u8]) -> (ScriptKind, Vec<String>) {
    match script {
        [OP_HASH160, 20, hash @ .., OP_EQUAL] if hash.len() == 20 => {
            let hash = <[u8; 20]>::try_from(hash).map(ScriptHash::from_byte_array);
            let address = hash.map(|hash| Address::p2sh_from_hash(hash, kind(chain)).to_string());
            (ScriptKind::ScriptHash, address.into_iter().collect())
        }
        [version @ (0 | OP_1..=OP_16), length @ 2..=40, program @ ..] if program.len() == usize::from(*length) => {
            witness(chain, version.saturating_sub(OP_1 - 1), program)
        }
        [OP_RETURN, rest @ ..] if Script::from_bytes(rest).is_push_only() => (ScriptKind::NullData, Vec::new()),
        [65, key @ .., OP_CHECKSIG] if key.len() == 65 && is_key(key) => (ScriptKind::PubKey, Vec::new()),
        [33, key @ .., OP_CHECKSIG] if key.len() == 33 && is_key(key) => (ScriptKind::PubKey, Vec::new()),
        [OP_DUP, OP_HASH160, 20, hash @ .., OP_EQUALVERIFY, OP_CHECKSIG] if hash.len() == 20 => {
            let hash = <[u8; 20]>::try_from(hash).map(PubkeyHash::from_byte_array);
            let address = hash.map(|hash| Address::p2pkh(hash, kind(chain)).to_string());
            (ScriptKind::PubKeyHash, address.into_iter().collect())
        }
        [.., OP_CHECKMULTISIG] => match keys(script) {
            Some(keys) => {
                let address = |key: &[u8]| Address::p2pkh(PubkeyHash::hash(key), kind(chain)).to_string();
                (ScriptKind::MultiSig, keys.into_iter().map(address).collect())
            }
            None => (ScriptKind::NonStandard, Vec::new()),
        },
        _ => (ScriptKind::NonStandard, Vec::new()),
    }
}

fn witness(chain: BitcoinChain, version: u8, program: &[u8]) -> (ScriptKind, Vec<String>) {
    let word = match (version, program.len()) {
        (0, 20) => ScriptKind::WitnessV0KeyHash,
        (0, 32) => ScriptKind::WitnessV0ScriptHash,
        // Nothing spends it (BIP-141), and it has no address.
        (0, _) => return (ScriptKind::NonStandard, Vec::new()),
        (1, 32) => ScriptKind::WitnessV1Taproot,
        (1, _) if program == ANCHOR => ScriptKind::Anchor,
        _ => ScriptKind::WitnessUnknown,
    };
    let program = WitnessVersion::try_from(version).ok().and_then(|version| WitnessProgram::new(version, program).ok());
    let address = program.map(|program| Address::from_witness_program(program, prefix(chain)).to_string());
    (word, address.into_iter().collect())
}

/// Whether bytes have a public key's length by their first byte (Core's `CPubKey::ValidSize`).
fn is_key(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(2 | 3) => bytes.len() == 33,
        Some(4 | 6 | 7) => bytes.len() == 65,
        _ => false,
    }
}

/// The keys of a bare multisig (Core's `MatchMultisig`).
fn keys(script: &[u8]) -> Option<Vec<&[u8]>> {
    let mut instructions = Script::from_bytes(script).instruction_indices();
    let (at, first) = instructions.next()?.ok()?;
    let required = number(script, at, first).filter(|n| (1..=MOST_KEYS).contains(n))?;
    let mut keys: Vec<&[u8]> = Vec::new();
    let count = loop {
        match instructions.next()?.ok()? {
            (_, Instruction::PushBytes(key)) if is_key(key.as_bytes()) => {
                keys.push(key.as_bytes());
                if keys.len() > usize::from(MOST_KEYS) {
                    return None;
                }
            }
            (at, other) => break number(script, at, other)?,
        }
    };
    let fits = (required..=MOST_KEYS).contains(&count) && keys.len() == usize::from(count);
    let (last, _) = instructions.next()?.ok()?;
    (fits && last + 1 == script.len()).then_some(keys)
}

/// A number of a multisig: 1 to 16 as an operation, above as one byte that is pushed in the shortest way.
fn number(script: &[u8], at: usize, instruction: Instruction<'_>) -> Option<u8> {
    match instruction {
        Instruction::Op(op) => small_number(op),
        Instruction::PushBytes(bytes) if script.get(at) == Some(&OP_PUSHBYTES_1) => {
            bytes.as_bytes().first().copied().filter(|n| (17..=MOST_KEYS).contains(n))
        }
        _ => None,
    }
}

/// The number that an operation pushes: 1 to 16.
pub(super) fn small_number(op: Opcode) -> Option<u8> {
    (OP_1..=OP_16).contains(&op.to_u8()).then(|| op.to_u8() - OP_1 + 1)
}

const fn kind(chain: BitcoinChain) -> NetworkKind {
    match chain {
        BitcoinChain::Main => NetworkKind::Main,
        BitcoinChain::Test | BitcoinChain::Testnet4 | BitcoinChain::Signet | BitcoinChain::Regtest => NetworkKind::Test,
    }
}

const fn prefix(chain: BitcoinChain) -> KnownHrp {
    match chain {
        BitcoinChain::Main => KnownHrp::Mainnet,
        BitcoinChain::Test | BitcoinChain::Testnet4 | BitcoinChain::Signet => KnownHrp::Testnets,
        BitcoinChain::Regtest => KnownHrp::Regtest,
    }
}
