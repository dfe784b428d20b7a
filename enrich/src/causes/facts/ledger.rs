//! What is known of the contracts of a partition, and what becomes of it with each thing that is found out. Pure, but for the clock that
//! it is told.
//!
//! Guarantee: a function of what it was told, in order; what changed is given once, as the records to be written. What an operator says
//! of name and ABI stands over everything else. A revert takes back exactly what rests on the reverted block and those above it. Sizes
//! have limits; what is beyond them is refused and counted, the operator's contracts excepted. What a contract's own logs say of it has
//! a narrower one, since anybody may write such logs: once a node or the operator confirmed it, there is room.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use alloy_primitives::Address;
use schemas::{
    BlockHash, Network, TimeMs,
    limits::{REORG_LIMIT_BLOCKS, facts as limits},
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
    rests: HashMap<Network, Rests>,
    changed: BTreeSet<Place>,
    abi_bytes: usize,
    /// Entries of all contracts' implementations.
    entries: usize,
    /// The same of other partitions of this process.
    pub entries_elsewhere: usize,
    /// Contracts of which a node said what their logs had said already.
    confirmed: HashSet<Place>,
    /// Things that were refused for want of room.
    pub refused: u64,
}

/// What may be reverted in a network.
#[derive(Debug, Default)]
struct Rests {
    /// The highest block that came.
    tip: u64,
    /// Contracts with entries that rest on the block of a height, from [`Self::floor`] on.
    at: BTreeMap<u64, BTreeSet<Address>>,
}

impl Rests {
    /// Blocks below it are not reverted any more, as far as it goes by rule.
    fn floor(&self) -> u64 {
        self.tip.saturating_sub(REORG_LIMIT_BLOCKS)
    }
}

impl FactsFold for Ledger {
    fn put(&mut self, facts: ContractFacts) {
        let place = (facts.network.clone(), facts.address);
        let former = self.of.get(&place).map_or((0, 0), sizes);
        self.resized(former, sizes(&facts));
        for entry in &facts.implementations {
            self.rest(&place, entry.from_height);
        }
        self.of.insert(place, facts);
    }

    fn remove(&mut self, network: &Network, address: Address) {
        let place = (network.clone(), address);
        if let Some(former) = self.of.remove(&place) {
            self.resized(sizes(&former), (0, 0));
            self.confirmed.remove(&place);
        }
    }
}

/// Bytes of the ABI, and entries.
fn sizes(facts: &ContractFacts) -> (usize, usize) {
    (facts.abi.as_ref().map_or(0, String::len), facts.implementations.len())
}

fn is_operators(facts: &ContractFacts) -> bool {
    [facts.name_source, facts.abi_source].contains(&Some(FactSource::Operator))
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

    /// Entries of all contracts' implementations.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// A block of this height came: what lies deeper below it than any reorg is settled.
    pub fn came(&mut self, network: &Network, height: u64) {
        if self.rests.get(network).is_some_and(|rests| rests.tip >= height) {
            return;
        }
        let rests = self.rests.entry(network.clone()).or_default();
        rests.tip = height;
        let floor = rests.floor();
        while let Some(lowest) = rests.at.first_entry().filter(|lowest| *lowest.key() < floor) {
            lowest.remove();
        }
    }

    /// Whether there is no more room for what the contract's logs say, until a node confirms it.
    pub fn is_to_be_confirmed(&self, place: &Place) -> bool {
        let full = self.of.get(place).is_some_and(|facts| facts.implementations.len() >= limits::UNCONFIRMED);
        full && !self.is_confirmed(place)
    }

    /// Whether somebody else than the contract itself says that it hands calls on: of the kinds, logs name these two.
    fn is_confirmed(&self, place: &Place) -> bool {
        let by_logs = [None, Some(ProxyKind::Beacon), Some(ProxyKind::Eip2535)];
        self.of.get(place).is_some_and(|facts| {
            is_operators(facts)
                || !by_logs.contains(&facts.proxy)
                || facts.implementations.iter().any(|i| i.found_by == FoundBy::Call)
        }) || self.confirmed.contains(place)
    }

    /// Room for entries of a contract; `node`: for what a node says.
    fn room(&self, place: &Place, node: bool) -> Room {
        let facts = self.of.get(place);
        let confirmed = node || self.is_confirmed(place);
        let most = if confirmed { limits::IMPLEMENTATIONS } else { limits::UNCONFIRMED };
        let left = match facts.is_some_and(is_operators) {
            true => most,
            false => limits::ENTRIES.saturating_sub(self.entries + self.entries_elsewhere),
        };
        let held = facts.map_or(0, |facts| facts.implementations.len());
        let most = most.min(held + left);
        Room { most, oldest_go: confirmed && most == limits::IMPLEMENTATIONS }
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
        let (room, mut refused) = (self.room(&place, false), false);
        self.alter(&place, at.now, |facts| {
            let put = insert(&mut facts.implementations, entry, room);
            refused = put == Put::NoRoom;
            let kind = change.proxy.filter(|_| facts.proxy.is_none() && !refused);
            facts.proxy = kind.or(facts.proxy);
            put == Put::News || kind.is_some()
        });
        self.refused += u64::from(refused);
    }

    /// A node said what stands behind a contract.
    pub fn behind(&mut self, place: &Place, at: &At<'_>, behind: Behind) {
        if behind == Behind::default() && !self.of.contains_key(place) {
            return;
        }
        let says = !behind.implementations.is_empty();
        let (room, mut refused) = (self.room(place, says), 0);
        self.alter(place, at.now, |facts| {
            let kind = behind.proxy.filter(|kind| facts.proxy != Some(*kind));
            facts.proxy = kind.or(facts.proxy);
            let mut any = kind.is_some();
            for entry in behind.implementations {
                let entry = Implementation { block_hash: Some(at.hash.clone()), ..entry };
                match insert(&mut facts.implementations, entry, room) {
                    Put::News => any = true,
                    Put::Known => {}
                    Put::NoRoom => refused += 1,
                }
            }
            any
        });
        self.refused += refused;
        if says && self.of.contains_key(place) && !self.is_confirmed(place) {
            self.confirmed.insert(place.clone());
        }
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
        self.of.iter().filter(|(_, facts)| is_operators(facts)).map(|(place, _)| place.clone()).collect()
    }

    /// A block was reverted: what rests on it, or on one above it, is gone. Gives the contracts that this is about.
    pub fn revert(&mut self, network: &Network, height: u64, now: TimeMs) -> BTreeSet<Address> {
        let Some(rests) = self.rests.get_mut(network) else { return BTreeSet::new() };
        let mut above: BTreeSet<Address> = rests.at.split_off(&height).into_values().flatten().collect();
        if height < rests.floor() {
            // Deeper than by rule: an operator had it so.
            let on_it = |facts: &ContractFacts| facts.implementations.iter().any(|i| i.from_height >= height);
            let of = self.of.iter().filter(|((of, _), facts)| of == network && on_it(facts));
            above.extend(of.map(|((_, address), _)| *address));
        }
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
        let rests = self.rests.entry(network.clone()).or_default();
        if height >= rests.floor() {
            rests.at.entry(height).or_default().insert(*address);
        }
    }

    fn resized(&mut self, former: (usize, usize), now: (usize, usize)) {
        self.abi_bytes = self.abi_bytes - former.0 + now.0;
        self.entries = self.entries - former.1 + now.1;
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
        let former = sizes(known);
        if change(known) {
            // Above all that was said of this contract, its removals included, as long as clocks do not jump.
            known.revision = (known.revision + 1).max(u64::try_from(now.0).unwrap_or(0));
            known.found_at = now;
            let now = sizes(known);
            let heights: BTreeSet<u64> = known.implementations.iter().map(|i| i.from_height).collect();
            self.resized(former, now);
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
                self.confirmed.remove(&place);
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

/// How many entries a contract may have, and whether of more the oldest go.
#[derive(Debug, Clone, Copy)]
struct Room {
    most: usize,
    oldest_go: bool,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    News,
    Known,
    NoRoom,
}

/// Puts an entry in its place.
fn insert(list: &mut Vec<Implementation>, entry: Implementation, room: Room) -> Put {
    let (height, selector) = (entry.from_height, entry.selector);
    let same = |i: &Implementation| i.selector == selector;
    let held = list.iter().rposition(|i| same(i) && i.from_height <= height);
    if let Some(held) = held.and_then(|at| list.get_mut(at)) {
        if held.address == entry.address {
            return Put::Known;
        }
        // Of several in one block the last one counts from the next block on.
        if held.from_height == height {
            *held = entry;
            return Put::News;
        }
    }
    // What a node said of a later block holds from here on already, as far as anybody knows.
    let next = list.iter().position(|i| same(i) && i.from_height > height);
    match next.filter(|next| list[*next].address == entry.address && list[*next].found_by == FoundBy::Call) {
        Some(next) => drop(list.remove(next)),
        None if list.len() >= room.most && !room.oldest_go => return Put::NoRoom,
        None => {}
    }
    let at = list.iter().rposition(|i| i.from_height <= height).map_or(0, |at| at + 1);
    list.insert(at, entry);
    if room.oldest_go && list.len() > room.most {
        list.remove(0);
    }
    Put::News
}

#[cfg(test)]
mod tests;
