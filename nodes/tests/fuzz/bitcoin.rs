//! Random answers of Bitcoin Core: recorded blocks, what they spend, and headers in words, damaged.
//!
//! A block that is believed under an unharmed header is, byte by byte, the one that was recorded.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use alloy_primitives::Bytes;
use fastrand::Rng;
use nodes::bitcoin::{
    block::{Body, Known, read_spent_outputs},
    core::wire::{Answer, Answers, Block, Hex, Info, JsonHeader, satoshi},
};
use schemas::BitcoinChain;

use super::{damaged, variable};

const BLOCKS: [(&str, BitcoinChain, u64); 5] = [
    ("regtest/0000111.raw", BitcoinChain::Regtest, 111),
    ("testnet4/0040000-00000000..e15c634f.raw", BitcoinChain::Testnet4, 40_000),
    ("signet/0031500-00000127..de8bdc43.raw", BitcoinChain::Signet, 31_500),
    ("mainnet/0169482-00000000..5f368665.raw", BitcoinChain::Main, 169_482),
    ("mainnet/0482683-00000000..ee73e747.raw", BitcoinChain::Main, 482_683),
];

/// Bytes with pieces cut out, doubled, put elsewhere, made long or changed.
fn spoilt(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..bytes.len().max(1));
        let end = (at + rng.usize(..80)).min(bytes.len());
        match rng.u8(..7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = rng.usize(..=bytes.len());
                bytes.splice(to..to, piece);
            }
            3 => {
                // A size that claims much.
                let claims: [&[u8]; 4] =
                    [&[0xfd, 0xff, 0xff], &[0xfe, 0xff, 0xff, 0xff, 0xff], &[0xff; 9], &[0xfd, 1, 0]];
                let to = at.min(bytes.len());
                bytes.splice(to..to, claims[rng.usize(..claims.len())].iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.u8(..);
                }
            }
        }
    }
    bytes
}

#[test]
fn damaged_blocks_of_bitcoin_are_read_refused_or_not_believed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin");
    let load = |name: &str| fs::read(root.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let all: Vec<Vec<u8>> = BLOCKS.iter().map(|(name, ..)| load(name)).collect();
    let spent = load("regtest/0000111.spenttxouts");
    let words = String::from_utf8(load("regtest/0000111-getblock3.json")).unwrap();
    let (seconds, seed) =
        (variable("HEADWATER_FUZZ_SECONDS", 2), variable("HEADWATER_FUZZ_SEED", fastrand::u64(..1 << 48)));
    eprintln!("HEADWATER_FUZZ_SEED={seed} HEADWATER_FUZZ_SECONDS={seconds}");
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut i, mut whole) = (0u64, 0u64);
    while Instant::now() < until || i < 200 {
        let mut rng = Rng::with_seed(seed.wrapping_add(i));
        let place = rng.usize(..all.len());
        let ((_, chain, height), right) = (BLOCKS[place], &all[place]);
        let told = spoilt(&mut rng, right);
        if let Ok(body) = Body::read(Bytes::from(told.clone()), chain, height)
            && told.get(..80) == right.get(..80)
        {
            assert_eq!(&told, right, "answer {i}");
            drop(body);
            whole += 1;
        }

        let body = Body::read(Bytes::from(all[0].clone()), BitcoinChain::Regtest, 111).unwrap();
        let told = Bytes::from(spoilt(&mut rng, &spent));
        if let Ok(lists) = read_spent_outputs(&told, body.spends()) {
            assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1], "answer {i}");
            let known = Known { chain: BitcoinChain::Regtest, height: 111, median_time: None, chain_work: None };
            let covers = lists[1][0].value >= 4_999_997_750;
            let sane = lists[1][0].value <= 2_100_000_000_000_000;
            assert_eq!(body.with(known, lists).is_ok(), covers && sane, "answer {i}");
        }

        let told = damaged(&mut rng, &words);
        let _ = (serde_json::from_str::<Block>(&told), serde_json::from_str::<JsonHeader>(&told));
        let told = damaged(&mut rng, &format!("{{\"result\":{words},\"error\":null,\"id\":1}}"));
        let _ = (serde_json::from_str::<Answer<Block>>(&told), serde_json::from_str::<Answer<Info>>(&told));
        let _ = serde_json::from_str::<Answers<Hex>>(&damaged(&mut rng, "[{\"result\":\"00ff\",\"id\":0},{\"id\":1}]"));
        if let Some(value) = satoshi(&damaged(&mut rng, "49.99997750")) {
            assert!(value <= 2_100_000_000_000_000, "answer {i}");
        }
        i += 1;
    }
    eprintln!("{i} answers, {whole} of which were as they were");
}
