//! What filters look at of a transaction, beside its frame, which is text already.

use alloy_primitives::{Address, Selector};
use schemas::{
    Status,
    records::{EnrichedTransaction, Payload},
};
use store::query::Transaction;

/// What filters look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Sender.
    pub from: Option<Address>,
    /// Receiver, created contract and emitters of logs, each once (rule 20).
    pub touched: Box<[Address]>,
    /// Outcome.
    pub status: Status,
    /// Why it failed.
    pub cause: Option<Box<str>>,
    /// Selector of the called function.
    pub method: Option<Selector>,
}

impl Mark {
    /// From the live record; `None` where that is of no transaction.
    pub fn from_record(record: &EnrichedTransaction) -> Option<Self> {
        let Payload::Transaction(payload) = &record.payload else { return None };
        let (tx, found) = &**payload;
        Some(Self {
            from: Some(tx.from_address),
            touched: tx.contracts().into(),
            status: found.status,
            cause: found.failure_cause.as_deref().map(Into::into),
            method: found.method,
        })
    }

    /// From the store's row, which has to have what it touched.
    pub fn from_row(row: &Transaction) -> Self {
        Self {
            from: row.from_address.parse().ok(),
            touched: row.touched.iter().filter_map(|address| address.parse().ok()).collect(),
            status: row.status.parse().unwrap_or(Status::Unknown),
            cause: row.failure_cause.as_deref().map(Into::into),
            method: row.method.as_deref().and_then(|hex| hex.parse().ok()),
        }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.touched) + self.cause.as_ref().map_or(0, |cause| cause.len())
    }
}
