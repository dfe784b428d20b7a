//! What monitors find in recorded Bitcoin blocks: two of regtest with scripts of every kind, as the node itself says them
//! (`loadtest/data/bitcoin/regtest/scripts.json`).

use std::{collections::BTreeSet, fs, path::Path, str::FromStr, sync::Arc};

use conditions::{Index, Monitor, Party, Scratch};
use schemas::{
    BitcoinHash, Family,
    records::{BitcoinDecoded, BitcoinInput, BitcoinOutput, BitcoinSpent, EnrichedTransaction, FoundKind, Payload},
};
use serde_json::{Value, json};

use super::{alone, monitor};
use crate::blocks::envelope;

/// Pays to scripts of every kind.
const ALL_KINDS: &str = "469e057d93";
const ANCHOR: &str = "bcrt1pfeesnyr2tx";
const MINER: &str = "bcrt1qncv8u5j7lv9npph40kj7fdd9lwrhap3gkf662q";

fn number(of: &Value) -> u32 {
    u32::try_from(of.as_u64().expect("a number")).expect("a small one")
}

fn satoshi(of: &Value) -> u64 {
    (of.as_f64().expect("an amount") * 1e8).round() as u64
}

fn text<T: FromStr>(of: &Value) -> T {
    of.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{of}"))
}

fn addresses(script: &Value) -> Vec<String> {
    script["address"].as_str().map(str::to_owned).into_iter().collect()
}

fn input(of: &Value) -> BitcoinInput {
    let spent = of.get("prevout").map(|prevout| BitcoinSpent {
        value: satoshi(&prevout["value"]),
        kind: text(&prevout["scriptPubKey"]["type"]),
        addresses: addresses(&prevout["scriptPubKey"]),
        height: Some(number(&prevout["height"])),
        ..BitcoinSpent::default()
    });
    let spent_txid = if spent.is_some() { text(&of["txid"]) } else { BitcoinHash::default() };
    let spent_index = of.get("vout").map_or(u32::MAX, number);
    BitcoinInput { spent_txid, spent_index, sequence: number(&of["sequence"]), spent, ..BitcoinInput::default() }
}

fn output(of: &Value) -> BitcoinOutput {
    let script = &of["scriptPubKey"];
    BitcoinOutput {
        value: satoshi(&of["value"]),
        script: const_hex::decode(script["hex"].as_str().expect("hex")).expect("hex").into(),
        kind: text(&script["type"]),
        addresses: addresses(script),
    }
}

fn transaction(at: usize, of: &Value) -> BitcoinDecoded {
    let list = |name: &str| of[name].as_array().expect("a list").iter();
    let (inputs, outputs): (Vec<_>, Vec<_>) = (list("vin").map(input).collect(), list("vout").map(output).collect());
    let is_coinbase = of["vin"][0].get("coinbase").is_some();
    let fee = of.get("fee").map(satoshi);
    let vsize = number(&of["vsize"]);
    BitcoinDecoded {
        transaction_index: u32::try_from(at).expect("few"),
        txid: text(&of["txid"]),
        wtxid: text(&of["hash"]),
        version: number(&of["version"]),
        lock_time: number(&of["locktime"]),
        size: number(&of["size"]),
        weight: number(&of["weight"]),
        virtual_size: vsize,
        is_coinbase,
        segwit: of["txid"] != of["hash"],
        replaceable: inputs.iter().any(|input| input.sequence < 0xffff_fffe),
        input_value: inputs.iter().map(|input| input.spent.as_ref().map(|spent| spent.value)).sum(),
        output_value: outputs.iter().map(|output| output.value).sum(),
        fee: if is_coinbase { Some(0) } else { fee },
        fee_rate: fee.map(|fee| fee * 1_000 / u64::from(vsize)),
        inputs,
        outputs,
        ..BitcoinDecoded::default()
    }
}

/// All transactions of the recorded blocks.
fn recorded() -> Vec<EnrichedTransaction> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/regtest/scripts.json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(path).expect("a file")).expect("JSON");
    let mut all = Vec::new();
    for block in recorded["blocks"].as_array().expect("blocks") {
        let said = &block["verbose"];
        for (at, tx) in said["tx"].as_array().expect("transactions").iter().enumerate() {
            let mut envelope = envelope("demo", said["height"].as_u64().expect("a height"));
            envelope.block_hash = text::<BitcoinHash>(&said["hash"]).into();
            let payload = Payload::Bitcoin(Box::new(transaction(at, tx)));
            all.push(EnrichedTransaction { envelope, payload });
        }
    }
    assert_eq!(all.len(), 6);
    all
}

fn inside(of: &EnrichedTransaction) -> &BitcoinDecoded {
    match &of.payload {
        Payload::Bitcoin(tx) => tx,
        other => panic!("{other:?}"),
    }
}

/// Beginnings of the ids of what a monitor finds.
fn found(monitor: &Arc<Monitor>, all: &[EnrichedTransaction]) -> Vec<String> {
    let (index, mut scratch) = (alone(monitor), Scratch::default());
    let mut found = Vec::new();
    for tx in all {
        for matched in index.find(tx, &mut scratch).into_iter().flat_map(|hit| hit.matched) {
            assert_eq!((matched.found.kind, matched.found.position), (FoundKind::Transaction, None));
            let id = matched.found.transaction_in(&tx.envelope.block_hash);
            assert_eq!(id, inside(tx).txid.to_string());
            found.push(id[..10].to_owned());
        }
    }
    assert_eq!(scratch.faults, 0);
    found
}

#[test]
fn every_field_says_what_the_node_says() {
    let all = recorded();
    let of = |expression: &str| {
        found(&monitor(json!([]), json!({"transactions": [{"status": "Success", "expression": expression}]})), &all)
    };
    // What is found, and by looking at the records themselves what is to be.
    let is = |expression: &str, is_wanted: &dyn Fn(&BitcoinDecoded) -> bool| {
        let wanted = all.iter().map(inside).filter(|tx| is_wanted(tx));
        let wanted: Vec<String> = wanted.map(|tx| tx.txid.to_string()[..10].to_owned()).collect();
        assert!(!wanted.is_empty(), "{expression}: nothing to be found");
        assert_eq!(of(expression), wanted, "{expression}");
    };
    is("coinbase", &|tx| tx.is_coinbase);
    is("NOT coinbase AND fee >= 3333 AND fee < 0.0002 btc", &|tx| (3_333..20_000).contains(&tx.fee.unwrap_or(0)));
    is("fee_rate > 6_000", &|tx| tx.fee_rate.is_some_and(|rate| rate > 6_000));
    // A coinbase has no rate: whatever it is compared with, it does not fit.
    is("fee_rate < 6_000", &|tx| tx.fee_rate.is_some_and(|rate| rate < 6_000));
    is("vsize > 500 AND weight <= 4 * vsize", &|tx| tx.virtual_size > 500);
    is("value >= 50 btc", &|tx| tx.output_value >= 5_000_000_000);
    is("largest_output >= 49 btc AND input_value > value", &|tx| !tx.is_coinbase && tx.outputs.len() == 30);
    is("input_count > 1 AND output_count == 1", &|tx| tx.inputs.len() > 1);
    is("rbf AND segwit", &|tx| tx.replaceable && tx.segwit);
    is("'nulldata' in output_types", &|tx| tx.outputs.iter().any(|o| o.kind.as_str() == "nulldata"));
    is("input_types contains 'anchor'", &|tx| {
        tx.inputs.iter().any(|i| i.spent.as_ref().is_some_and(|s| s.kind.as_str() == "anchor"))
    });
    is(&format!("addresses contains '{ANCHOR}'"), &|tx| tx.addresses().contains(&ANCHOR));
    is(&format!("output_addresses contains '{ANCHOR}'"), &|tx| tx.txid.to_string().starts_with(ALL_KINDS));
    is(&format!("'{MINER}' in input_addresses"), &|tx| tx.txid.to_string().starts_with(ALL_KINDS));
    is("outputs[1].script contains '6a' OR outputs[18].type == 'nulldata'", &|tx| tx.outputs.len() > 1);
    is("inputs[0].spent_height < 111 AND height == 111", &|tx| tx.txid.to_string().starts_with(ALL_KINDS));
    is("txid starts_with '0x469e' AND hash == txid AND wtxid != txid", &|tx| tx.txid.to_string().starts_with("469e"));
    assert_eq!(of("largest_output > 21_000_000 btc"), [""; 0]);
    assert_eq!(of("gas_used >= 0"), [""; 0], "what no Bitcoin transaction has");
}

#[test]
fn an_address_finds_what_spends_from_it_and_pays_it() {
    let all = recorded();
    let addresses: BTreeSet<String> = all.iter().flat_map(|tx| inside(tx).addresses()).map(str::to_owned).collect();
    assert!(addresses.len() > 15, "{addresses:?}");
    let watch = |list: &[&String]| {
        monitor(json!(list.iter().map(|address| json!({"address": address})).collect::<Vec<_>>()), json!({}))
    };
    // One by one, and all of them in one index.
    let all_monitors: Vec<(String, Arc<Monitor>)> =
        addresses.iter().map(|address| (address.clone(), watch(&[address]))).collect();
    let index = Index::of(all_monitors.iter().map(|(address, monitor)| ("t", address.as_str(), 1, monitor.clone())));
    assert_eq!(index.unindexed(None), 0);
    let mut scratch = Scratch::default();
    for tx in &all {
        let hits = index.find(tx, &mut scratch);
        let mut touched: Vec<&str> = inside(tx).addresses();
        touched.sort_unstable();
        assert_eq!(hits.iter().map(|hit| &*hit.entry.id).collect::<Vec<_>>(), touched);
        for hit in hits {
            let [matched] = &hit.matched[..] else { panic!("{hit:?}") };
            assert_eq!(matched.contract, Party::read(&hit.entry.id), "the address");
            let told: Value = serde_json::from_str(&matched.found.arguments).expect("JSON");
            let is_its = |addresses: &[String]| addresses.iter().any(|one| **one == *hit.entry.id);
            let outputs = inside(tx).outputs.iter().filter(|output| is_its(&output.addresses));
            let spent = inside(tx).inputs.iter().filter_map(|input| input.spent.as_ref());
            let spent = spent.filter(|spent| is_its(&spent.addresses)).map(|spent| spent.value).sum::<u64>();
            assert_eq!(told["received"], outputs.map(|output| output.value).sum::<u64>().to_string());
            assert_eq!(told["spent"], spent.to_string());
            assert_eq!(told["output_value"], inside(tx).output_value.to_string());
            assert_eq!(told.get("fee").is_some(), !inside(tx).is_coinbase);
        }
    }
    // What it receives or spends is of the address, and of each that is looked at its own.
    let asks = |list: &[&str], expression: &str| {
        let list: Vec<Value> = list.iter().map(|address| json!({"address": address})).collect();
        found(&monitor(json!(list), json!({"transactions": [{"expression": expression}]})), &all)
    };
    assert_eq!(asks(&[ANCHOR], "received > 0 AND spent == 0"), [ALL_KINDS]);
    assert_eq!(asks(&[ANCHOR], "spent == 0.01000013 btc"), ["7e61c71199"]);
    assert_eq!(asks(&[MINER, ANCHOR], "received == 0.01000013 btc"), [ALL_KINDS]);
    assert_eq!(asks(&[ANCHOR], "received > 1 btc"), [""; 0]);
    let nobody = json!({"transactions": [{"expression": "received > 0"}]});
    assert_eq!(found(&monitor(json!([]), nobody), &all), [""; 0]);
    // Of several addresses that a transaction has, one match.
    let both = watch(&[&MINER.to_owned(), &ANCHOR.to_owned()]);
    assert_eq!(found(&both, &all).len(), 6);
    // And what is taken out of the index is found no more.
    let mut index = alone(&both);
    assert!(index.remove("t", "m") && index.find(&all[1], &mut scratch).is_empty());
}

#[test]
fn a_monitor_says_which_networks_it_can_be_of() {
    let parse = |addresses: Value, conditions: Value| {
        let networks = json!(["demo", "other"]);
        Monitor::parse(
            &json!({"name": "m", "networks": networks, "addresses": addresses, "match_conditions": conditions}),
        )
    };
    let wrong = |addresses: Value, conditions: Value| {
        let mistakes = parse(addresses, conditions).expect_err("a mistake");
        mistakes.into_iter().map(|mistake| (mistake.path, mistake.position)).collect::<Vec<_>>()
    };
    let at = |path: &str, position: Option<usize>| vec![(path.to_owned(), position)];
    let here = json!([{"address": MINER}]);
    let over = |expression: &str| json!({"transactions": [{"expression": expression}]});
    let contract = json!({"address": "0x00000000000000000000000000000000000000ab"});

    let expression = "match_conditions.transactions.0.expression";
    assert_eq!(wrong(here.clone(), over("value > 1 AND gas_used > 5")), at(expression, Some(14)));
    assert_eq!(wrong(json!([contract]), over("value > 1 AND vsize > 5")), at(expression, Some(14)));
    assert_eq!(
        wrong(json!([]), over("vsize > 1 AND feee > 5")),
        at(expression, Some(14)),
        "of the family that it is nearest to"
    );
    assert_eq!(wrong(here.clone(), json!({"events": [{"signature": "A()"}]})), at("match_conditions.events", None));
    let failed = json!({"transactions": [{"status": "Failure"}]});
    assert_eq!(wrong(here.clone(), failed), at("match_conditions.transactions.0.status", None));
    assert_eq!(wrong(json!([{"address": MINER}, contract]), json!({})), at("addresses.1.address", None));
    let large = MINER.to_ascii_uppercase();
    assert_eq!(wrong(json!([{"address": MINER}, {"address": large}]), json!({})), at("addresses.1.address", None));
    assert_eq!(wrong(json!([{"address": MINER, "abi": []}]), json!({})).len(), 1);
    assert_eq!(wrong(json!([{"address": format!("{MINER}q")}]), json!({})), at("addresses.0.address", None));

    let of_nobody = parse(json!([]), over("received > 1")).unwrap();
    assert_eq!(of_nobody.wrong_on(Family::Bitcoin).len(), 1);
    assert!(parse(here.clone(), over("received > 1")).unwrap().wrong_on(Family::Bitcoin).is_empty());
    let plain = parse(json!([]), over("fee > 1")).unwrap();
    let paths = |monitor: &Monitor, families: [Option<Family>; 2]| {
        let of = |network: &schemas::Network| families[usize::from(network.as_str() == "other")];
        monitor.wrong_in(of).into_iter().map(|mistake| mistake.path).collect::<Vec<_>>()
    };
    let (evm, bitcoin) = (Some(Family::Evm), Some(Family::Bitcoin));
    for families in [[evm, evm], [bitcoin, bitcoin], [None, bitcoin], [None, None]] {
        assert_eq!(paths(&plain, families), [""; 0]);
    }
    assert_eq!(paths(&plain, [evm, bitcoin]), ["networks.1"]);
    let watching = parse(here, over("fee > 1")).unwrap();
    assert_eq!(paths(&watching, [bitcoin, bitcoin]), [""; 0]);
    assert_eq!(paths(&watching, [evm, None]), ["addresses.0.address"]);
    assert_eq!(Monitor::parse(&watching.definition()).unwrap(), watching);

    // Of a family of which nothing is looked for yet that is said, once, and nothing of what stands in the monitor.
    let stellar = Some(Family::Stellar);
    let contracts = parse(json!([contract]), over("gas_used > 5")).unwrap();
    for monitor in [&plain, &watching, &contracts, &of_nobody] {
        assert_eq!(paths(monitor, [stellar, stellar]), ["networks.0"]);
        assert_eq!(paths(monitor, [None, stellar]), ["networks.1"]);
        let said = monitor.wrong_on(Family::Stellar);
        assert!(said.len() == 1 && said[0].problem.contains("Stellar") && said[0].problem.contains("yet"), "{said:?}");
        assert!(said[0].cure.contains("`evm` or `bitcoin`"), "{said:?}");
    }
    assert_eq!(paths(&plain, [evm, stellar]), ["networks.1"], "not that they are two families");
}
