//! Every log and call of the recorded blocks, decoded by the table alone, and read again by a decoder that no one here wrote
//! (eth-abi, in `check.py`; `scripts/fetch-consumers` prepares it): each is the same, by name and to the last unit, and nothing is
//! decoded that the other refuses, nor left raw that it knows.
//!
//! The share per chain is printed. What is not in the table stays raw: contracts that published no interface, payloads of rollups,
//! calldata with something appended.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use alloy_primitives::{B256, hex};
use serde_json::{Value, json};

/// A log or a call.
struct Item {
    chain: String,
    at: String,
    topics: Option<Vec<B256>>,
    data: Vec<u8>,
}

fn read(path: &Path) -> Option<Value> {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path).ok()?).expect("JSON");
    Some(match value.get_mut("result") {
        Some(result) => result.take(),
        None => value,
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap_or("0x")).expect("hex")
}

/// Those of the repository, and of the folder that `HEADWATER_DATA` names.
fn recorded() -> Vec<Item> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data");
    let more = std::env::var_os("HEADWATER_DATA").map(PathBuf::from);
    let mut items = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for root in more.into_iter().chain([here]) {
        let mut folders: Vec<PathBuf> = Vec::new();
        for chain in fs::read_dir(root.join("evm")).expect("chains").flatten().filter(|entry| entry.path().is_dir()) {
            folders.extend(fs::read_dir(chain.path()).expect("blocks").flatten().map(|entry| entry.path()));
        }
        folders.sort();
        for folder in folders {
            let Some(block) = read(&folder.join("block.json")) else { continue };
            if !seen.insert(block["hash"].clone()) {
                continue;
            }
            let chain = folder.parent().and_then(|p| p.file_name()).expect("a name").to_string_lossy().into_owned();
            for tx in block["transactions"].as_array().into_iter().flatten().filter(|tx| tx["to"].is_string()) {
                let (data, at) = (bytes(&tx["input"]), tx["hash"].as_str().unwrap_or_default().to_owned());
                if data.len() >= 4 {
                    items.push(Item { chain: chain.clone(), at, topics: None, data });
                }
            }
            let receipts = read(&folder.join("receipts.json"));
            for receipt in receipts.as_ref().and_then(Value::as_array).into_iter().flatten() {
                for log in receipt["logs"].as_array().into_iter().flatten() {
                    let topics = log["topics"].as_array().into_iter().flatten();
                    let topics =
                        topics.map(|topic| topic.as_str().and_then(|t| t.parse().ok()).expect("a topic")).collect();
                    let at = format!("{} log {}", receipt["transactionHash"], log["logIndex"]);
                    items.push(Item { chain: chain.clone(), at, topics: Some(topics), data: bytes(&log["data"]) });
                }
            }
        }
    }
    items
}

#[test]
#[allow(clippy::print_stdout, clippy::print_stderr)]
fn all_is_as_another_decoder_reads_it() {
    let items = recorded();
    let (mut lines, mut texts) = (String::new(), 0);
    let mut shares = [(0, 0); 2];
    for Item { chain, at, topics, data } in &items {
        let decoded = match topics {
            Some(topics) => decode::event(&[], topics, data),
            None => decode::call(&[], data),
        };
        if topics.is_none() && decode::text(data).is_some() {
            assert!(decoded.is_none(), "{at}: a text that is a call");
            texts += 1;
            continue;
        }
        let share = &mut shares[usize::from(topics.is_none())];
        share.0 += u32::from(decoded.is_some());
        share.1 += 1;
        let mut line = json!({"chain": chain, "at": at, "kind": if topics.is_some() { "log" } else { "call" }, "data": hex::encode(data)});
        if let Some(topics) = topics {
            line["topics"] = topics.iter().map(hex::encode).collect();
        }
        if let Some(decoded) = decoded {
            line["signature"] = decoded.signature.as_ref().into();
            // As text: the order counts.
            line["arguments"] = decoded.arguments.into();
        }
        writeln!(lines, "{line}").expect("text");
    }
    assert!(!items.is_empty() && shares[0].1 > 0 && shares[1].1 > 0);
    println!("{} logs, {} calls, {texts} readable texts", shares[0].1, shares[1].1);
    let percent = |(done, all): (u32, u32)| 100.0 * f64::from(done) / f64::from(all);
    assert!(percent(shares[0]) >= 88.0, "logs: {shares:?}");
    assert!(percent(shares[1]) >= 70.0, "calls: {shares:?}");

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prepared = Command::new(root.join("../scripts/fetch-consumers")).output().expect("fetch-consumers");
    let python = PathBuf::from(String::from_utf8_lossy(&prepared.stdout).trim()).join("python");
    if !prepared.status.success() || !python.join(".complete").exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "Python with eth-abi is not prepared: {}",
            String::from_utf8_lossy(&prepared.stderr)
        );
        eprintln!("SKIPPED the comparison with eth-abi: Python is not prepared; see scripts/fetch-consumers");
        return;
    }
    let file = std::env::temp_dir().join(format!("headwater-decoded-{}.ndjson", std::process::id()));
    fs::write(&file, lines).expect("write");
    let mut tables: Vec<PathBuf> =
        fs::read_dir(root.join("signatures")).expect("table").flatten().map(|e| e.path()).collect();
    tables.sort();
    let output =
        Command::new(python.join("bin/python")).arg(root.join("tests/check.py")).arg(&file).args(&tables).output();
    let output = output.expect("python");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}\nsee {}", String::from_utf8_lossy(&output.stderr), file.display());
    fs::remove_file(&file).expect("remove");
}
