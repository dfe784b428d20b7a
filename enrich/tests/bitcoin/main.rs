//! Every transaction of every recorded Bitcoin block is read as another program reads it that shares nothing with this one
//! (`recompute/bitcoin.py`), field for field; and where a node's own words on it were recorded, as the node says.

mod damaged;
mod recorded;
mod scripts;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::{path::Path, process::Command};

use alloy_primitives::Bytes;
use schemas::{
    BitcoinHash, Envelope, Op, Origin, TimeMs,
    bitcoin::BitcoinChain,
    records::{
        BitcoinDecoded, BitcoinHeader, BitcoinInput, BitcoinOutput, BitcoinPrevout, BitcoinSpent, BitcoinTransaction,
        Coverage, EnrichedTransaction, Payload, RawBlock, RawTransaction,
    },
};
use serde_json::Value;
use support::json;

pub fn bytes(of: &Value) -> Bytes {
    const_hex::decode(of.as_str().unwrap()).unwrap().into()
}

pub fn number<T: TryFrom<u64>>(of: &Value) -> T {
    let number = of.as_u64().unwrap_or_else(|| panic!("{of}"));
    T::try_from(number).unwrap_or_else(|_| panic!("{of}"))
}

/// A transaction's version: 32 bits, which Core has written with a sign and without.
pub fn version(of: &Value) -> u32 {
    let number = of.as_i64().unwrap_or_else(|| panic!("{of}"));
    u32::try_from(number).or_else(|_| i32::try_from(number).map(i32::cast_unsigned)).unwrap_or_else(|_| panic!("{of}"))
}

pub fn maybe<T>(of: &Value, read: impl Fn(&Value) -> T) -> Option<T> {
    (!of.is_null()).then(|| read(of))
}

pub fn list<T>(of: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    of.as_array().unwrap().iter().map(read).collect()
}

pub fn text<T: std::str::FromStr>(of: &Value) -> T {
    of.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{of}"))
}

/// What the other program says of a transaction. It names no pools.
pub fn expected(of: &Value, pool: Option<String>) -> BitcoinDecoded {
    let spent = |of: &Value| BitcoinSpent {
        value: number(&of["value"]),
        script: bytes(&of["script"]),
        kind: text(&of["kind"]),
        addresses: list(&of["addresses"], text),
        height: None,
    };
    BitcoinDecoded {
        transaction_index: number(&of["transaction_index"]),
        txid: text(&of["txid"]),
        wtxid: text(&of["wtxid"]),
        version: version(&of["version"]),
        lock_time: number(&of["lock_time"]),
        size: number(&of["size"]),
        weight: number(&of["weight"]),
        virtual_size: number(&of["virtual_size"]),
        sigops: maybe(&of["sigops"], number),
        is_coinbase: of["is_coinbase"].as_bool().unwrap(),
        segwit: of["segwit"].as_bool().unwrap(),
        replaceable: of["replaceable"].as_bool().unwrap(),
        input_value: maybe(&of["input_value"], number),
        output_value: number(&of["output_value"]),
        fee: maybe(&of["fee"], number),
        fee_rate: maybe(&of["fee_rate"], number),
        pool,
        inputs: list(&of["inputs"], |input| BitcoinInput {
            spent_txid: text(&input["spent_txid"]),
            spent_index: number(&input["spent_index"]),
            script: bytes(&input["script"]),
            sequence: number(&input["sequence"]),
            witness: list(&input["witness"], bytes),
            spent: maybe(&input["spent"], spent),
            envelope: maybe(&input["envelope"], text),
        }),
        outputs: list(&of["outputs"], |output| BitcoinOutput {
            value: number(&output["value"]),
            script: bytes(&output["script"]),
            kind: text(&output["kind"]),
            addresses: list(&output["addresses"], text),
        }),
    }
}

/// The transaction as ingest writes it, with what the other program says that it spends.
pub fn raw(of: &Value) -> BitcoinTransaction {
    let spent = of["inputs"].as_array().unwrap().iter().map(|input| &input["spent"]).filter(|spent| !spent.is_null());
    let prevout = |spent: &Value| BitcoinPrevout {
        value: number(&spent["value"]),
        script: bytes(&spent["script"]),
        height: None,
        coinbase: None,
    };
    BitcoinTransaction {
        transaction_index: number(&of["transaction_index"]),
        txid: text(&of["txid"]),
        raw: bytes(&of["raw"]),
        prevouts: spent.map(prevout).collect(),
    }
}

/// A block's records, as the other program has it.
pub fn event(block: &Value, coverage: Coverage) -> (RawBlock, Vec<RawTransaction>) {
    let transactions = match coverage {
        Coverage::Full => list(&block["transactions"], raw),
        Coverage::Header => Vec::new(),
    };
    event_of(block, coverage, transactions)
}

/// The records of a block with these transactions.
pub fn event_of(
    block: &Value,
    coverage: Coverage,
    transactions: Vec<BitcoinTransaction>,
) -> (RawBlock, Vec<RawTransaction>) {
    let hash: BitcoinHash = text(&block["hash"]);
    let envelope = Envelope {
        network: "bitcoin".parse().unwrap(),
        sequence: 1,
        op: Op::Apply,
        origin: Origin::Live,
        height: number(&block["height"]),
        block_hash: hash.into(),
        parent_hash: BitcoinHash::default().into(),
        block_time: TimeMs(0),
        observed_at: TimeMs(0),
        safe_height: None,
        finalized_height: None,
        tx_count: transactions.len() as u32,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    };
    let header = BitcoinHeader {
        chain: maybe(&block["chain"], text).unwrap_or(BitcoinChain::Main),
        coverage,
        version: 2,
        merkle_root: BitcoinHash::default(),
        time: 0,
        bits: 0,
        nonce: 0,
        median_time: None,
        chain_work: None,
        size: None,
        stripped_size: None,
        weight: None,
        transaction_count: None,
        coinbase: None,
    };
    let child = envelope.child();
    let children = transactions
        .into_iter()
        .map(|tx| RawTransaction { envelope: child.clone(), payload: Payload::Bitcoin(Box::new(tx)) });
    (RawBlock { envelope, evm: None, bitcoin: Some(Box::new(header)) }, children.collect())
}

pub fn inside(record: &EnrichedTransaction) -> &BitcoinDecoded {
    match &record.payload {
        Payload::Bitcoin(decoded) => decoded,
        other => panic!("{other:?}"),
    }
}

/// What the other program says, block for block, of a folder.
pub fn recomputed(root: &Path) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recompute/bitcoin.py");
    let run = Command::new("python3").arg(script).arg("--json").arg(root.join("bitcoin")).output().expect("python3");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    run.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
}

/// The whole text of a file, unpacked.
pub fn unpacked(path: &Path) -> Value {
    if path.extension().is_none_or(|extension| extension != "gz") {
        return json(path);
    }
    let run = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip");
    serde_json::from_slice(&run.stdout).unwrap()
}
