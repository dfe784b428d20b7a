//! What a block's transactions do at watched contracts.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use alloy_primitives::Address;
use schemas::{
    Status, TimeMs,
    limits::{CONTRACTS_PER_BLOCK, windows::CONTRACTS_BYTES},
    records::{ContractSum, EvmTransaction, Figures},
    sketch::{Bins, Distinct},
};

use super::summary::Paid;

/// The contracts of a network that somebody calls his own, and the block time from which on every block is looked through for each.
pub type Watched = Arc<HashMap<Address, TimeMs>>;

/// The watched ones among the contracts of a transaction.
pub fn touched(tx: &EvmTransaction, watched: &HashSet<Address>) -> Vec<Address> {
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
    /// contracts that emitted its logs, and whether each is a transfer of a token; looked at only where something is watched.
    pub fn add(&mut self, tx: &Figures, status: Status, paid: Paid, logs: impl Iterator<Item = (Address, bool)>) {
        if self.watched.is_empty() {
            return;
        }
        self.touched.clear();
        for address in tx.to_address.into_iter().chain(tx.receipt_contract_address) {
            if self.watched.contains_key(&address) && !self.touched.contains(&address) {
                self.touched.push(address);
            }
        }
        for (address, is_transfer) in logs {
            if self.watched.contains_key(&address) {
                let sum = self.sum(address);
                sum.logs += 1;
                sum.token_transfers += u32::from(is_transfer);
                if !self.touched.contains(&address) {
                    self.touched.push(address);
                }
            }
        }
        let touched = std::mem::take(&mut self.touched);
        for address in &touched {
            count(self.sum(*address), tx, status, paid);
        }
        self.touched = touched; // its room is kept
    }

    fn sum(&mut self, address: Address) -> &mut ContractSum {
        let Self { watched, sums, .. } = self;
        sums.entry(address).or_insert_with(|| ContractSum {
            address,
            bins: Some(Bins::default()),
            senders: Some(Distinct::default()),
            watched_from: watched.get(&address).copied(),
            ..ContractSum::default()
        })
    }

    /// The sums by address, and how many of the least used ones are left out, since a header record has its limit
    /// ([`CONTRACTS_PER_BLOCK`], [`CONTRACTS_BYTES`]).
    pub fn done(self) -> (Vec<ContractSum>, usize) {
        let mut sums: Vec<ContractSum> = self.sums.into_values().collect();
        // So many fit, whatever they are.
        if sums.len() <= CONTRACTS_BYTES / ContractSum::BYTES_AT_MOST {
            return (sums, 0);
        }
        let touched = sums.len();
        let mut bytes: usize = sums.iter().map(ContractSum::bytes).sum();
        if touched > CONTRACTS_PER_BLOCK || bytes > CONTRACTS_BYTES {
            sums.sort_by_key(|sum| (std::cmp::Reverse(sum.transactions), sum.address));
            while sums.len() > CONTRACTS_PER_BLOCK || bytes > CONTRACTS_BYTES {
                bytes = bytes.saturating_sub(sums.pop().map_or(bytes, |sum| sum.bytes()));
            }
            sums.sort_by_key(|sum| sum.address);
        }
        let left_out = touched - sums.len();
        (sums, left_out)
    }
}

/// Counts a transaction at one contract.
fn count(sum: &mut ContractSum, tx: &Figures, status: Status, paid: Paid) {
    sum.transactions += 1;
    sum.failed += u32::from(status == Status::Failed);
    sum.unknown += u32::from(status == Status::Unknown);
    sum.gas_used = sum.gas_used.saturating_add(tx.receipt_gas_used);
    if status != Status::Failed {
        sum.value_total = sum.value_total.saturating_add(tx.value);
    }
    match paid.fee {
        Some(fee) => sum.fee_total = sum.fee_total.saturating_add(fee),
        None => sum.fee_unknown += 1,
    }
    if let Some(price) = paid.price {
        sum.gas_price_sum = sum.gas_price_sum.saturating_add(price);
        sum.gas_price_count += 1;
        sum.gas_price_min = Some(sum.gas_price_min.map_or(price, |p| p.min(price)));
        sum.gas_price_max = Some(sum.gas_price_max.map_or(price, |p| p.max(price)));
        sum.bins.get_or_insert_default().add(price);
    }
    sum.senders.get_or_insert_default().add(tx.from_address.as_slice());
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    fn at(n: u64) -> Address {
        Address::left_padding_from(&n.to_be_bytes())
    }

    /// From the sender of this number, with a value of twice the gas.
    fn tx(from: u64, to: Option<u64>, created: Option<u64>, gas: u64) -> Figures {
        Figures {
            from_address: at(from),
            to_address: to.map(at),
            receipt_contract_address: created.map(at),
            receipt_gas_used: gas,
            value: U256::from(2 * gas),
            ..Figures::default()
        }
    }

    fn paid(fee: u64, price: u64) -> Paid {
        Paid { fee: Some(U256::from(fee)), price: Some(U256::from(price)) }
    }

    fn watched(contracts: impl IntoIterator<Item = u64>) -> Watched {
        Arc::new(contracts.into_iter().map(|n| (at(n), TimeMs(n as i64))).collect())
    }

    #[test]
    fn a_transaction_counts_once_at_each_contract_that_it_touches() {
        let mut contracts = Contracts::of(watched([1, 2, 3]));
        let logs = [(1, false), (2, true), (2, false), (9, true)].map(|(n, transfer)| (at(n), transfer));
        contracts.add(&tx(7, Some(1), None, 10), Status::Success, paid(30, 3), logs.into_iter());
        contracts.add(&tx(7, Some(1), None, 5), Status::Failed, paid(20, 4), std::iter::empty());
        contracts.add(&tx(8, None, Some(3), 7), Status::Unknown, Paid::default(), [(at(3), true)].into_iter());
        contracts.add(&tx(8, Some(9), None, 99), Status::Failed, paid(1, 1), [(at(8), true)].into_iter());
        let sum = |n: u64,
                   (transactions, failed, unknown, logs, gas_used),
                   (fee, unknown_fees, value),
                   prices: &[u64],
                   transfers| {
            let (mut bins, mut senders) = (Bins::default(), Distinct::default());
            prices.iter().for_each(|price| bins.add(U256::from(*price)));
            senders.add(at(if n == 3 { 8 } else { 7 }).as_slice());
            ContractSum {
                address: at(n),
                transactions,
                failed,
                unknown,
                logs,
                gas_used,
                token_transfers: transfers,
                fee_total: U256::from(fee),
                fee_unknown: unknown_fees,
                value_total: U256::from(value),
                gas_price_sum: U256::from(prices.iter().sum::<u64>()),
                gas_price_count: prices.len() as u32,
                gas_price_min: prices.iter().min().map(|price| U256::from(*price)),
                gas_price_max: prices.iter().max().map(|price| U256::from(*price)),
                bins: Some(bins),
                senders: Some(senders),
                watched_from: Some(TimeMs(n as i64)),
            }
        };
        let wanted = vec![
            sum(1, (2, 1, 0, 1, 15), (50, 0, 20), &[3, 4], 0),
            sum(2, (1, 0, 0, 2, 10), (30, 0, 20), &[3], 1),
            sum(3, (1, 0, 1, 1, 7), (0, 1, 14), &[], 1),
        ];
        assert_eq!(contracts.done(), (wanted, 0));
    }

    #[test]
    fn what_a_record_has_no_room_for_is_what_is_used_least() {
        let many = CONTRACTS_PER_BLOCK as u64 + 3;
        let mut contracts = Contracts::of(watched(0..many));
        for n in 0..many {
            let times = if n < 3 { 1 } else { 2 };
            (0..times)
                .for_each(|_| contracts.add(&tx(1, Some(n), None, 1), Status::Success, paid(1, 1), std::iter::empty()));
        }
        let (sums, left_out) = contracts.done();
        let bytes: usize = sums.iter().map(ContractSum::bytes).sum();
        assert!(
            sums.len() <= CONTRACTS_PER_BLOCK && bytes <= CONTRACTS_BYTES && sums.len() + left_out == many as usize
        );
        assert!(sums.iter().all(|sum| sum.transactions == 2) && sums.is_sorted_by_key(|sum| sum.address));
    }

    /// One transaction that touches many contracts, from another sender each time, fills their sketches.
    #[test]
    fn sketches_count_in_what_a_record_has_room_for() {
        let mut contracts = Contracts::of(watched(0..400));
        for from in 0..3_000 {
            let logs = (0..400).map(|n| (at(n), true));
            contracts.add(&tx(from, None, None, 1), Status::Success, paid(1, 1 << (from % 64)), logs);
        }
        let (sums, left_out) = contracts.done();
        let bytes: usize = sums.iter().map(ContractSum::bytes).sum();
        assert!(left_out > 0 && bytes <= CONTRACTS_BYTES, "{left_out} left out, {bytes} bytes");
        assert!(sums.iter().all(|sum| sum.bytes() <= ContractSum::BYTES_AT_MOST));
    }
}
