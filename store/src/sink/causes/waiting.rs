//! Causes that wait for their rows, and what of their topic is settled. Pure.
//!
//! Guarantee: a position never passes a cause that is not settled, and what is held of a partition is bounded. A network whose rows do not
//! come is passed over where others would wait for it: its first cause keeps the position, and is read again, with all behind it, once the
//! rows are there. What was settled meanwhile is folded once more, which changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use runtime::log::{Offsets, TopicPartition};
use schemas::{Network, limits::causes::WAITING, records::EnrichedCause};

use crate::sink::fold::bytes_of;

/// A cause and where it stands.
#[derive(Debug)]
pub(super) struct Held {
    pub place: Place,
    pub cause: EnrichedCause,
}

/// Where a record stands, in which assignment of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub at: TopicPartition,
    pub offset: u64,
    epoch: u64,
}

/// A network of a partition that is passed over: from which offset on, and whose event's rows are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Passed {
    offset: u64,
    sequence: u64,
}

#[derive(Debug)]
struct Partition {
    epoch: u64,
    /// Whether reading has begun: where is decided with the store's word.
    placed: bool,
    /// Behind the last record that was read.
    next: u64,
    /// Causes that are held here, or being folded.
    unsettled: BTreeSet<u64>,
    passed: BTreeMap<Network, Passed>,
    committed: Option<u64>,
    paused: bool,
}

impl Partition {
    /// Everything below is settled.
    fn position(&self) -> u64 {
        let unsettled = self.unsettled.first().copied();
        let passed = self.passed.values().map(|p| p.offset).min();
        unsettled.into_iter().chain(passed).min().unwrap_or(self.next)
    }
}

/// How far the store has a network's events, and since when that is so.
#[derive(Debug, Clone, Copy)]
struct Stored {
    sequence: u64,
    since: Instant,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    epoch: u64,
    partitions: BTreeMap<TopicPartition, Partition>,
    held: Vec<Held>,
    stored: HashMap<Network, Stored>,
    /// Causes that came since it was last asked which are ready.
    fresh: usize,
}

impl Waiting {
    /// This partition is ours. It is not read before [`Self::place`].
    pub fn assigned(&mut self, at: TopicPartition, position: Option<u64>) {
        self.epoch += 1;
        let partition = Partition {
            epoch: self.epoch,
            placed: false,
            next: position.unwrap_or(0),
            unsettled: BTreeSet::new(),
            passed: BTreeMap::new(),
            committed: position,
            paused: true,
        };
        self.partitions.insert(at, partition);
        self.held.retain(|held| held.place.at != at);
    }

    /// These went to others.
    pub fn revoked(&mut self, gone: &[TopicPartition]) {
        self.partitions.retain(|at, _| !gone.contains(at));
        self.held.retain(|held| !gone.contains(&held.place.at));
    }

    /// All partitions that are held.
    pub fn all(&self) -> Vec<TopicPartition> {
        self.partitions.keys().copied().collect()
    }

    /// Partitions of which it is to be decided where reading begins, and the group's positions.
    pub fn unplaced(&self) -> Vec<(TopicPartition, Option<u64>)> {
        self.partitions.iter().filter(|(_, p)| !p.placed).map(|(at, p)| (*at, p.committed)).collect()
    }

    /// Reading goes on here, whatever was held of the partition.
    pub fn place(&mut self, at: TopicPartition, offset: u64) {
        self.epoch += 1;
        let Some(partition) = self.partitions.get_mut(&at) else { return };
        (partition.epoch, partition.placed, partition.next) = (self.epoch, true, offset);
        partition.unsettled.clear();
        partition.passed.retain(|_, passed| passed.offset < offset);
        self.held.retain(|held| held.place.at != at);
    }

    /// A record was read: its cause, where it is one.
    pub fn read(&mut self, at: TopicPartition, offset: u64, cause: Option<EnrichedCause>) {
        let Some(partition) = self.partitions.get_mut(&at) else { return };
        partition.next = partition.next.max(offset + 1);
        let Some(cause) = cause else { return };
        // Its network's first one keeps the position, and brings this one back.
        if partition.passed.contains_key(&cause.network) {
            return;
        }
        self.fresh += 1;
        partition.unsettled.insert(offset);
        self.held.push(Held { place: Place { at, offset, epoch: partition.epoch }, cause });
    }

    /// Causes that are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Causes that came since it was last asked which are ready.
    pub fn fresh(&self) -> usize {
        self.fresh
    }

    /// Networks that are passed over.
    pub fn passed(&self) -> BTreeSet<&Network> {
        self.partitions.values().flat_map(|p| p.passed.keys()).collect()
    }

    /// Networks of which it matters how far the store has them.
    pub fn networks(&self) -> BTreeSet<Network> {
        self.held.iter().map(|held| &held.cause.network).chain(self.passed()).cloned().collect()
    }

    /// The store has a network's events up to this one.
    pub fn stored(&mut self, network: &Network, sequence: u64, now: Instant) {
        match self.stored.get_mut(network) {
            Some(stored) if stored.sequence == sequence => {}
            Some(stored) => *stored = Stored { sequence, since: now },
            None => drop(self.stored.insert(network.clone(), Stored { sequence, since: now })),
        }
    }

    /// Takes out the causes whose events are stored.
    pub fn ready(&mut self) -> Vec<Held> {
        self.fresh = 0;
        let stored = &self.stored;
        let is_ready =
            |held: &mut Held| stored.get(&held.cause.network).is_some_and(|s| s.sequence >= held.cause.sequence);
        self.held.extract_if(.., is_ready).collect()
    }

    /// Nothing more is to be done about these.
    pub fn settle(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            if let Some(partition) = self.partitions.get_mut(&place.at).filter(|p| p.epoch == place.epoch) {
                partition.unsettled.remove(&place.offset);
            }
        }
    }

    /// These were taken out, and nothing could be done about them now.
    pub fn give_back(&mut self, held: Vec<Held>) {
        let is_ours = |held: &Held| self.partitions.get(&held.place.at).is_some_and(|p| p.epoch == held.place.epoch);
        let ours: Vec<Held> = held.into_iter().filter(is_ours).collect();
        self.held.extend(ours);
    }

    /// Takes out the causes for which `is_void` says that they wait in vain.
    pub fn give_up(&mut self, is_void: impl Fn(&EnrichedCause) -> bool) -> usize {
        let void: Vec<Held> = self.held.extract_if(.., |held| is_void(&held.cause)).collect();
        self.settle(void.iter().map(|held| held.place));
        void.len()
    }

    /// Makes room where partitions are full and a network's rows have not come for `patience`: the networks that are passed over now.
    pub fn make_room(&mut self, now: Instant, patience: Duration) -> Vec<Network> {
        let full: Vec<TopicPartition> = self.partitions.keys().filter(|at| self.is_full(**at)).copied().collect();
        let mut over = Vec::new();
        for at in full {
            let stuck: BTreeSet<Network> =
                self.held.iter().filter(|h| h.place.at == at).map(|h| h.cause.network.clone()).collect();
            for network in stuck {
                let since = self.stored.get(&network).map(|stored| stored.since);
                if since.is_none_or(|since| now.duration_since(since) < patience) {
                    continue;
                }
                let is_its = |held: &mut Held| held.place.at == at && held.cause.network == network;
                let its: Vec<Held> = self.held.extract_if(.., is_its).collect();
                let (Some(first), Some(partition)) =
                    (its.iter().min_by_key(|h| h.place.offset), self.partitions.get_mut(&at))
                else {
                    continue;
                };
                let passed = Passed { offset: first.place.offset, sequence: first.cause.sequence };
                for held in &its {
                    partition.unsettled.remove(&held.place.offset);
                }
                partition.passed.insert(network.clone(), passed);
                over.push(network);
            }
        }
        over
    }

    /// Partitions that are to be read again from here, since the rows of a network have come that was passed over.
    pub fn rewind(&mut self) -> Vec<(TopicPartition, u64)> {
        let mut again = Vec::new();
        for (at, partition) in &mut self.partitions {
            let has_come = |network: &Network, passed: &mut Passed| {
                self.stored.get(network).is_some_and(|stored| stored.sequence >= passed.sequence)
            };
            let come: Vec<(Network, Passed)> = partition.passed.extract_if(.., has_come).collect();
            again.extend(come.iter().map(|(_, passed)| passed.offset).min().map(|offset| (*at, offset)));
        }
        again.iter().for_each(|(at, offset)| self.place(*at, *offset));
        self.forget_stored();
        again
    }

    /// What nobody waits for is not remembered.
    fn forget_stored(&mut self) {
        let wanted = self.networks();
        self.stored.retain(|network, _| wanted.contains(network));
    }

    fn is_full(&self, at: TopicPartition) -> bool {
        let of = || self.held.iter().filter(|held| held.place.at == at).map(|held| &held.cause);
        of().count() >= WAITING.0 || of().map(bytes_of).sum::<usize>() >= WAITING.1
    }

    /// Partitions that are not to be read just now, and those that are again.
    pub fn pauses(&mut self) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for at in self.all() {
            let full = self.is_full(at);
            let Some(partition) = self.partitions.get_mut(&at) else { continue };
            let paused = full || !partition.placed;
            if paused != partition.paused {
                partition.paused = paused;
                if paused { pause.push(at) } else { resume.push(at) }
            }
        }
        (pause, resume)
    }

    /// Partitions that may be read.
    pub fn running(&self) -> Vec<TopicPartition> {
        self.partitions.iter().filter(|(_, p)| !p.paused).map(|(at, _)| *at).collect()
    }

    /// Positions that have moved since they were last asked for.
    pub fn moved(&mut self) -> Offsets {
        let mut moved = Offsets::new();
        for (at, partition) in self.partitions.iter_mut().filter(|(_, p)| p.placed) {
            let position = partition.position();
            if partition.committed.map_or(position > 0, |committed| committed < position) {
                partition.committed = Some(position);
                moved.push((*at, position));
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests;
