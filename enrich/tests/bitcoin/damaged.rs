//! A published transaction, and what becomes of damaged ones.

use std::path::Path;

use alloy_primitives::Bytes;
use enrich::{
    enrich_event,
    steps::bitcoin::{NotATransaction, decode, read_script},
};
use proptest::prelude::*;
use schemas::{
    BitcoinHash,
    bitcoin::BitcoinChain,
    profiles::TOLERANT,
    records::{BitcoinPrevout, BitcoinTransaction, Coverage, Payload, RawTransaction, ScriptKind},
};

use super::{bytes, event, support::json, text, unpacked};

/// BIP-143's first example, whose inputs spend a public key and a witness program.
fn bip_143() -> BitcoinTransaction {
    let raw = concat!(
        "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221008b9d1dc26ba6a9cb",
        "62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed",
        "01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9",
        "148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac00",
        "0247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f5",
        "1928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000",
    );
    let prevout = |value, script: &str| BitcoinPrevout {
        value,
        script: const_hex::decode(script).unwrap().into(),
        height: Some(7),
        coinbase: Some(false),
    };
    BitcoinTransaction {
        transaction_index: 3,
        txid: "e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609".parse().unwrap(),
        raw: const_hex::decode(raw).unwrap().into(),
        prevouts: vec![
            prevout(625_000_000, "2103c9f4836b9a4f77fc0d81f7bcb01b7f1b35916864b9476c241ce9fc198bd25432ac"),
            prevout(600_000_000, "00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1"),
        ],
    }
}

#[test]
fn a_published_transaction_with_a_witness() {
    let tx = bip_143();
    let decoded = decode(Some(BitcoinChain::Main), &tx).unwrap();
    let wtxid = "c36c38370907df2324d9ce9d149d191192f338b37665a82e78e76a12c909b762";
    assert_eq!((decoded.txid, decoded.wtxid.to_string().as_str()), (tx.txid, wtxid));
    assert_eq!((decoded.size, decoded.weight, decoded.virtual_size), (343, 1_042, 261));
    assert_eq!((decoded.input_value, decoded.output_value), (Some(1_225_000_000), 335_790_000));
    assert_eq!((decoded.fee, decoded.fee_rate), (Some(889_210_000), Some(889_210_000_000 / 261)));
    assert_eq!((decoded.lock_time, decoded.segwit, decoded.replaceable), (17, true, true));
    // Two outputs to keys' hashes, four times each, and the witness's one.
    assert_eq!(decoded.sigops, Some(9));
    let spent: Vec<_> = decoded.inputs.iter().filter_map(|input| input.spent.as_ref()).collect();
    assert_eq!((spent[0].kind, spent[0].addresses.len(), spent[0].height), (ScriptKind::PubKey, 0, Some(7)));
    assert_eq!(spent[1].addresses, ["bc1qr583w2swedy2acd7rung055k8t3n7udp7vyzyg"]);
    // Outputs that are worth more than the inputs are no fee; what is spent is known only as a whole.
    let poor = BitcoinTransaction {
        prevouts: tx.prevouts.iter().map(|p| BitcoinPrevout { value: 5, ..p.clone() }).collect(),
        ..tx.clone()
    };
    let decoded = decode(Some(BitcoinChain::Main), &poor).unwrap();
    assert_eq!((decoded.input_value, decoded.fee, decoded.fee_rate), (Some(10), None, None));
    let half = BitcoinTransaction { prevouts: tx.prevouts[..1].to_vec(), ..tx };
    let decoded = decode(Some(BitcoinChain::Main), &half).unwrap();
    assert_eq!((decoded.input_value, decoded.fee, decoded.sigops), (None, None, None));
    assert!(decoded.inputs.iter().all(|input| input.spent.is_none()));
}

#[test]
fn what_is_no_transaction_is_an_error_and_becomes_a_placeholder() {
    let block =
        json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/mainnet-rpc/0/getblock_v2.json"));
    let tx = BitcoinTransaction {
        transaction_index: 7,
        txid: text(&block["tx"][0]["txid"]),
        raw: bytes(&block["tx"][0]["hex"]),
        prevouts: Vec::new(),
    };
    assert_eq!(decode(None, &tx), Err(NotATransaction::NoChain));
    let decoded = decode(Some(BitcoinChain::Main), &tx).unwrap();
    assert_eq!((decoded.output_value, decoded.fee, decoded.sigops), (5_000_000_000, Some(0), Some(4)));
    let (whole, longer) = (tx.raw.to_vec(), [tx.raw.to_vec(), vec![0]].concat());
    for damaged in [whole[..whole.len() - 1].to_vec(), longer, Vec::new()] {
        let damaged = BitcoinTransaction { raw: damaged.into(), ..tx.clone() };
        assert!(matches!(decode(Some(BitcoinChain::Main), &damaged), Err(NotATransaction::Malformed(_))));
        let block = serde_json::json!({"chain": "main", "height": 0, "hash": BitcoinHash::default().to_string(), "transactions": []});
        let (header, _) = event(&block, Coverage::Full);
        let envelope = header.envelope.child();
        let child = RawTransaction { envelope, payload: Payload::Bitcoin(Box::new(damaged)) };
        let (block, records) = enrich_event(&TOLERANT, header, vec![child]);
        assert!(matches!(records[0].payload, Payload::Unreadable { index: 7, .. }));
        assert_eq!(block.summary.map(|sum| (sum.transactions, sum.unreadable)), Some((1, 1)));
    }
}

/// Whatever bytes come, they are read as a whole or refused.
#[test]
fn damaged_transactions_are_read_whole_or_refused() {
    let block = unpacked(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/mainnet-rpc/200000/getblock_v2.json.gz"),
    );
    let mut all: Vec<Bytes> = block["tx"].as_array().unwrap().iter().take(40).map(|tx| bytes(&tx["hex"])).collect();
    all.extend(std::iter::repeat_n(bip_143().raw, 10));
    let flips = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let scripts = proptest::collection::vec(any::<u8>(), 0..40);
    proptest!(ProptestConfig::with_cases(4_096), |(of: prop::sample::Index, flips in flips, keep: prop::sample::Index, cut: bool, script in scripts, known in 0usize..4)| {
        let mut raw = of.get(&all).to_vec();
        for (at, byte) in flips {
            let at = at.index(raw.len());
            raw[at] ^= byte;
        }
        if cut {
            raw.truncate(keep.index(raw.len() + 1));
        }
        let prevout = BitcoinPrevout { value: u64::MAX, script: script.clone().into(), height: None, coinbase: None };
        let tx = BitcoinTransaction { raw: raw.clone().into(), prevouts: vec![prevout; known], ..BitcoinTransaction::default() };
        if let Ok(decoded) = decode(Some(BitcoinChain::Regtest), &tx) {
            prop_assert_eq!(decoded.size as usize, raw.len());
            prop_assert!(decoded.virtual_size <= decoded.size && decoded.weight <= 4 * decoded.size);
            let is_known = decoded.is_coinbase || decoded.inputs.iter().all(|input| input.spent.is_some());
            prop_assert!(decoded.inputs.is_empty() || decoded.fee.is_some() == is_known);
        }
        read_script(BitcoinChain::Test, &script);
    });
}
