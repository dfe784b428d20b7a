//! Blocks through the steps and through the stage.

use std::path::Path;

use enrich::enrich_event;
use schemas::{
    BitcoinHash, Envelope, Op,
    headers::ChainHeaders,
    profiles::TOLERANT,
    records::{
        BitcoinTransaction, Coverage, DeadLetter, EnrichedBlock, EnrichedTransaction, Payload, RawBlock, RawTransaction,
    },
    topics,
};

use super::{
    bytes, event, event_of,
    support::bench::{Bench, PARTITION},
    text, unpacked,
};

/// Where only headers are to be had nothing is said about transactions, not even that there are none.
#[test]
fn a_header_alone_has_no_summary() {
    let block = serde_json::json!({"chain": "main", "height": 5, "hash": BitcoinHash::default().to_string()});
    let (header, children) = event(&block, Coverage::Header);
    let (enriched, records) = enrich_event(&TOLERANT, header.clone(), children);
    assert_eq!((enriched.summary, records.len()), (None, 0));
    assert_eq!((enriched.bitcoin, enriched.envelope), (header.bitcoin, header.envelope));
}

/// What goes through the stage is what the steps make of it; what cannot be read becomes a placeholder, and its bytes a dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_and_its_revert_go_through_the_stage() {
    let bench = Bench::new().await;
    let (stop, stage) = bench.start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin/mainnet-rpc");
    let block = unpacked(&folder.join("200000/getblock_v2.json.gz"));
    let mut transactions: Vec<BitcoinTransaction> = Vec::new();
    for tx in block["tx"].as_array().unwrap().iter().take(9) {
        let transaction_index = transactions.len() as u32;
        let (txid, raw) = (text(&tx["txid"]), bytes(&tx["hex"]));
        transactions.push(BitcoinTransaction { transaction_index, txid, raw, prevouts: Vec::new() });
    }
    let cut = transactions[4].raw.len() - 3;
    transactions[4].raw = transactions[4].raw.slice(..cut);
    let (header, children) = event_of(&block, Coverage::Full, transactions);
    bench.apply((header.clone(), children.clone())).await;
    let envelope =
        Envelope { sequence: 2, op: Op::Revert, tx_count: 0, reverts_sequence: Some(1), ..header.envelope.clone() };
    let revert = RawTransaction { envelope: envelope.child(), payload: Payload::Revert };
    bench.apply((RawBlock { envelope, evm: None, bitcoin: None }, vec![revert.clone()])).await;

    let original = bench.record(&children[4]).value;
    let (wanted, mut wanted_children) = enrich_event(&TOLERANT, header, children);
    wanted_children.push(EnrichedTransaction { envelope: revert.envelope, payload: Payload::Revert });
    let records = bench.read(topics::ENRICHED_TRANSACTIONS.name, PARTITION, 10).await;
    let found = records.iter().map(|record| bench.codec.decode(record.value.as_ref().unwrap()).unwrap());
    assert_eq!(found.collect::<Vec<EnrichedTransaction>>(), wanted_children);
    assert!(matches!(wanted_children[4].payload, Payload::Unreadable { index: 4, .. }));
    for (record, child) in records.iter().zip(&wanted_children) {
        let headers = ChainHeaders::parse(|name| record.header(name)).unwrap();
        assert_eq!((headers.sequence, headers.op), (child.envelope.sequence, child.envelope.op));
        assert_eq!(headers.index.is_some(), child.envelope.op == Op::Apply);
    }
    let records = bench.read(topics::ENRICHED_BLOCKS.name, PARTITION, 2).await;
    let found = records.iter().map(|record| bench.codec.decode(record.value.as_ref().unwrap()).unwrap());
    let blocks: Vec<EnrichedBlock> = found.collect();
    assert_eq!((&blocks[0].bitcoin, &blocks[0].summary), (&wanted.bitcoin, &wanted.summary));
    let sum = blocks[0].summary.as_ref().unwrap();
    // Nothing of what they spend is known, so no fee but the coinbase's none.
    assert_eq!((sum.transactions, sum.unreadable, sum.fee_unknown, sum.gas_price_count), (9, 1, 7, 0));
    assert_eq!((&blocks[1].bitcoin, &blocks[1].summary), (&None, &None));
    let letters = bench.read(topics::DEAD_LETTERS.name, 0, 1).await;
    let letter: DeadLetter = bench.codec.decode(letters[0].value.as_ref().unwrap()).unwrap();
    assert_eq!((letter.value, letter.index, letter.reason.as_str()), (original, Some(4), "undecodable"));
    assert_eq!(letters.len(), 1);
    stop.cancel();
    stage.await.unwrap().unwrap();
}
