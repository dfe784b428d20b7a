//! `audit_rows`.

use schemas::TimeMs;

use super::native::{Arrays, Column, Numbers, Plain, Strings, Times, Values, Words, columns};
use crate::query::{Bucket, Run};

columns! {
    /// `audit_rows`; columns as there.
    AuditColumns of "audit_rows" {
        network: Words,
        from_height: Numbers<u64>,
        version: Numbers<u64>,
        stale: Numbers<u8>,
        runs: Arrays<Runs>,
        first_parent: Strings,
        last_hash: Strings,
        audited_at: Times,
    }
}

impl AuditColumns {
    /// The row of a bucket that was counted. `version`: from before it was read.
    pub fn push(&mut self, network: &str, from_height: u64, version: u64, bucket: &Bucket, audited_at: TimeMs) {
        let Bucket { runs, first_parent, last_hash } = bucket;
        self.network.push(network);
        self.from_height.push(from_height);
        self.version.push(version);
        self.stale.push(0);
        self.runs.push_all(runs);
        self.first_parent.push(first_parent.as_bytes());
        self.last_hash.push(last_hash.as_bytes());
        self.audited_at.push(audited_at);
    }
}

/// Runs as the table has them: a tuple's members are columns.
pub struct Runs {
    numbers: [Numbers<u64>; 7],
    complete: Numbers<u8>,
}

impl Column for Runs {
    fn kind() -> String {
        format!("Tuple({}UInt8)", "UInt64, ".repeat(7))
    }
    fn with_rows(rows: usize) -> Self {
        Self { numbers: std::array::from_fn(|_| Numbers::with_rows(rows)), complete: Numbers::with_rows(rows) }
    }
    fn rows(&self) -> usize {
        self.complete.rows()
    }
    fn parts(self, out: &mut dyn FnMut(Vec<u8>)) {
        self.numbers.into_iter().for_each(|column| column.parts(out));
        self.complete.parts(out);
    }
}

impl Values for Runs {
    type Value<'v> = &'v Run;
    fn push(&mut self, r: &Run) {
        let values = [
            r.from_height,
            r.to_height,
            r.blocks,
            r.transactions_expected,
            r.transactions_stored,
            r.logs_expected,
            r.logs_stored,
        ];
        self.numbers.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        self.complete.push(r.word());
    }
    fn push_empty(&mut self) {
        self.numbers.iter_mut().for_each(Values::push_empty);
        self.complete.push_empty();
    }
}

impl Plain for Runs {}
