//! What a simulated node was asked and what it served.

use super::recorded::Form;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Most different method names that are counted.
const METHOD_LIMIT: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Stats {
    methods: Mutex<BTreeMap<String, u64>>,
    blocks: AtomicU64,
    receipts: AtomicU64,
    transactions: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
    throttled: AtomicU64,
    notifications: AtomicU64,
}

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls by method.
    pub methods: BTreeMap<String, u64>,
    /// Blocks served, with whole transactions or hashes.
    pub blocks: u64,
    /// Blocks whose receipts were served.
    pub receipts: u64,
    /// Transactions in blocks that were served whole.
    pub transactions: u64,
    /// Bytes of answers and notifications.
    pub bytes: u64,
    /// Requests: HTTP bodies and WebSocket frames, control calls left out.
    pub requests: u64,
    /// Of these, requests over the limit.
    pub throttled: u64,
    /// New heads that were announced over WebSockets.
    pub notifications: u64,
}

impl Counts {
    /// Calls by method since `before`, for each of so many; methods that were not called are left out.
    pub(crate) fn calls_since(&self, before: &Self, many: f64) -> BTreeMap<String, f64> {
        let since = |(name, count): (&String, &u64)| {
            let calls = count.saturating_sub(before.methods.get(name).copied().unwrap_or(0));
            (calls > 0).then(|| (name.clone(), calls as f64 / many))
        };
        self.methods.iter().filter_map(since).collect()
    }
}

impl Stats {
    pub(crate) fn called(&self, method: &str) {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = methods.get_mut(method) {
            *count += 1;
        } else if methods.len() < METHOD_LIMIT {
            methods.insert(method.to_owned(), 1);
        }
    }

    pub(crate) fn served(&self, form: Form, transactions: u64) {
        match form {
            Form::Receipts => drop(self.receipts.fetch_add(1, Relaxed)),
            Form::Full => {
                self.blocks.fetch_add(1, Relaxed);
                self.transactions.fetch_add(transactions, Relaxed);
            }
            Form::Hashes | Form::Head => drop(self.blocks.fetch_add(1, Relaxed)),
        }
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn asked(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn throttled(&self) {
        self.throttled.fetch_add(1, Relaxed);
    }

    pub(crate) fn notified(&self) {
        self.notifications.fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Counts {
        Counts {
            methods: self.methods.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            blocks: self.blocks.load(Relaxed),
            receipts: self.receipts.load(Relaxed),
            transactions: self.transactions.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            requests: self.requests.load(Relaxed),
            throttled: self.throttled.load(Relaxed),
            notifications: self.notifications.load(Relaxed),
        }
    }
}
