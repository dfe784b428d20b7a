//! Recorded blocks: what they are made of is what their headers, and others, say.

use std::fs;

use alloy_primitives::Bytes;
use nodes::bitcoin::{
    block::{Body, read_spent_outputs},
    header::Header,
};
use schemas::{BitcoinChain, BitcoinHash};

use crate::data;

/// Chain, name, height, transactions, bytes (`MANIFEST` of the recorded data).
const BLOCKS: [(BitcoinChain, &str, u64, usize, usize); 13] = [
    (BitcoinChain::Main, "mainnet/0169482-00000000..5f368665.raw", 169_482, 14, 18_678),
    (BitcoinChain::Main, "mainnet/0277647-00000000..b1e052a8.raw", 277_647, 213, 149_164),
    (BitcoinChain::Main, "mainnet/0300025-00000000..022cc78c.raw", 300_025, 461, 284_231),
    (BitcoinChain::Main, "mainnet/0481829-00000000..b975e726.raw", 481_829, 2_020, 998_318),
    (BitcoinChain::Main, "mainnet/0482683-00000000..ee73e747.raw", 482_683, 12, 9_288),
    (BitcoinChain::Main, "mainnet/0702861-00000000..726dafae.raw", 702_861, 2_500, 1_381_836),
    (BitcoinChain::Test, "testnet3/0021066-00000000..3ca4eefa.raw", 21_066, 2, 380),
    (BitcoinChain::Test, "testnet3/0032768-00000000..957c0c03.raw", 32_768, 5, 1_093),
    (BitcoinChain::Test, "testnet3/0700000-00000000..6a3f4dc1.raw", 700_000, 4, 1_761),
    (BitcoinChain::Test, "testnet3/0924634-00000000..4fa4497b.raw", 924_634, 15, 4_319),
    (BitcoinChain::Test, "testnet3/1087400-00000000..84e1ba66.raw", 1_087_400, 97, 48_524),
    (BitcoinChain::Testnet4, "testnet4/0040000-00000000..e15c634f.raw", 40_000, 16, 5_826),
    (BitcoinChain::Signet, "signet/0031500-00000127..de8bdc43.raw", 31_500, 3, 528),
];

fn load(name: &str) -> Bytes {
    fs::read(data().join(name)).unwrap_or_else(|e| panic!("{name}: {e}")).into()
}

#[test]
fn every_recorded_block_is_believed() {
    for (chain, name, height, transactions, bytes) in BLOCKS {
        let raw = load(name);
        assert_eq!(raw.len(), bytes, "{name}");
        let body = Body::read(raw, chain, height).unwrap_or_else(|e| panic!("{name}: {e}"));
        let hash = body.header().hash.to_string();
        let (begin, end) = name[name.len() - 22..name.len() - 4].split_once("..").expect("a name");
        assert!(hash.starts_with(begin) && hash.ends_with(end), "{name}: {hash}");
        body.header().check_work(chain).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((body.txids().count(), body.spends().count()), (transactions, transactions), "{name}");
        assert!(body.weight() <= 4_000_000 && body.weight() >= bytes, "{name}");
    }
}

#[test]
fn transaction_ids_are_those_that_a_node_told() {
    for (name, chain) in [("testnet4/0040000", BitcoinChain::Testnet4), ("signet/0031500", BitcoinChain::Signet)] {
        let told = fs::read(data().join(format!("{name}-electrumx.json"))).expect("recorded");
        let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
        let raw = const_hex::decode(told["block"].as_str().expect("hex")).expect("hex");
        let body = Body::read(raw.into(), chain, told["height"].as_u64().expect("a height")).expect("a block");
        let txids: Vec<String> = body.txids().map(|txid| txid.to_string()).collect();
        assert_eq!(serde_json::json!(txids), told["tx"], "{name}");
        assert_eq!(body.header().hash.to_string(), told["hash"].as_str().expect("a hash"));
    }
}

#[test]
fn the_first_blocks_of_all_are_a_chain() {
    let file = load("mainnet/blk-000000-000438.dat");
    let (mut rest, mut parent, mut height): (&[u8], Option<Header>, u64) = (&file[..], None, 0);
    while let Some((frame, after)) = rest.split_first_chunk::<8>() {
        assert_eq!(frame[..4], [0xf9, 0xbe, 0xb4, 0xd9], "block {height}");
        let length = u32::from_le_bytes([frame[4], frame[5], frame[6], frame[7]]) as usize;
        let body = Body::read(Bytes::copy_from_slice(&after[..length]), BitcoinChain::Main, height);
        let body = body.unwrap_or_else(|e| panic!("block {height}: {e}"));
        let prev = parent.map_or(BitcoinHash::default(), |header| header.hash);
        assert_eq!(body.header().prev, prev, "block {height}");
        (parent, rest, height) = (Some(*body.header()), &after[length..], height + 1);
    }
    assert_eq!((height, rest.len()), (439, 0));
}

#[test]
fn what_rest_tells_is_what_verbose_blocks_tell() {
    let body = Body::read(load("regtest/0000111.raw"), BitcoinChain::Regtest, 111).expect("a block");
    let lists = read_spent_outputs(&load("regtest/0000111.spenttxouts"), body.spends()).expect("lists");
    let told = fs::read(data().join("regtest/0000111-getblock3.json")).expect("recorded");
    let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
    let prevout = &told["tx"][1]["vin"][0]["prevout"];
    assert_eq!(const_hex::encode(&lists[1][0].script), prevout["scriptPubKey"]["hex"].as_str().expect("hex"));
    assert_eq!((lists[1][0].value, prevout["value"].as_f64()), (5_000_000_000, Some(50.0)));
}
