//! A value that cannot be read is an error that names its field, or it is as if it had been left out: never another value. Tried
//! on each field of a block, of its transactions, receipts and logs, where hashes and roots decide and where they only count.

use std::{fs, path::Path};

use nodes::evm::{
    Checks, EvmBlock, assemble,
    verify::verify,
    wire::{self, Answer, Wire, parse_answer},
};
use schemas::profiles::{Profile, TOLERANT};
use serde_json::{Value, json};

/// Values that no field can be read from, and `null`.
fn unreadable() -> [Value; 8] {
    let nested = json!({"a": [1, {"b": null}]});
    [json!("-0x1"), json!("0xzz"), json!("none"), json!(-1), json!(1.5), nested, json!([[[]]]), Value::Null]
}

/// Fields that a record cannot do without: what cannot be read there is never passed over.
const NEEDED: [&str; 14] = [
    "/block/number",
    "/block/hash",
    "/block/parentHash",
    "/block/timestamp",
    "/block/gasUsed",
    "/block/transactions/1/hash",
    "/block/transactions/1/from",
    "/block/transactions/1/value",
    "/block/transactions/1/type",
    "/receipts/1/transactionHash",
    "/receipts/1/status",
    "/receipts/1/gasUsed",
    "/receipts/1/logs/0/address",
    "/receipts/1/logs/0/data",
];

fn read<T: Wire>(value: &Value) -> Result<T, String> {
    match parse_answer(&value.to_string()).map_err(|e| e.to_string())? {
        Answer::Result(read) => Ok(read),
        _ => Err("nothing".into()),
    }
}

/// What becomes of a block and its receipts as a node says them.
fn outcome(pair: &Value, checks: &Checks) -> Result<EvmBlock, String> {
    let block: wire::Block = read(&pair["block"])?;
    let receipts: Vec<wire::Receipt> = read(&pair["receipts"])?;
    verify(&block, &receipts, 20_000_000, checks)?;
    assemble(block, receipts).map_err(|e| e.to_string())
}

/// Pointers to all fields below an object, lists of scalars being fields.
fn fields(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let path = format!("{at}/{name}");
                if !matches!(name.as_str(), "transactions" | "logs" | "block" | "receipts") {
                    found.push(path.clone());
                }
                fields(inner, &path, found);
            }
        }
        Value::Array(list) => list.iter().enumerate().for_each(|(i, inner)| fields(inner, &format!("{at}/{i}"), found)),
        _ => {}
    }
}

#[test]
fn what_cannot_be_read_is_named_or_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/cases/bor-state-sync-typed/blocks.json");
    let mut truth: Value = serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap()[0].take();
    // Fields that this chain does not have.
    for (at, more) in [
        ("/block", &["totalDifficulty", "l1BlockNumber"][..]),
        ("/block/transactions/1", &["feeCurrency", "sourceHash", "mint", "maxFeePerBlobGas"]),
        ("/receipts/1", &["l1Fee", "l1GasUsed", "blobGasUsed", "depositNonce", "gasUsedForL1", "root"]),
    ] {
        let object = truth.pointer_mut(at).unwrap();
        more.iter().for_each(|name| object[*name] = Value::Null);
    }
    let mut paths = Vec::new();
    fields(&truth, "", &mut paths);
    // One of each kind of object is enough.
    let first = |path: &String| {
        let other = |list: &str, wanted: &[&str]| {
            path.split_once(list).is_some_and(|(_, rest)| !wanted.contains(&rest.split('/').next().unwrap_or_default()))
        };
        !other("/transactions/", &["1", "2"]) && !other("/receipts/", &["1"]) && !other("/logs/", &["0"])
    };
    paths.retain(first);
    let (mut named, mut nothing) = (0, 0);
    for profile in [Profile::of(137), TOLERANT] {
        let checks = Checks::of(&profile);
        let right = outcome(&truth, &checks).unwrap();
        for path in &paths {
            let (at, name) = path.rsplit_once('/').unwrap();
            let mut told = truth.clone();
            told.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(name);
            let left_out = outcome(&told, &checks);
            for value in unreadable() {
                told.pointer_mut(at).unwrap()[name] = value.clone();
                match (outcome(&told, &checks), &left_out) {
                    (Ok(block), Ok(without)) => {
                        assert_eq!(&block, without, "{path} = {value}");
                        assert!(
                            block == right || value.is_null() || !NEEDED.contains(&path.as_str()),
                            "{path} = {value}"
                        );
                        nothing += 1;
                    }
                    (Err(e), _) if e.contains(&format!("`{name}`")) => named += 1,
                    (Err(e), Err(without)) => assert_eq!(&e, without, "{path} = {value}"),
                    (Err(e), Ok(_)) => panic!("{path} = {value}: {e}"),
                    (Ok(_), Err(without)) => panic!("{path} = {value} is believed, left out it is not: {without}"),
                }
            }
        }
    }
    assert!(named > 100 && nothing > 100, "{named} named, {nothing} nothing");
    for path in NEEDED {
        let mut told = truth.clone();
        *told.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = json!("none");
        let name = path.rsplit_once('/').unwrap().1;
        let e = outcome(&told, &Checks::of(&TOLERANT)).expect_err(path);
        assert!(e.contains(&format!("`{name}`")) && e.contains("`none`"), "{path}: {e}");
    }
}
