//! Random histories against a slow model: a chain of blocks that forks, monitors that are edited, and a stage that is cut off anywhere.

use std::time::Duration;

use alloy_primitives::B256;
use schemas::{
    BlockHash,
    records::{AlertRing, Found, FoundKind, SourceKind},
};

use super::*;

const TENANTS: [&str; 3] = ["a", "b", "quiet"];

fn network() -> Network {
    "demo".parse().expect("a slug")
}

fn hash(of: u64) -> BlockHash {
    B256::from(alloy_primitives::U256::from(of)).into()
}

fn found(tenant: &str, version: u64, transaction: u64, place: &Place) -> AlertMatch {
    AlertMatch {
        tenant: tenant.to_owned(),
        source: AlertSource { kind: SourceKind::Monitor, id: format!("m-{tenant}"), name: "m".to_owned(), version },
        op: MatchOp::Match,
        network: network(),
        sequence: place.sequence,
        height: place.height,
        block_hash: Some(place.block_hash.clone()),
        at: place.at,
        observed_at: place.observed_at,
        contract: None,
        group: BTreeMap::new(),
        found: Some(Found {
            transaction_hash: B256::from(alloy_primitives::U256::from(transaction)),
            kind: FoundKind::Event,
            position: Some(0),
            condition: 0,
            signature: Some("Transfer(address,address,uint256)".to_owned()),
            arguments: format!("{{\"value\":\"{transaction}\"}}"),
            cause: None,
        }),
        figure: None,
    }
}

/// A block of the chain, as the model has it.
#[derive(Clone)]
struct Block {
    sequence: u64,
    id: u64,
    /// Transactions that match, by tenant, and whether their monitor waits.
    gave: Vec<(&'static str, u64, Option<Wait>)>,
}

/// What a reader of `alerts.matches` knows.
#[derive(Default)]
struct Reader {
    /// By tenant and transaction: whether it stands, and the block that it stood in last.
    known: BTreeMap<(String, B256), (bool, BlockHash)>,
    told: BTreeSet<String>,
}

impl Reader {
    fn read(&mut self, matches: &[AlertMatch]) {
        for one in matches {
            let block = one.block_hash.clone();
            let key = one.found.as_ref().map(|found| (one.tenant.clone(), found.transaction_hash));
            match one.op {
                MatchOp::Match => {
                    let before = self.known.insert(key.expect("found"), (true, block.expect("a block")));
                    assert!(before.is_none(), "told twice as new");
                }
                MatchOp::IncludedAgain => {
                    let before = self.known.insert(key.expect("found"), (true, block.expect("a block")));
                    assert!(before.is_some_and(|before| !before.0), "included again, and never taken back");
                    self.told.insert(one.tenant.clone());
                }
                MatchOp::Retract => {
                    let now = (false, block.expect("a block"));
                    let before = self.known.insert(key.expect("found"), now.clone());
                    assert_eq!(before, Some((true, now.1)), "taken back as it was given");
                    self.told.insert(one.tenant.clone());
                }
                MatchOp::Settled => assert!(self.told.remove(&one.tenant), "settled for who was told nothing"),
                MatchOp::Amend | MatchOp::Figure | MatchOp::LeftOut => unreachable!("none here"),
            }
        }
    }
}

struct World {
    ring: Ring,
    records: BTreeMap<u64, AlertRing>,
    reader: Reader,
    chain: Vec<Block>,
    sequence: u64,
    blocks: u64,
    finalized: u64,
}

const FIRST: u64 = 100;

impl World {
    fn new() -> Self {
        Self {
            ring: Ring::new(network()),
            records: BTreeMap::new(),
            reader: Reader::default(),
            chain: Vec::new(),
            sequence: 0,
            blocks: 0,
            finalized: FIRST,
        }
    }

    fn place(&mut self, height: u64, id: u64, reorg_goes_on: bool) -> Place {
        self.sequence += 1;
        let at = TimeMs(i64::try_from(self.sequence).expect("small") * 1_000);
        let finalized = Some(self.finalized);
        Place {
            sequence: self.sequence,
            height,
            block_hash: hash(id),
            at,
            observed_at: at,
            finalized,
            seen_at: at,
            reorg_goes_on,
        }
    }

    /// Writes what follows, as one transaction.
    fn write(&mut self, changes: Changes) {
        for sequence in Ring::touched(&changes) {
            match self.ring.record(sequence, true) {
                Some(record) => drop(self.records.insert(sequence, record)),
                None => drop(self.records.remove(&sequence)),
            }
        }
        self.reader.read(&changes.matches);
    }

    fn apply(&mut self, gave: Vec<(&'static str, u64, Option<Wait>)>, version: u64, reorg_goes_on: bool) {
        self.blocks += 1;
        let (height, id) = (FIRST + self.chain.len() as u64, self.blocks);
        let place = self.place(height, id, reorg_goes_on);
        let hit = |(tenant, transaction, wait): &(&str, u64, Option<Wait>)| Hit {
            found: found(tenant, version, *transaction, &place),
            wait: *wait,
        };
        let (hits, mut changes) = (gave.iter().map(hit).collect(), Changes::default());
        self.ring.apply(&place, hits, &mut changes);
        self.ring.passed(&place, true, &mut changes);
        self.chain.push(Block { sequence: place.sequence, id, gave });
        self.write(changes);
    }

    fn revert(&mut self, reorg_goes_on: bool) -> Block {
        let block = self.chain.pop().expect("a block");
        let place = self.place(FIRST + self.chain.len() as u64, block.id, reorg_goes_on);
        let mut changes = Changes::default();
        self.ring.revert(&place, block.sequence, &mut changes);
        self.ring.passed(&place, true, &mut changes);
        self.write(changes);
        block
    }

    /// The stage is killed, and whoever takes over reads what was written.
    fn cut_off(&mut self) {
        self.ring = Ring::new(network());
        for record in self.records.values() {
            self.ring.restore(record).expect("ours");
        }
    }

    /// What stands is what the chain has, where it does not wait.
    fn check(&self) {
        let tip = FIRST + self.chain.len() as u64 - 1;
        let mut stands = BTreeMap::new();
        for (at, block) in self.chain.iter().enumerate() {
            let height = FIRST + at as u64;
            for (tenant, transaction, wait) in &block.gave {
                let key = ((*tenant).to_owned(), B256::from(alloy_primitives::U256::from(*transaction)));
                let is_over = match wait {
                    None => true,
                    Some(Wait::Finalized) => self.finalized >= height,
                    Some(Wait::Blocks(blocks)) => tip >= height + blocks,
                };
                // What was told once and taken back has waited already.
                if is_over || self.reader.known.contains_key(&key) {
                    stands.insert(key, hash(block.id));
                }
            }
        }
        let told: BTreeMap<_, _> = self
            .reader
            .known
            .iter()
            .filter(|(_, (stands, _))| *stands)
            .map(|(key, of)| (key.clone(), of.1.clone()))
            .collect();
        assert_eq!(told, stands);
    }
}

#[test]
fn what_was_told_is_what_the_chain_has_whatever_is_reverted_edited_and_cut_off() {
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut world, mut transactions, mut version) = (World::new(), 0, 1);
        let cut = seed % 2 == 0;
        for _ in 0..60 {
            let mut new = |random: &mut fastrand::Rng| {
                let mut gave = Vec::new();
                for _ in 0..random.usize(0..4) {
                    transactions += 1;
                    let wait = match random.u8(0..6) {
                        0 => Some(Wait::Finalized),
                        1 => Some(Wait::Blocks(random.u64(1..4))),
                        _ => None,
                    };
                    gave.push((TENANTS[random.usize(0..3)], transactions, wait));
                }
                gave
            };
            match random.u8(0..10) {
                0..=5 => {
                    let gave = new(&mut random);
                    world.apply(gave, version, false);
                }
                6 if !world.chain.is_empty() => {
                    let most = FIRST + world.chain.len() as u64 - 1;
                    world.finalized = random.u64(world.finalized.min(most)..=most);
                    let (finalized, mut changes) = (world.finalized, Changes::default());
                    world.ring.finality(Some(finalized), &mut changes);
                    world.write(changes);
                }
                // A reorg: some blocks go, and what was in them comes again, elsewhere, or not.
                _ => {
                    let last = FIRST + world.chain.len() as u64;
                    let room = last.saturating_sub(world.finalized + 1);
                    if room == 0 {
                        continue;
                    }
                    let depth = random.u64(1..=room.min(6));
                    let mut again = Vec::new();
                    for _ in 0..depth {
                        again.extend(world.revert(true).gave);
                        if cut && random.u8(0..4) == 0 {
                            world.cut_off();
                        }
                    }
                    if random.bool() {
                        version += 1;
                        // Edited: what it found before it would not find now.
                        again.retain(|_| random.u8(0..3) > 0);
                    }
                    random.shuffle(&mut again);
                    let length = depth + 1;
                    for at in 0..length {
                        let mut gave: Vec<_> = again.drain(..again.len().min(random.usize(0..4))).collect();
                        gave.extend(new(&mut random));
                        world.apply(gave, version, at + 1 < length);
                        if cut && random.u8(0..4) == 0 {
                            world.cut_off();
                        }
                    }
                }
            }
            if !world.chain.is_empty() {
                world.check();
            }
            assert!(world.reader.told.is_empty() && !world.ring.is_unsettled(), "the reorg is over, and said to be");
            if cut && random.u8(0..5) == 0 {
                world.cut_off();
            }
        }
        // Once all is final nothing is kept but what was taken back of late.
        world.finalized = FIRST + world.chain.len() as u64;
        let (finalized, mut changes) = (world.finalized, Changes::default());
        world.ring.finality(Some(finalized), &mut changes);
        world.write(changes);
        for record in world.records.values() {
            assert!(["taken_back", "waiting"].iter().any(|kept| record.given.contains(kept)), "{record:?}");
        }
    }
}

#[test]
fn a_reorg_that_does_not_end_is_settled_after_a_while() {
    let mut world = World::new();
    // The first block is final.
    world.apply(Vec::new(), 1, false);
    world.apply(vec![("a", 1, None)], 1, false);
    world.apply(vec![("quiet", 2, None)], 1, false);
    world.revert(true);
    assert!(world.ring.is_unsettled());
    world.cut_off();
    let settle = |world: &mut World, now: i64| {
        let mut changes = Changes::default();
        world.ring.settle_late(TimeMs(now), Duration::from_secs(10), &mut changes);
        let told: Vec<String> = changes.matches.iter().map(|one| one.tenant.clone()).collect();
        world.write(changes);
        told
    };
    assert!(settle(&mut world, 13_999).is_empty());
    assert_eq!(settle(&mut world, 14_000), ["quiet"], "who was told nothing hears nothing");
    assert!(settle(&mut world, 99_000).is_empty());
    // It goes on after all.
    world.revert(true);
    world.apply(vec![("a", 1, None), ("quiet", 2, None)], 2, false);
    assert!(!world.ring.is_unsettled());
    world.check();
}

#[test]
fn a_rule_goes_with_the_block_by_which_it_began_and_goes_on_where_its_end_was_taken_back() {
    let mut world = World::new();
    world.apply(Vec::new(), 1, false);
    let says = |world: &mut World, over: bool| -> (Place, bool) {
        world.blocks += 1;
        let (height, id) = (FIRST + world.chain.len() as u64, 1_000 + world.blocks);
        let place = world.place(height, id, false);
        let (mut changes, mut figure) = (Changes::default(), found("a", 1, 0, &place));
        (figure.found, figure.source.kind, figure.op) = (None, SourceKind::Rule, MatchOp::Figure);
        world.ring.apply(&place, Vec::new(), &mut changes);
        let goes_on = world.ring.rule_says(&place, &figure, over, &mut changes);
        world.ring.passed(&place, true, &mut changes);
        world.write(changes);
        world.chain.push(Block { sequence: place.sequence, id, gave: Vec::new() });
        world.cut_off();
        (place, goes_on)
    };
    let back = |world: &mut World| {
        let block = world.chain.pop().expect("a block");
        let (height, mut changes) = (FIRST + world.chain.len() as u64, Changes::default());
        let place = world.place(height, block.id, true);
        world.ring.revert(&place, block.sequence, &mut changes);
        let (matches, rules) = (std::mem::take(&mut changes.matches), std::mem::take(&mut changes.rules));
        world.write(changes);
        world.cut_off();
        (matches, rules.len())
    };
    let (first, _) = says(&mut world, true);
    // Said again, after a restart or an edit: it did not begin here.
    says(&mut world, true);
    assert!(matches!(back(&mut world), (matches, 0) if matches.is_empty()), "the newer block did not begin it");
    says(&mut world, false);
    let (matches, rules) = back(&mut world);
    assert!(matches.is_empty() && rules == 1, "its end is taken back, which nobody is told before the reorg is over");
    let (_, goes_on) = says(&mut world, true);
    assert!(goes_on, "the same alert");
    assert!(matches!(back(&mut world), (matches, 0) if matches.is_empty()));
    let (matches, rules) = back(&mut world);
    let [taken] = matches.as_slice() else { panic!("{matches:?}") };
    assert!(taken.op == MatchOp::Retract && taken.source.kind == SourceKind::Rule && taken.found.is_none());
    assert_eq!((taken.height, rules), (first.height, 1));
}

#[test]
fn a_reorg_is_over_for_nobody_before_rules_were_looked_at() {
    let mut world = World::new();
    world.apply(Vec::new(), 1, false);
    let begin = |world: &mut World| {
        world.blocks += 1;
        let (height, id) = (FIRST + world.chain.len() as u64, 1_000 + world.blocks);
        let place = world.place(height, id, false);
        let mut figure = found("a", 1, 0, &place);
        (figure.found, figure.source.kind, figure.op) = (None, SourceKind::Rule, MatchOp::Figure);
        world.chain.push(Block { sequence: place.sequence, id, gave: Vec::new() });
        (place, figure)
    };
    let says = |world: &mut World, over: bool| {
        let ((place, figure), mut changes) = (begin(world), Changes::default());
        world.ring.apply(&place, Vec::new(), &mut changes);
        world.ring.rule_says(&place, &figure, over, &mut changes);
        world.ring.passed(&place, true, &mut changes);
        world.write(changes);
    };
    says(&mut world, true);
    world.apply(vec![("a", 1, None)], 1, false);
    says(&mut world, false);
    world.revert(true);
    world.revert(true);
    // The reorg ends while windows are read back.
    let ((place, figure), mut changes) = (begin(&mut world), Changes::default());
    world.ring.apply(&place, Vec::new(), &mut changes);
    world.ring.passed(&place, false, &mut changes);
    assert!(changes.matches.is_empty(), "nothing has settled: {:?}", changes.matches);
    world.write(changes);
    world.cut_off();
    let mut changes = Changes::default();
    assert!(world.ring.rule_says(&place, &figure, true, &mut changes), "the same alert, not another one");
    assert!(world.ring.is_unsettled());
    world.ring.passed(&place, true, &mut changes);
    assert!(!world.ring.is_unsettled());
    world.write(changes);
}
