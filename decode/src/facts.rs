//! What is known of contracts, as the records of `contract.facts` tell it: whose ABIs a call or an event is decoded with (rule 14).
//!
//! Guarantee: a function of the records that were taken; a clone is cheap, and what was cloned does not change. What is given for a
//! height is what held there: in the block of an upgrade both sides of it, the newer first, since a block has transactions before and
//! after it. Below the lowest height at which something is known of a proxy nothing is given. Sizes have limits
//! ([`limits`]): what comes beyond them is left out and counted. No I/O, no clocks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::{Address, FixedBytes};
use schemas::{
    Network, TimeMs,
    limits::facts as limits,
    records::{ContractFacts, FactSource, FactsFold, Implementation, ProxyKind},
};

use crate::Abi;

/// Parts of a network's contracts: a change copies one of them where somebody holds a former state.
const SHARDS: usize = 256;

/// What is known of one contract.
#[derive(Debug)]
pub struct Known {
    /// What it is called, and who says so.
    pub name: Option<(Arc<str>, FactSource)>,
    /// Its own ABI, and who says so.
    pub abi: Option<(Arc<Abi>, FactSource)>,
    /// Host of the contract source that gave them.
    pub source_host: Option<String>,
    /// How it hands calls on.
    pub proxy: Option<ProxyKind>,
    /// What it hands them on to, lowest height first.
    pub implementations: Vec<Implementation>,
    /// When the newest of this was found.
    pub found_at: TimeMs,
    revision: u64,
    abi_bytes: usize,
    /// Of a diamond: what calls are handed on to from its newest entry on.
    facets: Vec<Address>,
}

impl Known {
    fn of(facts: ContractFacts, abi: Option<Arc<Abi>>, abi_bytes: usize) -> Self {
        let mut implementations = facts.implementations;
        implementations.sort_by_key(|i| i.from_height);
        let facets = facets(&implementations, u64::MAX);
        let source = |source: Option<FactSource>| source.unwrap_or(FactSource::Operator);
        Self {
            name: facts.name.map(|name| (name.into(), source(facts.name_source))),
            abi: abi.map(|abi| (abi, source(facts.abi_source))),
            source_host: facts.source_host,
            proxy: facts.proxy,
            implementations,
            found_at: facts.found_at,
            revision: facts.revision,
            abi_bytes,
            facets,
        }
    }

    /// What calls with this selector are handed on to at a height, or what any are (`None`): newest first, at most [`limits::ABIS`].
    pub fn at(&self, height: u64, selector: Option<FixedBytes<4>>) -> Vec<Address> {
        let mut found = Vec::new();
        let mut add = |address: Option<Address>| {
            if let Some(address) = address
                && found.len() < limits::ABIS
                && !found.contains(&address)
            {
                found.push(address);
            }
        };
        held(&self.implementations, height, |i| i.selector.is_none()).for_each(&mut add);
        match selector {
            Some(_) => {
                held(&self.implementations, height, |i| i.selector == selector && selector.is_some()).for_each(add)
            }
            None if self.implementations.last().is_none_or(|last| last.from_height < height) => {
                self.facets.iter().for_each(|facet| add(Some(*facet)));
            }
            None => facets(&self.implementations, height).into_iter().for_each(|facet| add(Some(facet))),
        }
        found
    }
}

/// The newest entry at a height, and where it began in that very block the one before it.
fn held(
    of: &[Implementation],
    height: u64,
    wanted: impl Fn(&Implementation) -> bool,
) -> impl Iterator<Item = Option<Address>> {
    let mut below = of.iter().rev().filter(move |i| i.from_height <= height && wanted(i));
    let newest = below.next();
    let before = newest.filter(|newest| newest.from_height == height).and_then(|_| below.next());
    newest.into_iter().chain(before).map(|i| i.address)
}

/// What stands behind a diamond's selectors at a height; those that end in that block included.
fn facets(of: &[Implementation], height: u64) -> Vec<Address> {
    let mut newest: HashMap<FixedBytes<4>, (Option<Address>, u64)> = HashMap::new();
    let mut found = Vec::new();
    for (selector, entry) in of.iter().filter(|i| i.from_height <= height).filter_map(|i| Some((i.selector?, i))) {
        let before = newest.insert(selector, (entry.address, entry.from_height));
        if let (Some((Some(address), _)), true) = (before, entry.from_height == height) {
            found.push(address);
        }
    }
    found.extend(newest.into_values().filter_map(|(address, _)| address));
    found.sort_unstable();
    found.dedup();
    found.truncate(limits::ABIS);
    found
}

type Shard = HashMap<Address, Arc<Known>>;

/// The contracts of one network.
#[derive(Debug, Clone)]
pub struct OfNetwork {
    shards: Vec<Arc<Shard>>,
}

impl Default for OfNetwork {
    fn default() -> Self {
        let none: Arc<Shard> = Arc::default();
        Self { shards: vec![none; SHARDS] }
    }
}

impl OfNetwork {
    /// What is known of a contract.
    #[inline]
    pub fn get(&self, address: &Address) -> Option<&Known> {
        // The last byte of an address is as good as random.
        self.shards.get(usize::from(address.0[19]))?.get(address).map(|known| &**known)
    }

    /// Its name, and who says so.
    pub fn name(&self, address: &Address) -> Option<(&str, FactSource)> {
        self.get(address)?.name.as_ref().map(|(name, source)| (&**name, *source))
    }

    /// ABIs with which a call to a contract (with its selector) or a log of it (without) is to be decoded at a height, best first: its
    /// own, then those of what stands behind it. They are appended.
    pub fn abis<'a>(
        &'a self,
        address: Address,
        height: u64,
        selector: Option<FixedBytes<4>>,
        found: &mut Vec<&'a Abi>,
    ) {
        self.walk(address, height, selector, limits::DEPTH, found);
    }

    fn walk<'a>(
        &'a self,
        address: Address,
        height: u64,
        selector: Option<FixedBytes<4>>,
        depth: usize,
        found: &mut Vec<&'a Abi>,
    ) {
        let Some(known) = self.get(&address) else { return };
        if let Some((abi, _)) = &known.abi
            && found.len() < limits::ABIS
            && !found.iter().any(|other| std::ptr::eq(*other, &**abi))
        {
            found.push(abi);
        }
        if depth > 1 && !known.implementations.is_empty() {
            known.at(height, selector).into_iter().for_each(|next| self.walk(next, height, selector, depth - 1, found));
        }
    }

    fn shard(&mut self, address: &Address) -> Option<&mut Shard> {
        self.shards.get_mut(usize::from(address.0[19])).map(Arc::make_mut)
    }
}

/// What is known of all contracts whose records were taken.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    networks: BTreeMap<Network, Arc<OfNetwork>>,
    /// How much it is.
    pub counted: Counted,
}

/// How much is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Contracts.
    pub contracts: usize,
    /// Bytes of their ABIs' texts.
    pub abi_bytes: usize,
    /// Contracts that were left out, or whose ABI was, since there is more than the limits take.
    pub left_out: u64,
    /// ABIs that could not be read.
    pub unreadable: u64,
}

impl Facts {
    /// The contracts of a network; `None` where nothing is known.
    pub fn of(&self, network: &Network) -> Option<&Arc<OfNetwork>> {
        self.networks.get(network)
    }
}

impl FactsFold for Facts {
    fn put(&mut self, facts: ContractFacts) {
        let former = self.of(&facts.network).and_then(|of| of.get(&facts.address));
        let (there, former_bytes) = (former.is_some(), former.map_or(0, |known| known.abi_bytes));
        // A record of before, written again.
        if former.is_some_and(|known| known.revision > facts.revision) {
            return;
        }
        if !there && self.counted.contracts >= limits::CONTRACTS {
            self.counted.left_out += 1;
            return;
        }
        let bytes = facts.abi.as_ref().map_or(0, String::len);
        let room = self.counted.abi_bytes - former_bytes + bytes <= limits::ABI_BYTES;
        self.counted.left_out += u64::from(!room);
        let abi = facts.abi.as_deref().filter(|_| room).and_then(|text| match Abi::parse(text) {
            Ok(abi) => Some(Arc::new(abi)),
            Err(_) => {
                self.counted.unreadable += 1;
                None
            }
        });
        let bytes = if abi.is_some() { bytes } else { 0 };
        self.counted.contracts += usize::from(!there);
        self.counted.abi_bytes = self.counted.abi_bytes - former_bytes + bytes;
        let (network, address) = (facts.network.clone(), facts.address);
        let known = Arc::new(Known::of(facts, abi, bytes));
        let of = Arc::make_mut(self.networks.entry(network).or_default());
        if let Some(shard) = of.shard(&address) {
            shard.insert(address, known);
        }
    }

    fn remove(&mut self, network: &Network, address: Address) {
        if self.of(network).and_then(|of| of.get(&address)).is_none() {
            return;
        }
        let of = self.networks.get_mut(network).map(Arc::make_mut);
        if let Some(known) = of.and_then(|of| of.shard(&address)?.remove(&address)) {
            self.counted.contracts -= 1;
            self.counted.abi_bytes -= known.abi_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::records::FoundBy;

    use super::*;

    fn network() -> Network {
        "eth".parse().expect("a slug")
    }

    fn address(n: u8) -> Address {
        Address::repeat_byte(n)
    }

    /// Facts of a contract whose ABI has a function of this name.
    fn facts(n: u8, function: &str, implementations: &[(u64, u8)]) -> ContractFacts {
        let abi =
            format!(r#"[{{"type":"function","name":"{function}","inputs":[],"outputs":[],"stateMutability":"view"}}]"#);
        let entry = |(from_height, n): &(u64, u8)| Implementation {
            from_height: *from_height,
            address: Some(address(*n)),
            found_by: FoundBy::Stream,
            ..Implementation::default()
        };
        ContractFacts {
            revision: 1,
            abi: (!function.is_empty()).then_some(abi),
            abi_source: Some(FactSource::Operator),
            implementations: implementations.iter().map(entry).collect(),
            ..ContractFacts::nothing(network(), address(n))
        }
    }

    /// Which of the contracts' ABIs are given.
    fn given(facts: &Facts, n: u8, height: u64, selector: Option<FixedBytes<4>>) -> Vec<u8> {
        let of = facts.of(&network()).expect("known");
        let mut found = Vec::new();
        of.abis(address(n), height, selector, &mut found);
        let whose = |abi: &Abi| {
            let is = |m: &u8| {
                of.get(&address(*m)).and_then(|k| k.abi.as_ref()).is_some_and(|(a, _)| std::ptr::eq(&**a, abi))
            };
            (1..=30).find(is).expect("somebody's")
        };
        found.into_iter().map(whose).collect()
    }

    fn table(of: &[ContractFacts]) -> Facts {
        let mut table = Facts::default();
        of.iter().for_each(|facts| table.put(facts.clone()));
        table
    }

    #[test]
    fn a_proxy_has_the_abi_of_what_stood_behind_it_at_the_height() {
        let table = table(&[
            facts(1, "own", &[(100, 2), (200, 3)]),
            facts(2, "before", &[]),
            facts(3, "after", &[]),
            facts(4, "", &[(50, 1)]),
        ]);
        assert_eq!(given(&table, 1, 99, None), [1], "nothing is known of it there");
        assert_eq!(given(&table, 1, 100, None), [1, 2]);
        assert_eq!(given(&table, 1, 199, None), [1, 2]);
        assert_eq!(given(&table, 1, 200, None), [1, 3, 2], "both sides of the upgrade");
        assert_eq!(given(&table, 1, 201, Some(FixedBytes([1; 4]))), [1, 3]);
        assert_eq!(given(&table, 4, 150, None), [1, 2], "what stands behind a proxy behind a proxy");
        assert!(given(&table, 9, 150, None).is_empty());
    }

    #[test]
    fn a_circle_ends() {
        let table = table(&[facts(1, "a", &[(0, 2)]), facts(2, "b", &[(0, 1)]), facts(3, "c", &[(0, 3)])]);
        assert_eq!(given(&table, 1, 5, None), [1, 2]);
        assert_eq!(given(&table, 3, 5, None), [3]);
    }

    #[test]
    fn a_diamond_has_the_facet_of_the_selector() {
        let selector = |n: u8| Some(FixedBytes([n; 4]));
        let mut diamond = facts(1, "", &[]);
        let entry = |from_height, n: u8, facet: Option<u8>| Implementation {
            from_height,
            selector: selector(n),
            address: facet.map(address),
            ..Implementation::default()
        };
        diamond.implementations =
            vec![entry(10, 1, Some(2)), entry(10, 2, Some(3)), entry(20, 1, Some(4)), entry(30, 2, None)];
        let table = table(&[diamond, facts(2, "a", &[]), facts(3, "b", &[]), facts(4, "c", &[])]);
        assert_eq!(given(&table, 1, 15, selector(1)), [2]);
        assert_eq!(given(&table, 1, 20, selector(1)), [4, 2]);
        assert_eq!(given(&table, 1, 25, selector(1)), [4]);
        assert_eq!(given(&table, 1, 25, selector(2)), [3]);
        assert!(given(&table, 1, 31, selector(2)).is_empty(), "it was taken out");
        assert_eq!(given(&table, 1, 15, None), [2, 3], "events are any facet's");
        assert_eq!(given(&table, 1, 25, None), [3, 4]);
        assert_eq!(given(&table, 1, 40, None), [4]);
    }

    #[test]
    fn a_clone_stays_what_it_was_and_what_is_counted_is_there() {
        let mut table = table(&[facts(1, "a", &[]), facts(2, "b", &[])]);
        let (before, bytes) = (table.clone(), table.counted.abi_bytes);
        assert!(table.counted.contracts == 2 && bytes > 0);
        table.put(ContractFacts { revision: 0, ..facts(1, "older", &[]) });
        assert_eq!(table.counted.abi_bytes, bytes, "a record of before says nothing");
        table.put(ContractFacts { name: Some("One".into()), revision: 2, ..facts(1, "", &[]) });
        table.remove(&network(), address(2));
        table.remove(&network(), address(2));
        table.remove(&network(), address(9));
        assert_eq!((table.counted.contracts, table.counted.abi_bytes), (1, 0));
        assert_eq!(table.of(&network()).expect("known").name(&address(1)).map(|(name, _)| name), Some("One"));
        assert_eq!(given(&before, 1, 1, None), [1]);
        assert_eq!(given(&before, 2, 1, None), [2]);
        table.put(ContractFacts { abi: Some("[".into()), revision: 3, ..facts(1, "", &[]) });
        assert_eq!((table.counted.unreadable, table.counted.abi_bytes), (1, 0));
    }
}
