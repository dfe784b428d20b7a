//! What stands behind one contract, laid out when its facts come, so that it is found by height without a scan.
//!
//! Guarantee: a look-up is two or three binary searches and gives at most [`limits::ABIS`] addresses and four more, whatever was
//! recorded. In the block of a change both sides of it are given, the newer first. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry::Occupied};

use alloy_primitives::{Address, FixedBytes};
use schemas::{limits::facts as limits, records::Implementation};

use super::step;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Those of all selectors first, then each selector's; lowest height first.
    entries: Box<[Entry]>,
    facets: Facets,
}

#[derive(Debug)]
struct Entry {
    selector: Option<FixedBytes<4>>,
    from_height: u64,
    /// Nothing any more where there is none.
    address: Option<Address>,
}

impl Behind {
    /// Of a contract's entries; of more than [`limits::IMPLEMENTATIONS`] the oldest are left out.
    pub fn of(mut implementations: Vec<Implementation>) -> Self {
        implementations.sort_by_key(|i| i.from_height);
        let by_height = &implementations[implementations.len().saturating_sub(limits::IMPLEMENTATIONS)..];
        let entry = |i: &Implementation| Entry { selector: i.selector, from_height: i.from_height, address: i.address };
        let mut entries: Box<[Entry]> = by_height.iter().map(entry).collect();
        // Stable: of one selector and height the last one holds.
        entries.sort_by_key(|entry| (entry.selector, entry.from_height));
        Self { facets: Facets::of(by_height), entries }
    }

    /// Entries that are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// What calls with this selector are handed on to at a height, or what any are (`None`): newest first, an address perhaps twice.
    pub fn at(&self, height: u64, selector: Option<FixedBytes<4>>) -> impl Iterator<Item = Address> {
        let facets = selector.is_none().then(|| self.facets.at(height));
        let of_selector = selector.map(|_| self.held(height, selector));
        let of_all = self.held(height, None);
        of_all.chain(of_selector.into_iter().flatten()).chain(facets.into_iter().flatten())
    }

    /// The newest entry at a height, and where it began in that very block the one before it.
    fn held(&self, height: u64, selector: Option<FixedBytes<4>>) -> impl Iterator<Item = Address> {
        let end = self.entries.partition_point(|entry| {
            step();
            (entry.selector, entry.from_height) <= (selector, height)
        });
        let mut below = self.entries[..end].iter().rev().take_while(move |entry| entry.selector == selector);
        let newest = below.next();
        let before = newest.filter(|newest| newest.from_height == height).and_then(|_| below.next());
        newest.into_iter().chain(before).filter_map(|entry| entry.address)
    }
}

/// What stands behind a diamond's selectors, all of them together: at each height the lowest [`limits::ABIS`] addresses.
#[derive(Debug, Default)]
struct Facets {
    /// Each once, the lowest first.
    addresses: Vec<Address>,
    /// From a height on, until the next: the places in `addresses`, up to here in `places`.
    from: Vec<(u64, usize)>,
    places: Vec<u16>,
}

impl Facets {
    /// Of entries, lowest height first.
    fn of(by_height: &[Implementation]) -> Self {
        let entries: Vec<_> = by_height.iter().filter_map(|i| Some((i.from_height, i.selector?, i.address))).collect();
        let mut addresses: Vec<Address> = entries.iter().filter_map(|entry| entry.2).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut facets = Self { addresses, ..Self::default() };
        let mut newest: HashMap<FixedBytes<4>, Option<u16>> = HashMap::new();
        // How many selectors each one has.
        let mut held: BTreeMap<u16, usize> = BTreeMap::new();
        for changes in entries.chunk_by(|a, b| a.0 == b.0) {
            let mut ended = BTreeSet::new();
            for (_, selector, address) in changes {
                let place = address.and_then(|address| facets.addresses.binary_search(&address).ok());
                let place = place.and_then(|place| u16::try_from(place).ok());
                if let Some(place) = place {
                    *held.entry(place).or_default() += 1;
                }
                if let Some(before) = newest.insert(*selector, place).flatten()
                    && let Occupied(mut selectors) = held.entry(before)
                {
                    ended.insert(before);
                    *selectors.get_mut() -= 1;
                    if *selectors.get() == 0 {
                        selectors.remove();
                    }
                }
            }
            let stay = || held.keys().copied().take(limits::ABIS);
            ended.extend(stay());
            let Some((height, ..)) = changes.first() else { continue };
            // Those that end in this block are in it, and not in the next.
            facets.push(*height, ended.into_iter().take(limits::ABIS));
            if let Some(next) = height.checked_add(1) {
                facets.push(next, stay());
            }
        }
        facets.from.shrink_to_fit();
        facets.places.shrink_to_fit();
        facets
    }

    fn push(&mut self, height: u64, places: impl Iterator<Item = u16>) {
        let start = self.places.len();
        self.places.extend(places);
        let former = self.from.len().checked_sub(2).map_or(0, |at| self.from[at].1);
        if self.places[former..start] == self.places[start..] {
            self.places.truncate(start);
        } else {
            self.from.push((height, self.places.len()));
        }
    }

    /// At a height; those that end in that block included.
    fn at(&self, height: u64) -> impl Iterator<Item = Address> {
        let after = self.from.partition_point(|(from, _)| {
            step();
            *from <= height
        });
        let end = |before: usize| after.checked_sub(before).map_or(0, |at| self.from[at].1);
        let places = &self.places[end(2)..end(1)];
        places.iter().filter_map(|place| self.addresses.get(usize::from(*place)).copied())
    }
}
