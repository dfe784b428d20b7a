//! Minutes: what their windows hold so far, and what of it is news.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use schemas::{TimeMs, records::Partial};

use super::change::Parts;

/// Whose window: a watched contract's, or, `None`, the network's.
pub type Whose = Option<Address>;

/// Since when a contract is watched, over several partials. Of the network it tells only whether contracts were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watched {
    /// The latest time.
    from: Option<TimeMs>,
    /// Whether one of them does not say it.
    unknown: bool,
}

impl Watched {
    fn of(from: Option<TimeMs>) -> Self {
        Self { from, unknown: from.is_none() }
    }

    /// With those of another.
    pub fn merge(&mut self, other: Self) {
        self.from = self.from.max(other.from);
        self.unknown |= other.unknown;
    }

    /// Whether something is not known.
    pub fn is_unknown(self) -> bool {
        self.unknown
    }

    /// The time from which on all is known; `None`: not known.
    pub fn from(self) -> Option<TimeMs> {
        self.from.filter(|_| !self.unknown)
    }
}

/// What one window holds.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    pub partial: Partial,
    pub watched: Watched,
}

impl Sum {
    /// With what another holds.
    pub fn merge(&mut self, other: &Self) {
        self.partial.merge(&other.partial);
        self.watched.merge(other.watched);
    }
}

/// Of one minute and contract, or network.
#[derive(Debug, Default)]
pub struct Entry {
    pub sum: Sum,
    /// Whether the minute's window has changed since it was given.
    pub is_news: bool,
    /// Whether longer windows that it lies in have changed by it since they were given.
    pub is_news_to_longer: bool,
}

impl Entry {
    fn touch(&mut self) {
        (self.is_news, self.is_news_to_longer) = (true, true);
    }
}

/// A minute.
#[derive(Debug, Default)]
pub struct Minute {
    pub entries: BTreeMap<Whose, Entry>,
    /// Its blocks that can still be reverted.
    pub revertible: usize,
    /// It lost a block: it is to be merged anew.
    pub is_stale: bool,
    /// Up to where minutes had been dropped when this one was made: one that ends there was there before, and is not whole.
    pub dropped: i64,
}

impl Minute {
    /// One of the network alone, in which nothing happened yet; `dropped`: up to where minutes have been dropped.
    pub fn new(dropped: i64) -> Self {
        let mut minute = Self { dropped, ..Self::default() };
        minute.entries.entry(None).or_default().touch();
        minute
    }

    /// One block more.
    pub fn add(&mut self, parts: &Parts) {
        self.revertible += 1;
        self.touch(parts);
        // It is merged with the others.
        if !self.is_stale {
            self.merge(parts);
        }
    }

    /// One block fewer, which could still be reverted.
    pub fn remove(&mut self, parts: &Parts) {
        self.revertible = self.revertible.saturating_sub(1);
        self.touch(parts);
        self.is_stale = true;
    }

    fn touch(&mut self, parts: &Parts) {
        self.entries.entry(None).or_default().touch();
        for part in &parts.contracts {
            self.entries.entry(Some(part.contract)).or_default().touch();
        }
    }

    fn merge(&mut self, parts: &Parts) {
        let network = &mut self.entries.entry(None).or_default().sum;
        network.partial.merge(&parts.network);
        network.watched.merge(Watched { from: None, unknown: parts.left_out });
        for part in &parts.contracts {
            let sum = &mut self.entries.entry(Some(part.contract)).or_default().sum;
            sum.partial.merge(&part.partial);
            sum.watched.merge(Watched::of(part.watched_from));
        }
    }

    /// Merges anew from these, which are all that is in it. A contract that is in none of them stays, with nothing: its window was given
    /// with something, perhaps.
    pub fn rebuild<'p>(&mut self, parts: impl Iterator<Item = &'p Parts>) {
        self.entries.values_mut().for_each(|entry| entry.sum = Sum::default());
        parts.for_each(|parts| self.merge(parts));
        self.is_stale = false;
    }

    /// Whether something has changed since it was given.
    pub fn has_news(&self) -> bool {
        self.entries.values().any(|entry| entry.is_news || entry.is_news_to_longer)
    }
}
