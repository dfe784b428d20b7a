//! Every fee of every recorded transaction, its parts and the blocks' sums equal a recomputation from the raw JSON that shares
//! nothing with this program (`recompute/fees.py`), to the last wei or token unit; and a profile says `proved` exactly where
//! recorded receipts of its chain were recomputed here.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use enrich::enrich_event;
use schemas::{
    profiles::{PROFILES, Profile, Proof},
    records::{FeeParts, Payload},
};
use serde_json::{Value, json};
use support::{Recorded, json as read, roots};

/// What the recomputation says, block for block, of a folder.
fn recomputed(root: &Path) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recompute/fees.py");
    let run = Command::new("python3").arg(script).arg("--json").arg(root).output().expect("python3");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    run.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
}

fn line(path: &Path, place: usize) -> Value {
    let run = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip");
    serde_json::from_slice(run.stdout.split(|b| *b == b'\n').nth(place).unwrap()).unwrap()
}

/// Receipts of one block without it: the transactions have what is known of them.
fn alone(file: &Value, place: usize, time: u64) -> Value {
    let list = file["receipts"].as_array().cloned().unwrap_or_else(|| vec![file.clone()]);
    let mut hashes: Vec<&Value> = Vec::new();
    list.iter().map(|r| &r["blockHash"]).for_each(|hash| {
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
    });
    let receipts: Vec<&Value> = list.iter().filter(|r| r["blockHash"] == *hashes[place]).collect();
    let transactions: Vec<Value> = receipts
        .iter()
        .map(|r| {
            let requests = file["transactions"].as_array().into_iter().flatten();
            let request = requests.clone().find(|t| t["hash"] == r["transactionHash"]).cloned().unwrap_or_default();
            let or = |field: &str, otherwise: Value| Some(&request[field]).filter(|v| !v.is_null()).cloned().unwrap_or(otherwise);
            json!({
                "hash": r["transactionHash"], "transactionIndex": r["transactionIndex"], "type": r["type"],
                "from": r["from"], "to": r["to"], "value": or("value", json!("0x0")), "nonce": or("nonce", json!("0x0")),
                "gas": or("gas", r["gasUsed"].clone()), "input": or("input", json!("0x")),
            })
        })
        .collect();
    let zero = json!(format!("0x{:064x}", 0));
    let block = json!({
        "number": receipts[0]["blockNumber"], "hash": hashes[place], "parentHash": zero, "stateRoot": zero,
        "timestamp": format!("{time:#x}"), "gasLimit": "0x0", "gasUsed": "0x0", "extraData": "0x", "transactions": transactions,
    });
    json!({"block": block, "receipts": receipts})
}

/// The block that a word of the recomputation is about, read again.
fn read_again(of: &Value) -> Recorded {
    let (path, place) = (Path::new(of["file"].as_str().unwrap()), of["place"].as_u64().unwrap() as usize);
    let mut both = match of["kind"].as_str().unwrap() {
        "folder" => json!({"block": read(&path.join("block.json")), "receipts": read(&path.join("receipts.json"))}),
        "lines" => line(path, place),
        "case" => read(path)[place].take(),
        "receipts" => alone(&read(path), place, of["time"].as_u64().unwrap()),
        other => panic!("{other}"),
    };
    Recorded {
        chain: String::new(),
        number: support::number(&both["block"]["number"]).unwrap(),
        chain_id: of["chain_id"].as_u64().unwrap(),
        block: both["block"].take(),
        receipts: both["receipts"].as_array().unwrap().clone(),
        stats: Value::Null,
    }
}

fn parts(fee: &FeeParts) -> BTreeMap<&'static str, String> {
    let named = [("execution", Some(fee.execution)), ("l1", fee.l1), ("operator", fee.operator), ("blob", fee.blob)];
    named.into_iter().filter_map(|(name, part)| Some((name, part?.to_string()))).collect()
}

#[test]
fn every_fee_equals_the_recomputation_from_raw_json() {
    let (mut transactions, mut reasons, mut proved) = (0, BTreeMap::<String, u32>::new(), BTreeSet::new());
    for root in roots() {
        for expected in recomputed(&root) {
            let at = format!("{} {}", expected["file"], expected["place"]);
            let recorded = read_again(&expected);
            let profile = Profile::of(recorded.chain_id);
            let (raw, children) = recorded.event("recorded", 1);
            let (block, enriched) = enrich_event(&profile, raw, children);
            let of_each = expected["transactions"].as_array().unwrap();
            assert_eq!(enriched.len(), of_each.len(), "{at}");
            for (record, expected) in enriched.iter().zip(of_each) {
                let Payload::Evm(both) = &record.payload else { panic!("{record:?}") };
                let (tx, found) = &**both;
                let text = |v: &Value| v.as_str().map(str::to_owned);
                assert_eq!(Some(tx.hash.to_string()), text(&expected["hash"]), "{at}");
                let at = format!("{at} {}", tx.hash);
                assert_eq!(found.fee.map(|f| f.total().to_string()), text(&expected["total"]), "{at}");
                assert_eq!(found.fee_reason, text(&expected["reason"]), "{at}");
                assert_eq!(found.fee_token_amount.map(|a| a.to_string()), text(&expected["token_amount"]), "{at}");
                let expected_parts = expected["parts"].as_object();
                if let (Some(fee), Some(expected)) = (&found.fee, expected_parts) {
                    let mut own = parts(fee);
                    // Where nothing is paid there are no parts; where something is, those that are named.
                    own.retain(|name, part| expected.contains_key(*name) || part != "0");
                    let expected: BTreeMap<_, _> = expected
                        .iter()
                        .map(|(name, part)| (name.as_str(), part.as_str().unwrap().to_owned()))
                        .collect();
                    assert_eq!(own, expected, "{at}");
                }
                transactions += 1;
                if let Some(reason) = &found.fee_reason {
                    *reasons.entry(reason.clone()).or_default() += 1;
                }
            }
            let summary = block.summary.unwrap();
            assert_eq!(Some(&*summary.fee_total.to_string()), expected["fee_total"].as_str(), "{at}");
            assert_eq!(u64::from(summary.fee_unknown), expected["fee_unknown"].as_u64().unwrap(), "{at}");
            if expected["kind"] != "case" && !of_each.is_empty() {
                proved.insert(recorded.chain_id);
            }
        }
    }
    eprintln!("{transactions} transactions of chains {proved:?}; unknown: {reasons:?}");
    assert!(transactions >= 1_500 && reasons.get("token").is_some_and(|n| *n >= 1), "{transactions} {reasons:?}");
    for id in &proved {
        assert_eq!(Profile::of(*id).proof, Proof::Proved, "{id} was recomputed, and its profile does not say so");
    }
    if std::env::var_os("HEADWATER_DATA").is_some() {
        assert_eq!(reasons.get("no_l1_fee"), Some(&7), "Mantle's receipts without L1 fields");
        let said = PROFILES.iter().filter(|p| p.proof == Proof::Proved).map(|p| p.chain_id).collect();
        assert_eq!(proved, said, "a profile says `proved` that nothing has proved");
    }
}
