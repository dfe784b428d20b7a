//! The envelope holds for chains that are not EVM: recorded Bitcoin blocks and Stellar ledgers (`fixtures/README.md`).

use schemas::{BlockHash, Codec, Envelope, Network, Op, Origin, TimeMs, records::RawBlock};
use serde::Deserialize;
use sha2::{Digest, Sha256};

fn fixture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn envelope(network: &str, sequence: u64, height: u64, hash: &str, parent: &str, time: TimeMs, txs: u32) -> Envelope {
    Envelope {
        network: network.parse::<Network>().unwrap(),
        sequence,
        op: Op::Apply,
        origin: Origin::Live,
        height,
        block_hash: hash.parse::<BlockHash>().unwrap(),
        parent_hash: parent.parse::<BlockHash>().unwrap(),
        block_time: time,
        observed_at: TimeMs(time.0 + 1_500),
        safe_height: None,
        finalized_height: height.checked_sub(6),
        tx_count: txs,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    }
}

fn write_and_read(envelopes: Vec<Envelope>) {
    let codec = Codec::builtin();
    let mut parent: Option<Envelope> = None;
    for envelope in envelopes {
        let record = RawBlock { envelope, evm: None, bitcoin: None };
        let value = codec.encode(&record).unwrap();
        let RawBlock { envelope: read, evm, bitcoin } = codec.decode(&value).unwrap();
        assert_eq!((&read, evm, bitcoin), (&record.envelope, None, None));
        if let Some(parent) = parent {
            assert_eq!(read.parent_hash, parent.block_hash);
            assert_eq!((read.height, read.sequence), (parent.height + 1, parent.sequence + 1));
            assert!(read.block_time >= parent.block_time);
        }
        parent = Some(read);
    }
    assert!(parent.is_some());
}

#[test]
fn bitcoin_blocks() {
    #[derive(Deserialize)]
    struct Block {
        block: String,
        height: u64,
    }
    let blocks: Vec<Block> = serde_json::from_str(&fixture("bitcoin-signet-0-9.json")).unwrap();
    assert_eq!(blocks.len(), 10);
    let reversed = |bytes: &[u8]| const_hex::encode(bytes.iter().rev().copied().collect::<Vec<_>>());
    let envelopes = blocks.iter().map(|block| {
        let raw = const_hex::decode(&block.block).unwrap();
        let hash = reversed(&Sha256::digest(Sha256::digest(&raw[..80])));
        let time = TimeMs::from_secs(u32::from_le_bytes(raw[68..72].try_into().unwrap()).into());
        assert!(raw[80] < 0xfd, "one-byte transaction count");
        envelope("bitcoin-signet", block.height + 1, block.height, &hash, &reversed(&raw[4..36]), time, raw[80].into())
    });
    let envelopes: Vec<_> = envelopes.collect();
    assert_eq!(envelopes[0].block_hash.as_str(), "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6");
    assert_eq!(envelopes[0].parent_hash.as_str(), "0".repeat(64));
    assert!(envelopes.iter().all(|e| e.tx_count == 1));
    write_and_read(envelopes);
}

#[test]
fn stellar_ledgers() {
    #[derive(Deserialize)]
    struct Ledger {
        sequence: u64,
        ledger_hash: String,
        previous_ledger_hash: String,
        closed_at: String,
        successful_transaction_count: u32,
        failed_transaction_count: u32,
    }
    let text = fixture("stellar-pubnet-52929555-52929560.ndjson");
    let ledgers: Vec<Ledger> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ledgers.len(), 6);
    let envelopes: Vec<_> = (1..)
        .zip(&ledgers)
        .map(|(sequence, l)| {
            let time = TimeMs(chrono::DateTime::parse_from_rfc3339(&l.closed_at).unwrap().timestamp_millis());
            let txs = l.successful_transaction_count + l.failed_transaction_count;
            envelope("stellar-pubnet", sequence, l.sequence, &l.ledger_hash, &l.previous_ledger_hash, time, txs)
        })
        .collect();
    assert_eq!(envelopes[0].tx_count, 109 + 138);
    assert_eq!(envelopes[0].block_time.rfc3339(), "2024-08-07T23:13:14.000Z");
    write_and_read(envelopes);
}
