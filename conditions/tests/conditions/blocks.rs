//! Recorded blocks as the records that monitors are put to.

use std::{collections::HashMap, fs, path::Path};

use alloy_primitives::{Address, B256, Bytes, Selector, U256, hex};
use schemas::{
    Op, Status, TimeMs,
    envelope::ChildEnvelope,
    records::{DecodedEvent, EnrichedTransaction, Enrichment, EvmLog, EvmTransaction, Payload},
};
use serde_json::Value;

pub fn envelope(network: &str, height: u64) -> ChildEnvelope {
    ChildEnvelope {
        network: network.parse().expect("a slug"),
        sequence: height,
        op: Op::Apply,
        height,
        block_hash: B256::repeat_byte(1).into(),
        block_time: TimeMs(1_000),
        observed_at: TimeMs(2_000),
    }
}

/// With what enrich finds out that conditions speak of.
pub fn enriched(envelope: ChildEnvelope, tx: EvmTransaction) -> EnrichedTransaction {
    let events = tx.logs.iter().map(|log| {
        decode::event(&[], &log.topics, &log.data)
            .map(|decoded| DecodedEvent { event: decoded.signature.to_string(), arguments: decoded.arguments })
    });
    let enrichment = Enrichment {
        status: Status::of_receipt(tx.receipt_status),
        fee: None,
        fee_reason: None,
        fee_token_amount: None,
        method: tx.to_address.and_then(|_| tx.input.first_chunk::<4>().map(Selector::from)),
        failure_cause: None,
        failure_reason: None,
        call: None,
        inner_calls: None,
        events: events.collect(),
    };
    EnrichedTransaction { envelope, payload: Payload::Evm(Box::new((tx, enrichment))) }
}

fn number(value: &Value) -> U256 {
    value.as_str().map_or(U256::ZERO, |text| text.parse().expect("a number"))
}

fn small(value: &Value) -> u64 {
    number(value).to::<u64>()
}

fn bytes(value: &Value) -> Bytes {
    hex::decode(value.as_str().unwrap_or("0x")).expect("hex").into()
}

fn address(value: &Value) -> Option<Address> {
    value.as_str().map(|text| text.parse().expect("an address"))
}

/// A transaction as nodes write it, with its receipt.
pub fn transaction(tx: &Value, receipt: Option<&Value>) -> EvmTransaction {
    let receipt = receipt.unwrap_or(&Value::Null);
    let log = |log: &Value| EvmLog {
        log_index: small(&log["logIndex"]) as u32,
        address: address(&log["address"]).expect("an emitter"),
        topics: log["topics"]
            .as_array()
            .expect("topics")
            .iter()
            .map(|t| t.as_str().expect("hex").parse().expect("a topic"))
            .collect(),
        data: bytes(&log["data"]),
    };
    EvmTransaction {
        transaction_index: small(&tx["transactionIndex"]) as u32,
        hash: tx["hash"].as_str().expect("a hash").parse().expect("a hash"),
        from_address: address(&tx["from"]).expect("a sender"),
        to_address: address(&tx["to"]),
        value: number(&tx["value"]),
        nonce: small(&tx["nonce"]),
        gas: small(&tx["gas"]),
        gas_price: tx["gasPrice"].as_str().map(|_| number(&tx["gasPrice"])),
        input: bytes(&tx["input"]),
        transaction_type: small(&tx["type"]),
        receipt_status: receipt["status"].as_str().map(|_| small(&receipt["status"])),
        receipt_gas_used: small(&receipt["gasUsed"]),
        receipt_contract_address: address(&receipt["contractAddress"]),
        logs: receipt["logs"].as_array().into_iter().flatten().map(log).collect(),
        ..EvmTransaction::default()
    }
}

fn read(path: &Path) -> Value {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path).expect("a file")).expect("JSON");
    match value.get_mut("result") {
        Some(result) => result.take(),
        None => value,
    }
}

/// A recorded block of the repository: `ethereum/18000000`.
pub fn block(name: &str) -> Vec<EnrichedTransaction> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/evm").join(name);
    let (block, receipts) = (read(&folder.join("block.json")), read(&folder.join("receipts.json")));
    of(&block, receipts.as_array().expect("receipts"))
}

/// A block as nodes write it.
pub fn of(block: &Value, receipts: &[Value]) -> Vec<EnrichedTransaction> {
    let by_hash: HashMap<&str, &Value> =
        receipts.iter().filter_map(|r| Some((r["transactionHash"].as_str()?, r))).collect();
    let height = small(&block["number"]);
    let each = block["transactions"].as_array().expect("transactions").iter();
    each.map(|tx| {
        let receipt = by_hash.get(tx["hash"].as_str().expect("a hash")).copied();
        enriched(envelope("demo", height), transaction(tx, receipt))
    })
    .collect()
}

/// The transaction in a record.
pub fn inside(record: &EnrichedTransaction) -> &EvmTransaction {
    match &record.payload {
        Payload::Evm(inner) => &inner.0,
        other => panic!("{other:?}"),
    }
}
