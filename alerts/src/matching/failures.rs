//! Failed transactions of a network of late: what evidence names as causes and as an example.
//!
//! Guarantee: bounded; of a window, the newest failures that are held, each once, and none of a reverted block.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::{Address, B256};
use schemas::{
    Status, TimeMs,
    limits::alerts as limits,
    records::{Enrichment, EvmTransaction},
};

/// A failure.
#[derive(Debug)]
struct Failed {
    sequence: u64,
    at: TimeMs,
    hash: B256,
    cause: Option<String>,
    /// Contracts of rules that it is of.
    contracts: Vec<Address>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Failures(VecDeque<Failed>);

/// Stands for a cause that is not known (yet, or at all).
pub const UNKNOWN: &str = "unknown";

impl Failures {
    /// Takes a transaction of a block; one that did not fail is passed over.
    pub fn take(
        &mut self,
        (sequence, at): (u64, TimeMs),
        transaction: &EvmTransaction,
        enrichment: &Enrichment,
        contracts: &BTreeSet<Address>,
    ) {
        if enrichment.status != Status::Failed {
            return;
        }
        let is_of = |contract: &&Address| {
            transaction.to_address == Some(**contract)
                || transaction.receipt_contract_address == Some(**contract)
                || transaction.logs.iter().any(|log| log.address == **contract)
        };
        let contracts = contracts.iter().filter(is_of).copied().collect();
        let (hash, cause) = (transaction.hash, enrichment.failure_cause.clone());
        self.0.push_back(Failed { sequence, at, hash, cause, contracts });
        while self.0.len() > limits::FAILURES_OF_NETWORK {
            self.0.pop_front();
        }
    }

    /// The cause of a failure was found.
    pub fn name(&mut self, sequence: u64, hash: B256, cause: &str) {
        let same = |failed: &&mut Failed| failed.sequence == sequence && failed.hash == hash;
        if let Some(failed) = self.0.iter_mut().rev().find(same) {
            failed.cause = Some(cause.to_owned());
        }
    }

    /// The block of this event was reverted.
    pub fn revert(&mut self, sequence: u64) {
        self.0.retain(|failed| failed.sequence != sequence);
    }

    /// Causes of what failed in (from, to], the most frequent first, and the newest failure.
    pub fn told(&self, contract: Option<Address>, from: TimeMs, to: TimeMs) -> (Vec<(String, u64)>, Option<B256>) {
        let is_of = |failed: &&Failed| {
            failed.at > from && failed.at <= to && contract.is_none_or(|contract| failed.contracts.contains(&contract))
        };
        let (mut causes, mut example) = (BTreeMap::<&str, u64>::new(), None);
        for failed in self.0.iter().filter(is_of) {
            *causes.entry(failed.cause.as_deref().unwrap_or(UNKNOWN)).or_default() += 1;
            example = Some(failed.hash);
        }
        let mut causes: Vec<(String, u64)> =
            causes.into_iter().map(|(cause, count)| (cause.to_owned(), count)).collect();
        causes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        causes.truncate(limits::CAUSES_OF_EVIDENCE);
        (causes, example)
    }
}
