//! What is known of the contracts of a partition, and what becomes of it with each thing that is found out. Pure, but for the clock that
//! it is told.
//!
//! Guarantee: a function of what it was told, in order; what changed is given once, as the records to be written. What an operator says
//! of name and ABI stands over everything else. A revert takes back exactly what rests on the reverted block and those above it. Sizes
//! have limits; what is beyond them is refused and counted, the operator's contracts excepted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy_primitives::Address;
use schemas::{
    BlockHash, Network, TimeMs,
    limits::facts as limits,
    records::{Contract, ContractFacts, FactSource, FactsFold, FoundBy, Implementation, ProxyKind},
};

use super::evidence::Change;

/// A contract of a network.
pub type Place = (Network, Address);

/// Where and when something was found.
#[derive(Debug, Clone)]
pub struct At<'a> {
    /// The block's height.
    pub height: u64,
    /// Its hash.
    pub hash: &'a BlockHash,
    /// Now, by the stage's clock.
    pub now: TimeMs,
}

/// What a question to a node found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behind {
    /// What kind of proxy it is.
    pub proxy: Option<ProxyKind>,
    /// What it hands calls on to.
    pub implementations: Vec<Implementation>,
}

/// What a contract source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which kind of source.
    pub source: FactSource,
    /// Its host.
    pub host: String,
    /// The contract's name.
    pub name: Option<String>,
    /// Its ABI: checked, and it fits the code.
    pub abi: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    of: HashMap<Place, ContractFacts>,
    /// Contracts with entries that rest on the block of a height.
    rests: HashMap<Network, BTreeMap<u64, BTreeSet<Address>>>,
    changed: BTreeSet<Place>,
    abi_bytes: usize,
    /// Things that were refused for want of room.
    pub refused: u64,
}

impl FactsFold for Ledger {
    fn put(&mut self, facts: ContractFacts) {
        let place = (facts.network.clone(), facts.address);
        let former = self.of.get(&place).map_or(0, abi_bytes);
        self.abi_bytes = self.abi_bytes - former + abi_bytes(&facts);
        for entry in &facts.implementations {
            self.rest(&place, entry.from_height);
        }
        self.of.insert(place, facts);
    }

    fn remove(&mut self, network: &Network, address: Address) {
        if let Some(former) = self.of.remove(&(network.clone(), address)) {
            self.abi_bytes -= abi_bytes(&former);
        }
    }
}

fn abi_bytes(facts: &ContractFacts) -> usize {
    facts.abi.as_ref().map_or(0, String::len)
}

impl Ledger {
    /// What is known of a contract.
    pub fn get(&self, place: &Place) -> Option<&ContractFacts> {
        self.of.get(place)
    }

    /// Contracts, and bytes of their ABIs.
    pub fn size(&self) -> (usize, usize) {
        (self.of.len(), self.abi_bytes)
    }

    /// A log said something.
    pub fn change(&mut self, network: &Network, at: &At<'_>, change: &Change) {
        let place = (network.clone(), change.contract);
        let entry = Implementation {
            from_height: at.height,
            selector: change.selector,
            address: change.address,
            found_by: FoundBy::Stream,
            block_hash: Some(at.hash.clone()),
        };
        self.alter(&place, at.now, |facts| {
            let kind = change.proxy.filter(|_| facts.proxy.is_none());
            facts.proxy = kind.or(facts.proxy);
            insert(&mut facts.implementations, entry) | kind.is_some()
        });
    }

    /// A node said what stands behind a contract.
    pub fn behind(&mut self, place: &Place, at: &At<'_>, behind: Behind) {
        if behind == Behind::default() && !self.of.contains_key(place) {
            return;
        }
        self.alter(place, at.now, |facts| {
            let kind = behind.proxy.filter(|kind| facts.proxy != Some(*kind));
            facts.proxy = kind.or(facts.proxy);
            let mut any = kind.is_some();
            for entry in behind.implementations {
                any |=
                    insert(&mut facts.implementations, Implementation { block_hash: Some(at.hash.clone()), ..entry });
            }
            any
        });
    }

    /// A contract source said something.
    pub fn verified(&mut self, place: &Place, now: TimeMs, said: Verified) {
        let more = said.abi.as_ref().map_or(0, String::len);
        if self.abi_bytes + more > limits::ABI_BYTES / 4 * 3 {
            self.refused += 1;
            return;
        }
        self.alter(place, now, |facts| {
            let mut any = false;
            if let Some(name) = said.name
                && facts.name_source != Some(FactSource::Operator)
                && facts.name.as_ref() != Some(&name)
            {
                (facts.name, facts.name_source, any) = (Some(name), Some(said.source), true);
            }
            if let Some(abi) = said.abi
                && facts.abi_source != Some(FactSource::Operator)
                && facts.abi.as_ref() != Some(&abi)
            {
                (facts.abi, facts.abi_source, any) = (Some(abi), Some(said.source), true);
            }
            if any {
                facts.source_host = Some(said.host);
            }
            any
        });
    }

    /// What the operator says of a contract now; `None`: nothing any more.
    pub fn operators(&mut self, place: &Place, now: TimeMs, contract: Option<&Contract>) {
        if contract.is_none() && !self.of.contains_key(place) {
            return;
        }
        self.alter_always(place, now, |facts| {
            let before = (facts.name.clone(), facts.name_source, facts.abi.clone(), facts.abi_source);
            let name = contract.map(|c| &c.name);
            if name.is_some() || facts.name_source == Some(FactSource::Operator) {
                facts.name = name.cloned();
                facts.name_source = name.map(|_| FactSource::Operator);
            }
            let abi = contract.and_then(|c| c.abi.as_ref());
            if abi.is_some() || facts.abi_source == Some(FactSource::Operator) {
                facts.abi = abi.cloned();
                facts.abi_source = abi.map(|_| FactSource::Operator);
            }
            let of_source = |source: Option<FactSource>| source.is_some_and(|s| s != FactSource::Operator);
            if !of_source(facts.name_source) && !of_source(facts.abi_source) {
                facts.source_host = None;
            }
            before != (facts.name.clone(), facts.name_source, facts.abi.clone(), facts.abi_source)
        });
    }

    /// Contracts of a network of which the operator says something.
    pub fn said_by_operator(&self) -> BTreeSet<Place> {
        let said = |f: &ContractFacts| [f.name_source, f.abi_source].contains(&Some(FactSource::Operator));
        self.of.iter().filter(|(_, facts)| said(facts)).map(|(place, _)| place.clone()).collect()
    }

    /// A block was reverted: what rests on it, or on one above it, is gone. Gives the contracts that this is about.
    pub fn revert(&mut self, network: &Network, height: u64, now: TimeMs) -> BTreeSet<Address> {
        let Some(rests) = self.rests.get_mut(network) else { return BTreeSet::new() };
        let above: BTreeSet<Address> = rests.split_off(&height).into_values().flatten().collect();
        for address in above.iter().copied() {
            self.alter(&(network.clone(), address), now, |facts| {
                let before = facts.implementations.len();
                facts.implementations.retain(|i| i.from_height < height);
                let any = facts.implementations.len() < before;
                if any && facts.implementations.is_empty() {
                    // It is to be looked at again, if it is there at all on the other branch.
                    facts.proxy = None;
                }
                any
            });
        }
        above
    }

    fn rest(&mut self, (network, address): &Place, height: u64) {
        self.rests.entry(network.clone()).or_default().entry(height).or_default().insert(*address);
    }

    fn alter(&mut self, place: &Place, now: TimeMs, change: impl FnOnce(&mut ContractFacts) -> bool) {
        if !self.of.contains_key(place) && self.of.len() >= limits::CONTRACTS / 4 * 3 {
            self.refused += 1;
            return;
        }
        self.alter_always(place, now, change);
    }

    fn alter_always(&mut self, place: &Place, now: TimeMs, change: impl FnOnce(&mut ContractFacts) -> bool) {
        let nothing = || ContractFacts::nothing(place.0.clone(), place.1);
        let known = self.of.entry(place.clone()).or_insert_with(nothing);
        let former = abi_bytes(known);
        if change(known) {
            // Above all that was said of this contract, its removals included, as long as clocks do not jump.
            known.revision = (known.revision + 1).max(u64::try_from(now.0).unwrap_or(0));
            known.found_at = now;
            self.abi_bytes = self.abi_bytes - former + abi_bytes(known);
            let heights: BTreeSet<u64> = known.implementations.iter().map(|i| i.from_height).collect();
            heights.into_iter().for_each(|height| self.rest(place, height));
            self.changed.insert(place.clone());
        } else if known.is_nothing() {
            self.of.remove(place);
        }
    }

    /// What changed since this was asked last: the present facts, or that there are none any more.
    pub fn take_changes(&mut self) -> Vec<ContractFacts> {
        let changed = std::mem::take(&mut self.changed);
        let present = changed.into_iter().filter_map(|place| {
            let facts = self.of.get(&place)?.clone();
            if facts.is_nothing() {
                self.of.remove(&place);
            }
            Some(facts)
        });
        present.collect()
    }

    /// Whether something is to be written.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }
}

/// Puts an entry in its place. True when that is news.
fn insert(list: &mut Vec<Implementation>, entry: Implementation) -> bool {
    let (height, selector) = (entry.from_height, entry.selector);
    let same = |i: &Implementation| i.selector == selector;
    let held = list.iter().rposition(|i| same(i) && i.from_height <= height);
    if let Some(held) = held.and_then(|at| list.get_mut(at)) {
        if held.address == entry.address {
            return false;
        }
        // Of several in one block the last one counts from the next block on.
        if held.from_height == height {
            *held = entry;
            return true;
        }
    }
    // What a node said of a later block holds from here on already, as far as anybody knows.
    let next = list.iter().position(|i| same(i) && i.from_height > height);
    if let Some(next) = next
        && list[next].address == entry.address
        && list[next].found_by == FoundBy::Call
    {
        list.remove(next);
    }
    let at = list.iter().rposition(|i| i.from_height <= height).map_or(0, |at| at + 1);
    list.insert(at, entry);
    if list.len() > limits::IMPLEMENTATIONS {
        list.remove(0);
    }
    true
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, FixedBytes};

    use super::*;

    fn network() -> Network {
        "eth".parse().expect("a slug")
    }

    fn address(n: u8) -> Address {
        Address::repeat_byte(n)
    }

    fn place(n: u8) -> Place {
        (network(), address(n))
    }

    fn hash(n: u64) -> BlockHash {
        BlockHash::from(B256::with_last_byte(n as u8))
    }

    fn upgraded(ledger: &mut Ledger, contract: u8, height: u64, to: u8) {
        let change = Change { contract: address(contract), selector: None, address: Some(address(to)), proxy: None };
        ledger.change(&network(), &At { height, hash: &hash(height), now: TimeMs(1_000) }, &change);
    }

    fn asked(ledger: &mut Ledger, contract: u8, height: u64, is: u8) {
        let entry = Implementation {
            from_height: height,
            address: Some(address(is)),
            found_by: FoundBy::Call,
            ..Implementation::default()
        };
        let behind = Behind { proxy: Some(ProxyKind::Eip1967), implementations: vec![entry] };
        ledger.behind(&place(contract), &At { height, hash: &hash(height), now: TimeMs(1_000) }, behind);
    }

    fn entries(ledger: &Ledger, contract: u8) -> Vec<(u64, u8)> {
        let of = ledger.get(&place(contract)).map(|f| f.implementations.clone()).unwrap_or_default();
        of.into_iter().map(|i| (i.from_height, i.address.expect("one")[0])).collect()
    }

    #[test]
    fn upgrades_stand_by_height_and_a_revert_takes_them_back() {
        let mut ledger = Ledger::default();
        asked(&mut ledger, 1, 90, 5);
        upgraded(&mut ledger, 1, 100, 6);
        upgraded(&mut ledger, 1, 101, 7);
        assert_eq!(entries(&ledger, 1), [(90, 5), (100, 6), (101, 7)]);
        let first = ledger.take_changes();
        assert_eq!(first.len(), 1);
        assert!(first[0].proxy == Some(ProxyKind::Eip1967) && !ledger.has_changed());
        ledger.revert(&network(), 101, TimeMs(2_000));
        ledger.revert(&network(), 100, TimeMs(2_000));
        assert_eq!(entries(&ledger, 1), [(90, 5)]);
        let again = ledger.take_changes();
        assert!(again.len() == 1 && again[0].revision > first[0].revision);
        ledger.revert(&network(), 95, TimeMs(2_000));
        assert!(!ledger.has_changed(), "nothing rests on it");
        ledger.revert(&network(), 90, TimeMs(2_000));
        assert!(ledger.take_changes()[0].is_nothing(), "its key is removed");
        assert_eq!(ledger.get(&place(1)), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut ledger = Ledger::default();
        upgraded(&mut ledger, 1, 100, 6);
        let mut again = Ledger::default();
        ledger.take_changes().into_iter().for_each(|facts| again.put(facts));
        again.revert(&network(), 100, TimeMs(2_000));
        assert!(again.take_changes()[0].is_nothing(), "a kill forgets nothing that could be reverted");
    }

    #[test]
    fn the_same_thing_is_no_news() {
        let mut ledger = Ledger::default();
        upgraded(&mut ledger, 1, 100, 6);
        ledger.take_changes();
        upgraded(&mut ledger, 1, 100, 6);
        asked(&mut ledger, 1, 150, 6);
        assert_eq!(entries(&ledger, 1), [(100, 6)]);
        // That it is a proxy of this kind is.
        assert_eq!(ledger.take_changes().len(), 1);
        asked(&mut ledger, 1, 160, 6);
        assert!(!ledger.has_changed());
    }

    #[test]
    fn an_older_answer_reaches_further_back() {
        let mut ledger = Ledger::default();
        asked(&mut ledger, 1, 150, 6);
        asked(&mut ledger, 1, 100, 6);
        assert_eq!(entries(&ledger, 1), [(100, 6)]);
        asked(&mut ledger, 1, 50, 5);
        assert_eq!(entries(&ledger, 1), [(50, 5), (100, 6)]);
        upgraded(&mut ledger, 1, 100, 7);
        upgraded(&mut ledger, 1, 100, 8);
        assert_eq!(entries(&ledger, 1), [(50, 5), (100, 8)], "the last one of a block");
    }

    #[test]
    fn selectors_of_a_diamond_are_apart() {
        let mut ledger = Ledger::default();
        let cut = |ledger: &mut Ledger, height: u64, selector: u8, facet: Option<u8>| {
            let change = Change {
                contract: address(1),
                selector: Some(FixedBytes([selector; 4])),
                address: facet.map(address),
                proxy: Some(ProxyKind::Eip2535),
            };
            ledger.change(&network(), &At { height, hash: &hash(height), now: TimeMs(1) }, &change);
        };
        cut(&mut ledger, 10, 1, Some(5));
        cut(&mut ledger, 10, 2, Some(5));
        cut(&mut ledger, 11, 1, None);
        let list = &ledger.get(&place(1)).expect("known").implementations;
        assert_eq!(list.len(), 3);
        assert_eq!(ledger.get(&place(1)).expect("known").proxy, Some(ProxyKind::Eip2535));
    }

    #[test]
    fn the_operator_stands_over_all_and_leaves_no_trace() {
        let mut ledger = Ledger::default();
        let contract = |abi: Option<&str>| Contract {
            network: network(),
            address: format!("{:#x}", address(1)),
            name: "Router".into(),
            labels: Vec::new(),
            abi: abi.map(str::to_owned),
        };
        let source = Verified {
            source: FactSource::Sourcify,
            host: "sourcify.dev".into(),
            name: Some("Other".into()),
            abi: Some("[1]".into()),
        };
        ledger.operators(&place(1), TimeMs(1), Some(&contract(None)));
        ledger.verified(&place(1), TimeMs(1), source.clone());
        let facts = ledger.get(&place(1)).expect("known").clone();
        assert_eq!((facts.name.as_deref(), facts.abi.as_deref()), (Some("Router"), Some("[1]")));
        assert_eq!(facts.source_host.as_deref(), Some("sourcify.dev"));
        ledger.operators(&place(1), TimeMs(1), Some(&contract(Some("[]"))));
        ledger.verified(&place(1), TimeMs(1), source);
        let facts = ledger.get(&place(1)).expect("known").clone();
        assert_eq!((facts.abi.as_deref(), facts.abi_source), (Some("[]"), Some(FactSource::Operator)));
        assert_eq!(facts.source_host, None);
        assert_eq!(ledger.said_by_operator().into_iter().collect::<Vec<_>>(), [place(1)]);
        ledger.take_changes();
        ledger.operators(&place(1), TimeMs(1), Some(&contract(Some("[]"))));
        assert!(!ledger.has_changed());
        ledger.operators(&place(1), TimeMs(1), None);
        assert!(ledger.take_changes()[0].is_nothing());
        ledger.operators(&place(1), TimeMs(1), None);
        assert!(ledger.take_changes().is_empty() && ledger.size() == (0, 0));
    }

    #[test]
    fn what_is_beyond_the_limits_is_refused_and_counted() {
        let mut ledger = Ledger::default();
        let large = |n: u8| Verified {
            source: FactSource::Etherscan,
            host: String::new(),
            name: None,
            abi: Some(" ".repeat(limits::ABI_BYTES / 2 + usize::from(n))),
        };
        ledger.verified(&place(1), TimeMs(1), large(1));
        ledger.verified(&place(2), TimeMs(1), large(2));
        assert_eq!((ledger.size().0, ledger.refused), (1, 1));
    }
}
