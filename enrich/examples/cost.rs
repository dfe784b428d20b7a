//! Prints the CPU time that codec and enrich take per transaction of the recorded blocks (Linux):
//! `cargo run --release -p enrich --example cost`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use enrich::{
    enrich_event,
    steps::{enrich_figures, fee::InBlock, transfers},
};
use schemas::{
    Codec,
    passing::{Passing, Reader, Writer},
    profiles::Profile,
    records::{EnrichedTransaction, Payload, RawTransaction},
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
    each("write raw", &mut || {
        for (_, (block, txs)) in &events {
            let mut writer = Writer::new(&codec, &block.envelope.child());
            for tx in txs {
                if let Payload::Transaction(tx) = &tx.payload {
                    drop(black_box(writer.value(tx, usize::MAX)));
                }
            }
        }
    });
    each("decode raw", &mut || raw_values.iter().for_each(|v| drop(black_box(codec.decode::<RawTransaction>(v)))));
    each("copy events", &mut || drop(black_box(events.clone())));
    each("copy and enrich", &mut || {
        for (profile, (block, txs)) in events.clone() {
            black_box(enrich_event(&profile, block, txs));
        }
    });
    each("pass on", &mut || {
        let mut values = raw_values.iter();
        for (profile, (block, txs)) in &events {
            let mut passing = Passing::new(&codec, &block.envelope.child());
            let (mut logs, mut texts) = (Vec::new(), String::new());
            for value in values.by_ref().take(txs.len()) {
                let Some(view) = passing.look(value, &mut logs) else { panic!("a recorded transaction") };
                let found = enrich_figures(profile, &InBlock::of(block), &view.figures);
                texts.clear();
                let events: Vec<_> = logs.iter().map(transfers::look).collect();
                let ends: Vec<_> = events
                    .iter()
                    .map(|event| {
                        event.iter().for_each(|event| event.write_arguments(&mut texts));
                        texts.len()
                    })
                    .collect();
                let starts = std::iter::once(0).chain(ends.iter().copied());
                let texts = starts.zip(&ends).map(|(start, end)| &texts[start..*end]);
                let both = events.iter().zip(texts).map(|(event, text)| Some((event.as_ref()?.signature, text)));
                black_box(passing.pass_on(&view, &logs, &found, both, usize::MAX));
            }
        }
    });
    each("encode enriched", &mut || enriched.iter().for_each(|tx| drop(black_box(codec.encode(tx)))));
    each("decode enriched", &mut || {
        values.iter().for_each(|v| drop(black_box(codec.decode::<EnrichedTransaction>(v))))
    });
    each("read enriched", &mut || {
        let mut values = values.iter();
        for (_, (block, txs)) in &events {
            let reader = Reader::new(&codec, block.envelope.child());
            values.by_ref().take(txs.len()).for_each(|value| drop(black_box(reader.read(value))));
        }
    });
}
