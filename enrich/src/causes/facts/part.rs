//! One partition in this stage's hands: what is known of its contracts, how far the stream was read, and who looks at contracts of its
//! networks.
//!
//! Guarantee: what is written follows from the partition's own topic, read to its end before anything is added, and from the records of
//! the stream behind the position that is committed with it.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use alloy_primitives::{Address, B256};
use schemas::{
    BlockHash, Network, Op, TimeMs,
    codec::Codec,
    headers::ChainHeaders,
    limits::{REORG_LIMIT_BLOCKS, facts as limits},
    records::{Contract, ContractFacts, EvmTransaction, FactSource, FactsFold, Payload, RawTransaction},
};

use runtime::log::Record;

use super::{
    evidence,
    finder::{Found, Shared},
    ledger::{At, Ledger, Place},
    operators::Operators,
    proxy,
    sources::Answered,
    waiting::{Known, URGENT, Wish},
};

/// How much more a contract counts that stands behind one that was looked at, or that a log named.
const BEHIND: u32 = 50;
/// Addresses up to this one are precompiled contracts, and nobody's.
const PRECOMPILED: u64 = 0xffff;

/// What one network's part holds beside the facts.
#[derive(Default)]
pub struct OfNetwork {
    /// Who looks at its contracts, and what he shares.
    pub shared: Arc<Shared>,
    /// Hashes of blocks that were reverted, the newest last.
    reverted: (HashSet<BlockHash>, VecDeque<BlockHash>),
}

impl OfNetwork {
    fn reverted(&mut self, hash: &BlockHash) {
        let (set, order) = &mut self.reverted;
        if set.insert(hash.clone()) {
            order.push_back(hash.clone());
        }
        while order.len() as u64 > 2 * REORG_LIMIT_BLOCKS {
            if let Some(oldest) = order.pop_front() {
                set.remove(&oldest);
            }
        }
    }

    /// A block of this hash stands again.
    fn applied(&mut self, hash: &BlockHash) {
        self.reverted.0.remove(hash);
    }
}

/// See the module.
#[derive(Default)]
pub struct Part {
    /// What is known.
    pub ledger: Ledger,
    /// Where the stream is read on.
    pub next: u64,
    /// What was committed of it.
    pub committed: u64,
    /// Whether `next` is further than what was committed.
    pub read_on: bool,
    /// Its networks, as far as something of them came.
    pub networks: BTreeMap<Network, OfNetwork>,
    before: Option<Network>,
}

impl Part {
    /// Nothing is known yet; the stream is read on from there.
    pub fn from(next: u64) -> Self {
        Self { next, committed: next, ..Self::default() }
    }

    /// All that was found up to `next` is in the log.
    pub fn is_committed(&mut self) {
        (self.committed, self.read_on) = (self.next, false);
    }

    /// Takes a record of `contract.facts`, when the partition is taken over.
    pub fn remember(&mut self, facts: ContractFacts) {
        let network = self.networks.entry(facts.network.clone()).or_default();
        network.shared.abi(facts.address, facts.abi.is_some());
        self.ledger.put(facts);
    }

    /// Takes the next record of the stream. `see`: whether contracts that it touches may be taken note of, which costs reading it.
    pub fn take(&mut self, codec: &Codec, record: &Record, see: impl FnOnce() -> bool) {
        (self.next, self.read_on) = (record.offset + 1, true);
        let Ok(headers) = ChainHeaders::parse_near(|name| record.header(name), self.before.as_ref()) else { return };
        let network = headers.network;
        self.before = Some(network.clone());
        let Some(value) = record.value.as_ref().filter(|value| codec.may_be_evm(value)) else { return };
        let may_say = headers.op == Op::Apply && evidence::may_say_something(value);
        if headers.op == Op::Finality || !(headers.op == Op::Revert || may_say || see()) {
            return;
        }
        // What cannot be read went to the dead letters by others' hands.
        let Ok(raw) = codec.decode::<RawTransaction>(value) else { return };
        let (height, hash, now) = (raw.envelope.height, raw.envelope.block_hash, TimeMs::now());
        let of = self.networks.entry(network.clone()).or_default();
        match raw.payload {
            Payload::Revert => {
                of.reverted(&hash);
                let touched = self.ledger.revert(&network, height, now);
                let mut waiting = of.shared.waiting();
                touched.iter().for_each(|address| waiting.forget(address));
            }
            Payload::Evm(transaction) => {
                of.applied(&hash);
                self.ledger.came(&network, height);
                let at = At { height, hash: &hash, now };
                if may_say {
                    let (changes, proxies) = evidence::changes(&transaction);
                    for change in &changes {
                        self.ledger.change(&network, &at, change);
                    }
                    let named = changes.iter().filter_map(|change| change.address).chain(proxies);
                    let weighted: Vec<(Address, u32)> = named.map(|address| (address, BEHIND)).collect();
                    self.see(&network, height, &hash, weighted.into_iter());
                }
                let seen = touched(&transaction).map(|address| (address, 1));
                self.see(&network, height, &hash, seen.collect::<Vec<_>>().into_iter());
            }
            // No contracts.
            Payload::Bitcoin(_) | Payload::Unreadable { .. } => {}
        }
    }

    /// Contracts were seen in a block; each with how much that counts.
    fn see(
        &mut self,
        network: &Network,
        height: u64,
        hash: &BlockHash,
        contracts: impl Iterator<Item = (Address, u32)>,
    ) {
        let (Some(of), Ok(hash)) = (self.networks.get(network), hash.as_str().parse::<B256>()) else { return };
        let now = Instant::now();
        let mut waiting = of.shared.waiting();
        for (address, weight) in contracts.filter(|(address, _)| !is_precompiled(address)) {
            let place: Place = (network.clone(), address);
            let facts = self.ledger.get(&place);
            let first = facts.and_then(|facts| facts.implementations.first());
            let known = Known {
                lowest: first.filter(|_| !self.ledger.is_to_be_confirmed(&place)).map(|first| first.from_height),
                silent: facts.and_then(|facts| facts.proxy).is_some_and(proxy::is_silent),
            };
            // Somebody calls it his own.
            let named = facts.is_some_and(|facts| facts.name_source == Some(FactSource::Operator));
            waiting.see(Wish { address, height, hash }, if named { URGENT } else { weight }, known, now);
        }
        drop(waiting);
        of.shared.saw();
    }

    /// What a node said of contracts of this partition.
    pub fn found(&mut self, found: Found) {
        let Found { network, height, hash, behind } = found;
        let Some(of) = self.networks.get(&network) else { return };
        if of.reverted.0.contains(&hash) {
            return;
        }
        let mut next: Vec<Address> = Vec::new();
        for (address, behind) in behind {
            for to in behind.implementations.iter().filter_map(|i| i.address) {
                if !next.contains(&to) && next.len() < limits::ABIS {
                    next.push(to);
                }
            }
            self.ledger.behind(&(network.clone(), address), &At { height, hash: &hash, now: TimeMs::now() }, behind);
        }
        self.see(&network, height, &hash, next.into_iter().map(|address| (address, BEHIND)));
    }

    /// What a contract source said.
    pub fn answered(&mut self, answered: Answered) {
        let Answered { network, address, said } = answered;
        let Some(of) = self.networks.get(&network) else { return };
        if said.abi.is_some() {
            of.shared.abi(address, true);
        }
        self.ledger.verified(&(network, address), TimeMs::now(), said);
    }

    /// What the operator says of the contracts of this partition's networks, all of it.
    pub fn operators(&mut self, partition: u32, of: &Operators) {
        let now = TimeMs::now();
        let mine = |network: &Network| of.partitions.get(network) == Some(&partition);
        for (place, contract) in of.contracts.iter().filter(|((network, _), _)| mine(network)) {
            self.operator(place, now, Some(contract));
        }
        let gone = self.ledger.said_by_operator().into_iter().filter(|place| !of.contracts.contains_key(place));
        for place in gone.collect::<Vec<_>>() {
            self.operator(&place, now, None);
        }
    }

    fn operator(&mut self, place: &Place, now: TimeMs, contract: Option<&Contract>) {
        self.ledger.operators(place, now, contract);
        let known = self.ledger.get(place).is_some_and(|facts| facts.abi.is_some());
        self.networks.entry(place.0.clone()).or_default().shared.abi(place.1, known);
    }

    /// A part of the stream is gone: what it may have said of proxies is asked for.
    pub fn missed(&mut self) {
        self.networks.values().for_each(|of| of.shared.waiting().forget_all());
    }
}

/// Contracts that a transaction calls, makes, or has logs of: whoever is only sent something is not called.
fn touched(transaction: &EvmTransaction) -> impl Iterator<Item = Address> {
    let has_logs = |address: &Address| transaction.logs.iter().any(|log| log.address == *address);
    let sent = transaction.to_address.filter(|to| transaction.input.is_empty() && !has_logs(to));
    transaction.contracts().into_iter().filter(move |address| Some(*address) != sent)
}

fn is_precompiled(address: &Address) -> bool {
    let (high, low) = address.split_at(12);
    high.iter().all(|b| *b == 0) && low.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)) <= PRECOMPILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precompiled_contracts_are_nobodys() {
        let of = |n: u64| Address::from_word(B256::from(alloy_primitives::U256::from(n)));
        assert!(is_precompiled(&of(0)) && is_precompiled(&of(10)) && is_precompiled(&of(0x100)));
        assert!(!is_precompiled(&of(0x10000)) && !is_precompiled(&Address::repeat_byte(0x42)));
    }
}
