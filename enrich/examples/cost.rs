//! Prints the CPU time that codec and enrich take per transaction of the recorded blocks (Linux):
//! `cargo run --release -p enrich --example cost`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use enrich::enrich_event;
use schemas::{
    Codec,
    profiles::Profile,
    records::{EnrichedTransaction, RawTransaction},
};
use support::recorded;

const ROUNDS: usize = 30;

/// Nanoseconds that this thread was on a CPU: waiting for one on a busy machine does not count.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn main() {
    let codec = Codec::builtin();
    let events: Vec<_> = recorded().iter().map(|r| (Profile::of(r.chain_id), r.event("ethereum-mainnet", 1))).collect();
    let raw: Vec<&RawTransaction> = events.iter().flat_map(|(_, (_, txs))| txs).collect();
    let enriched: Vec<EnrichedTransaction> =
        events.iter().cloned().flat_map(|(p, (block, txs))| enrich_event(&p, block, txs).1).collect();
    let raw_values: Vec<_> = raw.iter().filter_map(|tx| codec.encode(*tx).ok()).collect();
    let values: Vec<_> = enriched.iter().filter_map(|tx| codec.encode(tx).ok()).collect();
    let mean = |values: &[bytes::Bytes]| values.iter().map(|v| v.len()).sum::<usize>() / values.len();
    eprintln!("{} transactions, raw {} bytes, enriched {} bytes", raw.len(), mean(&raw_values), mean(&values));

    let each = |what: &str, work: &mut dyn FnMut()| {
        let start = cpu_ns();
        (0..ROUNDS).for_each(|_| work());
        eprintln!("{what:<16} {:>6.2} µs", (cpu_ns() - start) as f64 / 1e3 / (ROUNDS * raw.len()) as f64);
    };
    each("encode raw", &mut || raw.iter().for_each(|tx| drop(black_box(codec.encode(*tx)))));
    each("decode raw", &mut || raw_values.iter().for_each(|v| drop(black_box(codec.decode::<RawTransaction>(v)))));
    each("copy events", &mut || drop(black_box(events.clone())));
    each("copy and enrich", &mut || {
        for (profile, (block, txs)) in events.clone() {
            black_box(enrich_event(&profile, block, txs));
        }
    });
    each("encode enriched", &mut || enriched.iter().for_each(|tx| drop(black_box(codec.encode(tx)))));
    each("decode enriched", &mut || {
        values.iter().for_each(|v| drop(black_box(codec.decode::<EnrichedTransaction>(v))))
    });
}
