//! What follows once it is found out why a transaction failed.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use schemas::{limits::alerts::MATCHES_OF_EVENT, records::AlertMatch};

use super::{
    super::given::room_of,
    Changes, Hit, Place, Ring, amended,
    event::{Entry, identity, is_news},
};

impl Ring {
    /// Why a transaction of an event's block failed was found out. Matches of it say so from now on, and of those that were given that is
    /// told. Whether anything is held of the event: what is final is told apart no more.
    pub fn name(&mut self, sequence: u64, transaction: B256, cause: &str, changes: &mut Changes) -> bool {
        let Some(entry) = self.entries.get_mut(&sequence) else { return false };
        let mut is_touched = false;
        for one in &mut entry.given {
            if hash_of(one) != Some(transaction) {
                continue;
            }
            let said = amended(one, cause);
            is_touched |= said.is_some();
            name(one, cause);
            changes.matches.extend(said);
        }
        for (_, one) in &mut entry.waiting {
            if hash_of(one) == Some(transaction) {
                is_touched |= name(one, cause);
            }
        }
        if is_touched {
            changes.touched.insert(sequence);
        }
        true
    }

    /// Whether a match of an event was given, or waits.
    pub fn knows(&self, sequence: u64, found: &AlertMatch) -> bool {
        self.entries.get(&sequence).is_some_and(|entry| knows(entry, found))
    }

    /// Bytes that what is held of an event may take in its record, without arguments.
    pub fn room_taken(&self, sequence: u64) -> usize {
        let Some(entry) = self.entries.get(&sequence) else { return 0 };
        let waiting = entry.waiting.iter().map(|(_, one)| one);
        entry.given.iter().chain(waiting).chain(&entry.taken_back).chain(&entry.ended).map(room_of).sum()
    }

    /// The block of an event, which stands, gives more, since more is known of its transactions. Gives back what is more than its tenant may
    /// have of a block. Nothing is touched where nothing is new.
    pub fn gives_more(&mut self, place: &Place, hits: Vec<Hit>, changes: &mut Changes) -> Vec<Hit> {
        if hits.is_empty() {
            return hits;
        }
        let (sequence, now, seen_at) = (place.sequence, self.sequence, self.seen_at);
        let mut entry = self.entries.remove(&sequence).unwrap_or_else(|| Entry::new(place));
        let mut of_tenants: BTreeMap<String, usize> = BTreeMap::new();
        let waiting = entry.waiting.iter().map(|(_, one)| one);
        for one in entry.given.iter().chain(waiting).filter(|one| one.found.is_some()) {
            *of_tenants.entry(one.tenant.clone()).or_default() += 1;
        }
        let (mut left, mut is_more) = (Vec::new(), false);
        for mut hit in hits {
            if knows(&entry, &hit.found) {
                continue;
            }
            let of_tenant = of_tenants.entry(hit.found.tenant.clone()).or_default();
            if *of_tenant >= MATCHES_OF_EVENT.0 {
                left.push(hit);
                continue;
            }
            *of_tenant += 1;
            is_more = true;
            // Who hears of it hears of it now: its block's own time stays.
            (hit.found.sequence, hit.found.observed_at) = (now.max(sequence), seen_at.max(hit.found.observed_at));
            self.give(hit, place, &mut entry, changes);
        }
        if is_more {
            self.put(sequence, entry, changes);
        } else if !entry.is_empty() {
            self.entries.insert(sequence, entry);
        }
        left
    }
}

/// Whether a match was given with an event, or waits with it.
fn knows(entry: &Entry, found: &AlertMatch) -> bool {
    let of = identity(found);
    let waiting = entry.waiting.iter().map(|(_, one)| one);
    // What it is of is compared first, without making a text of it.
    let is_it = |one: &AlertMatch| hash_of(one) == hash_of(found) && identity(one) == of;
    entry.given.iter().chain(waiting).any(is_it)
}

/// Takes a cause over into a match; whether it is news of it.
fn name(of: &mut AlertMatch, cause: &str) -> bool {
    let Some(found) = of.found.as_mut().filter(|found| is_news(found, cause)) else { return false };
    found.cause = Some(cause.to_owned());
    true
}

fn hash_of(of: &AlertMatch) -> Option<B256> {
    of.found.as_ref().map(|found| found.transaction_hash)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use schemas::{
        TimeMs,
        records::{AlertSource, Found, FoundKind, MatchOp},
    };

    use super::*;

    fn place() -> Place {
        Place {
            sequence: 7,
            height: 7,
            block_hash: B256::ZERO.into(),
            at: TimeMs(0),
            observed_at: TimeMs(0),
            finalized: None,
            seen_at: TimeMs(0),
            reorg_goes_on: false,
        }
    }

    fn hit(tenant: &str, transaction: usize) -> Hit {
        let found = Found {
            transaction_hash: B256::from(U256::from(transaction)),
            kind: FoundKind::Transaction,
            position: None,
            condition: 0,
            signature: None,
            arguments: "{}".to_owned(),
            cause: None,
        };
        let found = AlertMatch {
            tenant: tenant.to_owned(),
            source: AlertSource::nobody(),
            op: MatchOp::Match,
            network: "demo".parse().expect("a slug"),
            sequence: 7,
            height: 7,
            block_hash: Some(B256::ZERO.into()),
            at: TimeMs(0),
            observed_at: TimeMs(0),
            contract: None,
            group: BTreeMap::new(),
            found: Some(found),
            figure: None,
        };
        Hit { found, wait: None }
    }

    fn ring(hits: Vec<Hit>) -> Ring {
        let mut ring = Ring::new("demo".parse().expect("a slug"));
        ring.apply(&place(), hits, &mut Changes::default());
        ring
    }

    #[test]
    fn nothing_is_written_where_nothing_is_new() {
        let mut ring = ring(vec![hit("a", 1)]);
        let mut changes = Changes::default();
        assert!(ring.gives_more(&place(), Vec::new(), &mut changes).is_empty() && changes.is_empty());
        assert!(ring.gives_more(&place(), vec![hit("a", 1)], &mut changes).is_empty() && changes.is_empty());
        assert!(ring.knows(7, &hit("a", 1).found), "it is still held");
        assert!(!ring.knows(7, &hit("a", 2).found) && !ring.knows(8, &hit("a", 1).found));
        assert!(ring.gives_more(&place(), vec![hit("a", 2)], &mut changes).is_empty());
        assert_eq!((changes.matches.len(), changes.touched.len()), (1, 1));
        assert!(ring.knows(7, &hit("a", 2).found));
    }

    #[test]
    fn matches_are_counted_as_they_are_given_and_taken_back_and_nothing_else_is() {
        let mut ring = Ring::new("demo".parse().expect("a slug"));
        let mut count = |change: &dyn Fn(&mut Ring, &mut Changes)| {
            let mut changes = Changes::default();
            change(&mut ring, &mut changes);
            (changes.matches.len(), changes.given())
        };
        let at = |sequence: u64| Place { sequence, ..place() };
        assert_eq!(
            count(&|ring: &mut Ring, changes: &mut Changes| ring.apply(
                &at(7),
                vec![hit("a", 1), hit("a", 2)],
                changes
            )),
            (2, 2)
        );
        let cause = |ring: &mut Ring, changes: &mut Changes| {
            ring.name(7, B256::from(U256::from(1u64)), "slippage", changes);
        };
        assert_eq!(count(&cause), (1, 0), "an amendment");
        let rule = AlertMatch { op: MatchOp::Figure, found: None, ..hit("a", 0).found };
        let holds = |ring: &mut Ring, changes: &mut Changes| {
            ring.rule_says(&at(7), &rule, true, changes);
            changes.matches.push(rule.clone());
        };
        assert_eq!(count(&holds), (1, 0), "a figure");
        assert_eq!(
            count(&|ring: &mut Ring, changes: &mut Changes| ring.revert(&at(8), 7, changes)),
            (3, 2),
            "a rule is none"
        );
        assert_eq!(
            count(&|ring: &mut Ring, changes: &mut Changes| ring.apply(&at(9), vec![hit("a", 2)], changes)),
            (1, 1)
        );
        assert_eq!(
            count(&|ring: &mut Ring, changes: &mut Changes| ring.passed(&at(9), true, changes)),
            (1, 0),
            "the reorg is over"
        );
    }

    #[test]
    fn what_others_have_of_a_block_leaves_a_tenant_its_own_share() {
        let mut ring = ring((0..MATCHES_OF_EVENT.0).map(|transaction| hit("loud", transaction)).collect());
        let mut changes = Changes::default();
        let more = vec![hit("loud", MATCHES_OF_EVENT.0), hit("quiet", MATCHES_OF_EVENT.0)];
        let left: Vec<String> =
            ring.gives_more(&place(), more, &mut changes).into_iter().map(|hit| hit.found.tenant).collect();
        assert_eq!(left, ["loud"]);
        assert_eq!(changes.matches.iter().map(|one| one.tenant.as_str()).collect::<Vec<_>>(), ["quiet"]);
    }

    #[test]
    fn the_room_that_is_counted_holds_the_record_also_once_causes_are_known() {
        let mut ring = ring((0..100).map(|transaction| hit("a", transaction)).collect());
        let room = ring.room_taken(7);
        for transaction in 0..100u64 {
            ring.name(7, B256::from(U256::from(transaction)), "insufficient_allowance", &mut Changes::default());
        }
        let record = ring.record(7, false).expect("it is held");
        assert!(record.given.len() <= room, "{} of {room}", record.given.len());
    }
}
