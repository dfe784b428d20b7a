//! What is known of contracts, as the records of `contract.facts` tell it: whose ABIs a call or an event is decoded with (rule 14).
//!
//! Guarantee: a function of the records that were taken; a clone is cheap, and what was cloned does not change. What is given for a
//! height is what held there: in the block of an upgrade both sides of it, the newer first, since a block has transactions before and
//! after it. Below the lowest height at which something is known of a proxy nothing is given. Sizes have limits
//! ([`limits`]): what comes beyond them is left out and counted. A look-up takes a bounded number of steps, whatever was recorded. No
//! I/O, no clocks.

mod behind;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::{Address, FixedBytes};
use schemas::{
    Network, TimeMs,
    limits::facts as limits,
    records::{ContractFacts, FactSource, FactsFold, ProxyKind},
};

use self::behind::Behind;
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
    /// When the newest of this was found.
    pub found_at: TimeMs,
    revision: u64,
    abi_bytes: usize,
    /// What it hands them on to.
    behind: Behind,
}

impl Known {
    fn of(facts: ContractFacts, abi: Option<Arc<Abi>>, abi_bytes: usize) -> Self {
        let source = |source: Option<FactSource>| source.unwrap_or(FactSource::Operator);
        Self {
            name: facts.name.map(|name| (name.into(), source(facts.name_source))),
            abi: abi.map(|abi| (abi, source(facts.abi_source))),
            source_host: facts.source_host,
            proxy: facts.proxy,
            found_at: facts.found_at,
            revision: facts.revision,
            abi_bytes,
            behind: Behind::of(facts.implementations),
        }
    }

    /// What calls with this selector are handed on to at a height, or what any are (`None`): newest first, at most [`limits::ABIS`].
    pub fn at(&self, height: u64, selector: Option<FixedBytes<4>>) -> Vec<Address> {
        let mut found = Vec::new();
        for address in self.behind.at(height, selector) {
            if found.len() < limits::ABIS && !found.contains(&address) {
                found.push(address);
            }
        }
        found
    }
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
    /// own, then those of what stands behind it, the nearest first. They are appended.
    pub fn abis<'a>(
        &'a self,
        address: Address,
        height: u64,
        selector: Option<FixedBytes<4>>,
        found: &mut Vec<&'a Abi>,
    ) {
        // Each contract once, and how deep it stands.
        let mut walked = [(address, 1); limits::WALKED];
        let (mut at, mut end) = (0, 1);
        while at < end && found.len() < limits::ABIS {
            let (address, depth) = walked[at];
            at += 1;
            step();
            let Some(known) = self.get(&address) else { continue };
            if let Some((abi, _)) = &known.abi
                && !found.iter().any(|other| std::ptr::eq(*other, &**abi))
            {
                found.push(abi);
            }
            if depth >= limits::DEPTH || end >= walked.len() {
                continue;
            }
            for next in known.behind.at(height, selector) {
                step();
                if end < walked.len() && walked[..end].iter().all(|(other, _)| *other != next) {
                    walked[end] = (next, depth + 1);
                    end += 1;
                }
            }
        }
    }

    fn shard(&mut self, address: &Address) -> Option<&mut Shard> {
        self.shards.get_mut(usize::from(address.0[19])).map(Arc::make_mut)
    }
}

/// Something was looked at: tests count it.
#[inline]
fn step() {
    #[cfg(test)]
    tests::STEPS.set(tests::STEPS.get() + 1);
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
    /// Entries of their implementations.
    pub entries: usize,
    /// Contracts that were left out, or whose ABI or implementations were, since there is more than the limits take.
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
    fn put(&mut self, mut facts: ContractFacts) {
        let former = self.of(&facts.network).and_then(|of| of.get(&facts.address));
        let (there, former_bytes) = (former.is_some(), former.map_or(0, |known| known.abi_bytes));
        let former_entries = former.map_or(0, |known| known.behind.len());
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
        let other_entries = self.counted.entries - former_entries;
        let entries = facts.implementations.len().min(limits::IMPLEMENTATIONS);
        let room_behind = other_entries + entries <= limits::ENTRIES;
        if !room_behind {
            facts.implementations = Vec::new();
        }
        self.counted.left_out += u64::from(!room || !room_behind);
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
        self.counted.entries = other_entries + known.behind.len();
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
            self.counted.entries -= known.behind.len();
        }
    }
}

#[cfg(test)]
mod tests;
