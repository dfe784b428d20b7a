//! A block's transactions as `getblock` tells them with verbosity 1 to 3 (Bitcoin Core `core_io`, `TxToUniv`).

use super::super::block::Block;
use super::super::told::spent;
use super::super::wire::{Transaction, shown};
use serde_json::{Value, json};

/// Satoshi as an amount in bitcoin with its eight decimals, as [`plain`] leaves it: serde_json would write small ones with an exponent.
fn amount(satoshi: u64) -> Value {
    format!("@{}.{:08}@", satoshi / 100_000_000, satoshi % 100_000_000).into()
}

/// The text of an answer with its amounts as numbers. Nothing else in it has the sign.
pub(super) fn plain(answer: &str) -> String {
    answer.replace("\"@", "").replace("@\"", "")
}

fn script(bytes: &[u8]) -> Value {
    json!({"hex": const_hex::encode(bytes), "type": kind(bytes)})
}

/// Core's word for a script, of those that simulated prevouts have.
fn kind(script: &[u8]) -> &'static str {
    match script {
        [0x76, 0xa9, 0x14, .., 0x88, 0xac] if script.len() == 25 => "pubkeyhash",
        [0xa9, 0x14, .., 0x87] if script.len() == 23 => "scripthash",
        [0x00, 0x14, ..] if script.len() == 22 => "witness_v0_keyhash",
        [0x00, 0x20, ..] if script.len() == 34 => "witness_v0_scripthash",
        [0x51, 0x20, ..] if script.len() == 34 => "witness_v1_taproot",
        [0x21 | 0x41, .., 0xac] if matches!(script.len(), 35 | 67) => "pubkey",
        [0x6a, ..] => "nulldata",
        _ => "nonstandard",
    }
}

/// Adds what belongs to a block beside its header.
pub(super) fn add_transactions(told: &mut Value, block: &Block, verbosity: u64, prevouts: bool) {
    let all: Vec<Transaction<'_>> =
        block.spans.iter().filter_map(|span| Transaction::read(&block.raw[span.clone()]).ok()).collect();
    let stripped: usize = block.raw.len() - all.iter().map(|one| one.raw.len() - one.stripped()).sum::<usize>();
    told["size"] = block.raw.len().into();
    told["strippedsize"] = stripped.into();
    told["weight"] = (3 * stripped + block.raw.len()).into();
    told["nTx"] = all.len().into();
    if verbosity == 1 {
        told["tx"] = block.txids.iter().map(shown).collect();
        return;
    }
    let mut origins = block.origins.iter();
    let mut list = Vec::with_capacity(all.len());
    for (one, undo) in all.iter().zip(spent(&block.undo)) {
        let coinbase = list.is_empty();
        let mut of_it = undo.iter();
        let input = |input: &super::super::wire::Input<'_>| {
            let mut told = json!({"sequence": input.sequence});
            if !input.witness.is_empty() {
                told["txinwitness"] = input.witness.iter().map(const_hex::encode).collect();
            }
            if coinbase {
                told["coinbase"] = const_hex::encode(input.script).into();
                return told;
            }
            told["txid"] = shown(&input.spent).into();
            told["vout"] = input.index.into();
            told["scriptSig"] = json!({"hex": const_hex::encode(input.script)});
            if let (true, Some((value, bytes)), Some(origin)) = (prevouts, of_it.next(), origins.next()) {
                told["prevout"] = json!({
                    "generated": origin.coinbase,
                    "height": block.height.saturating_sub(origin.back),
                    "value": amount(*value),
                    "scriptPubKey": script(bytes),
                });
            }
            told
        };
        let inputs: Vec<Value> = one.inputs.iter().map(input).collect();
        let output = |(n, output): (usize, &super::super::wire::Output<'_>)| json!({"value": amount(output.value), "n": n, "scriptPubKey": script(output.script)});
        let outputs: Vec<Value> = one.outputs.iter().enumerate().map(output).collect();
        let weight = one.weight();
        let mut told = json!({
            "txid": shown(&one.txid()),
            "hash": shown(&one.wtxid()),
            "version": one.version,
            "size": one.raw.len(),
            "vsize": weight.div_ceil(4),
            "weight": weight,
            "locktime": one.lock_time,
            "vin": inputs,
            "vout": outputs,
            "hex": const_hex::encode(one.raw),
        });
        if !coinbase {
            let gives: u64 = one.outputs.iter().map(|output| output.value).sum();
            let takes: u64 = undo.iter().map(|(value, _)| value).sum();
            told["fee"] = amount(takes.saturating_sub(gives));
        }
        list.push(told);
    }
    told["tx"] = list.into();
}
