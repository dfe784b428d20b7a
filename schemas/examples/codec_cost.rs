//! Prints what a record costs to write and to read: `cargo run --release -p schemas --example codec_cost`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{hint::black_box, time::Instant};

use schemas::{Codec, records::EnrichedTransaction};
use support::Gen;

const ROUNDS: usize = 50;

fn main() {
    let codec = Codec::builtin();
    let records: Vec<_> = (0..2_000).map(|seed| Gen(seed).enriched_transaction()).collect();
    let values: Vec<_> = records.iter().filter_map(|r| codec.encode(r).ok()).collect();
    let bytes: usize = values.iter().map(|v| v.len()).sum();
    let each = |start: Instant| start.elapsed().as_secs_f64() * 1e6 / (ROUNDS * records.len()) as f64;
    let start = Instant::now();
    for record in (0..ROUNDS).flat_map(|_| &records) {
        let _ = black_box(codec.encode(record));
    }
    let encode = each(start);
    let start = Instant::now();
    for value in (0..ROUNDS).flat_map(|_| &values) {
        let _ = black_box(codec.decode::<EnrichedTransaction>(value));
    }
    let decode = each(start);
    eprintln!("{} bytes a record: encode {encode:.2} µs, decode {decode:.2} µs", bytes / records.len());
}
