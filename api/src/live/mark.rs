//! What filters look at of a transaction, beside its frame, which is text already.

use alloy_primitives::{Address, Selector};
use schemas::{
    Family, Status,
    records::{CauseEvidence, EnrichedCause, EnrichedTransaction, Payload},
};
use store::query::Transaction;

/// What filters look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Sender.
    pub from: Option<Address>,
    /// Receiver, created contract and emitters of logs, each once (rule 20).
    pub touched: Box<[Address]>,
    /// On Bitcoin: the addresses of what it spends and of its outputs, each once.
    pub accounts: Box<[Box<str>]>,
    /// Outcome.
    pub status: Status,
    /// Why it failed.
    pub cause: Option<Box<str>>,
    /// By what that was found.
    pub found_by: Option<CauseEvidence>,
    /// Selector of the called function.
    pub method: Option<Selector>,
}

impl Mark {
    /// From the live record; `None` where that is of no transaction.
    pub fn from_record(record: &EnrichedTransaction) -> Option<Self> {
        let (tx, found) = match &record.payload {
            Payload::Evm(payload) => &**payload,
            Payload::Bitcoin(tx) => {
                return Some(Self::of_accounts(tx.addresses().into_iter().map(Box::from).collect()));
            }
            Payload::Revert | Payload::Unreadable { .. } => return None,
        };
        Some(Self {
            from: Some(tx.from_address),
            touched: tx.contracts().into(),
            accounts: Box::default(),
            status: found.status,
            cause: found.failure_cause.as_deref().map(Into::into),
            found_by: None,
            method: found.method,
        })
    }

    /// From the store's row, which has to have what it touched.
    pub fn from_row(row: &Transaction) -> Self {
        if row.family == Family::Bitcoin.as_str() {
            return Self::of_accounts(row.touched.iter().map(|address| address.as_str().into()).collect());
        }
        Self {
            from: row.from_address.parse().ok(),
            touched: row.touched.iter().filter_map(|address| address.parse().ok()).collect(),
            accounts: Box::default(),
            status: row.status.parse().unwrap_or(Status::Unknown),
            cause: row.failure_cause.as_deref().map(Into::into),
            found_by: row.found_by.as_deref().and_then(|word| word.parse().ok()),
            method: row.method.as_deref().and_then(|hex| hex.parse().ok()),
        }
    }

    /// From a cause that came later. A transaction that failed has no logs: it touched what it called, and nothing else.
    pub fn from_cause(cause: &EnrichedCause) -> Self {
        Self {
            from: cause.from_address,
            touched: cause.contract.into_iter().collect(),
            accounts: Box::default(),
            status: Status::Failed,
            cause: Some(cause.cause.as_str().into()),
            found_by: Some(cause.found_by),
            method: cause.method,
        }
    }

    /// Of Bitcoin, where nothing fails and nothing is called.
    fn of_accounts(accounts: Box<[Box<str>]>) -> Self {
        Self {
            from: None,
            touched: Box::default(),
            accounts,
            status: Status::Success,
            cause: None,
            found_by: None,
            method: None,
        }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        let accounts = self.accounts.iter().map(|account| size_of::<Box<str>>() + account.len()).sum::<usize>();
        size_of::<Self>() + size_of_val(&*self.touched) + accounts + self.cause.as_ref().map_or(0, |cause| cause.len())
    }
}
