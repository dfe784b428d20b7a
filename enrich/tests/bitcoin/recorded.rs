//! Recorded blocks.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::U256;
use enrich::{enrich_event, steps::bitcoin::decode};
use schemas::{
    BitcoinHash,
    bitcoin::BitcoinChain,
    profiles::TOLERANT,
    records::{BitcoinDecoded, BitcoinTransaction, Coverage, ScriptKind},
    sketch::Distinct,
};
use serde_json::Value;

use super::{bytes, event, expected, inside, list, maybe, number, recomputed, support::roots, text, unpacked, version};

#[test]
fn every_recorded_transaction_is_read_as_another_program_reads_it() {
    let (mut blocks, mut transactions, mut kinds) = (0, 0, BTreeMap::<&str, u32>::new());
    for block in roots().iter().flat_map(|root| recomputed(root)) {
        let at = format!("{} {}", block["chain"], block["height"]);
        let (raw, children) = event(&block, Coverage::Full);
        let (enriched, records) = enrich_event(&TOLERANT, raw, children);
        let of_each = block["transactions"].as_array().unwrap();
        assert_eq!(records.len(), of_each.len(), "{at}");
        for (record, of) in records.iter().zip(of_each) {
            let decoded = inside(record);
            assert_eq!(decoded, &expected(of, decoded.pool.clone()), "{at}");
            assert!(decoded.is_coinbase || decoded.pool.is_none(), "{at}");
            let spent = decoded.inputs.iter().filter_map(|input| input.spent.as_ref()).map(|spent| spent.kind);
            for kind in spent.chain(decoded.outputs.iter().map(|output| output.kind)) {
                *kinds.entry(kind.as_str()).or_default() += 1;
            }
        }
        // The block's sums are those of its transactions.
        let all: Vec<&BitcoinDecoded> = records.iter().map(inside).collect();
        let paid: Vec<u64> = all.iter().filter(|tx| tx.fee > Some(0)).filter_map(|tx| tx.fee_rate).collect();
        let mut senders = Distinct::default();
        let scripts = all.iter().flat_map(|tx| &tx.inputs).filter_map(|input| input.spent.as_ref());
        scripts.for_each(|spent| senders.add(&spent.script));
        let sum = enriched.summary.expect("a summary");
        let total = |of: fn(&BitcoinDecoded) -> u64| all.iter().map(|tx| of(tx)).sum::<u64>();
        assert_eq!((sum.transactions as usize, sum.failed, sum.unknown, sum.logs), (all.len(), 0, 0, 0), "{at}");
        assert_eq!(sum.fee_total, U256::from(total(|tx| tx.fee.unwrap_or(0))), "{at}");
        assert_eq!(u64::from(sum.fee_unknown), total(|tx| tx.fee.is_none().into()), "{at}");
        assert_eq!(sum.gas_used, total(|tx| tx.virtual_size.into()), "{at}");
        let moved = total(|tx| if tx.is_coinbase { 0 } else { tx.output_value });
        assert_eq!(sum.value_total, U256::from(moved), "{at}");
        assert_eq!(sum.gas_price_sum, U256::from(paid.iter().sum::<u64>()), "{at}");
        assert_eq!((sum.gas_price_count as usize, sum.senders), (paid.len(), Some(senders)), "{at}");
        assert_eq!(sum.gas_price_min, paid.iter().min().map(|rate| U256::from(*rate)), "{at}");
        assert_eq!(sum.gas_price_max, paid.iter().max().map(|rate| U256::from(*rate)), "{at}");
        // Everything that block 200,000 spends was recorded: its coinbase takes exactly the subsidy and the fees.
        if block["chain"] == "main" && block["height"] == 200_000 {
            assert_eq!(block["made_up"], 0);
            assert_eq!(all[0].output_value - 5_000_000_000, total(|tx| tx.fee.unwrap_or(0)));
        }
        blocks += 1;
        transactions += all.len();
    }
    assert!(blocks >= 1 && transactions >= 389, "{blocks} blocks, {transactions} transactions");
    assert!(kinds["pubkeyhash"] > 1_000 && kinds["pubkey"] > 0, "{kinds:?}");
}

#[test]
fn what_core_says_of_recorded_blocks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/mainnet-rpc");
    let etl = std::fs::read_dir(folder.join("etl-50001-50002")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = etl.filter(|path| path.to_str().unwrap().contains("getblock_")).collect();
    files.extend([folder.join("0/getblock_v2.json"), folder.join("200000/getblock_v2.json.gz")]);
    assert_eq!(files.len(), 4);
    let satoshi = |of: &Value| (of.as_f64().unwrap() * 100_000_000.0).round() as u64;
    let mut seen = 0;
    for file in files {
        let block = unpacked(&file);
        for (at, tx) in block["tx"].as_array().unwrap().iter().enumerate() {
            let of = BitcoinTransaction {
                transaction_index: at as u32,
                txid: text(&tx["txid"]),
                raw: bytes(&tx["hex"]),
                prevouts: Vec::new(),
            };
            let decoded = decode(Some(BitcoinChain::Main), &of).unwrap();
            assert_eq!(decoded.wtxid, text::<BitcoinHash>(&tx["hash"]));
            assert_eq!((decoded.version, decoded.lock_time), (version(&tx["version"]), number(&tx["locktime"])));
            assert_eq!((decoded.size, decoded.virtual_size), (number(&tx["size"]), number(&tx["vsize"])));
            if let Some(weight) = maybe(&tx["weight"], number::<u32>) {
                assert_eq!(decoded.weight, weight);
            }
            assert_eq!(decoded.is_coinbase, tx["vin"][0].get("coinbase").is_some());
            for (input, said) in decoded.inputs.iter().zip(tx["vin"].as_array().unwrap()) {
                assert_eq!(input.sequence, number::<u32>(&said["sequence"]));
                if !decoded.is_coinbase {
                    assert_eq!((input.spent_txid, input.spent_index), (text(&said["txid"]), number(&said["vout"])));
                    assert_eq!(input.script, bytes(&said["scriptSig"]["hex"]));
                }
            }
            assert_eq!(decoded.outputs.len(), tx["vout"].as_array().unwrap().len());
            for (output, said) in decoded.outputs.iter().zip(tx["vout"].as_array().unwrap()) {
                let script = &said["scriptPubKey"];
                assert_eq!((output.value, &output.script), (satoshi(&said["value"]), &bytes(&script["hex"])));
                assert_eq!(output.kind, text::<ScriptKind>(&script["type"]));
                // Core of then gave public keys an address; today's does not, and neither do we.
                if output.kind != ScriptKind::PubKey {
                    assert_eq!(output.addresses, list(&script["addresses"], text::<String>));
                }
                seen += 1;
            }
            // What it spends is not known: nothing is said of it.
            let known = (decoded.fee.is_some(), decoded.input_value.is_some(), decoded.sigops.is_some());
            assert_eq!(known, (decoded.is_coinbase, false, decoded.is_coinbase));
            assert!(decoded.inputs.iter().all(|input| input.spent.is_none()) && decoded.fee_rate.is_none());
        }
    }
    assert!(seen > 800, "{seen}");
}
