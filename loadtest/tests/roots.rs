//! What is served is a valid chain to whoever checks it: header hashes, parents, transactions and receipts roots follow from
//! the served content, before and after a fork.

mod common;

use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEnvelope,
    TxLegacy,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, Signature, TxKind, U256};
use alloy_trie::root::ordered_trie_root_encoded;
use common::{call, folder, manual};
use loadtest::node::evm::{Clock, Config, Dataset, Look, spawn};
use serde_json::{Value, json};
use std::str::FromStr;

fn get<T: FromStr<Err: std::fmt::Debug>>(object: &Value, key: &str) -> T {
    object[key].as_str().unwrap_or_else(|| panic!("{key} in {object}")).parse().expect(key)
}

fn number(object: &Value, key: &str) -> Option<u64> {
    let text = object[key].as_str()?;
    Some(u64::from_str_radix(&text[2..], 16).expect(key))
}

fn opt<T: FromStr<Err: std::fmt::Debug>>(object: &Value, key: &str) -> Option<T> {
    object[key].as_str().map(|text| text.parse().expect(key))
}

fn header(block: &Value) -> Header {
    Header {
        parent_hash: get(block, "parentHash"),
        ommers_hash: get(block, "sha3Uncles"),
        beneficiary: get(block, "miner"),
        state_root: get(block, "stateRoot"),
        transactions_root: get(block, "transactionsRoot"),
        receipts_root: get(block, "receiptsRoot"),
        logs_bloom: get(block, "logsBloom"),
        difficulty: get(block, "difficulty"),
        number: number(block, "number").expect("number"),
        gas_limit: number(block, "gasLimit").expect("gasLimit"),
        gas_used: number(block, "gasUsed").expect("gasUsed"),
        timestamp: number(block, "timestamp").expect("timestamp"),
        extra_data: get(block, "extraData"),
        mix_hash: get(block, "mixHash"),
        nonce: get(block, "nonce"),
        base_fee_per_gas: number(block, "baseFeePerGas"),
        withdrawals_root: opt(block, "withdrawalsRoot"),
        blob_gas_used: number(block, "blobGasUsed"),
        excess_blob_gas: number(block, "excessBlobGas"),
        parent_beacon_block_root: opt(block, "parentBeaconBlockRoot"),
        requests_hash: opt(block, "requestsHash"),
        ..Header::default()
    }
}

/// The EIP-2718 bytes of a transaction as a node lists it.
fn encode_tx(tx: &Value) -> Vec<u8> {
    let wide = |key: &str| u128::try_from(get::<U256>(tx, key)).expect(key);
    let small = |key: &str| number(tx, key).expect(key);
    let to = opt::<Address>(tx, "to").map_or(TxKind::Create, TxKind::Call);
    let (nonce, gas_limit, value, input) =
        (small("nonce"), small("gas"), get::<U256>(tx, "value"), get::<Bytes>(tx, "input"));
    let list = || {
        let items = tx["accessList"].as_array().expect("accessList").iter();
        AccessList(
            items
                .map(|item| AccessListItem {
                    address: get(item, "address"),
                    storage_keys: item["storageKeys"]
                        .as_array()
                        .expect("storageKeys")
                        .iter()
                        .map(|key| key.as_str().expect("a key").parse::<B256>().expect("a key"))
                        .collect(),
                })
                .collect(),
        )
    };
    let v: u64 = number(tx, "v").or_else(|| number(tx, "yParity")).expect("v");
    let kind = number(tx, "type").unwrap_or(0);
    let odd = if kind == 0 && v >= 35 {
        (v - 35) % 2 == 1
    } else if kind == 0 {
        v == 28
    } else {
        v == 1
    };
    let signature = Signature::new(get(tx, "r"), get(tx, "s"), odd);
    let envelope: TxEnvelope = match kind {
        0 => {
            let chain_id = (v >= 35).then(|| (v - 35) / 2);
            TxLegacy { chain_id, nonce, gas_price: wide("gasPrice"), gas_limit, to, value, input }
                .into_signed(signature)
                .into()
        }
        1 => TxEip2930 {
            chain_id: small("chainId"),
            nonce,
            gas_price: wide("gasPrice"),
            gas_limit,
            to,
            value,
            access_list: list(),
            input,
        }
        .into_signed(signature)
        .into(),
        2 => TxEip1559 {
            chain_id: small("chainId"),
            nonce,
            gas_limit,
            max_fee_per_gas: wide("maxFeePerGas"),
            max_priority_fee_per_gas: wide("maxPriorityFeePerGas"),
            to,
            value,
            access_list: list(),
            input,
        }
        .into_signed(signature)
        .into(),
        3 => TxEip4844 {
            chain_id: small("chainId"),
            nonce,
            gas_limit,
            max_fee_per_gas: wide("maxFeePerGas"),
            max_priority_fee_per_gas: wide("maxPriorityFeePerGas"),
            to: get(tx, "to"),
            value,
            access_list: list(),
            blob_versioned_hashes: tx["blobVersionedHashes"]
                .as_array()
                .expect("blobs")
                .iter()
                .map(|hash| hash.as_str().expect("a hash").parse().expect("a hash"))
                .collect(),
            max_fee_per_blob_gas: wide("maxFeePerBlobGas"),
            input,
        }
        .into_signed(signature)
        .into(),
        other => panic!("transaction type {other} does not occur in the recorded Ethereum blocks"),
    };
    assert_eq!(*envelope.tx_hash(), get::<B256>(tx, "hash"), "the transaction's own hash");
    envelope.encoded_2718()
}

/// The EIP-2718 bytes of a receipt as a node lists it.
fn encode_receipt(receipt: &Value) -> Vec<u8> {
    let status = match receipt["status"].as_str() {
        Some(status) => Eip658Value::Eip658(status == "0x1"),
        None => Eip658Value::PostState(get(receipt, "root")),
    };
    let logs = receipt["logs"].as_array().expect("logs").iter().map(|log| {
        let topics = log["topics"].as_array().expect("topics").iter();
        let topics = topics.map(|t| t.as_str().expect("a topic").parse::<B256>().expect("a topic")).collect();
        Log::new_unchecked(get(log, "address"), topics, get::<Bytes>(log, "data"))
    });
    let receipt_body = Receipt {
        status,
        cumulative_gas_used: number(receipt, "cumulativeGasUsed").expect("cumulativeGasUsed"),
        logs: logs.collect::<Vec<Log>>(),
    };
    let with_bloom = receipt_body.with_bloom();
    assert_eq!(with_bloom.logs_bloom, get::<Bloom>(receipt, "logsBloom"));
    match number(receipt, "type").unwrap_or(0) {
        0 => ReceiptEnvelope::Legacy(with_bloom),
        1 => ReceiptEnvelope::Eip2930(with_bloom),
        2 => ReceiptEnvelope::Eip1559(with_bloom),
        3 => ReceiptEnvelope::Eip4844(with_bloom),
        other => panic!("receipt type {other} does not occur in the recorded Ethereum blocks"),
    }
    .encoded_2718()
}

/// Checks one served block with its receipts, and returns its hash.
async fn check(url: &str, height: u64, parent: Option<B256>) -> B256 {
    let at = format!("{height:#x}");
    let block = call(url, "eth_getBlockByNumber", json!([at, true])).await;
    let receipts = call(url, "eth_getBlockReceipts", json!([at])).await;
    let header = header(&block);
    let hash: B256 = get(&block, "hash");
    assert_eq!(header.hash_slow(), hash, "header hash at {height}");
    assert_eq!(header.number, height);
    if let Some(parent) = parent {
        assert_eq!(header.parent_hash, parent, "parent at {height}");
    }
    let transactions = block["transactions"].as_array().expect("transactions");
    let encoded: Vec<Vec<u8>> = transactions.iter().map(encode_tx).collect();
    assert_eq!(ordered_trie_root_encoded(&encoded), header.transactions_root, "transactions root at {height}");
    let list = receipts.as_array().expect("receipts");
    let encoded: Vec<Vec<u8>> = list.iter().map(encode_receipt).collect();
    assert_eq!(ordered_trie_root_encoded(&encoded), header.receipts_root, "receipts root at {height}");
    let children = transactions.iter().chain(list).chain(list.iter().flat_map(|r| r["logs"].as_array().expect("logs")));
    for child in children {
        assert_eq!(get::<B256>(child, "blockHash"), hash);
        assert_eq!(number(child, "blockNumber"), Some(height));
        if child.get("blockTimestamp").is_some() {
            assert_eq!(number(child, "blockTimestamp"), Some(header.timestamp));
        }
    }
    hash
}

#[tokio::test]
async fn everything_served_can_be_recomputed_over_cycles_and_a_fork() {
    let node = manual("ethereum", 20).await;
    let mut parent = None;
    for height in 1..=21 {
        parent = Some(check(&node.url(), height, parent).await);
    }
    let replaced = parent;
    node.fork_and_advance(8, 1).expect("possible");
    let canonical = node.canonical(1..=100);
    assert_eq!(canonical.len(), 22);
    let mut parent = Some(canonical[11].hash);
    for height in 13..=22 {
        parent = Some(check(&node.url(), height, parent).await);
        assert_eq!(parent, Some(canonical[height as usize - 1].hash));
        if height == 21 {
            assert_ne!(parent, replaced);
        }
    }
}

#[tokio::test]
async fn a_staged_block_can_be_recomputed_too_and_looks_as_it_is_told_to() {
    let usdt: Address = "0xdac17f958d2ee523a2206206994597c13d831ec7".parse().expect("an address");
    let full = Look { room: 1.0, ..Look::QUIET };
    let dear = Look { base_fee: 1.0, ..Look::QUIET };
    let failing = Look { failing: Some(usdt), ..Look::QUIET };
    let looks = [Look::QUIET, full, dear, failing, Look::QUIET];
    let data = Dataset::staged(folder("ethereum").join("14764013"), 12, looks).expect("a stage");
    let config = Config { clock: Clock::Manual, history: 7, ..Config::new(data) };
    let node = spawn(config).await.expect("a simulated node");
    let (mut parent, mut seen, mut hashes) = (None, Vec::new(), std::collections::BTreeSet::new());
    for height in 1..=8u64 {
        parent = Some(check(&node.url(), height, parent).await);
        let at = format!("{height:#x}");
        let block = call(&node.url(), "eth_getBlockByNumber", json!([at, true])).await;
        let receipts = call(&node.url(), "eth_getBlockReceipts", json!([at])).await;
        let receipts = receipts.as_array().expect("receipts");
        let fullness =
            number(&block, "gasUsed").expect("used") as f64 / number(&block, "gasLimit").expect("limit") as f64;
        let base_fee = number(&block, "baseFeePerGas").expect("a base fee");
        let failed = receipts.iter().filter(|r| r["status"] == "0x0").count();
        seen.push((fullness, base_fee, failed));
        for (receipt, tx) in receipts.iter().zip(block["transactions"].as_array().expect("transactions")) {
            let price = number(receipt, "effectiveGasPrice").expect("a price");
            assert!(price >= base_fee && number(tx, "gasPrice") == Some(price), "{receipt}");
            let to_it = opt::<Address>(receipt, "to") == Some(usdt);
            assert!(height != 4 || !to_it || receipt["status"] == "0x0", "{receipt}");
            assert!(hashes.insert(get::<B256>(tx, "hash")), "a transaction of two blocks at {height}");
        }
        let indexes =
            receipts.iter().flat_map(|r| r["logs"].as_array().expect("logs")).map(|log| number(log, "logIndex"));
        assert!(indexes.enumerate().all(|(i, index)| index == Some(i as u64)));
    }
    let quiet = seen[0];
    assert!((quiet.0 - 0.5).abs() < 0.01 && (seen[1].0 - 1.0).abs() < 0.01, "{seen:?}");
    assert!(seen[2].1 >= 4 * quiet.1 && quiet.1 > 1_000_000_000, "{seen:?}");
    assert!(seen[3].2 > quiet.2, "{seen:?}");
    assert_eq!((seen[4], seen[5]), (quiet, quiet), "after the last it begins again");
}
