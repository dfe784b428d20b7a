//! `evm_log_rows`.

use clickhouse::Row;
use schemas::{
    ChildEnvelope, TimeMs,
    records::{DecodedEvent, EvmLog, EvmTransaction},
};
use serde::Serialize;

use super::{
    hex::{Hex, HexBytes},
    row_version,
};

/// A row of `evm_log_rows`; columns as there.
#[derive(Debug, Row, Serialize)]
#[allow(missing_docs)]
pub struct EvmLogRow<'a> {
    pub network: &'a str,
    pub height: u64,
    pub transaction_index: u32,
    pub log_index: u32,
    pub sequence: u64,
    pub version: u64,
    pub block_hash: &'a str,
    pub block_time: TimeMs,
    pub transaction_hash: Hex<32>,
    pub address: Hex<20>,
    pub topics: Vec<Hex<32>>,
    pub data: HexBytes<'a>,
    pub event: Option<&'a str>,
    pub arguments: Option<&'a str>,
}

impl<'a> EvmLogRow<'a> {
    /// The row of one log of a transaction.
    pub fn new(e: &'a ChildEnvelope, tx: &EvmTransaction, log: &'a EvmLog, event: Option<&'a DecodedEvent>) -> Self {
        Self {
            network: e.network.as_str(),
            height: e.height,
            transaction_index: tx.transaction_index,
            log_index: log.log_index,
            sequence: e.sequence,
            version: row_version(e.sequence),
            block_hash: e.block_hash.as_str(),
            block_time: e.block_time,
            transaction_hash: tx.hash.into(),
            address: log.address.into(),
            topics: log.topics.iter().map(|t| Hex::from(*t)).collect(),
            data: HexBytes(&log.data),
            event: event.map(|d| d.event.as_str()),
            arguments: event.map(|d| d.arguments.as_str()),
        }
    }
}
