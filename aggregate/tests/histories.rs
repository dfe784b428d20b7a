//! Random histories of a network against a model that holds nothing but rows: whatever windows are given is what those rows give.
//!
//! Each history is blocks at some pace, forks to depth 64, finality now and then, equal or falling time stamps, ranges of blocks that are
//! filled in below the first one, a contract that is watched late, records that are gone, and restarts from the position that was committed,
//! or from below it. `HEADWATER_HISTORIES` names another number of them, `HEADWATER_SEED` the first seed.

use std::{collections::BTreeMap, rc::Rc};

use aggregate::windows::{Applied, Change, Clock, Network, Open, Part, Parts, Place, Reverted};
use alloy_primitives::{Address, U256};
use conditions::{Trailing, trailing::plain};
use fastrand::Rng;
use schemas::{
    BlockHash, Origin, TimeMs,
    limits::windows::SECONDS,
    records::{Mark, Partial, Window},
    sketch::{Bins, Distinct},
};

const HISTORIES: u64 = 10_000;
const CONTRACTS: [Address; 2] = [Address::repeat_byte(0xaa), Address::repeat_byte(0xbb)];

#[derive(Clone)]
struct Block {
    height: u64,
    hash: BlockHash,
    parent: BlockHash,
    time: i64,
    parts: Parts,
}

/// What stands in the log.
enum Event {
    Change(u64, Change),
    /// It is gone.
    Gone,
}

/// What is in the rows.
#[derive(Default, Clone)]
struct Rows {
    live: Vec<Rc<Block>>,
    filled: Vec<Rc<Block>>,
}

struct History {
    rng: Rng,
    clock: Clock,
    /// Milliseconds between two blocks, about.
    pace: i64,
    falls: bool,
    watched_from: i64,
    finality: bool,
    finalized: u64,
    hashes: u64,
    sequence: u64,
    rows: Rows,
    /// Blocks below the first one, of which ranges are filled.
    below: Vec<Rc<Block>>,
}

fn partial(rng: &mut Rng, height: u64, time: i64) -> Partial {
    let mut partial = Partial {
        blocks: 1,
        transactions: rng.u64(0..50),
        failed: rng.u64(0..9),
        gas_used: rng.u64(0..30_000_000),
        fee_total: U256::from(rng.u64(..)),
        first: Some(Mark { height, time: TimeMs(time) }),
        last: Some(Mark { height, time: TimeMs(time) }),
        ..Partial::default()
    };
    let (mut bins, mut senders) = (Bins::default(), Distinct::default());
    for _ in 0..rng.u64(0..3) {
        let price = U256::from(rng.u64(1..1 << 40));
        bins.add(price);
        senders.add(&rng.u64(0..100).to_be_bytes());
        partial.gas_price_sum += price;
        partial.gas_price_count += 1;
        partial.gas_price_min = Some(partial.gas_price_min.map_or(price, |least| least.min(price)));
        partial.gas_price_max = Some(partial.gas_price_max.map_or(price, |most| most.max(price)));
    }
    (partial.bins, partial.senders) = (Some(bins), Some(senders));
    partial
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let clock = *rng.choice(&[Clock::BlockTime, Clock::BlockTime, Clock::MedianTimePast]).expect("one");
        let pace = match clock {
            Clock::BlockTime => {
                let paces = [250, 2_000, 2_000, 12_000, 12_000, 50_000, 50_000, 600_000, 1_500_000];
                if rng.u8(0..24) == 0 { 5_000_000 } else { *rng.choice(&paces).expect("one") }
            }
            Clock::MedianTimePast => *rng.choice(&[600_000, 1_200_000]).expect("one"),
        };
        let falls = clock == Clock::MedianTimePast || rng.u8(0..4) == 0;
        // Near the end of a day.
        let day = 86_400_000 * rng.i64(19_000..20_000);
        let now = day + rng.i64(-20..5) * pace;
        let mut history = Self {
            clock,
            pace,
            falls,
            watched_from: now + rng.i64(0..40) * pace,
            finality: rng.bool(),
            finalized: 0,
            hashes: seed << 20,
            sequence: 0,
            rows: Rows::default(),
            below: Vec::new(),
            rng,
        };
        let mut block = history.block(None, now - 70 * pace);
        for _ in 0..70 {
            let next = history.after(&[block.clone()]);
            history.below.push(std::mem::replace(&mut block, next));
        }
        history.rows.live.push(block);
        history
    }

    fn hash(&mut self) -> BlockHash {
        self.hashes += 1;
        format!("0x{:064x}", self.hashes).parse().expect("a hash")
    }

    fn block(&mut self, before: Option<&Block>, time: i64) -> Rc<Block> {
        let parent = match before {
            Some(before) => before.hash.clone(),
            None => self.hash(),
        };
        let height = before.map_or(1_000, |before| before.height + 1);
        let network = partial(&mut self.rng, height, time);
        let mut contracts = Vec::new();
        for contract in CONTRACTS {
            // The second is watched late: from then on each block has it, before that some do.
            let has = self.rng.bool() && (contract == CONTRACTS[0] || time >= self.watched_from - self.pace);
            if has {
                let from = if contract == CONTRACTS[0] { 0 } else { self.watched_from };
                let partial = partial(&mut self.rng, height, time);
                contracts.push(Part { contract, watched_from: Some(TimeMs(from)), partial });
            }
        }
        let parts = Parts { network, contracts, left_out: false };
        Rc::new(Block { height, hash: self.hash(), parent, time, parts })
    }

    /// The next block of a chain.
    fn after(&mut self, chain: &[Rc<Block>]) -> Rc<Block> {
        let tip = chain.last().expect("a block").clone();
        let mut times: Vec<i64> = self.below.iter().chain(chain).rev().take(11).map(|block| block.time).collect();
        times.sort_unstable();
        let time = match self.rng.u8(0..10) {
            0 | 1 => tip.time,
            // No chain lets a time be at or below the median of the last eleven.
            2 | 3 if self.falls => (tip.time - self.rng.i64(0..=3) * self.pace).max(times[times.len() / 2] + 1),
            4 => tip.time + self.rng.i64(0..=20) * self.pace,
            _ => tip.time + self.rng.i64(0..=2 * self.pace),
        };
        // Nor is one so far in the future that it is more than two hours ahead of what comes later.
        let highest = self.below.iter().chain(chain).map(|block| block.time).max().unwrap_or(i64::MIN);
        let least = if self.clock == Clock::MedianTimePast { highest - 7_200_000 } else { i64::MIN };
        self.block(Some(&tip), time.max(least))
    }

    fn event(&mut self, change: Change, events: &mut Vec<Event>) {
        self.sequence += 1;
        events.push(Event::Change(self.sequence, change));
    }

    fn apply(&mut self, block: Rc<Block>, origin: Origin, events: &mut Vec<Event>) {
        if self.finality && self.rng.u8(0..4) == 0 && origin == Origin::Live {
            self.finalized = self.finalized.max(block.height.saturating_sub(self.rng.u64(0..12)));
        }
        let change = Change::Apply(Box::new(Applied {
            origin,
            height: block.height,
            hash: block.hash.clone(),
            parent: block.parent.clone(),
            time: TimeMs(block.time),
            median_time: None,
            finalized: self.finality.then_some(self.finalized),
            parts: block.parts.clone(),
        }));
        match origin {
            Origin::Live => self.rows.live.push(block),
            Origin::Backfill => self.rows.filled.push(block),
        }
        self.event(change, events);
    }

    /// One step: some events, and what the rows are after each.
    fn step(&mut self, events: &mut Vec<Event>, rows: &mut Vec<Rows>) {
        let before = events.len();
        if self.sequence == 0 {
            let first = self.rows.live.pop().expect("the first");
            self.apply(first, Origin::Live, events);
            rows.push(self.rows.clone());
            return;
        }
        match self.rng.u8(0..20) {
            0..=1 if self.rows.live.len() > 2 => {
                let final_ones = self.rows.live.iter().filter(|block| block.height <= self.finalized).count().max(1);
                let most = (self.rows.live.len() - final_ones).min(64);
                let depth = if self.rng.u8(0..4) == 0 { most } else { most.min(self.rng.usize(1..5)) };
                for _ in 0..depth {
                    let gone = self.rows.live.pop().expect("a block");
                    let change = Change::Revert(Reverted {
                        height: gone.height,
                        hash: gone.hash.clone(),
                        time: TimeMs(gone.time),
                    });
                    self.event(change, events);
                    rows.push(self.rows.clone());
                }
                for _ in 0..depth.min(8) {
                    let block = self.after(&self.rows.live.clone());
                    self.apply(block, Origin::Live, events);
                    rows.push(self.rows.clone());
                }
                return;
            }
            2 => {
                if self.finality {
                    let tip = self.rows.live.last().expect("a tip").height;
                    self.finalized = self.finalized.max(tip.saturating_sub(self.rng.u64(0..8)));
                    events.push(Event::Change(self.sequence, Change::Finality(Some(self.finalized))));
                }
            }
            3 if !self.below.is_empty()
                && self.rows.filled.is_empty()
                && !(self.falls && self.clock == Clock::BlockTime) =>
            {
                let from = self.rng.usize(0..self.below.len());
                let until = self.rng.usize(from..=self.below.len());
                let below = self.below[from..until].to_vec();
                for block in below {
                    self.apply(block, Origin::Backfill, events);
                    rows.push(self.rows.clone());
                    if self.rng.u8(0..4) == 0 {
                        let block = self.after(&self.rows.live.clone());
                        self.apply(block, Origin::Live, events);
                        rows.push(self.rows.clone());
                    }
                }
                return;
            }
            _ => {
                let block = self.after(&self.rows.live.clone());
                self.apply(block, Origin::Live, events);
            }
        }
        for _ in before..events.len() {
            rows.push(self.rows.clone());
        }
    }
}

fn recompute(rows: &Rows, window: &Window) -> Partial {
    let inside = |block: &&Rc<Block>| (window.window_start.0..window.end().0).contains(&block.time);
    let mut sum = Partial::default();
    for block in rows.live.iter().chain(&rows.filled).filter(inside) {
        match window.contract {
            None => sum.merge(&block.parts.network),
            Some(contract) => {
                block
                    .parts
                    .contracts
                    .iter()
                    .filter(|part| part.contract == contract)
                    .for_each(|p| sum.merge(&p.partial));
            }
        }
    }
    sum
}

type Given = BTreeMap<(Option<Address>, u32, i64), Window>;

/// A process with the network in its hands.
struct Process {
    windows: Network,
    /// The event that comes next, and the last one that came.
    next: usize,
    last: usize,
    /// What is committed: how far windows are published, and where to read from.
    published: usize,
    position: u64,
}

fn place(at: usize) -> Place {
    Place { offset: at as u64, at: TimeMs(0) }
}

impl Process {
    fn new(clock: Clock) -> Self {
        Self {
            windows: Network::new("net".parse().expect("a slug"), clock),
            next: 0,
            last: 0,
            published: 0,
            position: 0,
        }
    }

    fn take(&mut self, events: &[Event]) {
        if let Event::Change(sequence, change) = &events[self.next] {
            self.windows.take(*sequence, place(self.next), change.clone());
            self.last = self.next;
        }
        self.next += 1;
    }

    fn publish(&mut self, rng: &mut Rng, rows: &[Rows], given: &mut Given, check: bool) {
        let open = Open { network: rng.bool(), contracts: rng.bool() };
        for window in self.windows.drain(open) {
            // What is gone is not known of before the next event.
            let rows = &rows[self.last];
            if window.complete && check {
                let key = (window.contract, window.window_seconds, window.window_start);
                assert_eq!(window.partial, recompute(rows, &window), "{key:?} at {}", window.sequence);
            }
            given.insert((window.contract, window.window_seconds, window.window_start.0), window);
        }
        self.published = self.next;
        self.position = self.windows.rewind(TimeMs(0), 0).map_or(self.next as u64, |place| place.offset);
    }

    /// Killed, and begun again from what is committed, or from below it.
    fn restart(&mut self, rng: &mut Rng, clock: Clock, events: &[Event]) {
        let from = if rng.u8(0..4) == 0 { rng.u64(0..=self.position) } else { self.position };
        self.windows = Network::new("net".parse().expect("a slug"), clock);
        self.next = from as usize;
        while self.next < self.published {
            self.take(events);
            self.windows.skip();
        }
    }
}

fn play(seed: u64) {
    let mut history = History::new(seed);
    let (mut events, mut rows) = (Vec::new(), Vec::new());
    let steps = history.rng.usize(5..60);
    for _ in 0..steps {
        history.step(&mut events, &mut rows);
    }
    // Some end with nothing but blocks, so that everything that was open is over.
    let mut rng = Rng::with_seed(!seed);
    // Where a block's time may fall by any rule, what is not known may have any time.
    let bounded = !history.falls || history.clock == Clock::MedianTimePast;
    if bounded && rng.u8(0..12) == 0 && events.len() > 20 {
        let from = rng.usize(5..events.len() - 5);
        (from..from + rng.usize(1..4)).for_each(|at| events[at] = Event::Gone);
    }
    let is_whole = !events.iter().any(|event| matches!(event, Event::Gone));
    let mut given = Given::new();
    let mut process = Process::new(history.clock);
    while process.next < events.len() {
        process.take(&events);
        if rng.u8(0..4) == 0 {
            let check = rng.u8(0..4) == 0;
            process.publish(&mut rng, &rows, &mut given, check);
        }
        if rng.u8(0..25) == 0 {
            process.restart(&mut rng, history.clock, &events);
        }
    }
    process.publish(&mut rng, &rows, &mut given, true);
    judge(&history, &given, is_whole);
    if is_whole {
        trail(&history, &events, &rows, &mut rng);
    }
}

/// At the end, every window that is complete is what the rows give, and whatever can be complete is.
fn judge(history: &History, given: &Given, is_whole: bool) {
    let rows = &history.rows;
    for (key, window) in given.iter().filter(|(_, window)| window.complete) {
        assert_eq!(window.partial, recompute(rows, window), "{key:?} of sequence {}", window.sequence);
    }
    if !is_whole {
        return;
    }
    let ahead = if history.clock == Clock::MedianTimePast { 7_200_000 } else { 0 };
    let first = rows.live.first().expect("a block").time + ahead;
    let water = water(history.clock, &rows.live);
    let is_late = |key: &(Option<Address>, u32, i64)| {
        given.get(key).and_then(|w| w.reason.as_deref()).is_some_and(|why| why.contains("settled"))
    };
    for seconds in SECONDS {
        let size = i64::from(seconds) * 1_000;
        for block in &rows.live {
            let start = block.time.div_euclid(size) * size;
            if start <= first || start + size > water {
                continue;
            }
            let contracts = block.parts.contracts.iter().map(|part| (Some(part.contract), part.watched_from));
            for (contract, from) in contracts.chain([(None, None)]) {
                let key = (contract, seconds, start);
                let known = from.is_none_or(|from| start >= from.0);
                let window = given.get(&key).unwrap_or_else(|| panic!("{key:?} was not given"));
                assert!(window.complete == known || is_late(&key), "{key:?}: {:?}", window.reason);
            }
        }
    }
}

/// Trailing windows after each event.
fn trail(history: &History, events: &[Event], rows: &[Rows], rng: &mut Rng) {
    let longest = history.pace * rng.i64(1..30);
    let mut trailing = Trailing::new(longest);
    let first = rows[0].live[0].time;
    for (event, rows) in events.iter().zip(rows) {
        let Event::Change(sequence, change) = event else { continue };
        trailing.take(*sequence, change.clone());
        let ms = rng.i64(1..=longest);
        let Some((end, sum, is_complete)) = trailing.window(ms, None) else { continue };
        let tip = rows.live.last().expect("a block").time;
        let mut expected = Partial::default();
        let inside = rows.live.iter().filter(|block| tip - ms < block.time && block.time <= tip);
        inside.for_each(|block| expected.merge(&block.parts.network));
        assert_eq!(end.0, tip);
        if is_complete {
            assert_eq!(sum, plain(&expected), "trailing {ms} ms at {sequence}");
        } else {
            assert!(tip - ms < first || history.falls, "trailing {ms} ms at {sequence} is complete");
        }
    }
}

/// How far time has passed, by the model.
fn water(clock: Clock, chain: &[Rc<Block>]) -> i64 {
    match clock {
        Clock::BlockTime => chain.iter().map(|block| block.time).max().unwrap_or(i64::MIN),
        Clock::MedianTimePast => {
            let median = |blocks: &[Rc<Block>]| {
                let mut times: Vec<i64> = blocks.iter().map(|block| block.time).collect();
                times.sort_unstable();
                times[5]
            };
            chain.windows(11).map(median).max().unwrap_or(i64::MIN)
        }
    }
}

#[test]
fn windows_are_what_the_rows_give_whatever_happened() {
    let number = |name: &str, usual| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let (histories, first) = (number("HEADWATER_HISTORIES", HISTORIES), number("HEADWATER_SEED", 1));
    let part = |of: u64| {
        move || {
            for seed in (first..first + histories).filter(|seed| seed % 2 == of) {
                let played = std::panic::catch_unwind(|| play(seed));
                assert!(played.is_ok(), "history {seed} (HEADWATER_SEED={seed} HEADWATER_HISTORIES=1)");
            }
        }
    };
    let other = std::thread::spawn(part(1));
    part(0)();
    other.join().expect("the other half");
}

/// Four days of blocks, of which none is ever final.
#[test]
fn what_is_held_does_not_grow_with_history() {
    let mut windows = Network::new("net".parse().expect("a slug"), Clock::BlockTime);
    let hash = |n: u64| format!("0x{n:064x}").parse::<BlockHash>().expect("a hash");
    let mut rng = Rng::with_seed(3);
    let (mut most, mut first_day) = ((0, 0), (0, 0));
    let day = 86_400_000 / 12_000;
    for n in 1..=4 * day {
        let time = n as i64 * 12_000;
        let contracts = CONTRACTS.into_iter().filter(|_| n % 7 == 0);
        let part = |contract| Part { contract, watched_from: Some(TimeMs(0)), partial: Partial::default() };
        let parts =
            Parts { network: partial(&mut rng, n, time), contracts: contracts.map(part).collect(), left_out: false };
        let block = Applied {
            origin: Origin::Live,
            height: n,
            hash: hash(n),
            parent: hash(n - 1),
            time: TimeMs(time),
            median_time: None,
            finalized: None,
            parts,
        };
        windows.take(n, place(n as usize), Change::Apply(Box::new(block)));
        if n % 16 == 0 {
            windows.drain(Open { network: true, contracts: true });
            let held = windows.held();
            most = (most.0.max(held.0), most.1.max(held.1));
        }
        if n == day {
            first_day = most;
        }
    }
    assert!(most.0 <= 256 + 12 + 16 + 5, "{} blocks", most.0);
    assert!(most.1 <= first_day.1 + 3 * 30, "{} sums, {} on the first day", most.1, first_day.1);
}
