//! What every event of a network that is not final gave, and what becomes of it in reorgs (rule 29). Pure.
//!
//! Guarantee: a revert takes back exactly what the event that it undoes gave, whatever was edited since, and no more. A match that comes
//! again within [`REORG_LIMIT_BLOCKS`] is *included again*, also where its monitor has another version by then. When a reorg is over, each
//! tenant that was told something in it hears that once (*settled*). All of it stands in `alerts.ring`: whoever reads the partition's records
//! goes on exactly where they were written (`tests` below: random histories, cut off anywhere, against a slow model).
//!
//! Of a rule over windows it is held whether it was said to hold: a revert of the block with which that began takes the alert back, one of the
//! block with which it ended lets the same alert go on where the rule holds once the reorg is over.
//!
//! A cause that comes late is said of what was given, and what fits by it alone is given with the event of its block: it goes with that.
//!
//! A match whose monitor waits is given once its block is deep enough, and never when that block is reverted before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemas::{
    Network, TimeMs,
    limits::REORG_LIMIT_BLOCKS,
    records::{AlertMatch, AlertSource, MatchOp},
};

use super::given::Wait;

mod event;
mod late;
mod records;

pub use event::{Changes, Hit, Identity, Place, Rule, amended, identity};
use event::{Entry, rule_of};

/// The sequence under which stands what is of no event: who was told something in a reorg that is not over, and which rules hold.
const REORG: u64 = 0;

/// See the module.
#[derive(Debug)]
pub struct Ring {
    network: Network,
    entries: BTreeMap<u64, Entry>,
    /// Where what was taken back stands.
    taken_back: HashMap<Identity, u64>,
    waiting: BTreeSet<u64>,
    /// Rules that were said to hold, and not to be over.
    over: BTreeSet<Rule>,
    /// Those of them whose end was taken back in this reorg.
    undone: BTreeSet<Rule>,
    told: BTreeSet<String>,
    since: Option<TimeMs>,
    tip: u64,
    finalized: Option<u64>,
    sequence: u64,
    /// When the newest event was first seen.
    seen_at: TimeMs,
}

impl Ring {
    /// Of a network that gave nothing yet.
    pub fn new(network: Network) -> Self {
        Self {
            network,
            entries: BTreeMap::new(),
            taken_back: HashMap::new(),
            waiting: BTreeSet::new(),
            over: BTreeSet::new(),
            undone: BTreeSet::new(),
            told: BTreeSet::new(),
            since: None,
            tip: 0,
            finalized: None,
            sequence: 0,
            seen_at: TimeMs(0),
        }
    }

    /// What was told in a reorg by whoever was here before is waited for from now on.
    pub fn wait_anew(&mut self, now: TimeMs) {
        self.since = self.since.map(|_| now);
    }

    /// A block joins the chain, and gives this.
    pub fn apply(&mut self, place: &Place, hits: Vec<Hit>, changes: &mut Changes) {
        (self.sequence, self.seen_at) = (place.sequence, place.observed_at);
        self.tip = place.height;
        let mut entry = Entry::new(place);
        for hit in hits {
            self.give(hit, place, &mut entry, changes);
        }
        if !entry.is_empty() {
            self.put(place.sequence, entry, changes);
        }
    }

    fn give(&mut self, hit: Hit, place: &Place, entry: &mut Entry, changes: &mut Changes) {
        let Hit { mut found, wait } = hit;
        let was = identity(&found).and_then(|of| self.taken_back.remove(&of).map(|at| (at, of)));
        match (was, wait) {
            (Some((at, of)), _) => {
                // Whoever waits has waited once already.
                self.forget_taken_back(at, &of, changes);
                found.op = MatchOp::IncludedAgain;
                self.tell(&found.tenant, place, changes);
                changes.matches.push(found.clone());
                entry.given.push(found);
            }
            (None, Some(wait)) => entry.waiting.push((wait, found)),
            (None, None) => {
                found.op = MatchOp::Match;
                changes.matches.push(found.clone());
                entry.given.push(found);
            }
        }
    }

    fn put(&mut self, sequence: u64, entry: Entry, changes: &mut Changes) {
        if !entry.waiting.is_empty() {
            self.waiting.insert(sequence);
        }
        self.entries.insert(sequence, entry);
        changes.touched.insert(sequence);
    }

    /// A rule is said to hold with this event, or not to. True where its alert goes on: its end was taken back in this reorg.
    pub fn rule_says(&mut self, place: &Place, said: &AlertMatch, over: bool, changes: &mut Changes) -> bool {
        let rule = rule_of(said);
        let goes_on = self.undone.remove(&rule) && over;
        let changed = if over { self.over.insert(rule) } else { self.over.remove(&rule) };
        if changed {
            let kept = AlertMatch { op: MatchOp::Match, figure: None, ..said.clone() };
            let entry = self.entries.entry(place.sequence).or_insert_with(|| Entry::new(place));
            if over {
                entry.given.push(kept)
            } else {
                entry.ended.push(kept)
            }
            changes.touched.insert(place.sequence);
        }
        if changed || goes_on {
            changes.touched.insert(REORG);
        }
        goes_on
    }

    /// Forgets rules that are no more.
    pub fn keep_rules(&mut self, is_there: impl Fn(&Rule) -> bool, changes: &mut Changes) {
        let before = self.over.len();
        self.over.retain(&is_there);
        self.undone.retain(is_there);
        if self.over.len() != before {
            changes.touched.insert(REORG);
        }
    }

    /// The block of the event `reverts` leaves the chain.
    pub fn revert(&mut self, place: &Place, reverts: u64, changes: &mut Changes) {
        (self.sequence, self.seen_at) = (place.sequence, place.observed_at);
        self.tip = place.height.saturating_sub(1);
        self.waiting.remove(&reverts);
        // What was taken back with an event stays with it: an event that was a revert is never undone.
        if let Some(entry) = self.entries.remove(&reverts) {
            changes.touched.insert(reverts);
            for ended in &entry.ended {
                let rule = rule_of(ended);
                changes.rules.push(rule.clone());
                changes.touched.insert(REORG);
                self.over.insert(rule.clone());
                self.undone.insert(rule);
            }
            let mut taken_back = Vec::with_capacity(entry.given.len());
            for given in entry.given {
                let retract = AlertMatch { op: MatchOp::Retract, sequence: place.sequence, ..given };
                self.tell(&retract.tenant, place, changes);
                if let Some(of) = identity(&retract) {
                    self.taken_back.insert(of, place.sequence);
                }
                changes.matches.push(retract.clone());
                // What a rule says comes again by itself.
                if retract.found.is_some() {
                    taken_back.push(retract);
                } else {
                    let rule = rule_of(&retract);
                    self.over.remove(&rule);
                    self.undone.remove(&rule);
                    changes.touched.insert(REORG);
                    changes.rules.push(rule);
                }
            }
            if !taken_back.is_empty() {
                self.entries.insert(place.sequence, Entry { taken_back, ..Entry::new(place) });
                changes.touched.insert(place.sequence);
            }
        }
    }

    /// Heights are final up to this one.
    pub fn finality(&mut self, finalized: Option<u64>, changes: &mut Changes) {
        self.finalized = self.finalized.max(finalized);
        self.release(changes);
        self.prune(changes);
    }

    /// The reorg is over as far as tenants are concerned, since it has lasted until now.
    pub fn settle_late(&mut self, now: TimeMs, within: std::time::Duration, changes: &mut Changes) {
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
        if self.since.is_some_and(|since| now.0.saturating_sub(since.0) >= within) {
            self.settle(now, changes);
        }
    }

    /// Whether an event of this sequence came before: then the log is another one.
    pub fn is_ahead_of(&self, sequence: u64) -> bool {
        self.sequence >= sequence
    }

    /// Forgets everything, and says nothing of it.
    pub fn clear(&mut self, changes: &mut Changes) {
        changes.touched.extend(self.entries.keys().copied().chain([REORG]));
        *self = Self::new(self.network.clone());
    }

    /// Whether somebody was told something in a reorg that is not over.
    pub fn is_unsettled(&self) -> bool {
        self.since.is_some()
    }

    /// Sequences whose records are to be written.
    pub fn touched(changes: &Changes) -> impl Iterator<Item = u64> {
        changes.touched.iter().copied()
    }

    /// Events of which something is held.
    pub fn held(&self) -> usize {
        self.entries.len()
    }

    fn tell(&mut self, tenant: &str, place: &Place, changes: &mut Changes) {
        if self.told.insert(tenant.to_owned()) {
            changes.touched.insert(REORG);
        }
        self.since.get_or_insert(place.seen_at);
    }

    fn forget_taken_back(&mut self, at: u64, of: &Identity, changes: &mut Changes) {
        let Some(entry) = self.entries.get_mut(&at) else { return };
        entry.taken_back.retain(|found| identity(found).as_ref() != Some(of));
        changes.touched.insert(at);
        if entry.is_empty() {
            self.entries.remove(&at);
        }
    }

    /// All that the event gave is taken: what follows from its place. `looked`: whether all rules were held against it; the reorg that it
    /// ends is not over for anybody before they were, or what a rule says then would be another alert.
    pub fn passed(&mut self, place: &Place, looked: bool, changes: &mut Changes) {
        self.finalized = self.finalized.max(place.finalized);
        self.release(changes);
        if !place.reorg_goes_on && looked {
            if !self.undone.is_empty() {
                self.undone.clear();
                changes.touched.insert(REORG);
            }
            if self.since.is_some() {
                self.settle(place.at, changes);
            }
        }
        self.prune(changes);
    }

    /// Gives what has waited long enough.
    fn release(&mut self, changes: &mut Changes) {
        let (tip, finalized, now) = (self.tip, self.finalized, self.sequence);
        let is_over = |wait: Wait, height: u64| match wait {
            // A chain that calls nothing final: what no reorg can take back any more.
            Wait::Finalized => match finalized {
                Some(finalized) => finalized >= height,
                None => tip > height.saturating_add(REORG_LIMIT_BLOCKS),
            },
            Wait::Blocks(blocks) => tip >= height.saturating_add(blocks),
        };
        let mut done = Vec::new();
        for sequence in &self.waiting {
            let Some(entry) = self.entries.get_mut(sequence) else {
                done.push(*sequence);
                continue;
            };
            let height = entry.height;
            if !entry.waiting.iter().any(|(wait, _)| is_over(*wait, height)) {
                continue;
            }
            let (over, waiting) =
                std::mem::take(&mut entry.waiting).into_iter().partition(|(w, _)| is_over(*w, height));
            let over: Vec<(Wait, AlertMatch)> = over;
            entry.waiting = waiting;
            for (_, mut found) in over {
                // Who hears of it hears of it now: its block's own time stays.
                (found.op, found.sequence, found.observed_at) =
                    (MatchOp::Match, now, self.seen_at.max(found.observed_at));
                changes.matches.push(found.clone());
                entry.given.push(found);
            }
            changes.touched.insert(*sequence);
            if entry.waiting.is_empty() {
                done.push(*sequence);
            }
        }
        self.waiting.retain(|sequence| !done.contains(sequence));
    }

    fn settle(&mut self, at: TimeMs, changes: &mut Changes) {
        self.since = None;
        for tenant in std::mem::take(&mut self.told) {
            changes.matches.push(AlertMatch {
                tenant,
                source: AlertSource::nobody(),
                op: MatchOp::Settled,
                network: self.network.clone(),
                sequence: self.sequence,
                height: self.tip,
                block_hash: None,
                at,
                observed_at: at,
                contract: None,
                group: BTreeMap::new(),
                found: None,
                figure: None,
            });
        }
        changes.touched.insert(REORG);
    }

    /// Drops what no reorg can take back any more, and what was taken back too long ago to come again. A match that waits is dropped
    /// where no block can be the one that it waits for.
    fn prune(&mut self, changes: &mut Changes) {
        let (tip, finalized) = (self.tip, self.finalized);
        let is_deep = |height: u64| height.saturating_add(REORG_LIMIT_BLOCKS) < tip;
        let is_final = |height: u64| finalized.is_some_and(|finalized| finalized >= height);
        let over: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                let waits = !entry.waiting.is_empty();
                let may_come_again = !entry.taken_back.is_empty() && !is_deep(entry.height);
                !waits && !may_come_again && (is_deep(entry.height) || is_final(entry.height))
            })
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in over {
            if let Some(entry) = self.entries.remove(&sequence) {
                for of in entry.taken_back.iter().filter_map(identity) {
                    self.taken_back.remove(&of);
                }
                changes.touched.insert(sequence);
            }
        }
    }
}

#[cfg(test)]
mod tests;
