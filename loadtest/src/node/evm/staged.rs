//! Stages: a recorded block, again and again, in which something is the matter for a while: blocks are full, the base fee is high, what
//! calls a contract fails.
//!
//! Guarantee: each block is valid by itself, as a recorded one is: hashes, both roots, blooms, gas prices and places of logs follow from
//! what is in it. Its transactions are no other block's: each block has a mark of its own ([`super::content`]).

use super::content::Carrier;
use super::dataset::Dataset;
use super::encode;
use super::error::Error;
use super::recorded::{self, Recorded, quantity};
use crate::node::recording;
use alloy_consensus::{Eip658Value, Receipt, ReceiptWithBloom};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, keccak256};
use alloy_rlp::Encodable as _;
use alloy_trie::root::ordered_trie_root_encoded;
use serde_json::{Value, json};
use std::path::Path;

/// What a staged block looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The gas limit by the gas used: 1 is a full block.
    pub room: f64,
    /// The base fee by the recorded one: at most 1, since recorded transactions offer no more.
    pub base_fee: f64,
    /// What is sent to it fails.
    pub failing: Option<Address>,
}

impl Look {
    /// Half full, at a quarter of the recorded base fee, and nothing fails but what was recorded so.
    pub const QUIET: Self = Self { room: 2.0, base_fee: 0.25, failing: None };
}

impl Dataset {
    /// The block that was recorded in this folder (`block.json`, `receipts.json`), its first so many transactions, once for each look.
    ///
    /// # Errors
    /// It cannot be read, has transactions of a type that is not encoded here, or a look is none.
    pub fn staged(
        folder: impl AsRef<Path>,
        transactions: usize,
        looks: impl IntoIterator<Item = Look>,
    ) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let name = "staged";
        let [block, receipts] = ["block.json", "receipts.json"].map(|file| recording::read(&folder.join(file)));
        let block = recorded::result(name, "block", &block?)?;
        let receipts = recorded::result(name, "receipts", &receipts?)?;
        let mut blocks = Vec::new();
        for (n, look) in looks.into_iter().enumerate() {
            let name = format!("{name}/{n}");
            let (block, receipts) = stage(&block, &receipts, (n, transactions), look)
                .ok_or_else(|| Error::Data { name: name.clone(), what: "no stage can be made of it".to_owned() })?;
            blocks.push(Recorded::parse(&name, block.to_string().as_bytes(), receipts.to_string().as_bytes())?);
        }
        if blocks.is_empty() {
            return Err(Error::Empty(folder.to_owned()));
        }
        Ok(Self::new(name.to_owned(), blocks))
    }
}

/// The `n`th block with this look. `None`: something is missing, or of a kind that is not known here.
fn stage(block: &Value, receipts: &Value, (n, transactions): (usize, usize), look: Look) -> Option<(Value, Value)> {
    let (mut block, mut receipts) = (block.clone(), receipts.clone());
    let mark = *keccak256(n.to_be_bytes()).first_chunk::<16>()?;
    let base_fee = (number(&block, "baseFeePerGas")? as f64 * look.base_fee.clamp(0.0, 1.0)) as u64;
    let txs = block["transactions"].as_array_mut()?;
    txs.truncate(transactions);
    let list = receipts.as_array_mut()?;
    list.truncate(txs.len());
    let (mut encoded, mut encoded_receipts, mut bloom) = (Vec::new(), Vec::new(), Bloom::ZERO);
    let (mut logs_before, mut gas_used) = (0u64, 0);
    for (tx, receipt) in txs.iter_mut().zip(list) {
        let carrier = Carrier::of(tx)?;
        tx[carrier.key] = format!("{}{}", carrier.before, const_hex::encode(mark)).into();
        let bytes = encode::transaction(tx)?;
        let hash = keccak256(&bytes).to_string();
        encoded.push(bytes);
        tx["hash"] = hash.clone().into();
        receipt["transactionHash"] = hash.into();
        let price = price(tx, base_fee)?;
        tx["gasPrice"] = price.clone().into();
        receipt["effectiveGasPrice"] = price.into();
        let to: Option<Address> = tx["to"].as_str().and_then(|to| to.parse().ok());
        if look.failing.is_some() && to == look.failing {
            receipt["status"] = "0x0".into();
            receipt["logs"] = json!([]);
            receipt["logsBloom"] = Bloom::ZERO.to_string().into();
        }
        for log in receipt["logs"].as_array_mut()? {
            log["logIndex"] = format!("{logs_before:#x}").into();
            log["transactionHash"] = tx["hash"].clone();
            logs_before += 1;
        }
        gas_used = number(receipt, "cumulativeGasUsed")?;
        let of_receipt: Bloom = receipt["logsBloom"].as_str()?.parse().ok()?;
        bloom |= of_receipt;
        encoded_receipts.push(encode_receipt(receipt, of_receipt)?);
    }
    for (key, value) in [
        ("number", format!("{:#x}", n + 1)),
        ("baseFeePerGas", format!("{base_fee:#x}")),
        ("gasUsed", format!("{gas_used:#x}")),
        ("gasLimit", format!("{:#x}", (gas_used as f64 * look.room.max(1.0)) as u64)),
        ("logsBloom", bloom.to_string()),
        ("transactionsRoot", ordered_trie_root_encoded(&encoded).to_string()),
        ("receiptsRoot", ordered_trie_root_encoded(&encoded_receipts).to_string()),
    ] {
        block[key] = value.into();
    }
    block["hash"] = recorded::header(&block).ok()?.hash_slow().to_string().into();
    Some((block, receipts))
}

fn number(object: &Value, key: &str) -> Option<u64> {
    object[key].as_str().and_then(quantity)
}

/// What a transaction pays for gas at a base fee (EIP-1559).
fn price(tx: &Value, base_fee: u64) -> Option<String> {
    let price = match (number(tx, "maxFeePerGas"), number(tx, "maxPriorityFeePerGas")) {
        (Some(most), Some(priority)) => most.min(base_fee.saturating_add(priority)),
        _ => number(tx, "gasPrice")?,
    };
    (price >= base_fee).then(|| format!("{price:#x}"))
}

/// A receipt as it stands in the receipts' trie (EIP-658, EIP-2718).
fn encode_receipt(receipt: &Value, bloom: Bloom) -> Option<Vec<u8>> {
    let log = |log: &Value| {
        let topics: Option<Vec<B256>> =
            log["topics"].as_array()?.iter().map(|topic| topic.as_str()?.parse().ok()).collect();
        let data: Bytes = log["data"].as_str()?.parse().ok()?;
        Log::new(log["address"].as_str()?.parse().ok()?, topics?, data)
    };
    let logs: Option<Vec<Log>> = receipt["logs"].as_array()?.iter().map(log).collect();
    let body = Receipt {
        status: Eip658Value::Eip658(number(receipt, "status")? == 1),
        cumulative_gas_used: number(receipt, "cumulativeGasUsed")?,
        logs: logs?,
    };
    let kind = number(receipt, "type").unwrap_or(0) as u8;
    let mut out = if kind == 0 { Vec::new() } else { vec![kind] };
    ReceiptWithBloom::new(body, bloom).encode(&mut out);
    Some(out)
}
