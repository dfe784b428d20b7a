//! What matching costs: ten monitors against ten thousand with the same matches, and what each unindexed one adds.
//!
//! `cargo run --release -p conditions --example matching`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/conditions/blocks.rs"]
mod blocks;

use std::{hint::black_box, sync::Arc, time::Instant};

use alloy_primitives::Address;
use conditions::{Hit, Index, Monitor, Scratch};
use schemas::records::EnrichedTransaction;
use serde_json::{Value, json};

const SECONDS: f64 = 2.0;

fn monitor(addresses: &[String], conditions: &Value) -> Arc<Monitor> {
    let addresses: Vec<Value> = addresses.iter().map(|address| json!({"address": address})).collect();
    let definition = json!({"name": "m", "network": "demo", "addresses": addresses, "match_conditions": conditions});
    Arc::new(Monitor::parse(&definition).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

/// What monitors mostly say, each a little different.
fn conditions(n: usize) -> Value {
    match n % 3 {
        0 => {
            json!({"events": [{"signature": "Transfer(address,address,uint256)", "expression": format!("value > {n}")}],
            "transactions": [{"status": "Success"}]})
        }
        1 => {
            json!({"functions": [{"signature": "transfer(address to, uint256 amount)", "expression": format!("amount > {n} gwei")}],
            "events": [{"signature": "Approval(address,address,uint256)"}]})
        }
        _ => {
            json!({"transactions": [{"status": "Any", "expression": format!("value >= {n} wei AND gas_used > 21000")}]})
        }
    }
}

/// Nanoseconds for each transaction, the least of all passes (others may use the machine), and how many matches there were.
fn measure(index: &Index, block: &[EnrichedTransaction]) -> (f64, usize) {
    let mut scratch = Scratch::default();
    let (mut best, mut matches) = (f64::INFINITY, 0);
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < SECONDS {
        let pass = Instant::now();
        let of = |hits: Vec<Hit<'_>>| hits.iter().map(|hit| hit.matched.len()).sum::<usize>();
        matches = block.iter().map(|tx| of(black_box(index.find(tx, &mut scratch)))).sum();
        best = best.min(pass.elapsed().as_nanos() as f64 / block.len() as f64);
    }
    (best, matches)
}

fn main() {
    let block: Vec<_> =
        ["ethereum/19433902", "ethereum/18000000", "polygon/38102393"].into_iter().flat_map(blocks::block).collect();
    let logs: usize = block.iter().map(|tx| blocks::inside(tx).logs.len()).sum();
    println!("{} transactions, {logs} logs", block.len());
    let mut busy: Vec<(usize, Address)> = Vec::new();
    for address in block.iter().flat_map(|tx| blocks::inside(tx).contracts()) {
        match busy.iter_mut().find(|(_, known)| *known == address) {
            Some((count, _)) => *count += 1,
            None => busy.push((1, address)),
        }
    }
    busy.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let text = |address: &Address| address.to_string().to_lowercase();
    let add =
        |index: &mut Index, n: usize, monitor: Arc<Monitor>| index.insert("tenant", &format!("m{n:05}"), 1, monitor);

    let mut index = Index::new();
    for (n, (_, address)) in busy.iter().take(10).enumerate() {
        add(&mut index, n, monitor(&[text(address)], &conditions(n)));
    }
    let (ten, matches) = measure(&index, &block);
    println!("10 monitors: {ten:.0} ns a transaction, {matches} matches");
    let begin = Instant::now();
    for n in 10..10_000 {
        let elsewhere = format!("0x{:040x}", 0x5eed_0000_0000_u64 + n as u64);
        add(&mut index, n, monitor(&[elsewhere], &conditions(n)));
    }
    println!("9,990 more at other addresses: read and indexed in {} ms", begin.elapsed().as_millis());
    let (thousands, again) = measure(&index, &block);
    assert_eq!(matches, again);
    println!("10,000 monitors: {thousands:.0} ns a transaction, {again} matches: {:.2} times ten", thousands / ten);
    let begin = Instant::now();
    for n in 10..1_010 {
        let elsewhere = format!("0x{:040x}", 0x5eed_0000_0000_u64 + n as u64);
        add(&mut index, n, monitor(&[elsewhere], &conditions(n + 1)));
    }
    println!("an edit among 10,000: {:.1} µs", begin.elapsed().as_secs_f64() * 1e3);

    let mut unindexed = Index::new();
    let count = 100;
    for n in 0..count {
        let expression =
            format!("value > {} ether AND status == 'success' OR gas_price > {} gwei", 1_000_000 + n, 1_000_000 + n);
        add(&mut unindexed, n, monitor(&[], &json!({"transactions": [{"status": "Any", "expression": expression}]})));
    }
    let (nothing, _) = measure(&Index::new(), &block);
    let (each, matches) = measure(&unindexed, &block);
    println!(
        "{count} unindexed monitors, {matches} matches: {:.0} ns a transaction each",
        (each - nothing) / count as f64
    );

    let mut anywhere = Index::new();
    for n in 0..count {
        let expression = format!("value == {}", (1u64 << 60) + n as u64);
        let conditions =
            json!({"events": [{"signature": "Transfer(address,address,uint256)", "expression": expression}]});
        add(&mut anywhere, n, monitor(&[], &conditions));
    }
    let (each, matches) = measure(&anywhere, &block);
    let transfers = logs.max(1) as f64 / block.len() as f64;
    println!(
        "{count} monitors by topic alone, {matches} matches: {:.0} ns a transaction each ({transfers:.1} logs a transaction)",
        (each - nothing) / count as f64
    );
}
