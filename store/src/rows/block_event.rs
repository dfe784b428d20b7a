//! `block_event_rows`.

use clickhouse::Row;
use schemas::{Envelope, TimeMs};
use serde::Serialize;

/// A row of `block_event_rows`; columns as there.
#[derive(Debug, Row, Serialize)]
#[allow(missing_docs)]
pub struct BlockEventRow<'a> {
    pub network: &'a str,
    pub sequence: u64,
    pub op: &'static str,
    pub origin: &'static str,
    pub height: u64,
    pub block_hash: &'a str,
    pub block_time: TimeMs,
    pub tx_count: u32,
    pub log_count: u32,
    pub reverts_sequence: Option<u64>,
    pub observed_at: TimeMs,
    pub stored_at: TimeMs,
}

impl<'a> BlockEventRow<'a> {
    /// The row of a block event.
    pub fn new(e: &'a Envelope, stored_at: TimeMs) -> Self {
        Self {
            network: e.network.as_str(),
            sequence: e.sequence,
            op: e.op.as_str(),
            origin: e.origin.as_str(),
            height: e.height,
            block_hash: e.block_hash.as_str(),
            block_time: e.block_time,
            tx_count: e.tx_count,
            log_count: e.log_count,
            reverts_sequence: e.reverts_sequence,
            observed_at: e.observed_at,
            stored_at,
        }
    }
}
