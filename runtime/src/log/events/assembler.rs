//! The assembler: pure, fed with records, asked for events.
//!
//! It relies on this: per partition, one producer writes a transaction's events in the same order to both topics, so children
//! stand in the order of their headers.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

use schemas::{Network, Op, headers::ChainHeaders, limits::EVENTS_BYTES};

use super::{
    Assigned, Batch, Event, Halt,
    queue::{Foreign, Meta, Queue},
};
use crate::log::{Offsets, Record, Topic, TopicPartition};

/// What is known of the networks of a partition at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Every network begins with sequence 1.
    Beginning,
    /// At the end of an event: whatever a network's first event is, it continues what was worked up before.
    Committed,
    /// In the middle, on purpose: the first event of a network is the first one.
    Anywhere,
    /// Behind records that retention removed: a network that is not known continues nothing.
    AfterLoss,
}

/// Pausing and resuming that the consumer should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Deliver nothing more of it for now.
    Pause(TopicPartition),
    /// Deliver again.
    Resume(TopicPartition),
}

struct Partition {
    start: Start,
    headers: Queue,
    children: Queue,
    /// Last sequence per network.
    last: HashMap<Network, u64>,
    /// What networks were worked up to before, where there is no position: nothing before it is wanted.
    done: HashMap<Network, u64>,
    /// Halted networks, and the highest sequence of each that was passed over since.
    halted: HashMap<Network, u64>,
    /// Whether a child was ever matched: before that, children of events before the start may lead.
    matched: bool,
    /// Whether what is still to come must tell whose fault something is: then as much is read as ever.
    unsettled: bool,
    ready: VecDeque<Ready>,
    foreign: Foreign,
    /// Whether records of halted networks were passed over since that was last told.
    passed: bool,
    /// Whether it stands: nothing of it is taken.
    stands: bool,
}

enum Ready {
    Event(Box<Event>),
    Halted(Network, Halt),
}

/// Puts events together, per partition.
pub struct Assembler {
    header_topic: Topic,
    child_topic: Option<Topic>,
    held: HashMap<TopicPartition, Option<u64>>,
    partitions: HashMap<u32, Partition>,
    /// Partitions with something ready, served in turn.
    turn: VecDeque<u32>,
    flow: Vec<Flow>,
}

impl Assembler {
    /// For these topics.
    pub fn new(header_topic: Topic, child_topic: Option<Topic>) -> Self {
        Self {
            header_topic,
            child_topic,
            held: HashMap::new(),
            partitions: HashMap::new(),
            turn: VecDeque::new(),
            flow: Vec::new(),
        }
    }

    fn at(&self, partition: u32) -> impl Iterator<Item = TopicPartition> + use<> {
        [Some(self.header_topic), self.child_topic]
            .into_iter()
            .flatten()
            .map(move |topic| TopicPartition { topic, partition })
    }

    /// A partition in all topics, children first.
    pub fn topics(&self, partition: u32) -> Vec<TopicPartition> {
        let mut topics: Vec<_> = self.at(partition).collect();
        topics.reverse();
        topics
    }

    /// Takes partitions over. Returns those that are now held in all topics; the others are paused (rule 9).
    pub fn assign(&mut self, list: &[(TopicPartition, Option<u64>)]) -> Vec<Assigned> {
        self.held.extend(list.iter().copied());
        let mut numbers: Vec<u32> = list.iter().map(|(at, _)| at.partition).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut whole = Vec::new();
        for partition in numbers {
            if self.partitions.contains_key(&partition) {
                continue;
            }
            let present: Vec<_> = self.at(partition).filter(|at| self.held.contains_key(at)).collect();
            if present.len() < self.at(partition).count() {
                self.flow.extend(present.into_iter().map(Flow::Pause));
                continue;
            }
            let header = TopicPartition { topic: self.header_topic, partition };
            let has_position = self.held.get(&header).copied().flatten().is_some();
            self.start(partition, if has_position { Start::Committed } else { Start::Beginning });
            whole.push(Assigned { partition, has_position });
        }
        whole
    }

    /// Begins with a partition.
    pub fn start(&mut self, partition: u32, start: Start) {
        let state = Partition {
            start,
            headers: Queue::default(),
            children: Queue::default(),
            last: HashMap::new(),
            done: HashMap::new(),
            halted: HashMap::new(),
            matched: false,
            unsettled: false,
            ready: VecDeque::new(),
            foreign: Foreign::default(),
            passed: false,
            stands: false,
        };
        self.partitions.insert(partition, state);
        self.turn.retain(|p| *p != partition);
    }

    /// Drops partitions. Returns those that were held in all topics.
    pub fn revoke(&mut self, list: &[TopicPartition]) -> Vec<u32> {
        let mut whole = Vec::new();
        for at in list {
            self.held.remove(at);
            if self.partitions.remove(&at.partition).is_some() {
                whole.push(at.partition);
            }
        }
        self.turn.retain(|p| !whole.contains(p));
        self.flow.retain(|f| {
            !list.contains(match f {
                Flow::Pause(at) | Flow::Resume(at) => at,
            })
        });
        whole
    }

    /// Says which sequence is to come next.
    pub fn expect(&mut self, partition: u32, network: &Network, sequence: u64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.last.insert(network.clone(), sequence.saturating_sub(1));
        }
    }

    /// Says up to which sequence a network was worked up already.
    pub fn resume(&mut self, partition: u32, network: &Network, sequence: u64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.done.insert(network.clone(), sequence);
        }
    }

    /// Says that a network goes on with this sequence and no other: what is below was worked up, or is given up.
    pub fn go_on(&mut self, partition: u32, network: &Network, sequence: u64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.halted.remove(network);
            state.last.insert(network.clone(), sequence.saturating_sub(1));
            state.done.insert(network.clone(), sequence);
        }
    }

    /// A network is halted no more: its next event comes, whatever it is, behind the highest sequence that was passed over, which is
    /// returned. `None`: it was not halted.
    pub fn let_go_on(&mut self, partition: u32, network: &Network) -> Option<u64> {
        let state = self.partitions.get_mut(&partition)?;
        let passed = state.halted.remove(network)?;
        state.last.remove(network);
        state.done.insert(network.clone(), passed + 1);
        Some(passed)
    }

    /// Retention removed records before this offset that had not been read: reading went on at `oldest`.
    pub fn lost(&mut self, at: TopicPartition, oldest: u64) {
        if let Some(state) = self.partitions.get_mut(&at.partition) {
            state.start = Start::AfterLoss;
            state.matched = false;
            let queue = if at.topic == self.header_topic { &mut state.headers } else { &mut state.children };
            if queue.records.is_empty() {
                queue.next = Some(oldest);
            }
        }
    }

    /// Takes records in.
    pub fn feed(&mut self, records: Vec<Record>) {
        let mut touched = Vec::new();
        for record in records {
            let at = record.from;
            let Some(state) = self.partitions.get_mut(&at.partition) else { continue };
            let queue = if at.topic == self.header_topic { &mut state.headers } else { &mut state.children };
            if let Some((record, why)) = queue.push(record) {
                state.foreign.push(record, why);
            }
            if !touched.contains(&at.partition) {
                touched.push(at.partition);
            }
        }
        for partition in touched {
            self.work(partition);
        }
    }

    fn work(&mut self, partition: u32) {
        let topics = (self.header_topic, self.child_topic);
        if let Some(state) = self.partitions.get_mut(&partition) {
            while state.step(partition, topics) {}
            if !state.ready.is_empty() && !state.stands && !self.turn.contains(&partition) {
                self.turn.push_back(partition);
            }
        }
    }

    /// Nothing of a partition is taken until it goes on. Gives what of it is not paused.
    pub fn stand(&mut self, partition: u32) -> Vec<TopicPartition> {
        let open = self.open().into_iter().filter(|at| at.partition == partition).collect();
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.stands = true;
        }
        self.turn.retain(|p| *p != partition);
        open
    }

    /// A partition that stands goes on. Gives what of it may be delivered again.
    pub fn go(&mut self, partition: u32) -> Vec<TopicPartition> {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.stands = false;
        }
        self.work(partition);
        self.open().into_iter().filter(|at| at.partition == partition).collect()
    }

    /// What is ready: events of as many partitions as fit, or one halt.
    pub fn take(&mut self, max_events: usize, max_bytes: usize) -> Option<Batch> {
        let mut out: Vec<Event> = Vec::new();
        let mut bytes = 0;
        while let Some(partition) = self.turn.pop_front() {
            let Some(state) = self.partitions.get_mut(&partition) else { continue };
            let full =
                |out: &Vec<Event>, bytes: usize| !out.is_empty() && (out.len() >= max_events || bytes >= max_bytes);
            while !full(&out, bytes) {
                match state.ready.pop_front() {
                    None => break,
                    Some(Ready::Event(event)) => {
                        bytes += event.bytes();
                        out.push(*event);
                    }
                    Some(Ready::Halted(network, why)) if out.is_empty() => {
                        self.turn.push_front(partition);
                        return Some(Batch::Halted { partition, network, why });
                    }
                    Some(halted) => {
                        state.ready.push_front(halted);
                        self.turn.push_front(partition);
                        return Some(Batch::Events(out));
                    }
                }
            }
            if !state.ready.is_empty() {
                self.turn.push_back(partition);
            }
            if full(&out, bytes) {
                break;
            }
        }
        (!out.is_empty()).then_some(Batch::Events(out))
    }

    /// What is held, does not stand, and is not paused for the sake of the other topic.
    pub fn open(&self) -> Vec<TopicPartition> {
        let mut open = Vec::new();
        for (partition, state) in self.partitions.iter().filter(|(_, state)| !state.stands) {
            let queues = [(Some(self.header_topic), &state.headers), (self.child_topic, &state.children)];
            open.extend(
                queues
                    .into_iter()
                    .filter(|(_, queue)| !queue.paused)
                    .filter_map(|(topic, _)| Some(TopicPartition { topic: topic?, partition: *partition })),
            );
        }
        open
    }

    /// What was passed over behind the last event of each partition since the last time: from where, up to where.
    pub fn passed_over(&mut self) -> Vec<(TopicPartition, u64, u64)> {
        let mut passed = Vec::new();
        let (header_topic, child_topic) = (self.header_topic, self.child_topic);
        // Foreign records wait for the next event: they are still to become dead letters.
        for (partition, state) in self.partitions.iter_mut().filter(|(_, s)| s.passed && s.foreign.is_empty()) {
            state.passed = false;
            let queues = [(Some(header_topic), &state.headers), (child_topic, &state.children)];
            passed.extend(queues.into_iter().filter_map(|(topic, queue)| {
                let at = TopicPartition { topic: topic?, partition: *partition };
                queue.next.filter(|next| *next > queue.handed).map(|next| (at, queue.handed, next))
            }));
        }
        passed
    }

    /// What is to be paused and resumed since the last time.
    pub fn flow(&mut self) -> Vec<Flow> {
        let mut flow = std::mem::take(&mut self.flow);
        let Some(child_topic) = self.child_topic else { return flow };
        let held: usize = self.partitions.values().map(|p| p.headers.bytes() + p.children.bytes()).sum();
        let tight = held >= EVENTS_BYTES;
        for (partition, state) in &mut self.partitions {
            let tight = tight && !state.unsettled;
            // The queue that the other one waits for is never paused: one event is always held whole.
            let wanted = state.wanted_children();
            let children_full = state.children.is_full(tight) && state.children.records.len() >= wanted;
            let headers_full =
                state.headers.is_full(tight) && !(state.children.is_full(tight) && state.headers.records.is_empty());
            for (queue, topic, full) in [
                (&mut state.headers, self.header_topic, headers_full),
                (&mut state.children, child_topic, children_full),
            ] {
                let at = TopicPartition { topic, partition: *partition };
                if full && !queue.paused {
                    queue.paused = true;
                    flow.push(Flow::Pause(at));
                } else if queue.paused && !full && (queue.is_low(tight) || queue.records.len() < wanted) {
                    queue.paused = false;
                    flow.push(Flow::Resume(at));
                }
            }
        }
        flow
    }
}

impl Partition {
    fn halt(&mut self, network: Network, why: Halt) {
        if let Entry::Vacant(entry) = self.halted.entry(network.clone()) {
            entry.insert(0);
            self.ready.push_back(Ready::Halted(network, why));
        }
    }

    /// A record of a halted network is passed over.
    fn passes(&mut self, meta: &ChainHeaders) -> bool {
        let Some(passed) = self.halted.get_mut(&meta.network) else { return false };
        // A finality record repeats the sequence of an event that may still be to come.
        if meta.op != Op::Finality {
            *passed = (*passed).max(meta.sequence);
        }
        self.passed = true;
        true
    }

    /// How many children the header in front announces.
    fn wanted_children(&self) -> usize {
        self.headers.records.front().and_then(|(_, meta)| meta.as_ref().ok().and_then(announced)).unwrap_or(0) as usize
    }

    /// Takes one step; `false` when more records are needed.
    fn step(&mut self, partition: u32, (header_topic, child_topic): (Topic, Option<Topic>)) -> bool {
        self.unsettled = false;
        if self.pass_over_child() {
            return true;
        }
        let Some((_, meta)) = self.headers.records.front() else { return false };
        let meta = match meta.clone() {
            Ok(meta) if !self.halted.contains_key(&meta.network) && !self.is_past(&meta) => meta,
            Ok(meta) => {
                let halted = self.passes(&meta);
                return self.headers.pass_over(halted);
            }
            Err((network, why)) => {
                self.headers.pop();
                self.halt(network, why);
                return true;
            }
        };
        if let Err(why) = self.check_sequence(&meta) {
            self.halt(meta.network, why);
            return true;
        }
        let Some(wanted) = announced(&meta) else {
            self.halt(meta.network, Halt::BadHeaders { name: "tx_count", problem: "missing" });
            return true;
        };
        let wanted = if child_topic.is_some() { wanted } else { 0 };
        let is_child = |c: &Meta| matches!(c, Ok(c) if c.network == meta.network && c.sequence == meta.sequence);
        let found = self.children.records.iter().take(wanted as usize).take_while(|(_, c)| is_child(c)).count();
        if found < wanted as usize {
            return self.settle_stray(&meta, wanted, found);
        }
        let children: Vec<Record> = (0..wanted).filter_map(|_| self.children.pop()).collect();
        self.matched |= !children.is_empty();
        let Some(header) = self.headers.pop() else { return false };
        if meta.op != Op::Finality {
            self.last.insert(meta.network.clone(), meta.sequence);
        }
        let next = |topic, queue: &Queue| queue.next.map(|offset| (TopicPartition { topic, partition }, offset));
        let offsets: Offsets = next(header_topic, &self.headers)
            .into_iter()
            .chain(child_topic.and_then(|t| next(t, &self.children)))
            .collect();
        for queue in [&mut self.headers, &mut self.children] {
            queue.handed = queue.next.unwrap_or(queue.handed);
        }
        self.passed = false;
        self.ready.push_back(Ready::Event(Box::new(Event {
            partition,
            header,
            meta,
            children,
            next: offsets,
            foreign: self.foreign.take(),
        })));
        true
    }

    /// Passes over the child in front when it belongs to nobody any more.
    fn pass_over_child(&mut self) -> bool {
        let Some((_, child)) = self.children.records.front() else { return false };
        match child.clone() {
            Err((network, why)) => {
                self.children.pop();
                self.halt(network, why);
                true
            }
            Ok(child) if self.halted.contains_key(&child.network) || self.is_past(&child) => {
                let halted = self.passes(&child);
                self.children.pass_over(halted)
            }
            Ok(child) if self.matched && self.last.get(&child.network).is_some_and(|last| child.sequence <= *last) => {
                self.halt(child.network, Halt::MoreChildren { sequence: child.sequence });
                true
            }
            Ok(_) => false,
        }
    }

    /// The header in front has not all its children at hand: waits for them, or finds out whose fault it is that another
    /// network's or event's child stands in their place.
    fn settle_stray(&mut self, header: &ChainHeaders, wanted: u32, found: usize) -> bool {
        let Some((_, stray)) = self.children.records.get(found) else { return false };
        let Ok(stray) = stray.clone() else {
            // Within this event: it is short of one either way.
            self.halt(
                header.network.clone(),
                Halt::FewerChildren { sequence: header.sequence, announced: wanted, found: found as u32 },
            );
            return true;
        };
        // Children of events before the place where reading started may lead.
        let leading = !self.matched && self.start != Start::Committed;
        if found == 0 {
            if stray.network == header.network {
                if leading && stray.sequence < header.sequence {
                    return self.children.pop().is_some();
                }
            } else {
                let later_ours =
                    self.children.metas().any(|c| c.network == header.network && c.sequence == header.sequence);
                let its_header = self
                    .headers
                    .metas()
                    .find(|h| h.network == stray.network && h.op != Op::Finality)
                    .map(|h| h.sequence);
                let has_no_header = later_ours || its_header.is_some_and(|sequence| sequence > stray.sequence);
                if has_no_header && leading {
                    return self.children.pop().is_some();
                }
                if has_no_header {
                    self.halt(stray.network, Halt::MoreChildren { sequence: stray.sequence });
                    return true;
                }
                if its_header.is_none() && !self.headers.is_full(false) && !self.children.is_full(false) {
                    self.unsettled = true;
                    return false; // what is still to come will tell
                }
            }
        }
        let why = if leading {
            Halt::Overtaken { expected: Some(header.sequence), found: header.sequence + 1 }
        } else {
            Halt::FewerChildren { sequence: header.sequence, announced: wanted, found: found as u32 }
        };
        self.halt(header.network.clone(), why);
        true
    }

    /// Whether a record lies before what its network was worked up to.
    fn is_past(&self, meta: &ChainHeaders) -> bool {
        self.done.get(&meta.network).is_some_and(|done| meta.sequence < *done)
    }

    fn check_sequence(&self, meta: &ChainHeaders) -> Result<(), Halt> {
        let found = meta.sequence;
        let last = self.last.get(&meta.network).copied();
        if let (None, Some(done)) = (last, self.done.get(&meta.network)) {
            let first = if meta.op == Op::Finality { found + 1 } else { found };
            return match first > done + 1 {
                true => Err(Halt::Overtaken { expected: Some(done + 1), found: first }),
                false => Ok(()),
            };
        }
        if meta.op == Op::Finality {
            // It repeats the last sequence, so that event must have come.
            return match (last, self.start) {
                (Some(last), _) if found > last => Err(Halt::Gap { expected: last + 1, found: found + 1 }),
                (None, Start::Beginning) if found > 0 => Err(Halt::Overtaken { expected: Some(1), found: found + 1 }),
                (None, Start::AfterLoss) if found > 0 => Err(Halt::Overtaken { expected: None, found: found + 1 }),
                _ => Ok(()),
            };
        }
        let expected = match (last, self.start) {
            (Some(last), _) => last + 1,
            (None, Start::Beginning) => 1,
            (None, Start::AfterLoss) if found != 1 => return Err(Halt::Overtaken { expected: None, found }),
            (None, _) => return Ok(()),
        };
        match found.cmp(&expected) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(Halt::Again { expected, found }),
            std::cmp::Ordering::Greater if last.is_none() || self.start == Start::AfterLoss => {
                Err(Halt::Overtaken { expected: Some(expected), found })
            }
            std::cmp::Ordering::Greater => Err(Halt::Gap { expected, found }),
        }
    }
}

/// How many child records a header announces; `None` when it does not say.
fn announced(meta: &ChainHeaders) -> Option<u32> {
    match meta.op {
        Op::Apply => meta.tx_count,
        Op::Revert => Some(1),
        Op::Finality => Some(0),
    }
}
