//! The other product's own fixtures.

use std::sync::Arc;

use conditions::{Monitor, Scratch};
use serde_json::{Value, json};

use super::{alone, flat};
use crate::blocks::of;

/// What the other product's own fixtures must give, where `HEADWATER_OZ` names their folder: exactly one transfer.
#[test]
#[ignore = "wants the other product's own files, which are not ours to keep: HEADWATER_OZ=FOLDER"]
fn the_other_products_fixtures() {
    let folder = std::env::var_os("HEADWATER_OZ").map(std::path::PathBuf::from).expect("HEADWATER_OZ");
    let read = |name: &str| {
        serde_json::from_str::<Value>(&std::fs::read_to_string(folder.join(name)).expect(name)).expect("JSON")
    };
    let receipts = read("transaction_receipts.json");
    let blocks = read("blocks.json");
    let mut definition = read("monitors/monitor.json");
    for key in ["trigger_conditions", "triggers"] {
        definition.as_object_mut().expect("an object").remove(key);
    }
    definition["networks"] = json!(["demo"]);
    for address in definition["addresses"].as_array_mut().expect("addresses") {
        if let Some(name) = address["contract_spec"].as_str() {
            address["contract_spec"] = read(&format!("contract_specs/{name}.json"));
        }
    }
    let full = definition["match_conditions"].clone();
    for (keys, kind) in
        [(vec!["events"], "event"), (vec!["functions"], "function"), (vec!["events", "transactions"], "event")]
    {
        let chosen: serde_json::Map<String, Value> =
            keys.iter().map(|key| ((*key).to_owned(), full[*key].clone())).collect();
        definition["match_conditions"] = Value::Object(chosen);
        let monitor = Arc::new(Monitor::parse(&definition).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
        let index = alone(&monitor);
        let mut all = Vec::new();
        for wrapped in blocks.as_array().expect("blocks") {
            for tx in of(&wrapped["EVM"], receipts.as_array().expect("receipts")) {
                let hits = flat(index.find(&tx, &mut Scratch::default()));
                all.extend(hits.into_iter().flat_map(|hit| hit.3).map(|m| (m.found.kind.as_str(), m.found.arguments)));
            }
        }
        eprintln!("{keys:?}: {all:?}");
        assert!(all.iter().any(|(of, arguments)| *of == kind && arguments.contains("8181710000")), "{keys:?}: {all:?}");
    }
}
