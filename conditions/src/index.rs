//! All monitors of all tenants, and which of them fit a transaction.
//!
//! Guarantee: what [`Index::find`] gives is what looking at every monitor by itself would give, in the order of tenants and ids, whatever
//! was inserted and removed before. A transaction costs what its own addresses, topics and selector find, not what there is: a test that
//! many monitors share is evaluated once, and only monitors [without anything to be found by](crate::Monitor::is_unindexed) are looked at
//! for every transaction. What the conditions of one tenant cost a block can be bounded ([`Scratch::begin_block`]), whatever others have.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};

use alloy_primitives::{Address, B256};
use schemas::{Network, records::Found};

use crate::{
    expression::{Expression, OverTransaction},
    monitor::{Form, Monitor, OfTransaction, Shape, Target, Wanted, What},
    party::Party,
};

mod find;
mod slab;
mod steps;
mod whole;

pub use find::Scratch;
use slab::Slab;
use steps::Payer;

/// A monitor in the index.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whose.
    pub tenant: Arc<str>,
    /// Its id.
    pub id: Arc<str>,
    /// Counts its edits.
    pub version: u64,
    /// It.
    pub monitor: Arc<Monitor>,
}

/// A monitor that fits a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit<'i> {
    /// Which.
    pub entry: &'i Arc<Entry>,
    /// By what: functions first, then events in their order, each condition once at each place.
    pub matched: Vec<Matched>,
}

/// What fits, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// Of an event its emitter, of a call the receiver, of a transaction the one of its parties that the monitor looks at, else its receiver
    /// (Bitcoin: else none).
    pub contract: Option<Party>,
    /// What.
    pub found: Found,
}

/// A tenant whose conditions took all the steps that they may while a block was looked through.
#[derive(Debug, Clone, PartialEq)]
pub struct Exhausted {
    /// Of its monitors the one that took most.
    pub entry: Arc<Entry>,
    /// Transactions of the block that its monitors would have been put to, and were not.
    pub transactions: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Index {
    slots: Slab<Slot>,
    /// The number of each tenant, and how many monitors it has.
    owners: BTreeMap<Arc<str>, (u32, usize)>,
    numbers: Slab<()>,
    keys: BTreeMap<(Arc<str>, Arc<str>), u32>,
    tests: Slab<Shared>,
    known: HashMap<String, u32>,
    shapes: HashMap<String, Weak<Shape>>,
    networks: HashMap<Network, OfNetwork>,
}

/// A monitor and where it stands.
#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    /// The number of its tenant.
    tenant: u32,
    /// Tests over the transaction; of a monitor with events or functions at least one must hold, where there are any.
    filter: Vec<u32>,
    places: Vec<(Network, Place, u32)>,
    /// All tests that it uses, as often as it does.
    uses: Vec<u32>,
}

/// A test that monitors share.
#[derive(Debug)]
struct Shared {
    key: String,
    used: usize,
    test: Tested,
}

#[derive(Debug)]
enum Tested {
    /// Over an event or a function.
    Form { shape: Arc<Shape>, expression: Option<Arc<Expression>> },
    /// Over a transaction.
    Transaction { status: Wanted, expression: Option<Arc<OverTransaction>> },
}

/// By what a test is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Event(Option<Address>, B256),
    Function(Option<Address>, B256),
    /// From or to it, or to what it spends or pays; `None`: every transaction.
    Party(Option<Party>),
}

/// A test and whose conditions it is.
#[derive(Debug)]
struct Group {
    test: u32,
    takers: Vec<Taker>,
    /// Tenants of the takers, each once.
    payers: Vec<Payer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taker {
    tenant: u32,
    slot: u32,
    condition: u32,
}

impl Group {
    fn join(&mut self, taker: Taker) {
        if !self.payers.iter().any(|payer| payer.tenant == taker.tenant) {
            self.payers.push(Payer { tenant: taker.tenant, slot: taker.slot });
        }
        self.takers.push(taker);
    }

    fn leave(&mut self, slot: u32) {
        self.takers.retain(|taker| taker.slot != slot);
        let takers = &self.takers;
        self.payers.retain_mut(|payer| {
            if payer.slot != slot {
                return true;
            }
            let other = takers.iter().find(|taker| taker.tenant == payer.tenant);
            payer.slot = other.map_or(payer.slot, |taker| taker.slot);
            other.is_some()
        });
    }
}

#[derive(Debug, Default)]
struct OfNetwork {
    groups: HashMap<Place, Vec<Group>>,
}

impl Index {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of all monitors: tenant, id, version, monitor.
    pub fn of<'a>(monitors: impl IntoIterator<Item = (&'a str, &'a str, u64, Arc<Monitor>)>) -> Self {
        let mut index = Self::new();
        for (tenant, id, version, monitor) in monitors {
            index.insert(tenant, id, version, monitor);
        }
        index
    }

    /// Takes a monitor in, in the place of the one with this id that was there. One that is paused finds nothing.
    pub fn insert(&mut self, tenant: &str, id: &str, version: u64, monitor: Arc<Monitor>) {
        self.remove(tenant, id);
        let entry = Arc::new(Entry { tenant: tenant.into(), id: id.into(), version, monitor });
        let monitor = entry.monitor.clone();
        let key = (entry.tenant.clone(), entry.id.clone());
        let tenant = self.owner(&entry.tenant);
        let slot = self.slots.insert(Slot { entry, tenant, filter: Vec::new(), places: Vec::new(), uses: Vec::new() });
        self.keys.insert(key, slot);
        if monitor.paused {
            return;
        }
        let (mut wanted, mut uses): (Vec<(Place, u32, u32)>, Vec<u32>) = (Vec::new(), Vec::new());
        let each = |list: usize| (0..list).map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        for (what, list) in [(What::Function, &monitor.functions), (What::Event, &monitor.events)] {
            for (condition, number) in list.iter().zip(each(list.len())) {
                for form in &condition.forms {
                    let shape = self.shape(&form.shape);
                    let expression = form.expression.clone();
                    let test = self.share(key_of_form(form), || Tested::Form { shape, expression });
                    uses.push(test);
                    let place = |address| match what {
                        What::Event => Place::Event(address, form.shape.id),
                        What::Function => Place::Function(address, form.shape.id),
                    };
                    match &form.target {
                        Target::Everywhere => wanted.push((place(None), test, number)),
                        Target::At(addresses) => {
                            wanted.extend(addresses.iter().map(|address| (place(Some(*address)), test, number)));
                        }
                    }
                }
            }
        }
        let is_plain = monitor.functions.is_empty() && monitor.events.is_empty();
        let any = [OfTransaction { status: Wanted::Any, expression: None }];
        let of_transaction: &[OfTransaction] = match monitor.transactions.is_empty() && is_plain {
            true => &any,
            false => &monitor.transactions,
        };
        let mut filter = Vec::new();
        for (condition, number) in of_transaction.iter().zip(each(of_transaction.len())) {
            let test = self.share(key_of_transaction(condition), || of_transaction_test(condition));
            uses.push(test);
            if !is_plain {
                filter.push(test);
            } else if monitor.addresses.is_empty() {
                wanted.push((Place::Party(None), test, number));
            } else {
                let places = monitor.addresses.iter().map(|watched| Place::Party(Some(watched.address.clone())));
                wanted.extend(places.map(|place| (place, test, number)));
            }
        }
        let mut places = Vec::new();
        for network in &monitor.networks {
            let of_network = self.networks.entry(network.clone()).or_default();
            for (place, test, condition) in &wanted {
                let groups = of_network.groups.entry(place.clone()).or_default();
                let taker = Taker { tenant, slot, condition: *condition };
                match groups.iter_mut().find(|group| group.test == *test) {
                    // Conditions come one behind the other: if it is there, it came last.
                    Some(group) if group.takers.last() == Some(&taker) => continue,
                    Some(group) => group.join(taker),
                    None => {
                        let mut group = Group { test: *test, takers: Vec::new(), payers: Vec::new() };
                        group.join(taker);
                        groups.push(group);
                    }
                }
                places.push((network.clone(), place.clone(), *test));
            }
        }
        if let Some(slot) = self.slots.get_mut(slot) {
            (slot.filter, slot.places, slot.uses) = (filter, places, uses);
        }
    }

    /// Takes a monitor out; whether it was there.
    pub fn remove(&mut self, tenant: &str, id: &str) -> bool {
        let Some(at) = self.keys.remove(&(Arc::from(tenant), Arc::from(id))) else { return false };
        let Some(slot) = self.slots.remove(at) else { return false };
        self.disown(&slot.entry.tenant);
        for (network, place, test) in slot.places {
            let Some(of_network) = self.networks.get_mut(&network) else { continue };
            if let Some(groups) = of_network.groups.get_mut(&place) {
                for group in groups.iter_mut().filter(|group| group.test == test) {
                    group.leave(at);
                }
                groups.retain(|group| !group.takers.is_empty());
                if groups.is_empty() {
                    of_network.groups.remove(&place);
                }
            }
            if of_network.groups.is_empty() {
                self.networks.remove(&network);
            }
        }
        for test in slot.uses {
            let is_last = self.tests.get_mut(test).is_some_and(|shared| {
                shared.used = shared.used.saturating_sub(1);
                shared.used == 0
            });
            if is_last && let Some(shared) = self.tests.remove(test) {
                self.known.remove(&shared.key);
                if let Tested::Form { shape, .. } = shared.test {
                    let words = shape.words.clone();
                    drop(shape);
                    if self.shapes.get(&words).is_some_and(|known| known.strong_count() == 0) {
                        self.shapes.remove(&words);
                    }
                }
            }
        }
        true
    }

    /// Tenants whose steps were used up since [`Scratch::begin_block`], in their order.
    pub fn exhausted(&self, scratch: &Scratch) -> Vec<Exhausted> {
        let of = |(slot, transactions)| Some(Exhausted { entry: self.slots.get(slot)?.entry.clone(), transactions });
        let mut all: Vec<Exhausted> = scratch.steps.used_up().filter_map(of).collect();
        all.sort_by(|a, b| a.entry.tenant.cmp(&b.entry.tenant));
        all
    }

    /// The number of a tenant that has one more monitor.
    fn owner(&mut self, tenant: &Arc<str>) -> u32 {
        if let Some((number, monitors)) = self.owners.get_mut(tenant) {
            *monitors += 1;
            return *number;
        }
        let number = self.numbers.insert(());
        self.owners.insert(tenant.clone(), (number, 1));
        number
    }

    /// A tenant has one monitor less.
    fn disown(&mut self, tenant: &Arc<str>) {
        let Some((number, monitors)) = self.owners.get_mut(tenant) else { return };
        *monitors = monitors.saturating_sub(1);
        if *monitors == 0 {
            let number = *number;
            self.owners.remove(tenant);
            self.numbers.remove(number);
        }
    }

    /// How many monitors there are, paused ones included.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// All monitors, by tenant and id.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.keys.values().filter_map(|slot| self.slots.get(*slot)).map(|slot| &slot.entry)
    }

    /// One of them.
    pub fn get(&self, tenant: &str, id: &str) -> Option<&Arc<Entry>> {
        let slot = self.keys.get(&(Arc::from(tenant), Arc::from(id)))?;
        self.slots.get(*slot).map(|slot| &slot.entry)
    }

    /// How many of them every transaction is put to: of a tenant, or of all.
    pub fn unindexed(&self, tenant: Option<&str>) -> usize {
        let counts = |entry: &&Arc<Entry>| {
            tenant.is_none_or(|tenant| *entry.tenant == *tenant)
                && !entry.monitor.paused
                && entry.monitor.is_unindexed()
        };
        self.entries().filter(counts).count()
    }

    /// How many different tests there are.
    pub fn tests(&self) -> usize {
        self.known.len()
    }

    /// The one of all equal shapes, so that what it decodes is decoded once.
    fn shape(&mut self, shape: &Arc<Shape>) -> Arc<Shape> {
        if let Some(known) = self.shapes.get(&shape.words).and_then(Weak::upgrade) {
            return known;
        }
        self.shapes.insert(shape.words.clone(), Arc::downgrade(shape));
        shape.clone()
    }

    /// The test with a key, used once more.
    fn share(&mut self, key: String, make: impl FnOnce() -> Tested) -> u32 {
        if let Some(at) = self.known.get(&key)
            && let Some(shared) = self.tests.get_mut(*at)
        {
            shared.used += 1;
            return *at;
        }
        let at = self.tests.insert(Shared { key: key.clone(), used: 1, test: make() });
        self.known.insert(key, at);
        at
    }
}

fn key_of_form(form: &Form) -> String {
    let text = form.expression.as_ref().map(|expression| expression.text().as_ref());
    format!("{:?} {} {text:?}", form.shape.what, form.shape.words)
}

fn key_of_transaction(condition: &OfTransaction) -> String {
    let text = condition.expression.as_ref().map(|expression| expression.text().as_ref());
    format!("transaction {} {text:?}", condition.status.as_str())
}

fn of_transaction_test(condition: &OfTransaction) -> Tested {
    Tested::Transaction { status: condition.status, expression: condition.expression.clone() }
}
