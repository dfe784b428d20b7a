//! Scripts of every kind.

use std::{collections::BTreeMap, path::Path};

use enrich::steps::bitcoin::{decode, read_script};
use schemas::{bitcoin::BitcoinChain, records::ScriptKind};
use serde_json::Value;

use super::{list, number, raw, recomputed, support::json, text};

/// Two regtest blocks with outputs of every kind and their spends, which `recompute/record_bitcoin.py` made on a real node: kinds,
/// addresses, fees, sizes and the cost of signature operations are the node's.
#[test]
fn what_a_node_says_of_scripts_of_every_kind() {
    let recorded = json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/regtest/scripts.json"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data");
    let heights: Vec<u64> = list(&recorded["blocks"], |block| number(&block["verbose"]["height"]));
    let read: Vec<Value> = recomputed(&root)
        .into_iter()
        .filter(|block| block["chain"] == "regtest" && heights.iter().any(|height| block["height"] == *height))
        .filter(|block| recorded["blocks"].as_array().unwrap().iter().any(|b| b["verbose"]["hash"] == block["hash"]))
        .collect();
    assert_eq!(read.len(), 2);
    let satoshi = |of: &Value| (of.as_f64().unwrap() * 100_000_000.0).round() as u64;
    let own = |script: &Value, kind: ScriptKind, addresses: &[String]| {
        assert_eq!(kind, text::<ScriptKind>(&script["type"]));
        // A bare multisig has no address of its own in today's Core.
        if kind != ScriptKind::MultiSig {
            let said: Vec<String> = script.get("address").into_iter().map(text).collect();
            assert_eq!(addresses, said);
        }
    };
    let (mut kinds, mut sigops, mut reveals) = (BTreeMap::<&str, u32>::new(), 0, Vec::new());
    for (block, said) in read.iter().zip(recorded["blocks"].as_array().unwrap()) {
        assert_eq!((block["made_up"].as_u64(), &block["hash"]), (Some(0), &said["verbose"]["hash"]));
        let of_each = block["transactions"].as_array().unwrap().iter();
        for (tx, said) in of_each.zip(said["verbose"]["tx"].as_array().unwrap()) {
            let decoded = decode(Some(BitcoinChain::Regtest), &raw(tx)).unwrap();
            assert_eq!((decoded.txid, decoded.wtxid), (text(&said["txid"]), text(&said["hash"])));
            let sizes = (number(&said["size"]), number(&said["vsize"]), number(&said["weight"]));
            assert_eq!((decoded.size, decoded.virtual_size, decoded.weight), sizes);
            if let Some(fee) = said.get("fee") {
                assert_eq!(decoded.fee, Some(satoshi(fee)));
            }
            for (output, said) in decoded.outputs.iter().zip(said["vout"].as_array().unwrap()) {
                own(&said["scriptPubKey"], output.kind, &output.addresses);
                *kinds.entry(output.kind.as_str()).or_default() += 1;
            }
            for (input, said) in decoded.inputs.iter().zip(said["vin"].as_array().unwrap()) {
                let Some(spent) = &input.spent else { continue };
                own(&said["prevout"]["scriptPubKey"], spent.kind, &spent.addresses);
                assert_eq!(spent.value, satoshi(&said["prevout"]["value"]));
                reveals.extend(input.envelope.clone());
            }
            if let Some(cost) = recorded["sigops"].get(decoded.txid.to_string()) {
                assert_eq!(decoded.sigops, Some(number(cost)), "{}", decoded.txid);
                sigops += 1;
            }
        }
    }
    assert_eq!((kinds.len(), sigops, reveals), (11, 2, vec!["text/plain;charset=utf-8".to_owned()]), "{kinds:?}");
}

/// Published examples: BIP-173, BIP-350, Bitcoin Core's tests of pay to anchor.
#[test]
fn kinds_and_addresses_of_scripts() {
    let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let of_key = "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH";
    for (chain, script, kind, addresses) in [
        ("main", "51024e73", "anchor", vec!["bc1pfeessrawgf"]),
        ("testnet4", "51024e73", "anchor", vec!["tb1pfees9rn5nz"]),
        ("regtest", "51024e73", "anchor", vec!["bcrt1pfeesnyr2tx"]),
        (
            "main",
            "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
            "pubkeyhash",
            vec!["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"],
        ),
        (
            "main",
            "a914748284390f9e263a4b766a75d0633c50426eb87587",
            "scripthash",
            vec!["3CK4fEwbMP7heJarmU4eqA3sMbVJyEnU3V"],
        ),
        (
            "main",
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            "witness_v0_keyhash",
            vec!["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"],
        ),
        (
            "signet",
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
            "witness_v0_scripthash",
            vec!["tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7"],
        ),
        (
            "main",
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "witness_v1_taproot",
            vec!["bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"],
        ),
        (
            "main",
            "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
            "witness_unknown",
            vec!["bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y"],
        ),
        ("main", "6002751e", "witness_unknown", vec!["bc1sw50qgdz25j"]),
        // Version 0 with another length has no meaning and no address.
        ("main", "0003aabbcc", "nonstandard", vec![]),
        ("main", "6a", "nulldata", vec![]),
        ("main", "6a0568656c6c6f60", "nulldata", vec![]),
        // More than pushes, or a push that is cut off.
        ("main", "6aac", "nonstandard", vec![]),
        ("main", "6a05aa", "nonstandard", vec![]),
        ("main", &*format!("21{key}ac"), "pubkey", vec![]),
        ("main", &*format!("21ff{}ac", &key[2..]), "nonstandard", vec![]),
        ("main", &*format!("5121{key}21{key}52ae"), "multisig", vec![of_key, of_key]),
        // Three are needed of two; two are said and one is there; something follows.
        ("main", &*format!("5321{key}21{key}52ae"), "nonstandard", vec![]),
        ("main", &*format!("5121{key}52ae"), "nonstandard", vec![]),
        ("main", &*format!("5121{key}51aeae"), "nonstandard", vec![]),
        // Seventeen keys are counted by a push of one byte, and only by the shortest.
        ("main", &*format!("51{}0111ae", format!("21{key}").repeat(17)), "multisig", vec![of_key; 17]),
        ("main", &*format!("51{}4c0111ae", format!("21{key}").repeat(17)), "nonstandard", vec![]),
        ("main", "", "nonstandard", vec![]),
        ("main", "ae", "nonstandard", vec![]),
    ] {
        let addresses: Vec<String> = addresses.into_iter().map(str::to_owned).collect();
        let found = read_script(chain.parse().unwrap(), &const_hex::decode(script).unwrap());
        assert_eq!((found.0.as_str(), found.1), (kind, addresses), "{script}");
    }
}
