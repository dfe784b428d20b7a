//! One recorded block, prepared for replay.
//!
//! Guarantee: the header is complete, so that its hash is computed again after number, parent, time or a root change;
//! transactions are the recorded ones, or differ by a mark that their hashes and root follow ([`Content`]); receipts are
//! untouched but for those hashes, so that their root stays valid. A chain whose recorded hash does not follow from an Ethereum
//! header (Cosmos chains) gets a stand-in: a keccak of the recorded hash and the header.

use super::content::{Content, Mark};
use super::error::Error;
use super::template::{Fill, Template};
use super::traces::{self, Traces};
use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use serde_json::Value;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

/// How a block's hash follows from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// keccak-256 of the RLP header, as in the Yellow Paper, 4.4.
    Header,
    /// The recorded hash does not follow from the header: a stand-in is computed.
    StandIn,
}

/// What is known of a recorded block's content, from its receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// Transactions in the block.
    pub tx_count: u64,
    /// Receipts with status 0.
    pub failed: u64,
    /// Logs in all receipts.
    pub logs: u64,
    /// Gas used by the whole block, from its header.
    pub gas_used: u64,
}

/// A recorded block with its receipts.
#[derive(Debug)]
pub struct Recorded {
    name: String,
    number: u64,
    hash: B256,
    header: Header,
    sealing: Sealing,
    facts: Facts,
    tx_hashes: Arc<[B256]>,
    contracts: HashMap<Address, usize>,
    content: Content,
    chain_id: Option<u64>,
    full: Template,
    hashes: Template,
    head: Template,
    receipts: Template,
    traces: Traces,
}

/// The values of a block's header that a simulated chain rewrites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewrite {
    pub number: u64,
    pub parent: B256,
    /// Unix time in seconds.
    pub timestamp: u64,
    pub state_root: B256,
    pub transactions_root: B256,
}

/// Which JSON of a block is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The block with whole transactions.
    Full,
    /// The block with transaction hashes.
    Hashes,
    /// The header alone, as `newHeads` sends it.
    Head,
    /// The block's receipts.
    Receipts,
}

impl Recorded {
    /// Reads a block and its receipts, each a bare result or a whole JSON-RPC answer. `name` names it in messages.
    ///
    /// # Errors
    /// [`Error::Data`] when a field that a header needs is missing or unreadable, or receipts and transactions differ.
    pub fn parse(name: &str, block: &[u8], receipts: &[u8]) -> Result<Self, Error> {
        let block = result(name, "block", block)?;
        let receipts = result(name, "receipts", receipts)?;
        let bad = |what: String| Error::Data { name: name.to_owned(), what };
        let header = header(&block).map_err(bad)?;
        let hash = required(&block, "hash").map_err(bad)?;
        let transactions =
            block["transactions"].as_array().ok_or_else(|| bad("the block has no list `transactions`".into()))?;
        let list = receipts.as_array().ok_or_else(|| bad("the receipts are no list".into()))?;
        let tx_hashes: Vec<B256> =
            transactions.iter().map(|tx| required(tx, "hash")).collect::<Result<_, _>>().map_err(bad)?;
        let of: Vec<B256> =
            list.iter().map(|receipt| required(receipt, "transactionHash")).collect::<Result<_, _>>().map_err(bad)?;
        if of != tx_hashes {
            return Err(bad("receipts and transactions are not of the same block, or in another order".into()));
        }
        let facts = Facts {
            tx_count: tx_hashes.len() as u64,
            failed: list.iter().filter(|r| r["status"] == "0x0").count() as u64,
            logs: list.iter().map(|r| r["logs"].as_array().map_or(0, Vec::len) as u64).sum(),
            gas_used: header.gas_used,
        };
        let mut contracts = HashMap::new();
        let receivers = transactions.iter().map(|tx| &tx["to"]);
        let emitters = list.iter().filter_map(|r| r["logs"].as_array()).flatten().map(|log| &log["address"]);
        for address in receivers.chain(emitters).filter_map(|value| value.as_str()?.parse().ok()) {
            *contracts.entry(address).or_default() += 1;
        }
        let chain_id = transactions.iter().find_map(|tx| quantity(tx.get("chainId")?.as_str()?));
        let sealing = if header.hash_slow() == hash { Sealing::Header } else { Sealing::StandIn };
        let content = Content::of(transactions, &tx_hashes, header.transactions_root);
        let mut short = block.clone();
        short["transactions"] = Value::Array(transactions.iter().map(|tx| tx["hash"].clone()).collect());
        let mut head = block.clone();
        if let Some(fields) = head.as_object_mut() {
            for beyond in ["transactions", "uncles", "withdrawals", "size", "totalDifficulty"] {
                fields.remove(beyond);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            number: header.number,
            hash,
            sealing,
            facts,
            chain_id,
            full: Template::block(&block, &content.carriers),
            hashes: Template::block(&short, &[]),
            head: Template::block(&head, &[]),
            receipts: Template::receipts(&receipts),
            traces: Traces::new(),
            tx_hashes: tx_hashes.into(),
            contracts,
            content,
            header,
        })
    }

    /// With what was recorded of why its transactions failed (`traces_failed.json`).
    ///
    /// # Errors
    /// [`Error::Data`] when that cannot be read, or is of transactions that did not fail.
    pub fn with_traces(mut self, text: &[u8]) -> Result<Self, Error> {
        self.traces = traces::read(&self.name, text)?;
        match self.traces.keys().find(|place| **place >= self.tx_hashes.len()) {
            Some(place) => {
                let what = format!("traces: there is no transaction {place}");
                Err(Error::Data { name: self.name, what })
            }
            None => Ok(self),
        }
    }

    /// Recorded traces of its failures, by their place.
    pub(crate) fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Where it comes from: `chain/number`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The height at which it was recorded.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The hash with which it was recorded.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Counts from its receipts.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// How its hash follows from its header.
    #[must_use]
    pub fn sealing(&self) -> Sealing {
        self.sealing
    }

    /// The chain id that its transactions carry, when one does (EIP-155).
    #[must_use]
    pub fn chain_id(&self) -> Option<u64> {
        self.chain_id
    }

    /// Its transactions' hashes in order, as recorded.
    #[must_use]
    pub fn tx_hashes(&self) -> &[B256] {
        &self.tx_hashes
    }

    /// How often each address is a transaction's receiver or a log's emitter in it.
    #[must_use]
    pub fn contracts(&self) -> &HashMap<Address, usize> {
        &self.contracts
    }

    pub(crate) fn state_root(&self) -> B256 {
        self.header.state_root
    }

    /// The transactions' root under a mark; without one the recorded root.
    pub(crate) fn transactions_root(&self, mark: Option<&Mark>) -> B256 {
        mark.map_or(self.header.transactions_root, |mark| self.content.root(mark))
    }

    /// The transactions' hashes under a mark; without one the recorded ones.
    pub(crate) fn hashes(&self, mark: Option<&Mark>) -> Arc<[B256]> {
        mark.map_or_else(|| self.tx_hashes.clone(), |mark| self.content.hashes(mark).into())
    }

    #[cfg(test)]
    pub(crate) fn is_whole(&self) -> bool {
        self.content.is_whole()
    }

    /// The hash of this block with `rewrite` applied.
    pub(crate) fn seal(&self, rewrite: &Rewrite) -> B256 {
        let mut header = self.header.clone();
        header.number = rewrite.number;
        header.parent_hash = rewrite.parent;
        header.timestamp = rewrite.timestamp;
        header.state_root = rewrite.state_root;
        header.transactions_root = rewrite.transactions_root;
        let hash = header.hash_slow();
        match self.sealing {
            Sealing::Header => hash,
            Sealing::StandIn => keccak256([self.hash.as_slice(), hash.as_slice()].concat()),
        }
    }

    pub(crate) fn write(&self, form: Form, fill: &Fill<'_>, out: &mut Vec<u8>) {
        match form {
            Form::Full => &self.full,
            Form::Hashes => &self.hashes,
            Form::Head => &self.head,
            Form::Receipts => &self.receipts,
        }
        .splice(fill, out);
    }

    /// One element of [`Form::Full`]'s transactions or of [`Form::Receipts`]; `false` when there is none.
    pub(crate) fn write_item(&self, form: Form, index: usize, fill: &Fill<'_>, out: &mut Vec<u8>) -> bool {
        match form {
            Form::Full => self.full.splice_item(index, fill, out),
            Form::Receipts => self.receipts.splice_item(index, fill, out),
            Form::Hashes | Form::Head => false,
        }
    }
}

/// The `result` of an answer, or the value itself when it is a bare result.
pub(super) fn result(name: &str, what: &str, bytes: &[u8]) -> Result<Value, Error> {
    let mut value: Value = serde_json::from_slice(bytes)
        .map_err(|e| Error::Data { name: name.to_owned(), what: format!("{what}: {e}") })?;
    Ok(if value.get("jsonrpc").is_some() { value["result"].take() } else { value })
}

/// The header of a block's JSON.
pub(super) fn header(block: &Value) -> Result<Header, String> {
    Ok(Header {
        parent_hash: required(block, "parentHash")?,
        ommers_hash: required(block, "sha3Uncles")?,
        beneficiary: required::<Address>(block, "miner")?,
        state_root: required(block, "stateRoot")?,
        transactions_root: required(block, "transactionsRoot")?,
        receipts_root: required(block, "receiptsRoot")?,
        logs_bloom: required::<Bloom>(block, "logsBloom")?,
        difficulty: optional::<U256>(block, "difficulty")?.unwrap_or_default(),
        number: number(block, "number")?.ok_or("`number` is missing")?,
        gas_limit: number(block, "gasLimit")?.ok_or("`gasLimit` is missing")?,
        gas_used: number(block, "gasUsed")?.ok_or("`gasUsed` is missing")?,
        timestamp: number(block, "timestamp")?.ok_or("`timestamp` is missing")?,
        extra_data: optional::<Bytes>(block, "extraData")?.unwrap_or_default(),
        mix_hash: optional(block, "mixHash")?.unwrap_or_default(),
        nonce: optional::<B64>(block, "nonce")?.unwrap_or_default(),
        base_fee_per_gas: number(block, "baseFeePerGas")?,
        withdrawals_root: optional(block, "withdrawalsRoot")?,
        blob_gas_used: number(block, "blobGasUsed")?,
        excess_blob_gas: number(block, "excessBlobGas")?,
        parent_beacon_block_root: optional(block, "parentBeaconBlockRoot")?,
        requests_hash: optional(block, "requestsHash")?,
        ..Header::default()
    })
}

fn optional<T: FromStr<Err: std::fmt::Display>>(object: &Value, key: &str) -> Result<Option<T>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|e| format!("`{key}`: {e}")),
        Some(_) => Err(format!("`{key}` is no string")),
    }
}

fn required<T: FromStr<Err: std::fmt::Display>>(object: &Value, key: &str) -> Result<T, String> {
    optional(object, key)?.ok_or_else(|| format!("`{key}` is missing"))
}

fn number(object: &Value, key: &str) -> Result<Option<u64>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            quantity(text).map(Some).ok_or_else(|| format!("`{key}`: {text} is no 64-bit hex quantity"))
        }
        Some(_) => Err(format!("`{key}` is no string")),
    }
}

/// A hex quantity (`0x1a`) of at most 64 bits.
pub(crate) fn quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
