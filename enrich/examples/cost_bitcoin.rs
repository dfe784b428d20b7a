//! Prints the CPU time that codec and enrich take per transaction of the largest recorded Bitcoin block (Linux):
//! `cargo run --release -p enrich --example cost_bitcoin`. What is spent is made up, in the form that most outputs have.

#[path = "support/cpu.rs"]
mod cpu;

use std::{hint::black_box, path::Path};

use bitcoin::hashes::Hash as _;
use cpu::cpu_ns;
use enrich::{steps::bitcoin::decode, steps::contracts::Watched, steps::summary::Summing};
use schemas::{
    BitcoinHash, Codec, Envelope, Op, Origin, TimeMs,
    bitcoin::BitcoinChain,
    records::{BitcoinPrevout, BitcoinTransaction, EnrichedTransaction, Payload, RawBlock, RawTransaction},
};

const ROUNDS: usize = 30;

fn largest() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/mainnet");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let raw = files.map(|f| f.expect("a file").path()).filter(|path| path.extension().is_some_and(|e| e == "raw"));
    let read = raw.map(|path| std::fs::read(path).expect("a block"));
    read.max_by_key(Vec::len).expect("a recorded block")
}

fn prevout() -> BitcoinPrevout {
    let script: Vec<u8> = [&[0, 20][..], &[7; 20]].concat();
    BitcoinPrevout { value: 1 << 40, script: script.into(), height: Some(700_000), coinbase: Some(false) }
}

fn main() {
    let codec = Codec::builtin();
    let bytes = largest();
    let block: bitcoin::Block = bitcoin::consensus::deserialize(&bytes).expect("a block");
    let envelope = Envelope {
        network: "bitcoin".parse().expect("a slug"),
        sequence: 1,
        op: Op::Apply,
        origin: Origin::Live,
        height: 1,
        block_hash: BitcoinHash::default().into(),
        parent_hash: BitcoinHash::default().into(),
        block_time: TimeMs(0),
        observed_at: TimeMs(0),
        safe_height: None,
        finalized_height: None,
        tx_count: 0,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    };
    let child = envelope.child();
    let transaction = |(at, tx): (usize, &bitcoin::Transaction)| BitcoinTransaction {
        transaction_index: at as u32,
        txid: BitcoinHash::from_internal(tx.compute_txid().to_byte_array()),
        raw: bitcoin::consensus::serialize(tx).into(),
        prevouts: if tx.is_coinbase() { Vec::new() } else { vec![prevout(); tx.input.len()] },
    };
    let transactions: Vec<BitcoinTransaction> = block.txdata.iter().enumerate().map(transaction).collect();
    let record = |tx: &BitcoinTransaction| RawTransaction {
        envelope: child.clone(),
        payload: Payload::Bitcoin(Box::new(tx.clone())),
    };
    let raw: Vec<RawTransaction> = transactions.iter().map(record).collect();
    let raw_values: Vec<_> = raw.iter().filter_map(|tx| codec.encode(tx).ok()).collect();
    let decoded: Vec<_> = transactions.iter().filter_map(|tx| decode(Some(BitcoinChain::Main), tx).ok()).collect();
    let enriched: Vec<EnrichedTransaction> = decoded
        .iter()
        .map(|tx| EnrichedTransaction { envelope: child.clone(), payload: Payload::Bitcoin(Box::new(tx.clone())) })
        .collect();
    let values: Vec<_> = enriched.iter().filter_map(|tx| codec.encode(tx).ok()).collect();
    assert_eq!((raw_values.len(), values.len()), (transactions.len(), transactions.len()));
    let mean = |values: &[bytes::Bytes]| values.iter().map(|v| v.len()).sum::<usize>() / values.len();
    let count = transactions.len();
    eprintln!("{count} transactions, raw {} bytes, enriched {} bytes", mean(&raw_values), mean(&values));
    let each = |what: &str, work: &mut dyn FnMut()| {
        let start = cpu_ns();
        (0..ROUNDS).for_each(|_| work());
        let ns = (cpu_ns() - start) as f64 / ROUNDS as f64;
        let speed = bytes.len() as f64 / ns * 1e3;
        eprintln!("{what:<20} {:>6.2} µs {speed:>8.0} MB of blocks/s", ns / 1e3 / count as f64);
    };
    each("encode raw", &mut || raw.iter().for_each(|tx| drop(black_box(codec.encode(tx)))));
    each("decode raw", &mut || {
        raw_values.iter().for_each(|value| drop(black_box(codec.decode::<RawTransaction>(value))));
    });
    each("read", &mut || transactions.iter().for_each(|tx| drop(black_box(decode(Some(BitcoinChain::Main), tx)))));
    each("sum up", &mut || {
        let block = RawBlock { envelope: envelope.clone(), evm: None, bitcoin: None };
        let mut summing = Summing::new(&block, Watched::default());
        decoded.iter().for_each(|tx| summing.add_bitcoin(tx));
        black_box(summing.done());
    });
    each("encode enriched", &mut || enriched.iter().for_each(|tx| drop(black_box(codec.encode(tx)))));
    each("decode enriched", &mut || {
        values.iter().for_each(|value| drop(black_box(codec.decode::<EnrichedTransaction>(value))));
    });
}
