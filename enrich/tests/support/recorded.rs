//! Recorded blocks as raw block events, by a converter as naive as can be: it shares nothing with the product's own.

#![allow(dead_code)] // each test binary uses its part

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes, U256};
use schemas::{
    BlockHash, Envelope, Op, Origin, TimeMs,
    records::{EvmHeader, EvmLog, EvmTransaction, Payload, RawBlock, RawTransaction},
};
use serde_json::Value;

/// A block as recorded.
pub struct Recorded {
    pub chain: String,
    pub number: u64,
    pub chain_id: u64,
    pub block: Value,
    pub receipts: Vec<Value>,
    /// Facts of the manifest.
    pub stats: Value,
}

fn chain_id(chain: &str) -> u64 {
    match chain {
        "ethereum" => 1,
        "optimism" => 10,
        "cronos" => 25,
        "polygon" => 137,
        "hyperliquid" => 999,
        "base" => 8_453,
        "arbitrum" => 42_161,
        "base-goerli" => 84_531,
        _ => 0,
    }
}

/// A file's JSON-RPC result, with or without its envelopes.
pub fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for envelope in ["response", "result"] {
        if let Some(inner) = value.get_mut(envelope) {
            value = inner.take();
        }
    }
    value
}

/// The folders of recorded data: of the repository, and the one that `HEADWATER_DATA` names.
pub fn roots() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data");
    [Some(here), std::env::var_os("HEADWATER_DATA").map(PathBuf::from)].into_iter().flatten().collect()
}

/// Every recorded block with receipts: of the repository, and of the folder that `HEADWATER_DATA` names.
pub fn recorded() -> Vec<Recorded> {
    let mut all = Vec::new();
    for root in roots() {
        for item in json(&root.join("MANIFEST.json"))["items"].as_array().unwrap() {
            let files: Vec<_> = item["files"].as_array().unwrap().iter().filter_map(|f| f["path"].as_str()).collect();
            let of =
                |name: &str| files.iter().find(|f| f.starts_with("evm/") && f.ends_with(name)).map(|f| root.join(f));
            let (Some(block), Some(receipts)) = (of("/block.json"), of("/receipts.json")) else { continue };
            let (block, receipts) = (json(&block), json(&receipts));
            let chain = files[0].split('/').nth(1).unwrap().to_owned();
            all.push(Recorded {
                chain_id: chain_id(&chain),
                number: number(&block["number"]).unwrap(),
                receipts: receipts.as_array().unwrap().clone(),
                stats: item["stats"].clone(),
                chain,
                block,
            });
        }
    }
    all
}

pub fn number(v: &Value) -> Option<u64> {
    match v {
        Value::Number(n) => n.as_u64(),
        _ => v.as_str().map(|s| u64::from_str_radix(&s[2..], 16).unwrap()),
    }
}
pub fn amount(v: &Value) -> Option<U256> {
    v.as_str().map(|s| U256::from_str_radix(&s[2..], 16).unwrap())
}
fn hash(v: &Value) -> Option<B256> {
    v.as_str().map(|s| s.parse().unwrap())
}
fn address(v: &Value) -> Option<Address> {
    v.as_str().map(|s| s.parse().unwrap())
}
fn bytes(v: &Value) -> Option<Bytes> {
    v.as_str().map(|s| s.parse().unwrap())
}
fn hashes(v: &Value) -> Vec<B256> {
    v.as_array().into_iter().flatten().filter_map(hash).collect()
}

impl Recorded {
    /// As ingest would publish it.
    pub fn event(&self, network: &str, sequence: u64) -> (RawBlock, Vec<RawTransaction>) {
        let b = &self.block;
        let block_hash = |v: &Value| v.as_str().unwrap().parse::<BlockHash>().unwrap();
        let logs: usize = self.receipts.iter().map(|r| r["logs"].as_array().unwrap().len()).sum();
        let time = TimeMs::from_stamp(number(&b["timestamp"]).unwrap()).unwrap();
        let envelope = Envelope {
            network: network.parse().unwrap(),
            sequence,
            op: Op::Apply,
            origin: Origin::Live,
            height: self.number,
            block_hash: block_hash(&b["hash"]),
            parent_hash: block_hash(&b["parentHash"]),
            block_time: time,
            observed_at: TimeMs(time.0 + 900),
            safe_height: None,
            finalized_height: None,
            tx_count: self.receipts.len() as u32,
            log_count: logs as u32,
            reverts_sequence: None,
            reorg_remaining: 0,
        };
        let header = EvmHeader {
            miner: address(&b["miner"]),
            gas_limit: number(&b["gasLimit"]).unwrap(),
            gas_used: number(&b["gasUsed"]).unwrap(),
            extra_data: bytes(&b["extraData"]).unwrap(),
            base_fee_per_gas: amount(&b["baseFeePerGas"]),
            logs_bloom: bytes(&b["logsBloom"]),
            state_root: hash(&b["stateRoot"]),
            uncles: hashes(&b["uncles"]),
            ..EvmHeader::default()
        };
        let transactions = b["transactions"].as_array().unwrap();
        assert_eq!(transactions.len(), self.receipts.len());
        let children = transactions.iter().zip(&self.receipts).map(|(t, r)| {
            assert_eq!(t["hash"], r["transactionHash"]);
            RawTransaction { envelope: envelope.child(), payload: Payload::Evm(Box::new(transaction(t, r))) }
        });
        let children = children.collect();
        (RawBlock { envelope, evm: Some(Box::new(header)), bitcoin: None }, children)
    }
}

fn transaction(t: &Value, r: &Value) -> EvmTransaction {
    EvmTransaction {
        transaction_index: number(&t["transactionIndex"]).unwrap() as u32,
        hash: hash(&t["hash"]).unwrap(),
        from_address: address(&t["from"]).unwrap(),
        to_address: address(&t["to"]),
        value: amount(&t["value"]).unwrap(),
        nonce: number(&t["nonce"]).unwrap_or(0),
        gas: number(&t["gas"]).unwrap(),
        gas_price: amount(&t["gasPrice"]),
        max_fee_per_gas: amount(&t["maxFeePerGas"]),
        max_priority_fee_per_gas: amount(&t["maxPriorityFeePerGas"]),
        max_fee_per_blob_gas: amount(&t["maxFeePerBlobGas"]),
        blob_versioned_hashes: hashes(&t["blobVersionedHashes"]),
        input: bytes(&t["input"]).unwrap(),
        transaction_type: number(&t["type"]).unwrap_or(0),
        chain_id: number(&t["chainId"]),
        fee_currency: address(&t["feeCurrency"]),
        mint: amount(&t["mint"]),
        receipt_status: number(&r["status"]),
        receipt_root: hash(&r["root"]),
        receipt_gas_used: number(&r["gasUsed"]).unwrap(),
        receipt_cumulative_gas_used: number(&r["cumulativeGasUsed"]).unwrap(),
        receipt_effective_gas_price: amount(&r["effectiveGasPrice"]),
        receipt_contract_address: address(&r["contractAddress"]),
        receipt_blob_gas_used: number(&r["blobGasUsed"]),
        receipt_blob_gas_price: amount(&r["blobGasPrice"]),
        receipt_l1_fee: amount(&r["l1Fee"]),
        receipt_l1_fee_scalar: r["l1FeeScalar"].as_str().map(str::to_owned),
        receipt_operator_fee_scalar: number(&r["operatorFeeScalar"]),
        receipt_operator_fee_constant: number(&r["operatorFeeConstant"]),
        receipt_da_footprint_gas_scalar: number(&r["daFootprintGasScalar"]),
        receipt_token_ratio: amount(&r["tokenRatio"]),
        receipt_gas_used_for_l1: number(&r["gasUsedForL1"]),
        logs: r["logs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| EvmLog {
                log_index: number(&l["logIndex"]).unwrap() as u32,
                address: address(&l["address"]).unwrap(),
                topics: hashes(&l["topics"]),
                data: bytes(&l["data"]).unwrap(),
            })
            .collect(),
        ..EvmTransaction::default()
    }
}
