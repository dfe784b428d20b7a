//! A linked chain of blocks and the windows over it: live, or one run of filled blocks.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    TimeMs,
    limits::windows as limits,
    records::{Told, Window},
};

use super::{
    DAY, MINUTE, NEVER, SIZES,
    chain::{Chain, Clock},
    change::{Applied, Place, Reverted},
    minutes::{Minute, Sum, Watched, Whose},
    start,
};

/// A window of a line: size in milliseconds, start, and whose.
pub type Key = (i64, i64, Whose);

/// Which windows that are still open are given, where they have changed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open {
    /// The network's minute.
    pub network: bool,
    /// Its contracts'.
    pub contracts: bool,
}

/// The first block that is held.
struct Base {
    /// No block before it has a later time.
    time: i64,
    why: String,
}

/// The first block of a day.
struct Day {
    sequence: u64,
    /// Where to read from to have all of the day, and what comes before.
    from: Place,
}

/// See the module.
pub struct Line {
    /// Whether its blocks were filled in.
    is_fill: bool,
    chain: Chain,
    base: Option<Base>,
    /// Why the next first block is the first.
    why: String,
    minutes: BTreeMap<i64, Minute>,
    /// Of minutes that are dropped: what the longer windows hold of them, by size and start.
    merged: BTreeMap<(i64, i64), BTreeMap<Whose, Sum>>,
    days: BTreeMap<i64, Day>,
    /// Minutes with news.
    news: BTreeSet<i64>,
    /// How far time had passed when windows were given last, and the least since.
    given: i64,
    least: i64,
    /// Up to where minutes are dropped once their blocks cannot be reverted.
    dropped: i64,
}

impl Line {
    /// Without blocks.
    pub fn new(clock: Clock, is_fill: bool) -> Self {
        let (minutes, merged, days, news) = Default::default();
        Self {
            is_fill,
            chain: Chain::new(clock, is_fill),
            base: None,
            why: "the first block that is known lies in it".to_owned(),
            minutes,
            merged,
            days,
            news,
            given: NEVER,
            least: NEVER,
            dropped: NEVER,
        }
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// By what its time passes; before its first block.
    pub fn passes_by(&mut self, clock: Clock) {
        self.chain = Chain::new(clock, self.is_fill);
    }

    /// Whether a block comes next.
    pub fn continues(&self, block: &Applied) -> bool {
        self.chain.tip().is_none_or(|tip| tip.hash == block.parent && tip.height < block.height)
    }

    /// No height up to this one is reverted any more.
    pub fn finalize(&mut self, height: Option<u64>) {
        self.chain.finalize(height);
    }

    /// The next block, which continues the chain.
    pub fn apply(&mut self, sequence: u64, place: Place, block: Applied) {
        let time = block.time.0;
        self.silence_until(time);
        if self.chain.tip().is_none() {
            let time = time.saturating_add(self.chain.clock().ahead());
            self.base = Some(Base { time, why: self.why.clone() });
        }
        let trail = self.chain.trail().unwrap_or(place);
        self.days.entry(start(time, DAY)).or_insert(Day { sequence, from: trail });
        let dropped = self.dropped;
        let at = start(time, MINUTE);
        self.minutes.entry(at).or_insert_with(|| Minute::new(dropped)).add(&block.parts);
        self.news.insert(at);
        let finalized = block.finalized;
        self.chain.push(sequence, place, block);
        self.chain.finalize(finalized);
    }

    /// Minutes of the network in which nothing happened, between the tip and a block at this time.
    fn silence_until(&mut self, time: i64) {
        let Some(before) = self.chain.tip().map(|tip| tip.time) else { return };
        if time - before > limits::SILENCE_MS {
            return;
        }
        let mut at = start(before, MINUTE) + MINUTE;
        while at < start(time, MINUTE) && self.minutes.len() < limits::MINUTES {
            if at + MINUTE > self.dropped {
                let dropped = self.dropped;
                self.minutes.entry(at).or_insert_with(|| Minute::new(dropped));
                self.news.insert(at);
            }
            at += MINUTE;
        }
    }

    /// Takes the tip off, if it is this block. `Err`: it is not held, or not to be taken off any more.
    ///
    /// # Errors
    /// See above.
    pub fn revert(&mut self, block: &Reverted) -> Result<(), ()> {
        if self.chain.tip().is_none_or(|tip| tip.hash != block.hash || tip.parts.is_none()) {
            return Err(());
        }
        let Some(tip) = self.chain.pop() else { return Err(()) };
        let (at, day) = (start(tip.time, MINUTE), start(tip.time, DAY));
        if let (Some(minute), Some(parts)) = (self.minutes.get_mut(&at), &tip.parts) {
            minute.remove(parts);
            self.news.insert(at);
        }
        if self.days.get(&day).is_some_and(|first| first.sequence == tip.sequence) {
            self.days.remove(&day);
        }
        self.least = self.least.min(self.chain.water());
        if self.chain.tip().is_none() {
            self.base = None;
        }
        Ok(())
    }

    /// What is to be given now: windows whose end was passed, or is passed no more, since the last time; those that have changed and
    /// whose end is passed; longer ones that have changed, when a minute ended; and what `open` says. It counts as given from now on.
    pub fn due(&mut self, open: Open) -> BTreeSet<Key> {
        self.rebuild();
        let water = self.chain.water();
        let (least, most) = (self.least.min(self.given), self.given.max(water));
        let a_minute_ended = least != most && start(least, MINUTE) != start(most, MINUTE);
        let mut due = BTreeSet::new();
        if least < most {
            for size in SIZES {
                self.passed(size, least, most, &mut due);
            }
        }
        let mut rest = BTreeSet::new();
        for at in std::mem::take(&mut self.news) {
            let Some(minute) = self.minutes.get_mut(&at) else { continue };
            let has_ended = at + MINUTE <= water;
            for (whose, entry) in &mut minute.entries {
                let may = has_ended || if whose.is_none() { open.network } else { open.contracts };
                if entry.is_news && may {
                    entry.is_news = false;
                    due.insert((MINUTE, at, *whose));
                }
                if entry.is_news_to_longer && (has_ended || a_minute_ended) {
                    entry.is_news_to_longer = false;
                    due.extend(SIZES.into_iter().skip(1).map(|size| (size, start(at, size), *whose)));
                }
            }
            if minute.has_news() {
                rest.insert(at);
            }
        }
        self.news = rest;
        (self.given, self.least) = (water, water);
        if self.is_fill {
            due.retain(|key| self.trouble(*key, &self.sum(*key)).is_none());
        }
        due
    }

    /// Windows of a size of which something is known and whose end lies in (`least`, `most`].
    fn passed(&self, size: i64, least: i64, most: i64, due: &mut BTreeSet<Key>) {
        // The first window that may, and the first that does not any more.
        let from = start(least + 1, size) - size;
        let until = start(most, size);
        let passes = |at: i64| at + size > least && at + size <= most;
        for (at, minute) in self.minutes.range(from..until) {
            let window = start(*at, size);
            if passes(window) {
                due.extend(minute.entries.keys().map(|whose| (size, window, *whose)));
            }
        }
        for ((_, at), sums) in self.merged.range((size, from)..(size, until)) {
            if passes(*at) {
                due.extend(sums.keys().map(|whose| (size, *at, *whose)));
            }
        }
    }

    fn rebuild(&mut self) {
        for at in &self.news {
            if let Some(minute) = self.minutes.get_mut(at).filter(|minute| minute.is_stale) {
                minute.rebuild(self.chain.parts(*at, at + MINUTE));
            }
        }
    }

    /// Lets go what is not needed any more. After [`Self::due`].
    pub fn settle(&mut self) {
        for time in self.chain.release() {
            if let Some(minute) = self.minutes.get_mut(&start(time, MINUTE)) {
                minute.revertible = minute.revertible.saturating_sub(1);
            }
        }
        let settled = self.chain.settled();
        let ended = self.minutes.range(..settled - MINUTE + 1);
        let gone: Vec<i64> = ended
            .filter(|(_, minute)| minute.revertible == 0 && !minute.is_stale && !minute.has_news())
            .map(|(at, _)| *at)
            .collect();
        if gone.is_empty() {
            return;
        }
        for at in gone {
            let Some(minute) = self.minutes.remove(&at) else { continue };
            for size in SIZES.into_iter().skip(1) {
                let sums = self.merged.entry((size, start(at, size))).or_default();
                for (whose, entry) in &minute.entries {
                    sums.entry(*whose).or_default().merge(&entry.sum);
                }
            }
        }
        self.dropped = self.dropped.max(settled);
        let minutes = &self.minutes;
        self.chain.trim(|time| !minutes.contains_key(&start(time, MINUTE)));
        let over = |size: i64, at: i64| at + size <= settled && minutes.range(at..at + size).next().is_none();
        self.merged.retain(|(size, at), _| !over(*size, *at));
        self.days.retain(|at, _| !over(DAY, *at));
    }

    /// What a window holds.
    fn sum(&self, (size, at, whose): Key) -> Sum {
        let mut sum = match size {
            MINUTE => Sum::default(),
            _ => self.merged.get(&(size, at)).and_then(|sums| sums.get(&whose)).cloned().unwrap_or_default(),
        };
        for (_, minute) in self.minutes.range(at..at + size) {
            if let Some(entry) = minute.entries.get(&whose) {
                sum.merge(&entry.sum);
            }
        }
        sum
    }

    /// Why a window is not complete; `None`: it is.
    fn trouble(&self, (size, at, whose): Key, sum: &Sum) -> Option<String> {
        let Some(base) = &self.base else { return Some(self.why.clone()) };
        if at <= base.time {
            return Some(base.why.clone());
        }
        if self.minutes.range(at..at + size).any(|(_, minute)| minute.dropped >= at + size) {
            return Some("a block came when all that this window held was settled".to_owned());
        }
        if whose.is_some() {
            match sum.watched.from() {
                _ if self.left_out(size, at) => {
                    return Some("a block touched more watched contracts than its record has room for".to_owned());
                }
                // No block of it is left.
                _ if sum.watched == Watched::default() => {}
                None => return Some("it is not known since when the contract is watched".to_owned()),
                Some(from) if at < from.0 => {
                    return Some(format!("the contract is watched since {} only", from.rfc3339()));
                }
                Some(_) => {}
            }
        }
        (at + size > self.chain.water()).then(|| self.not_reached())
    }

    /// Why a window has not ended, of which everything else holds.
    fn not_reached(&self) -> String {
        match (self.chain.clock(), self.chain.water()) {
            (Clock::BlockTime, _) => "its end is not reached".to_owned(),
            (Clock::MedianTimePast, NEVER) => {
                "its end is not reached: the median time past is not known yet".to_owned()
            }
            (Clock::MedianTimePast, median) => {
                format!("its end is not reached: the median time past is {}", TimeMs(median).rfc3339())
            }
        }
    }

    /// Whether blocks of a window's time left contracts out.
    fn left_out(&self, size: i64, at: i64) -> bool {
        let merged = self.merged.get(&(size, at)).and_then(|sums| sums.get(&None));
        let minutes = self.minutes.range(at..at + size).filter_map(|(_, minute)| minute.entries.get(&None));
        merged.into_iter().chain(minutes.map(|entry| &entry.sum)).any(|sum| sum.watched.is_unknown())
    }

    /// A window as it is now. `uncertain`: why it is not what it should be.
    pub fn window(&self, key: Key, uncertain: Option<&str>, stands: &Stands<'_>) -> Window {
        let (size, at, whose) = key;
        let sum = self.sum(key);
        let reason = uncertain.map(str::to_owned).or_else(|| self.trouble(key, &sum));
        Window {
            told: Told::of(&sum.partial),
            network: stands.network.clone(),
            contract: whose,
            window_seconds: u32::try_from(size / 1_000).unwrap_or(u32::MAX),
            window_start: TimeMs(at),
            watched_from: sum.watched.from(),
            partial: sum.partial,
            complete: reason.is_none(),
            reason,
            sequence: stands.sequence,
            height: stands.height,
        }
    }

    /// What is uncertain when events are missing: windows that have not ended, and those that blocks could have come into or gone from.
    pub fn uncertain(&mut self) -> BTreeSet<Key> {
        self.rebuild();
        if self.is_fill {
            return BTreeSet::new();
        }
        // In the place of those that can be reverted, blocks of any later time may stand by now.
        let from = self.chain.settled();
        let mut uncertain = BTreeSet::new();
        for (at, minute) in &self.minutes {
            for size in SIZES {
                let window = start(*at, size);
                if window + size > from || minute.has_news() {
                    uncertain.extend(minute.entries.keys().map(|whose| (size, window, *whose)));
                }
            }
        }
        for ((size, at), sums) in self.merged.iter().filter(|((size, at), _)| at + size > from) {
            uncertain.extend(sums.keys().map(|whose| (*size, *at, *whose)));
        }
        uncertain
    }

    /// Begins anew: the next block is the first, and why.
    pub fn begin_again(&mut self, why: String) {
        *self = Self { why, ..Self::new(self.chain.clock(), self.is_fill) };
    }

    /// Where to read from to have all that is needed of it since a time of the log; `None`: nothing is.
    pub fn rewind(&self, since: i64) -> Option<Place> {
        let days = self.days.values().map(|day| day.from);
        let tip = self.chain.tip().map(|tip| tip.place);
        days.chain(tip).filter(|place| place.at.0 >= since).min_by_key(|place| place.offset)
    }

    /// Whether something has changed that is still to be given.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What is held: blocks, and sums.
    pub fn held(&self) -> (usize, usize) {
        let minutes = self.minutes.values().map(|minute| minute.entries.len());
        (self.chain.len(), minutes.chain(self.merged.values().map(BTreeMap::len)).sum())
    }
}

/// Where a network stands.
pub struct Stands<'a> {
    /// Which.
    pub network: &'a schemas::Network,
    /// Its last event.
    pub sequence: u64,
    /// The height of it.
    pub height: u64,
}
