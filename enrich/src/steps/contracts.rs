//! What a block's transactions do at watched contracts.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use alloy_primitives::Address;
use schemas::{
    Status,
    limits::CONTRACTS_PER_BLOCK,
    records::{ContractSum, EvmTransaction, Figures},
};

/// The contracts of a network that somebody calls his own.
pub type Watched = Arc<HashSet<Address>>;

/// The watched ones among the contracts of a transaction.
pub fn touched(tx: &EvmTransaction, watched: &Watched) -> Vec<Address> {
    tx.contracts().into_iter().filter(|address| watched.contains(address)).collect()
}

/// Sums over the transactions of one block, for each watched contract that it touches.
#[derive(Default)]
pub struct Contracts {
    watched: Watched,
    sums: BTreeMap<Address, ContractSum>,
    /// Watched ones of the present transaction, each once.
    touched: Vec<Address>,
}

impl Contracts {
    /// Of these contracts.
    pub fn of(watched: Watched) -> Self {
        Self { watched, ..Self::default() }
    }

    /// Counts a transaction at each contract that it was sent to, that it created, or that it has a log of (rule 20). `logs`: the
    /// contracts that emitted its logs, looked at only where something is watched.
    pub fn add(&mut self, tx: &Figures, status: Status, logs: impl Iterator<Item = Address>) {
        if self.watched.is_empty() {
            return;
        }
        self.touched.clear();
        for address in tx.to_address.into_iter().chain(tx.receipt_contract_address) {
            if self.watched.contains(&address) && !self.touched.contains(&address) {
                self.touched.push(address);
            }
        }
        for address in logs {
            if self.watched.contains(&address) {
                self.sum(address).logs += 1;
                if !self.touched.contains(&address) {
                    self.touched.push(address);
                }
            }
        }
        let touched = std::mem::take(&mut self.touched);
        for address in &touched {
            let sum = self.sum(*address);
            sum.transactions += 1;
            sum.failed += u32::from(status == Status::Failed);
            sum.unknown += u32::from(status == Status::Unknown);
            sum.gas_used = sum.gas_used.saturating_add(tx.receipt_gas_used);
        }
        self.touched = touched; // its room is kept
    }

    fn sum(&mut self, address: Address) -> &mut ContractSum {
        self.sums.entry(address).or_insert_with(|| ContractSum { address, ..ContractSum::default() })
    }

    /// The sums by address, and how many of the least used ones are left out, since a header record has its limit
    /// ([`CONTRACTS_PER_BLOCK`]).
    pub fn done(self) -> (Vec<ContractSum>, usize) {
        let mut sums: Vec<ContractSum> = self.sums.into_values().collect();
        let left_out = sums.len().saturating_sub(CONTRACTS_PER_BLOCK);
        if left_out > 0 {
            sums.sort_by_key(|sum| (std::cmp::Reverse(sum.transactions), sum.address));
            sums.truncate(CONTRACTS_PER_BLOCK);
            sums.sort_by_key(|sum| sum.address);
        }
        (sums, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Address {
        Address::left_padding_from(&n.to_be_bytes())
    }

    fn tx(to: Option<u64>, created: Option<u64>, gas: u64) -> Figures {
        Figures {
            to_address: to.map(at),
            receipt_contract_address: created.map(at),
            receipt_gas_used: gas,
            ..Figures::default()
        }
    }

    #[test]
    fn a_transaction_counts_once_at_each_contract_that_it_touches() {
        let mut contracts = Contracts::of(Arc::new([1, 2, 3].map(at).into()));
        contracts.add(&tx(Some(1), None, 10), Status::Success, [1, 2, 2, 9].map(at).into_iter());
        contracts.add(&tx(Some(1), None, 5), Status::Failed, std::iter::empty());
        contracts.add(&tx(None, Some(3), 7), Status::Unknown, [3].map(at).into_iter());
        contracts.add(&tx(Some(9), None, 99), Status::Failed, [8].map(at).into_iter());
        let sum = |n, (transactions, failed, unknown, logs, gas_used)| ContractSum {
            address: at(n),
            transactions,
            failed,
            unknown,
            logs,
            gas_used,
        };
        let wanted = vec![sum(1, (2, 1, 0, 1, 15)), sum(2, (1, 0, 0, 2, 10)), sum(3, (1, 0, 1, 1, 7))];
        assert_eq!(contracts.done(), (wanted, 0));
    }

    #[test]
    fn what_a_record_has_no_room_for_is_what_is_used_least() {
        let many = CONTRACTS_PER_BLOCK as u64 + 3;
        let mut contracts = Contracts::of(Arc::new((0..many).map(at).collect()));
        for n in 0..many {
            let times = if n < 3 { 1 } else { 2 };
            (0..times).for_each(|_| contracts.add(&tx(Some(n), None, 1), Status::Success, std::iter::empty()));
        }
        let (sums, left_out) = contracts.done();
        assert_eq!((sums.len(), left_out), (CONTRACTS_PER_BLOCK, 3));
        assert!(sums.iter().all(|sum| sum.transactions == 2) && sums.is_sorted_by_key(|sum| sum.address));
    }
}
