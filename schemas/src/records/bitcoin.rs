//! What Bitcoin's records hold: the nested records at the end of `raw.blocks`, `raw.transactions`, `enriched.blocks` and
//! `enriched.transactions`.
//!
//! Amounts are in satoshi, scripts and transactions are bytes as in the block. Sources: Bitcoin Core's serialization, BIP-34 (height in the
//! coinbase), BIP-113 (median time past), BIP-125 (replace by fee), BIP-141 and BIP-144 (witnesses, weight, sigops), BIP-340 to BIP-342
//! (Taproot).

use std::collections::HashSet;

use alloy_primitives::{Bytes, U256};

use crate::{
    bitcoin::BitcoinChain,
    primitives::{BitcoinHash, TimeMs, word_enum},
};

word_enum! {
    /// How much of a block was to be had (rule 18).
    Coverage, "coverage", "full or header" {
        /// The header and every transaction with what it spends.
        Full = "full",
        /// The header alone: no source of bodies is configured. Nothing is said about transactions.
        Header = "header",
    }
}

/// A Bitcoin block's header, and what its source says of the block.
#[derive(Debug, Clone, PartialEq)]
pub struct BitcoinHeader {
    /// Which chain: decides how addresses are written.
    pub chain: BitcoinChain,
    /// Header and bodies, or the header alone.
    pub coverage: Coverage,
    /// Version bits (BIP-9).
    pub version: u32,
    /// Root of the transaction ids' merkle tree.
    pub merkle_root: BitcoinHash,
    /// Time stamp of the header, seconds since 1970; the envelope's `block_time` is the same.
    pub time: u32,
    /// Target in compact form.
    pub bits: u32,
    /// Proof-of-work nonce.
    pub nonce: u32,
    /// Median of the time stamps of this block and the ten before it (Core's `mediantime`): no later block has a time stamp at or below it
    /// (BIP-113). `None` where fewer than these headers were to be had.
    pub median_time: Option<TimeMs>,
    /// Work of the chain up to this block, where the source says it.
    pub chain_work: Option<U256>,
    /// Bytes of the block with witnesses. `None` with the header alone.
    pub size: Option<u32>,
    /// Bytes without witnesses.
    pub stripped_size: Option<u32>,
    /// Weight units (BIP-141): three times the stripped size plus the size.
    pub weight: Option<u32>,
    /// Transactions of the block, where the source says it; with full coverage as many as the envelope's `tx_count`.
    pub transaction_count: Option<u32>,
    /// Script of the coinbase's input. `None` with the header alone.
    pub coinbase: Option<Bytes>,
}

/// A Bitcoin transaction as its block has it, with the outputs that it spends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BitcoinTransaction {
    /// Position in the block, from 0; the coinbase is first.
    pub transaction_index: u32,
    /// Transaction id: hash without witnesses.
    pub txid: BitcoinHash,
    /// The transaction with its witnesses (BIP-144), as it stands in the block.
    pub raw: Bytes,
    /// The outputs that its inputs spend, in the inputs' order; empty for the coinbase.
    pub prevouts: Vec<BitcoinPrevout>,
}

/// An output that is spent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BitcoinPrevout {
    /// Satoshi.
    pub value: u64,
    /// Its script.
    pub script: Bytes,
    /// Height of the block that made it, where the source says it.
    pub height: Option<u32>,
    /// Whether a coinbase made it, where the source says it.
    pub coinbase: Option<bool>,
}

/// A Bitcoin transaction as enrich has read it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BitcoinDecoded {
    /// Position in the block, from 0.
    pub transaction_index: u32,
    /// Transaction id.
    pub txid: BitcoinHash,
    /// Hash with witnesses (BIP-141); the same as `txid` where there are none.
    pub wtxid: BitcoinHash,
    /// Version.
    pub version: u32,
    /// Lock time: a height below 500,000,000, else seconds since 1970.
    pub lock_time: u32,
    /// Bytes with witnesses.
    pub size: u32,
    /// Weight units (BIP-141).
    pub weight: u32,
    /// Virtual bytes: a quarter of the weight, rounded up.
    pub virtual_size: u32,
    /// Cost of signature operations (BIP-141). `None` where what is spent is not known.
    pub sigops: Option<u32>,
    /// Whether it is its block's coinbase.
    pub is_coinbase: bool,
    /// Whether any input carries a witness.
    pub segwit: bool,
    /// Whether it says that it may be replaced (BIP-125): an input's sequence below 0xfffffffe.
    pub replaceable: bool,
    /// Sum of what it spends, satoshi; `None` for the coinbase.
    pub input_value: Option<u64>,
    /// Sum of its outputs, satoshi.
    pub output_value: u64,
    /// What it left to the miner, satoshi; 0 for the coinbase, as the public datasets have it. `None` where it is not known.
    pub fee: Option<u64>,
    /// Fee rate, satoshi per 1,000 virtual bytes, rounded down; `None` for the coinbase and where the fee is not known.
    pub fee_rate: Option<u64>,
    /// Who made the block, by the coinbase's tag; only on coinbases that a known one has.
    pub pool: Option<String>,
    /// Its inputs.
    pub inputs: Vec<BitcoinInput>,
    /// Its outputs.
    pub outputs: Vec<BitcoinOutput>,
}

impl BitcoinDecoded {
    /// The addresses of what is spent and of the outputs, each once, in the order in which they come.
    pub fn addresses(&self) -> Vec<&str> {
        let spent = self.inputs.iter().filter_map(|input| input.spent.as_ref()).flat_map(|spent| &spent.addresses);
        let all = spent.chain(self.outputs.iter().flat_map(|output| &output.addresses)).map(String::as_str);
        let mut seen = HashSet::new();
        all.filter(|address| seen.insert(*address)).collect()
    }
}

/// An input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BitcoinInput {
    /// Transaction whose output it spends; all zero on a coinbase.
    pub spent_txid: BitcoinHash,
    /// Position of that output; 0xffffffff on a coinbase.
    pub spent_index: u32,
    /// Its script.
    pub script: Bytes,
    /// Its sequence number (BIP-68, BIP-125).
    pub sequence: u32,
    /// Its witness, item by item.
    pub witness: Vec<Bytes>,
    /// What it spends; `None` on a coinbase.
    pub spent: Option<BitcoinSpent>,
    /// Media type of an inscription that its witness reveals (an `OP_FALSE OP_IF "ord"` envelope); empty text where it names none.
    pub envelope: Option<String>,
}

/// What an input spends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BitcoinSpent {
    /// Satoshi.
    pub value: u64,
    /// The output's script.
    pub script: Bytes,
    /// Core's word for the script.
    pub kind: ScriptKind,
    /// Addresses: one, none where the script has none, several for a bare multisig's public keys.
    pub addresses: Vec<String>,
    /// Height of the block that made it, where known.
    pub height: Option<u32>,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BitcoinOutput {
    /// Satoshi.
    pub value: u64,
    /// Its script.
    pub script: Bytes,
    /// Core's word for the script.
    pub kind: ScriptKind,
    /// As [`BitcoinSpent::addresses`].
    pub addresses: Vec<String>,
}

word_enum! {
    /// What kind of script an output has, in Bitcoin Core's words (`scriptPubKey.type`).
    #[derive(Default)]
    ScriptKind, "script type", "one of Bitcoin Core's words for a script" {
        /// A public key (P2PK).
        PubKey = "pubkey",
        /// A public key's hash (P2PKH).
        PubKeyHash = "pubkeyhash",
        /// A script's hash (P2SH, BIP-16).
        ScriptHash = "scripthash",
        /// Bare multisig (BIP-11).
        MultiSig = "multisig",
        /// `OP_RETURN` and data pushes.
        NullData = "nulldata",
        /// Version 0, 20 bytes (P2WPKH, BIP-141).
        WitnessV0KeyHash = "witness_v0_keyhash",
        /// Version 0, 32 bytes (P2WSH, BIP-141).
        WitnessV0ScriptHash = "witness_v0_scripthash",
        /// Version 1, 32 bytes (P2TR, BIP-341).
        WitnessV1Taproot = "witness_v1_taproot",
        /// Pay to anchor (P2A): version 1 and the bytes 4e73.
        Anchor = "anchor",
        /// A witness program of a version without meaning yet.
        WitnessUnknown = "witness_unknown",
        /// Anything else.
        #[default]
        NonStandard = "nonstandard",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_once() {
        let spent = |address: &str| BitcoinInput {
            spent: Some(BitcoinSpent { addresses: vec![address.into()], ..BitcoinSpent::default() }),
            ..BitcoinInput::default()
        };
        let output = |addresses: &[&str]| BitcoinOutput {
            addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
            ..BitcoinOutput::default()
        };
        let t = BitcoinDecoded {
            inputs: vec![spent("b"), BitcoinInput::default(), spent("a"), spent("b")],
            outputs: vec![output(&["c", "a"]), output(&[]), output(&["d"])],
            ..BitcoinDecoded::default()
        };
        assert_eq!(t.addresses(), ["b", "a", "c", "d"]);
    }
}
