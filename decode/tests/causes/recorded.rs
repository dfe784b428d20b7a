//! Recorded failures: what is said of each by its trace, and read again by a program that shares nothing with the product
//! (`check.py`, with eth-abi). A table of causes is printed, by what was known.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use alloy_primitives::{Address, hex};
use decode::causes::{Cause, Failed, Finding, Frame, Table, by_receipt, by_trace, call_tracer};
use serde_json::{Value, json};

/// A failed transaction.
struct Recorded {
    chain: String,
    hash: String,
    from: Address,
    to: Option<Address>,
    input: Vec<u8>,
    gas: u64,
    gas_used: u64,
    time: u64,
    trace: Option<String>,
}

impl Recorded {
    fn failed(&self) -> Failed<'_> {
        Failed {
            from: self.from,
            to: self.to,
            input: &self.input,
            gas: self.gas,
            gas_used: self.gas_used,
            block_time: Some(self.time),
            ..Failed::default()
        }
    }
}

fn read(path: &Path) -> Option<Value> {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path).ok()?).expect("JSON");
    Some(match value.get_mut("result") {
        Some(result) => result.take(),
        None => value,
    })
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap_or("0x0").trim_start_matches("0x"), 16).expect("a number")
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Those of the repository, and of the folder that `HEADWATER_DATA` names.
fn recorded() -> Vec<Recorded> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data");
    let mut all: Vec<Recorded> = Vec::new();
    for root in std::env::var_os("HEADWATER_DATA").map(PathBuf::from).into_iter().chain([here]) {
        let mut folders: Vec<PathBuf> = Vec::new();
        for chain in fs::read_dir(root.join("evm")).expect("chains").flatten().filter(|entry| entry.path().is_dir()) {
            folders.extend(fs::read_dir(chain.path()).expect("blocks").flatten().map(|entry| entry.path()));
        }
        folders.sort();
        for folder in folders {
            let (Some(block), Some(receipts)) = (read(&folder.join("block.json")), read(&folder.join("receipts.json")))
            else {
                continue;
            };
            let traces = read(&folder.join("traces_failed.json"));
            let chain = folder.parent().and_then(|p| p.file_name()).expect("a name").to_string_lossy().into_owned();
            for receipt in list(Some(&receipts)).filter(|receipt| receipt["status"] == "0x0") {
                let hash = receipt["transactionHash"].as_str().expect("a hash").to_owned();
                let tx = list(block.get("transactions")).find(|tx| tx["hash"] == hash.as_str()).expect("a transaction");
                let trace = list(traces.as_ref())
                    .find(|it| it["transactionHash"] == hash.as_str())
                    .map(|it| it["callTracer"].to_string());
                if let Some(known) = all.iter_mut().find(|it| it.hash == hash) {
                    known.trace = known.trace.take().or(trace);
                    continue;
                }
                all.push(Recorded {
                    chain: chain.clone(),
                    hash,
                    from: tx["from"].as_str().and_then(|it| it.parse().ok()).expect("a sender"),
                    to: tx["to"].as_str().and_then(|it| it.parse().ok()),
                    input: hex::decode(tx["input"].as_str().expect("input")).expect("hex"),
                    gas: number(&tx["gas"]),
                    gas_used: number(&receipt["gasUsed"]),
                    time: number(&block["timestamp"]),
                    trace,
                });
            }
        }
    }
    all
}

/// Whether data or a word other than a bare revert stands anywhere in it.
fn tells(frame: &Frame) -> bool {
    let word = frame.error.as_deref().is_some_and(|word| !word.to_lowercase().contains("revert"));
    word || (frame.error.is_some() && frame.output_len > 0) || frame.calls.iter().any(tells)
}

fn line(it: &Recorded, found_by: &str, finding: &Finding) -> Value {
    json!({"chain": it.chain, "hash": it.hash, "found_by": found_by, "cause": finding.cause.word(), "reason": finding.reason, "rule": finding.rule,
        "frame": finding.frame.map(hex::encode_prefixed), "depth": finding.depth, "output": hex::encode_prefixed(&finding.output),
        "selector": finding.error_selector.map(hex::encode_prefixed), "signature": finding.error_signature, "arguments": finding.error_arguments,
        "trace": it.trace, "gas": it.gas, "gas_used": it.gas_used})
}

#[test]
#[allow(clippy::print_stdout, clippy::print_stderr)]
fn recorded_failures_are_explained_and_read_again() {
    let all = recorded();
    let table = Table::builtin();
    let (mut lines, mut telling, mut unknown) = (String::new(), 0, 0);
    let (mut traced, mut by_receipt_unknown, mut wrong) = (0, 0, Vec::new());
    for it in &all {
        let alone = by_receipt(&it.failed(), table);
        writeln!(lines, "{}", line(it, "receipt", &alone)).expect("text");
        let Some(trace) = &it.trace else { continue };
        let frame = call_tracer(trace.as_bytes()).unwrap_or_else(|e| panic!("{}: {e}", it.hash));
        let finding = by_trace(&frame, &it.failed(), &(), table);
        println!("{} {} {} {}: {}", it.chain, it.hash, finding.cause, finding.rule, finding.reason);
        writeln!(lines, "{}", line(it, "trace", &finding)).expect("text");
        traced += 1;
        by_receipt_unknown += u32::from(!alone.cause.is_classed());
        if tells(&frame) {
            telling += 1;
            unknown += u32::from(matches!(finding.cause, Cause::Unknown | Cause::Opaque));
        }
        // What the receipt says is the trace's word too, or nothing.
        if alone.cause.is_classed() && finding.cause.is_classed() && alone.cause != finding.cause {
            wrong.push(format!("{}: {} by receipt, {} by trace", it.hash, alone.cause, finding.cause));
        }
    }
    assert!(traced >= 14 && telling >= 10, "{traced} traces, {telling} tell something");
    println!(
        "{unknown} of {telling} traces that tell something are unknown or opaque; of {traced} by receipt alone {by_receipt_unknown} are"
    );
    assert!(100 * unknown <= 3 * telling, "{unknown} of {telling}");
    assert!(100 * by_receipt_unknown <= 60 * traced, "{by_receipt_unknown} of {traced}");
    assert!(wrong.is_empty(), "{wrong:#?}");

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prepared = Command::new(root.join("../scripts/fetch-consumers")).output().expect("fetch-consumers");
    let python = PathBuf::from(String::from_utf8_lossy(&prepared.stdout).trim()).join("python");
    if !prepared.status.success() || !python.join(".complete").exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "Python with eth-abi is not prepared: {}",
            String::from_utf8_lossy(&prepared.stderr)
        );
        eprintln!("SKIPPED the independent reading: Python is not prepared; see scripts/fetch-consumers");
        return;
    }
    let file = std::env::temp_dir().join(format!("headwater-causes-{}.ndjson", std::process::id()));
    fs::write(&file, lines).expect("write");
    let output = Command::new(python.join("bin/python"))
        .arg(root.join("tests/causes/check.py"))
        .arg(&file)
        .output()
        .expect("python");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}\nsee {}", String::from_utf8_lossy(&output.stderr), file.display());
    fs::remove_file(&file).expect("remove");
}
