//! Prints the CPU time that decoding takes per log and per call of the recorded blocks (Linux):
//! `cargo run --release -p decode --example speed -- FOLDER`, FOLDER as `loadtest/data`.

use std::{fs, hint::black_box, path::PathBuf};

use alloy_primitives::{Address, B256, hex};
use decode::Abi;
use serde_json::Value;

const ROUNDS: usize = 200;

/// Nanoseconds that this thread was on a CPU: waiting for one on a busy machine does not count.
fn cpu_ns() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn read(path: PathBuf) -> Option<Value> {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    Some(match value.get_mut("result") {
        Some(result) => result.take(),
        None => value,
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap_or("0x")).unwrap_or_default()
}

fn main() {
    let root = std::env::args().nth(1).unwrap_or_else(|| "loadtest/data".to_owned());
    let folders = fs::read_dir(PathBuf::from(&root).join("evm")).expect("a folder with evm/CHAIN/HEIGHT").flatten();
    let blocks =
        folders.filter_map(|chain| fs::read_dir(chain.path()).ok()).flatten().flatten().map(|entry| entry.path());
    let (mut logs, mut calls) = (Vec::new(), Vec::new());
    for folder in blocks {
        let receipts = read(folder.join("receipts.json")).unwrap_or_default();
        for log in receipts
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|receipt| receipt["logs"].as_array().into_iter().flatten())
        {
            let topics = log["topics"].as_array().into_iter().flatten().filter_map(|t| t.as_str()?.parse().ok());
            logs.push((topics.collect::<Vec<B256>>(), bytes(&log["data"])));
        }
        let block = read(folder.join("block.json")).unwrap_or_default();
        for tx in block["transactions"].as_array().into_iter().flatten().filter(|tx| tx["to"].is_string()) {
            calls.push(bytes(&tx["input"]));
        }
    }
    calls.retain(|input| input.len() >= 4);

    let start = cpu_ns();
    let table = decode::builtin().len();
    eprintln!("{table} entries of the table, prepared in {:.1} ms", (cpu_ns() - start) as f64 / 1e6);
    // A contract's own ABI, which does not know most of what is asked.
    let abi =
        Abi::from_lines(["function poke(uint256 a)", "event Poked(address indexed who, uint256 a)"]).expect("lines");
    let mut out = String::with_capacity(1 << 16);
    let done = |n: usize, of: usize| format!("{n} of {of}");
    let mut each = |what: &str, of: usize, work: &mut dyn FnMut(&mut String) -> usize| {
        let n = work(&mut out);
        let start = cpu_ns();
        (0..ROUNDS).for_each(|_| _ = black_box(work(&mut out)));
        let ns = (cpu_ns() - start) as f64 / (ROUNDS * of) as f64;
        eprintln!("{what:<22} {ns:>7.0} ns each, {} decoded", done(n, of));
    };
    let events = |abis: &[&Abi], out: &mut String| {
        logs.iter()
            .filter(|(topics, data)| {
                out.clear();
                decode::event_into(abis, topics, data, out).is_some()
            })
            .count()
    };
    let inputs = |abis: &[&Abi], out: &mut String| {
        calls
            .iter()
            .filter(|input| {
                out.clear();
                decode::call_into(abis, input, out).is_some()
            })
            .count()
    };
    each("log", logs.len(), &mut |out| events(&[], out));
    each("log, two ABIs first", logs.len(), &mut |out| events(&[&abi, &abi], out));
    each("call", calls.len(), &mut |out| inputs(&[], out));
    each("call, two ABIs first", calls.len(), &mut |out| inputs(&[&abi, &abi], out));
    each("calls inside", calls.len(), &mut |_| {
        calls.iter().map(|input| decode::inner_calls(Address::ZERO, input).calls.len()).sum()
    });
    each("movements", logs.len(), &mut |_| {
        logs.iter().map(|(topics, data)| decode::movements(Address::ZERO, topics, data).count()).sum()
    });
    let small: Vec<&Vec<u8>> = calls.iter().filter(|input| input.len() <= 1_000).collect();
    each("call up to 1,000 bytes", small.len(), &mut |out| {
        small
            .iter()
            .filter(|input| {
                out.clear();
                decode::call_into(&[], input, out).is_some()
            })
            .count()
    });
}
