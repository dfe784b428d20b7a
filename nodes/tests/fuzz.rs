//! Random answers of nodes: recorded ones, damaged. Whatever a node sends is read, refused or not believed; nothing panics, and what
//! is believed where every check decides is what was recorded.
//!
//! `HEADWATER_FUZZ_SECONDS` (2) is how long, `HEADWATER_FUZZ_SEED` the seed, which is printed: answer `i` of a seed is the same each
//! time.

#[path = "fuzz/bitcoin.rs"]
mod bitcoin;
#[path = "fuzz/electrum.rs"]
mod electrum;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use fastrand::Rng;
use nodes::evm::{
    Checks, EvmBlock, assemble,
    verify::{Weight, senders, verify},
    wire::{self, Answer, Wire, parse_answer},
};

const BLOCKS: [&str; 4] = ["ethereum/1000000", "ethereum/22431083", "optimism/105237730", "polygon/38102393"];
/// What nodes have written where something else was expected.
const PIECES: [&str; 22] = [
    "null",
    "\"0x\"",
    "\"0x0\"",
    "[]",
    "{}",
    "-1",
    "1e999",
    "\"\"",
    "\"0x1\"",
    "true",
    "[null]",
    "{\"error\":{}}",
    "\"\\u0000\"",
    "\"error\":\"x\",",
    "\"result\":null,",
    "\"0xffffffffffffffffffffffffffffffff\"",
    "18446744073709551616",
    "\"-0x1\"",
    "\u{feff}",
    "\"blockHash\":null,",
    "\"type\":\"0x7e\",",
    "\"type\":\"0x7f\",",
];

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// A damaged text: pieces cut out, doubled, moved, put in, single bytes changed.
fn damaged(rng: &mut Rng, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..bytes.len().max(1));
        let end = (at + rng.usize(..40)).min(bytes.len());
        match rng.u8(..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                let to = rng.usize(..=bytes.len());
                bytes.splice(to..to, piece);
            }
            3 | 4 => {
                let piece = PIECES[rng.usize(..PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
            // In the place of a value.
            5 => {
                if let Some(colon) = bytes[at..].iter().position(|b| *b == b':').map(|i| at + i + 1) {
                    let end = bytes[colon..].iter().position(|b| matches!(b, b',' | b'}')).map_or(colon, |i| colon + i);
                    bytes.splice(colon..end, PIECES[rng.usize(..PIECES.len())].bytes());
                }
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if rng.bool() { b'0' + rng.u8(..10) } else { rng.u8(..) };
                }
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read<T: Wire>(text: &str) -> Option<T> {
    match parse_answer(text) {
        Ok(Answer::Result(value)) => Some(value),
        _ => None,
    }
}

fn believed(block: &str, receipts: &str, number: u64, checks: &Checks) -> Option<EvmBlock> {
    let (block, receipts) = (read::<wire::Block>(block)?, read::<Vec<wire::Receipt>>(receipts)?);
    verify(&block, &receipts, number, checks).ok()?;
    senders(0, block.transactions.as_deref().unwrap_or_default(), checks).ok()?;
    assemble(block, receipts).ok()
}

#[test]
fn damaged_answers_are_read_refused_or_not_believed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/evm");
    let load = |block: &&str, name: &str| fs::read_to_string(root.join(block).join(name)).unwrap();
    let all: Vec<(String, String)> = BLOCKS.iter().map(|b| (load(b, "block.json"), load(b, "receipts.json"))).collect();
    let (seconds, seed) =
        (variable("HEADWATER_FUZZ_SECONDS", 2), variable("HEADWATER_FUZZ_SEED", fastrand::u64(..1 << 48)));
    eprintln!("HEADWATER_FUZZ_SEED={seed} HEADWATER_FUZZ_SECONDS={seconds}");
    let until = Instant::now() + Duration::from_secs(seconds);
    let strict = Checks { state_sync: true, ..Checks::all(Weight::Decide) };
    let right: Vec<(u64, Option<EvmBlock>)> = all
        .iter()
        .map(|(block, receipts)| {
            let number = read::<wire::Block>(block).and_then(|b| b.number).unwrap();
            (number, believed(block, receipts, number, &strict))
        })
        .collect();
    assert!(right.iter().all(|(_, block)| block.is_some()));
    let (mut i, mut read_at_all) = (0u64, 0u64);
    while Instant::now() < until || i < 200 {
        let mut rng = Rng::with_seed(seed.wrapping_add(i));
        let place = rng.usize(..all.len());
        let (block, receipts) = &all[place];
        let (number, right) = &right[place];
        let (block, receipts) = match rng.bool() {
            true => (damaged(&mut rng, block), receipts.clone()),
            false => (block.clone(), damaged(&mut rng, receipts)),
        };
        let _ = (read::<wire::Head>(&block), read::<wire::Receipt>(&receipts), read::<wire::Transaction>(&block));
        read_at_all += u64::from(believed(&block, &receipts, *number, &Checks::OFF).is_some());
        if let (Some(told), Some(right)) = (believed(&block, &receipts, *number, &strict), right) {
            // What the roots are made of is as it was; the rest is no part of them.
            let roots = |b: &EvmBlock| {
                (b.head, b.header.receipts_root, b.header.transactions_root, b.transactions.len(), b.log_count)
            };
            assert_eq!(roots(&told), roots(right), "answer {i}");
            for (told, right) in told.transactions.iter().zip(&right.transactions) {
                assert_eq!(
                    (told.hash, told.value, told.receipt_status, &told.logs),
                    (right.hash, right.value, right.receipt_status, &right.logs),
                    "answer {i}"
                );
            }
        }
        i += 1;
    }
    eprintln!("{i} answers, {read_at_all} of which were read");
    assert!(read_at_all > 0);
}
