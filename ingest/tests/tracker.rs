//! The tracker against a naive model, over random chains, forks, restarts, stale and lying answers, batch boundaries.
//!
//! The model is a reader: a stack of blocks, applies push, reverts pop. Whatever the node does, the reader must never be
//! surprised, and once the node is quiet the reader's stack must be the node's chain.

use ingest::tracker::{AHEAD, Action, Event, Link, Need, Position, Refusal, Tracker};
use proptest::prelude::*;
use schemas::{BlockHash, Network, TimeMs, records::RingEntry};

fn network() -> Network {
    "n".parse().unwrap()
}

fn hash(n: u64) -> BlockHash {
    format!("0x{n:064x}").parse().unwrap()
}

/// A node: its canonical chain from height 0, each block with an id of its own. A height may have no block (0); the first and
/// the last always have one.
struct Node {
    chain: Vec<u64>,
    next: u64,
    /// Every how many-th height has none; 0: none is without.
    holes: u64,
    /// Whether the node says so, or just gives nothing.
    says: bool,
}

impl Node {
    fn new(blocks: usize, holes: u64, says: bool) -> Self {
        let mut node = Self { chain: Vec::new(), next: 1, holes, says };
        node.extend(blocks);
        node
    }
    fn extend(&mut self, n: usize) {
        for i in 0..n {
            // By the id, so that branches have their holes at different heights, several in a row at times.
            let inside = !self.chain.is_empty() && i + 1 < n;
            let hole = inside && self.holes > 0 && (self.next * 7 / 3).is_multiple_of(self.holes);
            self.chain.push(if hole { 0 } else { self.next });
            self.next += 1;
        }
    }
    /// Replaces the last `depth` blocks by `new` ones. The first block stays.
    fn fork(&mut self, depth: usize, new: usize) {
        self.chain.truncate(self.chain.len().saturating_sub(depth).max(1));
        while self.chain.last() == Some(&0) {
            self.chain.pop();
        }
        self.extend(new);
    }
    fn head(&self) -> u64 {
        self.chain.len() as u64 - 1
    }
    fn link(&self, height: u64) -> Option<Link> {
        let id = *self.chain.get(height as usize).filter(|id| **id > 0)?;
        let parent = self.chain[..height as usize].iter().rev().find(|id| **id > 0).copied().unwrap_or(0);
        Some(Link {
            height,
            hash: hash(id),
            parent: hash(parent),
            time: TimeMs(id as i64),
            tx_count: (id % 5) as u32,
            log_count: (id % 7) as u32,
        })
    }
}

/// A reader that believes nothing.
#[derive(Default)]
struct Reader {
    stack: Vec<(Link, u64)>,
    sequence: u64,
    highest: Option<u64>,
    first: Option<u64>,
    remaining: u32,
}

impl Reader {
    fn read(&mut self, events: &[Event]) {
        let mut within: Option<u32> = None;
        for event in events {
            let after = &event.after;
            self.sequence += 1;
            assert_eq!(after.sequence, self.sequence, "sequences have no gap");
            match &event.action {
                Action::Revert(entry) => {
                    let (link, sequence) = self.stack.pop().expect("a revert needs a block");
                    assert_eq!((entry.height, &entry.block_hash), (link.height, &link.hash), "newest block first");
                    assert_eq!((entry.parent_hash.clone(), entry.tx_count), (link.parent, link.tx_count));
                    assert_eq!(entry.sequence, sequence, "reverts_sequence names the event that applied it");
                    assert!(after.reorg_remaining > 0, "an apply follows a revert");
                }
                Action::Apply(link) => {
                    if let Some((below, _)) = self.stack.last() {
                        assert!(below.height < link.height, "upwards");
                        assert_eq!(below.hash, link.parent, "linked");
                    } else if let Some(first) = self.first {
                        assert!(link.height >= first, "starts again where it started");
                    }
                    self.first = self.first.or(Some(link.height));
                    self.highest = self.highest.max(Some(link.height));
                    self.stack.push((link.clone(), self.sequence));
                }
            }
            if let Some(before) = within {
                assert_eq!(after.reorg_remaining, before.saturating_sub(1), "counts down by one");
            }
            within = Some(after.reorg_remaining);
            self.remaining = after.reorg_remaining;
            if let (Some((tip, _)), Some((height, hash))) = (self.stack.last(), &after.tip) {
                assert_eq!(*hash, tip.hash, "the checkpoint is the reader's tip");
                // Where the block below all that may be reverted stands is not kept.
                assert!(*height >= tip.height);
                assert!(*height == tip.height || matches!(event.action, Action::Revert(_)));
            } else {
                assert!(self.stack.is_empty());
            }
            assert_eq!((after.highest, after.first), (self.highest, self.first));
        }
    }
}

/// What is on disk: as `ingest.checkpoints` keeps it.
#[derive(Default)]
struct Disk {
    position: Position,
    slots: std::collections::HashMap<u64, RingEntry>,
}

impl Disk {
    fn write(&mut self, event: &Event, limit: u64) {
        self.position = event.after.clone();
        if let Action::Apply(l) = &event.action {
            let entry = RingEntry {
                network: network(),
                height: l.height,
                block_hash: l.hash.clone(),
                parent_hash: l.parent.clone(),
                block_time: l.time,
                sequence: event.after.sequence,
                tx_count: l.tx_count,
                log_count: l.log_count,
            };
            self.slots.insert(l.height % limit, entry);
        }
    }
}

struct World {
    node: Node,
    tracker: Tracker,
    reader: Reader,
    disk: Disk,
    start: u64,
    limit: u64,
    stopped: bool,
}

impl World {
    fn new(start: u64, limit: u64, blocks: usize) -> Self {
        Self::over(start, limit, Node::new(blocks, 0, false))
    }

    fn over(start: u64, limit: u64, node: Node) -> Self {
        let tracker = Tracker::new(network(), start, limit, Position::default(), Vec::new());
        let (reader, disk) = (Reader::default(), Disk::default());
        Self { node, tracker, reader, disk, start, limit, stopped: false }
    }

    /// Killed and started again from what was written; everything else is forgotten.
    fn restart(&mut self) {
        let ring = self.disk.slots.values().cloned().collect();
        self.tracker = Tracker::new(network(), self.start, self.limit, self.disk.position.clone(), ring);
    }

    fn hint(&mut self, back: u64) {
        let mut height = self.node.head().saturating_sub(back);
        while self.node.link(height).is_none() {
            height -= 1;
        }
        self.tracker.head(height, &self.node.link(height).unwrap().hash);
    }

    /// Writes events; `keep` of them reach the disk when the process is killed in between.
    fn commit(&mut self, events: Vec<Event>, keep: Option<usize>) {
        let kept = keep.map_or(events.len(), |k| k.min(events.len()));
        for event in &events[..kept] {
            self.disk.write(event, self.limit);
        }
        self.reader.read(&events[..kept]);
        if kept < events.len() {
            self.restart();
        }
    }

    /// One question and its answer. `batch`: blocks told at once. Returns false when only a head can help.
    fn step(&mut self, batch: usize, keep: Option<usize>) -> bool {
        match self.tracker.need() {
            Need::Refused(why) => {
                assert_eq!(why, Refusal::TooDeep);
                self.stopped = true;
                return false;
            }
            Need::Head => {
                if self.tracker.settle() {
                    self.disk.position = self.tracker.position().clone();
                    self.reader.remaining = 0;
                }
                return false;
            }
            Need::Header(height) => match self.node.link(height) {
                Some(link) => {
                    self.tracker.header(link);
                }
                None => self.nothing(height),
            },
            Need::Blocks { from, to } => {
                let to = to.min(from + batch as u64 - 1).min(self.node.head());
                let links: Vec<Link> = (from..=to).map_while(|h| self.node.link(h)).collect();
                if links.is_empty() {
                    self.nothing(from);
                    return from < self.node.head();
                }
                let events = self.tracker.blocks(&links);
                self.commit(events, keep);
            }
            Need::Branch(heights) => {
                assert!((1..=AHEAD).contains(&heights.len()));
                let links: Vec<Link> = heights.iter().filter_map(|h| self.node.link(*h)).collect();
                if links.len() < heights.len() {
                    self.tracker.absent();
                    return false;
                }
                let events = self.tracker.blocks(&links);
                self.commit(events, keep);
            }
        }
        true
    }

    /// The node has no block there: not so far yet, or none ever.
    fn nothing(&mut self, height: u64) {
        if height < self.node.head() {
            self.tracker.no_block(height, self.node.says);
        } else {
            self.tracker.absent();
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Extend(n) => self.node.extend(n),
            Act::Fork { depth, new } => self.node.fork(depth, new),
            Act::Hint { back } => self.hint(back),
            Act::Steps { n, batch } => {
                for _ in 0..n {
                    if !self.step(batch, None) {
                        break;
                    }
                }
            }
            Act::Kill { keep } => {
                self.hint(0);
                self.step(4, Some(keep));
            }
            Act::Restart => self.restart(),
            Act::Lie { height } => self.tracker.head(height, &hash(u64::MAX)),
        }
    }

    /// Runs until nothing is to be done with a node that keeps still.
    fn quiesce(&mut self) {
        const ROUNDS: usize = 200;
        for round in 0..ROUNDS {
            self.hint(0);
            let mut steps = 0;
            while self.step(3, None) {
                steps += 1;
                assert!(steps < 10_000, "no end: {:?}", self.tracker.need());
            }
            // A node that fell back below what it told before is merely behind.
            let told = self.tracker.known_head() >= Some(self.node.head());
            if self.stopped || self.tracker.need() == Need::Head && told {
                return;
            }
            assert!(round < ROUNDS - 1, "no rest: {:?}", self.tracker.need());
        }
    }

    /// Highest height that reader and node agree on, down to the first held.
    fn common(&self) -> Option<u64> {
        self.reader
            .stack
            .iter()
            .rev()
            .map(|(l, _)| l)
            .find(|l| self.node.link(l.height).is_some_and(|n| n.hash == l.hash))
            .map(|l| l.height)
    }

    fn check_end(&mut self) {
        // A node that is far behind cannot be compared; it decides when it has grown again. Where all that may be reverted is
        // reverted, the tracker does not know how far down its tip stands: then only a block above what it may be decides.
        let held = self.reader.stack.last().map_or(0, |(l, _)| l.height);
        let tip = self.tracker.position().tip.as_ref().map_or(held, |(height, _)| held.max(*height));
        let missing = (tip + 1).saturating_sub(self.node.head());
        self.node.extend(missing as usize);
        let before = (self.common(), self.reader.highest);
        self.quiesce();
        if self.stopped {
            let (common, highest) = before;
            let ancestor = common.map_or(self.reader.first.unwrap() as i64 - 1, |c| c as i64);
            assert!(highest.unwrap() as i64 - ancestor > self.limit as i64, "stopped though the fork is not too deep");
            return self.check_that_it_goes_on();
        }
        assert_eq!(self.reader.remaining, 0, "at the head nothing is still to come");
        assert_eq!(self.tracker.position().reorg_remaining, 0);
        let head = self.node.head();
        match self.reader.stack.last() {
            Some((tip, _)) => {
                assert_eq!(
                    Some(&tip.hash),
                    self.node.link(head).map(|l| l.hash).as_ref(),
                    "the tip is the node's head"
                );
                for (link, _) in &self.reader.stack {
                    assert_eq!(Some(link), self.node.link(link.height).as_ref(), "the chain is the node's chain");
                }
            }
            None => {
                // What was held first may lie above the start, where heights have no block: there it starts again (rule 6).
                let first = self.reader.first.unwrap_or(self.start);
                assert!(head < first, "nothing held though there are blocks from {first} on");
            }
        }
    }

    /// Stopped: nothing is written while the node keeps to its chain; once it has the held chain again, all goes on.
    fn check_that_it_goes_on(&mut self) {
        let sequence = self.reader.sequence;
        for _ in 0..3 {
            self.tracker.reconsider();
            self.quiesce();
            assert_eq!((self.stopped, self.reader.sequence), (true, sequence));
        }
        let (tip, _) = self.reader.stack.last().expect("something is held").clone();
        self.node.chain = vec![0; tip.height as usize + 1];
        for (link, _) in &self.reader.stack {
            let id = link.time.0 as u64;
            self.node.chain[link.height as usize] = id;
        }
        if self.node.chain[0] == 0 {
            self.node.chain[0] = u64::MAX >> 1;
        }
        self.node.extend(3);
        // Where all that may be reverted is reverted, its tip may stand lower than it knows: a block above that decides.
        let tip = self.tracker.position().tip.as_ref().map_or(0, |(height, _)| *height);
        self.node.extend((tip + 1).saturating_sub(self.node.head()) as usize);
        self.disk.position = self.tracker.position().clone();
        assert!(self.disk.position.too_deep, "a restart does not forget it");
        self.restart();
        self.stopped = false;
        self.quiesce();
        assert!(!self.stopped, "the state is left by itself");
        assert!(!self.tracker.position().too_deep);
        assert_eq!(self.reader.stack.last().map(|(l, _)| l.clone()), self.node.link(self.node.head()));
    }
}

#[derive(Debug, Clone)]
enum Act {
    Extend(usize),
    Fork {
        depth: usize,
        new: usize,
    },
    Hint {
        back: u64,
    },
    Steps {
        n: usize,
        batch: usize,
    },
    /// Killed in the middle of a batch: only so many of its events were written.
    Kill {
        keep: usize,
    },
    Restart,
    /// A head of another chain, as a lying or forked neighbour behind the same name may tell.
    Lie {
        height: u64,
    },
}

fn act(depth: usize) -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1usize..8).prop_map(Act::Extend),
        3 => (1..depth, 0..depth + 4).prop_map(|(depth, new)| Act::Fork { depth, new }),
        4 => (0u64..4).prop_map(|back| Act::Hint { back }),
        6 => (1usize..30, 1usize..6).prop_map(|(n, batch)| Act::Steps { n, batch }),
        1 => (0usize..6).prop_map(|keep| Act::Kill { keep }),
        1 => Just(Act::Restart),
        1 => (0u64..40).prop_map(|height| Act::Lie { height }),
    ]
}

fn play(world: &mut World, acts: &[Act]) {
    for act in acts {
        world.act(act);
        if world.stopped {
            return world.check_that_it_goes_on();
        }
    }
    world.check_end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// Forks that stay within the limit: the chain is followed to its end, never stopped.
    #[test]
    fn follows_any_chain(
        start in 0u64..12, blocks in 1usize..20, holes in 0u64..5, says: bool, acts in prop::collection::vec(act(10), 1..40)
    ) {
        let mut world = World::over(start, 1_000, Node::new(blocks, holes, says));
        play(&mut world, &acts);
        prop_assert!(!world.stopped);
    }

    /// With a small limit forks are often too deep: then and only then the network stops, and nothing is written.
    #[test]
    fn stops_where_it_must(
        start in 0u64..6, blocks in 1usize..30, holes in 0u64..5, says: bool, acts in prop::collection::vec(act(14), 1..40)
    ) {
        let mut world = World::over(start, 8, Node::new(blocks, holes, says));
        play(&mut world, &acts);
    }
}

/// A kill cut a branch off when all that may be reverted was: the tip is below heights without a block, and how far is not known.
#[test]
fn goes_on_where_the_tip_stands_lower_than_is_known() {
    let mut world = World::over(5, 8, Node::new(2, 2, false));
    let forks = [(1, 11), (5, 9), (2, 13)].map(|(depth, new)| Act::Fork { depth, new });
    let acts = [
        Act::Hint { back: 0 },
        Act::Steps { n: 11, batch: 2 },
        Act::Fork { depth: 9, new: 13 },
        Act::Steps { n: 9, batch: 1 },
        Act::Extend(1),
        Act::Kill { keep: 5 },
        Act::Fork { depth: 11, new: 0 },
        Act::Extend(2),
    ];
    play(&mut world, &forks.into_iter().chain(acts).collect::<Vec<_>>());
    assert_eq!(world.reader.first, Some(5));
}

/// Follows `blocks` blocks, forks them by `depth` (longer by one) and returns the world at rest.
fn forked(limit: u64, blocks: usize, depth: usize) -> World {
    let mut world = World::new(0, limit, blocks);
    world.quiesce();
    world.node.fork(depth, depth + 1);
    world.quiesce();
    world
}

#[test]
fn the_limit_is_exact() {
    for depth in [1, 2, 63, 64, 255, 256] {
        let mut world = forked(256, 600, depth);
        assert!(!world.stopped, "depth {depth}");
        world.check_end();
    }
    let mut world = forked(256, 600, 257);
    let sequence = world.reader.sequence;
    assert!(world.stopped);
    assert_eq!((sequence, world.tracker.position().sequence), (600, 600), "nothing is written");
    world.node.extend(5);
    world.quiesce();
    assert_eq!(world.reader.sequence, 600);
}

#[test]
fn depth_counts_from_the_highest_block_ever_applied() {
    let mut world = forked(8, 100, 0);
    world.quiesce();
    // A shorter branch wins: the tip falls, the highest height stays.
    world.node.fork(6, 1);
    world.quiesce();
    assert!(!world.stopped);
    assert_eq!(world.tracker.position().tip.as_ref().unwrap().0, 95);
    // Down to 93 would be two blocks from the tip, and nine from the highest.
    world.node.fork(4, 20);
    world.quiesce();
    assert!(world.stopped);
}

#[test]
fn a_head_that_is_behind_is_no_reorg() {
    let mut world = World::new(0, 256, 50);
    world.quiesce();
    for back in [1, 10, 49] {
        world.hint(back);
        assert_eq!(world.tracker.need(), Need::Head);
    }
}

#[test]
fn a_lower_head_makes_no_higher_one_unseen() {
    let mut world = World::new(0, 256, 50);
    world.quiesce();
    world.node.extend(10);
    world.hint(0);
    // Of a view that is behind: held already, or not yet.
    for back in [1, 5, 10, 30] {
        world.hint(back);
        assert_eq!(world.tracker.need(), Need::Blocks { from: 50, to: 59 }, "{back} behind");
    }
    // Of another chain: looked at, and when it comes to nothing the higher one counts again.
    world.tracker.head(45, &hash(u64::MAX));
    assert_eq!(world.tracker.need(), Need::Header(45));
    world.step(1, None);
    assert_eq!(world.tracker.need(), Need::Blocks { from: 50, to: 59 });
    // A block that is not there after all: the head is asked for anew, and may be lower.
    world.tracker.absent();
    world.hint(20);
    assert_eq!((world.tracker.need(), world.tracker.known_head()), (Need::Head, Some(39)));
    world.check_end();
}

#[test]
fn a_reorg_below_the_first_block_starts_again_there() {
    let mut world = World::new(90, 256, 100);
    world.quiesce();
    world.node.fork(30, 40);
    world.quiesce();
    assert!(!world.stopped);
    let first = &world.reader.stack[0].0;
    assert_eq!((first.height, Some(first)), (90, world.node.link(90).as_ref()));
    assert_eq!(world.reader.sequence, 10 + 10 + 20);
    world.check_end();
}

#[test]
fn remaining_survives_a_kill_in_the_middle() {
    let mut world = World::new(0, 256, 100);
    world.quiesce();
    world.node.fork(20, 21);
    world.hint(0);
    while !matches!(world.tracker.need(), Need::Branch { .. }) {
        world.step(1, None);
    }
    // Killed when five reverts were on disk.
    world.step(1, Some(5));
    assert_eq!(world.disk.position.reorg_remaining, 20 + 21 - 5);
    world.check_end();
    assert_eq!(world.reader.sequence, 100 + 20 + 21);
}

#[test]
fn a_tip_whose_height_is_not_known_is_compared_once_the_node_is_above_it() {
    let mut world = World::over(0, 8, Node::new(1, 1, false));
    let acts = [
        Act::Extend(1),
        Act::Extend(1),
        Act::Fork { depth: 1, new: 5 },
        Act::Extend(7),
        Act::Hint { back: 0 },
        Act::Steps { n: 13, batch: 2 },
        Act::Fork { depth: 8, new: 5 },
        Act::Kill { keep: 0 },
        Act::Kill { keep: 2 },
        Act::Fork { depth: 6, new: 0 },
    ];
    for act in &acts {
        world.act(act);
    }
    // Heights 2 to 5 had no block: the tip at 1 may stand at 5 as well, and a node at 2 may be merely behind.
    assert_eq!(world.tracker.position().tip.as_ref().map(|(height, hash)| (*height, hash.clone())), Some((5, hash(2))));
    assert_eq!(world.reader.stack.last().map(|(l, _)| l.height), Some(1));
    world.node.fork(2, 2);
    world.quiesce();
    assert!(!world.stopped);
    world.node.extend(5);
    world.quiesce();
    assert!(world.stopped, "twelve heights below the highest block there ever was");
    assert_eq!(world.reader.stack.last().map(|(l, _)| l.height), Some(1), "and nothing is reverted");
}

#[test]
fn who_was_killed_with_all_reverted_begins_again() {
    // The first height has no block on the branch that was followed: what its first block stood on lies below the beginning.
    let mut world = World::over(4, 8, Node::new(6, 2, false));
    let acts = [
        Act::Kill { keep: 2 },
        Act::Extend(3),
        Act::Fork { depth: 7, new: 13 },
        Act::Extend(5),
        Act::Fork { depth: 1, new: 0 },
        Act::Hint { back: 0 },
        Act::Steps { n: 8, batch: 1 },
        Act::Fork { depth: 13, new: 3 },
        Act::Extend(1),
        Act::Extend(4),
        Act::Kill { keep: 0 },
        Act::Steps { n: 5, batch: 1 },
        Act::Kill { keep: 3 },
    ];
    for act in &acts {
        world.act(act);
    }
    assert!(world.reader.stack.is_empty(), "killed after the last revert");
    world.check_end();
    assert!(!world.stopped);
    assert_eq!(world.reader.stack[0].0.height, 4);
}

/// Two chains over one ancestor at height 10, as (height, id), and what must be reverted.
fn switches(old: &[(u64, u64)], new: &[(u64, u64)], says: bool) -> Vec<u64> {
    let build = |tops: &[(u64, u64)]| {
        let mut chain: Vec<u64> = (1..=11).collect();
        for (height, id) in tops {
            chain.resize(*height as usize, 0);
            chain.push(*id);
        }
        chain
    };
    let mut world = World::over(0, 256, Node { chain: build(old), next: 1_000, holes: 0, says });
    world.quiesce();
    let before = world.reader.stack.clone();
    world.node.chain = build(new);
    world.quiesce();
    world.check_end();
    let after = &world.reader.stack;
    before.iter().filter(|(l, _)| !after.iter().any(|(n, _)| n.hash == l.hash)).map(|(l, _)| l.height).collect()
}

#[test]
fn holes_at_a_forks_edge_are_told_apart_from_blocks() {
    for says in [false, true] {
        // The new branch has no block where the old one has.
        assert_eq!(switches(&[(11, 101), (12, 102)], &[(12, 202), (13, 203)], says), [11, 12]);
        assert_eq!(switches(&[(11, 101)], &[(12, 202)], says), [11]);
        assert_eq!(switches(&[(11, 101), (12, 102)], &[(12, 202)], says), [11, 12]);
        // The other way round.
        assert_eq!(switches(&[(12, 102), (13, 103)], &[(11, 201), (12, 202), (13, 203)], says), [12, 13]);
        assert_eq!(switches(&[(13, 103)], &[(11, 201), (12, 202), (13, 203)], says), [13]);
        assert_eq!(switches(&[(13, 103)], &[(11, 201)], says), [13]);
        // Several in a row, and a hole that grows.
        assert_eq!(switches(&[(11, 101), (16, 102)], &[(11, 101), (19, 203)], says), [16]);
        assert_eq!(switches(&[(15, 101), (16, 102)], &[(14, 201), (20, 203)], says), [15, 16]);
        // Nothing but more blocks.
        assert_eq!(switches(&[(12, 102)], &[(12, 102), (17, 103)], says), [0u64; 0]);
    }
}

#[test]
fn what_a_node_lacks_is_no_hole() {
    for says in [false, true] {
        let mut world = World::over(0, 256, Node::new(20, 0, says));
        world.quiesce();
        world.node.extend(5);
        let lacking = std::mem::take(&mut world.node.chain[21]);
        // The chain below still links over it: only the tracker is not told.
        world.hint(0);
        for _ in 0..50 {
            let need = world.tracker.need();
            match need {
                Need::Head => world.hint(0),
                Need::Header(height) | Need::Blocks { from: height, .. } if height == 21 => {
                    world.tracker.no_block(height, says);
                }
                Need::Header(height) => {
                    world.node.chain[21] = lacking;
                    world.tracker.header(world.node.link(height).unwrap());
                    world.node.chain[21] = 0;
                }
                Need::Blocks { from, .. } => {
                    world.node.chain[21] = lacking;
                    let link = world.node.link(from).unwrap();
                    world.node.chain[21] = 0;
                    let events = world.tracker.blocks(&[link]);
                    world.commit(events, None);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(world.reader.stack.last().unwrap().0.height, 20, "nothing is applied over a block that is lacking");
        world.node.chain[21] = lacking;
        world.check_end();
        assert_eq!(world.reader.stack.len(), 25);
    }
}

#[test]
fn a_hole_where_the_network_begins_is_passed() {
    for says in [false, true] {
        let mut node = Node::new(30, 0, says);
        for height in [9, 10, 11, 12] {
            node.chain[height] = 0;
        }
        let mut world = World::over(10, 256, node);
        world.quiesce();
        assert_eq!((world.reader.stack[0].0.height, world.tracker.position().first), (13, Some(13)));
        world.check_end();
    }
}

#[test]
fn nothing_final_is_reverted_until_the_chain_is_the_held_one_again() {
    let mut world = World::new(0, 256, 100);
    world.quiesce();
    world.tracker.finalize(Some(90));
    let held = world.node.chain.clone();
    // Down to 91 is a reorg as any other.
    world.node.fork(9, 10);
    world.quiesce();
    world.check_end();
    let (sequence, branch) = (world.reader.sequence, world.node.chain.clone());
    for depth in [11, 12, 40] {
        world.node.chain = held.clone();
        world.node.fork(depth, depth + 5);
        world.hint(0);
        for _ in 0..100 {
            match world.tracker.need() {
                Need::Refused(why) => {
                    assert_eq!(why, Refusal::BelowFinal(90));
                    world.tracker.reconsider();
                }
                Need::Head => world.hint(0),
                _ => {
                    world.step(3, None);
                }
            }
        }
        assert_eq!(world.reader.sequence, sequence, "nothing is written");
        assert!(!world.tracker.position().too_deep, "nothing is kept");
    }
    world.node.chain = branch;
    world.node.extend(2);
    world.tracker.reconsider();
    world.quiesce();
    assert_eq!((world.stopped, world.reader.sequence), (false, sequence + 2));
    world.check_end();
}
