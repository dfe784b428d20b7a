//! What only Bitcoin has, in JSON: a transaction's inputs and outputs, and a block's header.
//!
//! Amounts are decimal strings in satoshi, rates in satoshi per 1,000 virtual bytes, scripts and witnesses hex; hashes are printed as
//! explorers print them, without `0x`.

use schemas::limits::bitcoin::SCRIPT_WORDS_BYTES;
use serde::Serialize;
use store::query::{BitcoinBlock, BitcoinInput, BitcoinOutput, BitcoinTransactionDetail, SpentBy};
use utoipa::ToSchema;

use super::asm;

/// Bytes of readable text in a coinbase's script that are taken for text.
const TEXT: usize = 4;
/// Compact form of the target of difficulty 1: 0xffff × 256^26 (Core's `GetDifficulty`).
const EASIEST: (f64, u32) = (65_535.0, 29);

/// What a Bitcoin transaction is beyond what all families have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BitcoinTransaction)]
pub struct BitcoinTransactionItem {
    /// Hash with witnesses (BIP-141); the same as `hash` where there are none.
    pub wtxid: String,
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
    /// Cost of signature operations (BIP-141); null where what is spent is not known.
    pub sigops: Option<u32>,
    /// Whether it is its block's coinbase.
    pub is_coinbase: bool,
    /// Whether any input carries a witness.
    pub segwit: bool,
    /// Whether it says that it may be replaced (BIP-125).
    pub replaceable: bool,
    /// Sum of what it spends; null for a coinbase, and where it is not known.
    #[schema(pattern = "^[0-9]+$")]
    pub input_value: Option<String>,
    /// Sum of its outputs.
    #[schema(pattern = "^[0-9]+$")]
    pub output_value: String,
    /// Fee rate; null for a coinbase, and where the fee is not known.
    #[schema(pattern = "^[0-9]+$")]
    pub fee_rate: Option<String>,
    /// On a coinbase: who made the block, by the tag that it left; null where no known one did.
    pub pool: Option<String>,
    /// How many inputs it has; `inputs` may hold a part of them. A coinbase's only one spends nothing and is counted here.
    pub input_count: u32,
    /// How many outputs it has; `outputs` may hold a part of them.
    pub output_count: u32,
    /// Its inputs in order, from `inputs_from` on; at most 1,000.
    pub inputs: Vec<BitcoinInputItem>,
    /// Its outputs in order, from `outputs_from` on; at most 1,000.
    pub outputs: Vec<BitcoinOutputItem>,
}

/// An input of a Bitcoin transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BitcoinInput)]
pub struct BitcoinInputItem {
    /// Position in the transaction, from 0.
    pub index: u32,
    /// Transaction whose output it spends; null of a coinbase.
    pub spent_txid: Option<String>,
    /// Position of that output; null of a coinbase.
    pub spent_index: Option<u32>,
    /// What that output holds; null of a coinbase, and where it is not known.
    #[schema(pattern = "^[0-9]+$")]
    pub value: Option<String>,
    /// Bitcoin Core's word for that output's script, such as `witness_v1_taproot`; null where it is not known.
    pub r#type: Option<String>,
    /// Addresses of that script: one, none, or several for a bare multisig.
    pub addresses: Vec<String>,
    /// Height of the block that made it; null where its source does not say.
    pub spent_height: Option<u32>,
    /// Script of the output that it spends, hex; null where it is not known.
    pub spent_script: Option<String>,
    /// Its own script, hex.
    pub script: String,
    /// The same in Bitcoin Core's words (`asm`), signatures with what they sign; null where the answer has no room for it, and of a coinbase.
    pub script_asm: Option<String>,
    /// Its sequence number (BIP-68, BIP-125).
    pub sequence: u32,
    /// Its witness, item by item, hex.
    pub witness: Vec<String>,
    /// Media type of an inscription that its witness reveals, empty where that names none; null where there is no inscription.
    pub envelope: Option<String>,
}

/// An output of a Bitcoin transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BitcoinOutput)]
pub struct BitcoinOutputItem {
    /// Position in the transaction, from 0.
    pub index: u32,
    /// What it holds.
    #[schema(pattern = "^[0-9]+$")]
    pub value: String,
    /// Bitcoin Core's word for its script, such as `witness_v0_keyhash`.
    pub r#type: String,
    /// Its addresses: one, none, or several for a bare multisig.
    pub addresses: Vec<String>,
    /// Its script, hex.
    pub script: String,
    /// The same in Bitcoin Core's words (`asm`); null where the answer has no room for it.
    pub script_asm: Option<String>,
    /// `spent`; `unspent`, which is said only where the chain is held without a gap from its block to the tip; else `unknown`.
    #[schema(pattern = "^(spent|unspent|unknown)$")]
    pub spent: String,
    /// The input that spends it; null where none is known.
    pub spent_by: Option<SpentByItem>,
}

/// An input that spends an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BitcoinSpentBy)]
pub struct SpentByItem {
    /// Its transaction.
    pub txid: String,
    /// Its position there, from 0.
    pub index: u32,
    /// Height of its block.
    pub height: u64,
}

/// What a Bitcoin block's header says beyond what all families have.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize, ToSchema)]
#[schema(as = BitcoinBlock)]
pub struct BitcoinBlockItem {
    /// Which chain: `main`, `test`, `testnet4`, `signet` or `regtest`.
    pub chain: String,
    /// Version bits (BIP-9).
    pub version: u32,
    /// Root of the transaction ids' merkle tree.
    pub merkle_root: String,
    /// Target in compact form.
    pub bits: u32,
    /// Proof-of-work nonce.
    pub nonce: u32,
    /// How many times as hard to find as the easiest block.
    pub difficulty: f64,
    /// Work of the chain up to the block, hex; null where its source does not say.
    pub chain_work: Option<String>,
    /// Bytes with witnesses; null where only the header is held.
    pub size: Option<u64>,
    /// Bytes without witnesses; null where only the header is held.
    pub stripped_size: Option<u32>,
    /// Weight units (BIP-141); null where only the header is held.
    pub weight: Option<u32>,
    /// Virtual bytes: a quarter of the weight, rounded up.
    pub virtual_size: Option<u32>,
    /// Transactions, where its source says so, also where only the header is held.
    pub transaction_count: Option<u32>,
    /// Script of the coinbase's input, hex; null where only the header is held.
    pub coinbase: Option<String>,
    /// What of that script reads as text.
    pub coinbase_text: Option<String>,
    /// What the coinbase pays out: subsidy and fees; null where only the header is held.
    #[schema(pattern = "^[0-9]+$")]
    pub coinbase_value: Option<String>,
    /// Who made the block, by the tag in the coinbase; null where no known one is there.
    pub pool: Option<String>,
}

impl BitcoinTransactionItem {
    /// From the store's rows. `full_from`: from this height to the tip the chain is held without a gap; `None`: nobody knows.
    pub fn from_row(row: &BitcoinTransactionDetail, full_from: Option<u64>) -> Self {
        let detail = &row.bitcoin;
        let whole = full_from.is_some_and(|from| from <= row.transaction.block_number);
        // Outputs first: their scripts say who is paid.
        let mut room = SCRIPT_WORDS_BYTES;
        let outputs = row.outputs.iter().map(|output| BitcoinOutputItem::from_row(output, whole, &mut room)).collect();
        Self {
            wtxid: detail.wtxid.clone(),
            version: detail.version,
            lock_time: detail.lock_time,
            size: detail.size,
            weight: detail.weight,
            virtual_size: detail.virtual_size,
            sigops: detail.sigops,
            is_coinbase: detail.is_coinbase,
            segwit: detail.segwit,
            replaceable: detail.replaceable,
            // SQL says 0 there, as the public datasets do.
            input_value: text(detail.input_value.filter(|_| !detail.is_coinbase)),
            output_value: detail.output_value.to_string(),
            fee_rate: text(detail.fee_rate),
            pool: detail.pool.clone(),
            // SQL counts none, as the public datasets do.
            input_count: if detail.is_coinbase { 1 } else { detail.input_count },
            output_count: detail.output_count,
            inputs: row.inputs.iter().map(|input| BitcoinInputItem::from_row(input, &mut room)).collect(),
            outputs,
        }
    }
}

impl BitcoinInputItem {
    fn from_row(row: &BitcoinInput, room: &mut usize) -> Self {
        // What stands in a coinbase's is no script.
        let is_script = row.spent_txid.is_some();
        Self {
            index: row.index,
            spent_txid: row.spent_txid.clone(),
            spent_index: row.spent_index,
            value: text(row.value),
            r#type: row.kind.clone(),
            addresses: row.addresses.clone(),
            spent_height: row.spent_height,
            spent_script: row.spent_script.clone(),
            script: row.script.clone(),
            script_asm: is_script.then(|| words(&row.script, true, room)).flatten(),
            sequence: row.sequence,
            witness: row.witness.clone(),
            envelope: row.envelope.clone(),
        }
    }
}

impl BitcoinOutputItem {
    fn from_row(row: &BitcoinOutput, whole: bool, room: &mut usize) -> Self {
        let spent = match (&row.spent_by, whole) {
            (Some(_), _) => "spent",
            (None, true) => "unspent",
            (None, false) => "unknown",
        };
        let by = |by: &SpentBy| SpentByItem { txid: by.txid.clone(), index: by.index, height: by.height };
        Self {
            index: row.index,
            value: row.value.to_string(),
            r#type: row.kind.clone(),
            addresses: row.addresses.clone(),
            script: row.script.clone(),
            script_asm: words(&row.script, false, room),
            spent: spent.to_owned(),
            spent_by: row.spent_by.as_ref().map(by),
        }
    }
}

impl BitcoinBlockItem {
    /// From the store's row.
    pub fn from_row(row: &BitcoinBlock) -> Self {
        let bits = number(&row.bits);
        Self {
            chain: row.chain.clone(),
            version: row.version,
            merkle_root: row.merkle_root.clone(),
            bits,
            nonce: number(&row.nonce),
            difficulty: difficulty(bits),
            chain_work: row.chain_work.map(|work| format!("{work:064x}")),
            size: row.size,
            stripped_size: row.stripped_size,
            weight: row.weight,
            virtual_size: row.weight.map(|weight| weight.div_ceil(4)),
            transaction_count: row.transaction_count,
            coinbase: row.coinbase_param.clone(),
            coinbase_text: row.coinbase_param.as_deref().and_then(readable),
            coinbase_value: text(row.coinbase_value),
            pool: row.pool.clone(),
        }
    }
}

/// A script in hex, in words; `signs`, `room`: as of [`asm::of`].
fn words(script: &str, signs: bool, room: &mut usize) -> Option<String> {
    asm::of(&const_hex::decode(script).ok()?, signs, room)
}

fn text(amount: Option<u64>) -> Option<String> {
    amount.map(|amount| amount.to_string())
}

/// Of eight hex digits, as the store keeps them.
fn number(hex: &str) -> u32 {
    u32::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap_or_default()
}

/// How hard a target in compact form is to reach, as Core counts it; 0 for what is no target.
fn difficulty(bits: u32) -> f64 {
    let (exponent, mantissa) = (bits >> 24, bits & 0x007f_ffff);
    if mantissa == 0 {
        return 0.0;
    }
    // Exponents have eight bits.
    256f64.powf(f64::from(EASIEST.1) - f64::from(exponent)) * EASIEST.0 / f64::from(mantissa)
}

/// Runs of printable ASCII in a coinbase's script; `None` where there is none that is long enough.
fn readable(script: &str) -> Option<String> {
    let bytes = const_hex::decode(script).ok()?;
    let runs = bytes.split(|byte| !(b' '..=b'~').contains(byte)).filter(|run| run.len() >= TEXT);
    let runs: Vec<&str> = runs.filter_map(|run| std::str::from_utf8(run).ok()).collect();
    (!runs.is_empty()).then(|| runs.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficulty_is_as_core_counts_it() {
        // `getblockheader` of the main chain's blocks 0 and 200,000.
        assert!((difficulty(0x1d00_ffff) - 1.0).abs() < 1e-12);
        assert!((difficulty(0x1a05_db8b) - 2_864_140.507_810_974).abs() < 1e-6);
        // Regtest's.
        assert!((difficulty(0x207f_ffff) - 4.656_542_373_906_925e-10).abs() < 1e-20);
        assert_eq!(difficulty(0x1d00_0000).to_bits(), 0f64.to_bits());
    }

    #[test]
    fn what_a_miner_wrote_is_found_between_the_bytes() {
        let genesis = "04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73";
        let text = readable(genesis).expect("text");
        assert!(text.ends_with("The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"), "{text}");
        assert_eq!(readable("03400d0302ef02"), None);
        assert_eq!(readable("no hex"), None);
        assert_eq!(
            readable(&const_hex::encode(b"\x03abc/ViaBTC/\x00\x01Mined by x\xff")).as_deref(),
            Some("abc/ViaBTC/ Mined by x")
        );
    }

    #[test]
    fn unspent_is_said_only_where_the_chain_is_held_whole() {
        let output = |spent_by: Option<SpentBy>| BitcoinOutput {
            index: 0,
            value: 1,
            kind: "pubkeyhash".into(),
            addresses: Vec::new(),
            script: String::new(),
            spent_by,
        };
        let by = SpentBy { txid: "ab".repeat(32), index: 2, height: 7 };
        let words =
            |whole| [None, Some(by.clone())].map(|by| BitcoinOutputItem::from_row(&output(by), whole, &mut 9).spent);
        assert_eq!(words(true), ["unspent", "spent"]);
        assert_eq!(words(false), ["unknown", "spent"]);
    }
}
