//! `audit_rows`.

use clickhouse::Row;
use schemas::TimeMs;
use serde::Serialize;

use crate::query::{Bucket, Run};

/// A run as the table has it.
type Columns = (u64, u64, u64, u64, u64, u64, u64, u8);

fn columns(r: &Run) -> Columns {
    let stored = (r.transactions_expected, r.transactions_stored, r.logs_expected, r.logs_stored);
    (r.from_height, r.to_height, r.blocks, stored.0, stored.1, stored.2, stored.3, u8::from(r.complete))
}

/// A row of `audit_rows`; columns as there.
#[derive(Debug, Row, Serialize)]
#[allow(missing_docs)]
pub struct AuditRow<'a> {
    pub network: &'a str,
    pub from_height: u64,
    pub version: u64,
    pub stale: u8,
    pub runs: Vec<Columns>,
    pub first_parent: &'a str,
    pub last_hash: &'a str,
    pub audited_at: TimeMs,
}

impl<'a> AuditRow<'a> {
    /// The row of a bucket that was counted. `version`: from before it was read.
    pub fn new(network: &'a str, from_height: u64, version: u64, bucket: &'a Bucket, audited_at: TimeMs) -> Self {
        let Bucket { runs, first_parent, last_hash } = bucket;
        let runs = runs.iter().map(columns).collect();
        Self { network, from_height, version, stale: 0, runs, first_parent, last_hash, audited_at }
    }
}
