//! The records of `control.config`, one after the other.

use std::collections::HashMap;

use schemas::{
    Network,
    codec::Codec,
    records::{Request, WatchedAddress},
};

use super::{
    requests::{Requests, Wishes},
    watched::Addresses,
};
use crate::log::{Record, compacted::key};

/// What follows from the records below `next`.
#[derive(Debug, Clone, Default)]
pub(super) struct Fold {
    pub requests: Requests,
    pub addresses: Addresses,
    /// The offset behind the last record that it follows from.
    pub next: u64,
}

/// What changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub requests: bool,
    pub addresses: bool,
}

impl Fold {
    /// Takes the next record; one that was taken before changes nothing.
    pub fn take(&mut self, codec: &Codec, record: &Record) -> Changed {
        let mut changed = Changed::default();
        if record.offset < self.next {
            return changed;
        }
        self.next = record.offset + 1;
        // Without a key it is another program's, which who reads partitions counts. Other kinds are others', or of later versions.
        let Some(key) = key(record) else { return changed };
        match key.split_once('/') {
            Some((WatchedAddress::KIND, _)) => changed.addresses = self.addresses.take(codec, record, key),
            _ => {
                if let Some(id) = Request::id_in(key) {
                    changed.requests = self.requests.take(codec, record, id);
                }
            }
        }
        changed
    }

    pub fn wishes(&self) -> HashMap<Network, Wishes> {
        self.requests.wishes()
    }

    /// Takes the place of another one; what is the same stays the very same.
    pub fn keep(&mut self, former: &Self) {
        if self.requests.known == former.requests.known {
            self.requests.known = former.requests.known.clone();
        }
        self.addresses.keep(&former.addresses);
    }
}
