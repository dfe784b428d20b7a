//! Recorded blocks: totals in SQL equal recomputation from the raw receipts, to the last wei, during and after reorgs.
//! `HEADWATER_DATA` may name a folder with more blocks in the same layout.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, Bytes, U256};
use schemas::{
    BlockHash, Envelope, Network, Op, Origin, TimeMs,
    profiles::Profile,
    records::{EnrichedTransaction, EvmHeader, EvmLog, EvmTransaction, Payload, RawBlock, RawTransaction},
};
use serde_json::Value;
use store::{
    query::NetworkTotals,
    sink::{batch::Event, mend},
};

use crate::{
    harness::Running,
    setup::{RunningSink, TestLog, rows, store_in, until_processed},
};

pub struct Recorded {
    pub chain: String,
    block: Value,
    receipts: Vec<Value>,
}

fn read(path: &Path) -> Option<Value> {
    let value: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    match value.get("jsonrpc") {
        Some(_) => value.get("result").cloned(),
        None => Some(value),
    }
}

/// Every block with full transactions and as many receipts.
pub fn recorded() -> Vec<Recorded> {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data");
    let root = std::env::var_os("HEADWATER_DATA").map_or(fixtures, PathBuf::from).join("evm");
    let mut found = Vec::new();
    let folders = |p: &Path| {
        let mut all: Vec<PathBuf> = std::fs::read_dir(p).into_iter().flatten().flatten().map(|e| e.path()).collect();
        all.sort();
        all
    };
    for chain in folders(&root) {
        for number in folders(&chain) {
            let (Some(block), Some(receipts)) = (read(&number.join("block.json")), read(&number.join("receipts.json")))
            else {
                continue;
            };
            let receipts = receipts.as_array().cloned().unwrap_or_default();
            let transactions = block["transactions"].as_array().map_or(0, Vec::len);
            let full = block["transactions"].as_array().is_some_and(|t| t.iter().all(Value::is_object));
            if full && transactions == receipts.len() {
                let chain = chain.file_name().expect("a name").to_string_lossy().into_owned();
                found.push(Recorded { chain, block, receipts });
            }
        }
    }
    found
}

fn hex(v: &Value) -> Option<U256> {
    U256::from_str_radix(v.as_str()?.strip_prefix("0x")?, 16).ok()
}
fn number(v: &Value) -> Option<u64> {
    hex(v)?.try_into().ok()
}
fn address(v: &Value) -> Option<Address> {
    v.as_str()?.parse().ok()
}
fn word(v: &Value) -> Option<B256> {
    v.as_str()?.parse().ok()
}

fn transaction(t: &Value, r: &Value, index: usize, next_log: &mut u32) -> EvmTransaction {
    let logs = r["logs"].as_array().cloned().unwrap_or_default();
    EvmTransaction {
        transaction_index: index as u32,
        hash: t["hash"].as_str().and_then(|h| h.parse().ok()).expect("a hash"),
        from_address: address(&t["from"]).expect("a sender"),
        to_address: address(&t["to"]),
        value: hex(&t["value"]).expect("a value"),
        nonce: number(&t["nonce"]).unwrap_or(0),
        gas: number(&t["gas"]).unwrap_or(0),
        gas_price: hex(&t["gasPrice"]),
        max_fee_per_gas: hex(&t["maxFeePerGas"]),
        max_priority_fee_per_gas: hex(&t["maxPriorityFeePerGas"]),
        max_fee_per_blob_gas: hex(&t["maxFeePerBlobGas"]),
        blob_versioned_hashes: t["blobVersionedHashes"].as_array().into_iter().flatten().filter_map(word).collect(),
        chain_id: number(&t["chainId"]),
        fee_currency: address(&t["feeCurrency"]),
        authorization_count: t["authorizationList"].as_array().map(|list| list.len() as u32),
        source_hash: word(&t["sourceHash"]),
        mint: hex(&t["mint"]),
        input: t["input"].as_str().and_then(|i| i.parse::<Bytes>().ok()).unwrap_or_default(),
        transaction_type: number(&t["type"]).unwrap_or(0),
        receipt_status: number(&r["status"]),
        receipt_gas_used: number(&r["gasUsed"]).expect("gas used"),
        receipt_cumulative_gas_used: number(&r["cumulativeGasUsed"]).unwrap_or(0),
        receipt_effective_gas_price: hex(&r["effectiveGasPrice"]),
        receipt_contract_address: address(&r["contractAddress"]),
        receipt_blob_gas_used: number(&r["blobGasUsed"]),
        receipt_blob_gas_price: hex(&r["blobGasPrice"]),
        receipt_root: word(&r["root"]),
        receipt_l1_fee: hex(&r["l1Fee"]),
        receipt_l1_gas_used: hex(&r["l1GasUsed"]),
        receipt_l1_gas_price: hex(&r["l1GasPrice"]),
        receipt_l1_fee_scalar: r["l1FeeScalar"].as_str().map(str::to_owned),
        receipt_l1_base_fee_scalar: number(&r["l1BaseFeeScalar"]),
        receipt_l1_blob_base_fee: hex(&r["l1BlobBaseFee"]),
        receipt_l1_blob_base_fee_scalar: number(&r["l1BlobBaseFeeScalar"]),
        receipt_gas_used_for_l1: number(&r["gasUsedForL1"]),
        receipt_l1_block_number: number(&r["l1BlockNumber"]),
        receipt_deposit_nonce: number(&r["depositNonce"]),
        receipt_deposit_receipt_version: number(&r["depositReceiptVersion"]),
        receipt_da_footprint_gas_scalar: number(&r["daFootprintGasScalar"]),
        receipt_token_ratio: hex(&r["tokenRatio"]),
        receipt_operator_fee_scalar: number(&r["operatorFeeScalar"]),
        receipt_operator_fee_constant: number(&r["operatorFeeConstant"]),
        logs: logs
            .iter()
            .map(|l| {
                *next_log += 1;
                EvmLog {
                    log_index: *next_log - 1,
                    address: address(&l["address"]).expect("an emitter"),
                    topics: l["topics"]
                        .as_array()
                        .expect("topics")
                        .iter()
                        .map(|t| t.as_str().expect("hex").parse().expect("a topic"))
                        .collect(),
                    data: l["data"].as_str().expect("data").parse().expect("hex"),
                }
            })
            .collect(),
    }
}

/// A recorded block as the event that enrich would write.
pub fn event(r: &Recorded, sequence: u64) -> Event {
    changed_event(r, sequence, |transactions| transactions)
}

/// The same, when ingest had written other transactions.
fn changed_event(
    r: &Recorded,
    sequence: u64,
    change: impl FnOnce(Vec<RawTransaction>) -> Vec<RawTransaction>,
) -> Event {
    let network: Network = r.chain.parse().expect("a slug");
    let hash = |v: &Value| BlockHash::from(v.as_str().expect("hex").parse::<B256>().expect("a hash"));
    let profile = Profile::of(match r.chain.as_str() {
        "ethereum" => 1,
        "optimism" => 10,
        "base" => 8453,
        "polygon" => 137,
        "arbitrum" => 42161,
        "mantle" => 5000,
        _ => 0,
    });
    let mut envelope = Envelope {
        network,
        sequence,
        op: Op::Apply,
        origin: Origin::Live,
        height: number(&r.block["number"]).expect("a height"),
        block_hash: hash(&r.block["hash"]),
        parent_hash: hash(&r.block["parentHash"]),
        block_time: TimeMs::from_secs(number(&r.block["timestamp"]).expect("a time")),
        observed_at: TimeMs::now(),
        safe_height: None,
        finalized_height: None,
        tx_count: r.receipts.len() as u32,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    };
    let mut next_log = 0;
    let raw: Vec<EvmTransaction> = r.block["transactions"]
        .as_array()
        .expect("transactions")
        .iter()
        .zip(&r.receipts)
        .enumerate()
        .map(|(i, (t, receipt))| transaction(t, receipt, i, &mut next_log))
        .collect();
    envelope.log_count = next_log;
    let header = EvmHeader {
        gas_limit: number(&r.block["gasLimit"]).expect("a limit"),
        gas_used: number(&r.block["gasUsed"]).expect("gas"),
        base_fee_per_gas: hex(&r.block["baseFeePerGas"]),
        ..EvmHeader::default()
    };
    let transactions = raw
        .into_iter()
        .map(|t| RawTransaction { envelope: envelope.child(), payload: Payload::Evm(Box::new(t)) })
        .collect();
    let raw = RawBlock { envelope, evm: Some(Box::new(header)), bitcoin: None };
    let (block, transactions) = enrich::enrich_event(&profile, raw, change(transactions));
    Event { block, transactions }
}

fn revert(of: &Event, sequence: u64) -> Event {
    let mut block = of.block.clone();
    let e = &mut block.envelope;
    e.reverts_sequence = Some(e.sequence);
    (e.sequence, e.op, e.tx_count, e.log_count) = (sequence, Op::Revert, 0, 0);
    let child = EnrichedTransaction { envelope: e.child(), payload: Payload::Revert };
    (block.evm, block.bitcoin, block.summary) = (None, None, None);
    Event { block, transactions: vec![child] }
}

/// Adds up a block from its raw JSON, by nothing but arithmetic.
fn add(totals: &mut BTreeMap<String, NetworkTotals>, r: &Recorded) {
    let t = totals.entry(r.chain.clone()).or_insert_with(|| NetworkTotals {
        network: r.chain.clone(),
        blocks: 0,
        transactions_expected: 0,
        transactions: 0,
        failed: 0,
        unknown: 0,
        gas_used: U256::ZERO,
        fee_total: U256::ZERO,
        logs: 0,
    });
    t.blocks += 1;
    for (tx, receipt) in r.block["transactions"].as_array().expect("transactions").iter().zip(&r.receipts) {
        t.transactions_expected += 1;
        t.transactions += 1;
        match number(&receipt["status"]) {
            Some(0) => t.failed += 1,
            Some(_) => {}
            None => t.unknown += 1,
        }
        let gas = hex(&receipt["gasUsed"]).expect("gas");
        t.gas_used += gas;
        t.logs += receipt["logs"].as_array().map_or(0, Vec::len) as u64;
        let kind = number(&tx["type"]).unwrap_or(0);
        // OP-stack deposits; Arbitrum's deposits and internal transactions, and its retryables, whose price no receipt tells.
        // And what was paid in a token.
        if matches!(kind, 0x7e | 0x64 | 0x69 | 0x6a) || !tx["feeCurrency"].is_null() {
            continue;
        }
        // Receipts before London carry no effective price: it was the price that the transaction stated.
        let price = hex(&receipt["effectiveGasPrice"]).or(hex(&tx["gasPrice"])).unwrap_or_default();
        t.fee_total += gas * price + hex(&receipt["l1Fee"]).unwrap_or_default();
        if let (Some(scalar), Some(constant)) =
            (hex(&receipt["operatorFeeScalar"]), hex(&receipt["operatorFeeConstant"]))
        {
            let jovian = r.chain == "mantle" || receipt.get("daFootprintGasScalar").is_some();
            let part = if jovian { gas * scalar * U256::from(100) } else { gas * scalar / U256::from(1_000_000) };
            t.fee_total += part + constant;
        }
        if kind == 3 {
            t.fee_total +=
                hex(&receipt["blobGasUsed"]).expect("blob gas") * hex(&receipt["blobGasPrice"]).expect("its price");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_equal_recomputation_from_the_receipts() {
    let recorded = recorded();
    assert!(recorded.len() >= 20, "only {} recorded blocks were found", recorded.len());
    let engine = Running::start().await;
    let store = store_in(&engine, "recorded");
    let log = TestLog::open().await;
    let sink = RunningSink::start(&store, &log);

    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    let mut expected = BTreeMap::new();
    let mut events = Vec::new();
    for r in &recorded {
        let sequence = sequences.entry(r.chain.clone()).or_default();
        *sequence += 1;
        let event = event(r, *sequence);
        log.publish(std::slice::from_ref(&event)).await;
        events.push(event);
        add(&mut expected, r);
    }
    let check = async |sequences: &BTreeMap<String, u64>, expected: &BTreeMap<String, NetworkTotals>, when: &str| {
        for (chain, sequence) in sequences {
            until_processed(&store, &chain.parse().expect("a slug"), *sequence).await;
        }
        let wanted: Vec<NetworkTotals> = expected.values().cloned().collect();
        assert_eq!(store.totals().await.expect("totals"), wanted, "{when}");
    };
    check(&sequences, &expected, "after the blocks").await;

    // The last block of every chain is taken back …
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for (i, r) in recorded.iter().enumerate() {
        last.insert(r.chain.clone(), i);
    }
    let mut expected_during = BTreeMap::new();
    for (i, r) in recorded.iter().enumerate() {
        if last[&r.chain] != i {
            add(&mut expected_during, r);
        }
    }
    for (chain, i) in &last {
        let sequence = sequences.get_mut(chain).expect("a sequence");
        *sequence += 1;
        log.publish(&[revert(&events[*i], *sequence)]).await;
    }
    check(&sequences, &expected_during, "in the middle of a reorg").await;

    // … and comes again.
    for (chain, i) in &last {
        let sequence = sequences.get_mut(chain).expect("a sequence");
        *sequence += 1;
        log.publish(&[event(&recorded[*i], *sequence)]).await;
    }
    check(&sequences, &expected, "after a reorg").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// The first and the last transaction of every block could not be written at first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mended_blocks_are_as_if_nothing_had_been_missing() {
    let recorded = recorded();
    let engine = Running::start().await;
    let mut seen = Vec::new();
    for database in ["whole", "mended"] {
        let store = store_in(&engine, database);
        let log = TestLog::open().await;
        let sink = RunningSink::start(&store, &log);
        let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
        let mut missing = Vec::new();
        for r in &recorded {
            let sequence = sequences.entry(r.chain.clone()).or_default();
            *sequence += 1;
            let whole = event(r, *sequence);
            let placeholder = |(i, mut t): (usize, RawTransaction)| {
                if i == 0 || i + 1 == whole.transactions.len() {
                    t.payload = Payload::Unreadable { index: i as u32, error: "too large".into() };
                }
                t
            };
            let event = match database {
                "whole" => whole,
                _ => {
                    missing.extend(whole.transactions.first().cloned());
                    missing.extend(whole.transactions.last().cloned());
                    changed_event(r, *sequence, |all| all.into_iter().enumerate().map(placeholder).collect())
                }
            };
            log.publish(&[event]).await;
        }
        for (chain, sequence) in &sequences {
            until_processed(&store, &chain.parse().expect("a slug"), *sequence).await;
        }
        for transaction in &missing {
            assert_eq!(mend::insert(&store, transaction, &[]).await.expect("an insert"), mend::Place::Held);
            mend::sum_up(&store, &transaction.envelope, &[]).await.expect("once more");
        }
        sink.stop().await.expect("a clean end");
        let of = |view: &str, but: &str, by: &str| {
            format!("SELECT toString(tuple(* EXCEPT ({but}))) FROM {view} ORDER BY network, {by}")
        };
        let sql = [
            of("blocks", "observed_at, stored_at", "number"),
            of("evm_transactions", "sequence", "block_number, transaction_index"),
            of("evm_logs", "sequence", "block_number, transaction_index, log_index"),
        ];
        for sql in sql {
            seen.push(rows::<String>(&engine, &store, &sql).await);
        }
    }
    let mended = seen.split_off(3);
    for (whole, mended) in seen.iter().zip(&mended) {
        assert!(whole.len() >= 20 && whole.len() == mended.len(), "{} and {} rows", whole.len(), mended.len());
        for (whole, mended) in whole.iter().zip(mended) {
            assert_eq!(whole, mended);
        }
    }
    engine.stop().await;
}
