//! Whole block events from a topic of headers and a topic of their children (rules 2–4).
//!
//! Guarantees:
//!
//! * Events of a partition come whole and in order; a header waits for its children. Reverts come with their one child record,
//!   finality records as events without children.
//! * [`Event::next`] always lies at an event's end, in both topics, so committed positions do too.
//! * Sequences are checked: per network each event is one above the last. What breaks the contract halts that network, once, by
//!   name ([`Halt`]); its later records are passed over, and no other network is held up. Nothing is skipped silently: where
//!   retention removed what was to come, the network halts as [`Halt::Overtaken`].
//! * A record that belongs to no network (another program wrote it) is passed over wherever it stands, and handed on with the
//!   next event of its partition ([`Event::foreign`]), whose position lies behind it.
//! * Only record headers are read, never values: what cannot be decoded is still counted and handed on (rule 13).
//! * Bounded: the topic that runs ahead is paused; at most [`BUFFER_BYTES`] and [`BUFFER_RECORDS`] per partition and topic wait,
//!   and [`EVENTS_BYTES`](schemas::limits::EVENTS_BYTES) of all of them, beyond which each keeps little; except that one event is
//!   always held whole.
//!
//! A partition may [stand](EventConsumer::stand) while whoever works on its events lacks something: others go on meanwhile, and of it only
//! what was on its way is held.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use runtime::log::{LogError, Log, Transaction, events::{Batch, EventConsumer, offsets_after}};
//! # async fn stage(log: &dyn Log) -> Result<(), LogError> {
//! let consumer = log.consumer("enrich", "host-1", &["raw.blocks", "raw.transactions"]).await?;
//! let mut producer = log.producer("enrich.host-1").await?;
//! let mut events = EventConsumer::new(consumer, "raw.blocks", Some("raw.transactions"));
//! loop {
//!     match events.next(64, 8 << 20, Duration::from_secs(1)).await? {
//!         Batch::Assigned(_) | Batch::Revoked(_) => {} // take up or drop state of these partitions
//!         Batch::Halted { network, why, .. } => tracing::error!(%network, %why, "halted"),
//!         Batch::Events(events_) => {
//!             let records = vec![]; // worked up from the events
//!             let offsets = Some((events.group(), offsets_after(&events_)));
//!             producer.commit(Transaction { records, offsets }).await?;
//!         }
//!     }
//! }
//! # }
//! ```

mod assembler;
mod network;
mod queue;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use schemas::{Network, headers::ChainHeaders};
use tokio::time::Instant;

use super::{
    Consumer, GroupMetadata, Log, LogError, Offsets, PollLimits, Polled, Reader, Record, Topic, TopicPartition,
};
use assembler::{Assembler, Flow, Start};
pub use network::NetworkReader;

/// Bytes of one topic's partition that wait for the other topic.
pub const BUFFER_BYTES: usize = 16 << 20;
/// Records of one topic's partition that wait for the other topic.
pub const BUFFER_RECORDS: usize = 10_000;
/// Records of one poll.
const POLL_RECORDS: usize = 4_000;

/// One header record with all its children.
#[derive(Debug, Clone)]
pub struct Event {
    /// The partition.
    pub partition: u32,
    /// The header record.
    pub header: Record,
    /// What the header record's headers say.
    pub meta: ChainHeaders,
    /// Its children in order: the transactions of an apply, the one record of a revert, nothing for finality.
    pub children: Vec<Record>,
    /// Positions behind this event.
    pub next: Offsets,
    /// Records of the partition that belong to no network, read since the last event, and what is wrong with them. They are to
    /// be dead-lettered before the position moves.
    pub foreign: Vec<(Record, Halt)>,
}

impl Event {
    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        let of = |r: &Record| r.value.as_ref().map_or(0, bytes::Bytes::len);
        of(&self.header) + self.children.iter().map(of).sum::<usize>()
    }
}

/// Positions behind the last of these events, per partition: what to commit when all of them are worked up.
pub fn offsets_after(events: &[Event]) -> Offsets {
    let mut last = BTreeMap::new();
    for event in events {
        last.extend(event.next.iter().copied());
    }
    last.into_iter().collect()
}

/// What came next.
#[derive(Debug)]
pub enum Batch {
    /// Partitions that are ours from now on, in all topics.
    Assigned(Vec<Assigned>),
    /// Partitions that are no longer ours: drop all state of them.
    Revoked(Vec<u32>),
    /// Whole events, in order per partition. Empty when nothing came in time.
    Events(Vec<Event>),
    /// A network's records cannot be worked up any further. Told once; its later records are passed over.
    Halted {
        /// The partition.
        partition: u32,
        /// The network.
        network: Network,
        /// Why.
        why: Halt,
    },
}

/// A partition that is ours from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The partition.
    pub partition: u32,
    /// Whether the group has a position there. Without one every network is expected to begin with sequence 1 (rule 12).
    pub has_position: bool,
}

/// Why a network's events end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// Retention removed what was to come.
    #[error("overtaken: retention removed events before sequence {found}{}", expected.map(|e| format!("; {e} was to come")).unwrap_or_default())]
    Overtaken {
        /// What was to come, where it is known.
        expected: Option<u64>,
        /// What came.
        found: u64,
    },
    /// A sequence is missing in the middle.
    #[error("sequence {expected} was to come, {found} came")]
    Gap {
        /// What was to come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A sequence came again.
    #[error("sequence {found} came again, {expected} was to come")]
    Again {
        /// What was to come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Children are missing.
    #[error("the header of sequence {sequence} announces {announced} children, {found} came")]
    FewerChildren {
        /// Which event.
        sequence: u64,
        /// How many its header announces.
        announced: u32,
        /// How many there were.
        found: u32,
    },
    /// There are children that no header announces.
    #[error("sequence {sequence} has more children than its header announces")]
    MoreChildren {
        /// Which event.
        sequence: u64,
    },
    /// Record headers that say nothing usable.
    #[error("a record's headers cannot be used: `{name}` is {problem}")]
    BadHeaders {
        /// Which header.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Events for a member of a group.
pub struct EventConsumer {
    consumer: Box<dyn Consumer>,
    assembler: Assembler,
    /// Paused by [`Self::hold`].
    standing: Vec<TopicPartition>,
    /// Paused by [`Self::stand`].
    aside: BTreeSet<u32>,
}

impl EventConsumer {
    /// Over a consumer of exactly these topics. Without `children`, headers come alone.
    pub fn new(consumer: Box<dyn Consumer>, headers: Topic, children: Option<Topic>) -> Self {
        Self { consumer, assembler: Assembler::new(headers, children), standing: Vec::new(), aside: BTreeSet::new() }
    }

    /// Takes nothing more of a partition until it may [go on](Self::go), so that others do not wait for what this one lacks.
    pub fn stand(&mut self, partition: u32) -> Result<(), LogError> {
        if self.aside.insert(partition) {
            let open = self.assembler.stand(partition);
            self.consumer.pause(&open)?;
        }
        Ok(())
    }

    /// A partition that [stands](Self::stand) goes on where it was.
    pub fn go(&mut self, partition: u32) -> Result<(), LogError> {
        if self.aside.remove(&partition) {
            let open = self.assembler.go(partition);
            self.consumer.resume(&open)?;
        }
        Ok(())
    }

    /// A new assignment begins unpaused.
    fn assigned(&mut self, list: &[(TopicPartition, Option<u64>)]) -> Result<Vec<Assigned>, LogError> {
        let whole = self.assembler.assign(list);
        self.apply_flow()?;
        for partition in &self.aside {
            self.consumer.pause(&self.assembler.topics(*partition))?;
        }
        Ok(whole)
    }

    /// Those that were held in all topics.
    fn revoked(&mut self, list: &[TopicPartition]) -> Vec<u32> {
        let whole = self.assembler.revoke(list);
        self.aside.retain(|partition| !whole.contains(partition));
        whole
    }

    /// Stays a member while whoever works on the events is behind: takes no events, only follows rebalances, so that the group
    /// never waits for this member and never drops it, however long it lasts. `None` when nothing happened within `wait`.
    /// [`Self::next`] goes on where it was.
    pub async fn hold(&mut self, wait: Duration) -> Result<Option<Batch>, LogError> {
        let open: Vec<_> = self.assembler.open().into_iter().filter(|at| !self.standing.contains(at)).collect();
        if !open.is_empty() {
            self.consumer.pause(&open)?;
            self.standing.extend(open);
        }
        match self.consumer.poll(poll_limits(0, wait)).await? {
            Polled::Assigned(list) => {
                self.standing.clear();
                Ok(Some(Batch::Assigned(self.assigned(&list)?)))
            }
            Polled::Revoked(list) => {
                self.standing.retain(|at| !list.contains(at));
                let whole = self.revoked(&list);
                Ok((!whole.is_empty()).then_some(Batch::Revoked(whole)))
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                warn_out_of_range(at, wanted, oldest);
                self.consumer.seek(at, oldest).await?;
                self.assembler.lost(at, oldest);
                Ok(None)
            }
            // What was on its way when the pause began.
            Polled::Records(records) => {
                self.assembler.feed(records);
                self.apply_flow()?;
                Ok(None)
            }
        }
    }

    /// What comes next: at most `max_events` whole events, or fewer once they hold `max_bytes` of values; at least one when
    /// there is one. Waits at most `wait`. Safe to drop while it waits.
    pub async fn next(&mut self, max_events: usize, max_bytes: usize, wait: Duration) -> Result<Batch, LogError> {
        let deadline = Instant::now() + wait;
        if !self.standing.is_empty() {
            let open = self.assembler.open();
            let go: Vec<_> = std::mem::take(&mut self.standing).into_iter().filter(|at| open.contains(at)).collect();
            self.consumer.resume(&go)?;
        }
        loop {
            if let Some(batch) = self.assembler.take(max_events, max_bytes) {
                self.apply_flow()?;
                return Ok(batch);
            }
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(poll_limits(max_bytes, wait)).await? {
                Polled::Assigned(list) => {
                    return Ok(Batch::Assigned(self.assigned(&list)?));
                }
                Polled::Revoked(list) => {
                    let whole = self.revoked(&list);
                    if !whole.is_empty() {
                        return Ok(Batch::Revoked(whole));
                    }
                }
                Polled::OutOfRange { at, wanted, oldest } => {
                    warn_out_of_range(at, wanted, oldest);
                    self.consumer.seek(at, oldest).await?;
                    self.assembler.lost(at, oldest);
                }
                Polled::Records(records) => {
                    let nothing = records.is_empty();
                    self.assembler.feed(records);
                    self.apply_flow()?;
                    if nothing && Instant::now() >= deadline {
                        return Ok(Batch::Events(Vec::new()));
                    }
                }
            }
        }
    }

    fn apply_flow(&mut self) -> Result<(), LogError> {
        for flow in self.assembler.flow() {
            match flow {
                Flow::Pause(at) => self.consumer.pause(&[at])?,
                Flow::Resume(at) if self.aside.contains(&at.partition) => {}
                Flow::Resume(at) => self.consumer.resume(&[at])?,
            }
        }
        for (at, from, to) in self.assembler.passed_over() {
            self.consumer.passed_over(at, from, to);
        }
        Ok(())
    }

    /// Says which sequence of a network is to come next, from what the stage knows elsewhere (a store, a checkpoint). Meant for
    /// right after [`Batch::Assigned`]; what does not continue it halts that network.
    pub fn expect(&mut self, partition: u32, network: &Network, sequence: u64) {
        self.assembler.expect(partition, network, sequence);
    }

    /// Says that a network is worked up to this sequence though the group has no position: what lies before that event is passed
    /// over, it or the next one is to come first, and what begins later halts the network. Meant for right after
    /// [`Batch::Assigned`].
    pub fn resume(&mut self, partition: u32, network: &Network, sequence: u64) {
        self.assembler.resume(partition, network, sequence);
    }

    /// Says that a network goes on with this sequence and no other: what is below was worked up, or is given up (rule 12). Meant for
    /// right after [`Batch::Assigned`].
    pub fn go_on(&mut self, partition: u32, network: &Network, sequence: u64) {
        self.assembler.go_on(partition, network, sequence);
    }

    /// A network that was halted goes on with its next event, whatever that is. Returns the highest sequence of it that was passed over
    /// meanwhile; `None` when it was not halted here.
    pub fn let_go_on(&mut self, partition: u32, network: &Network) -> Option<u64> {
        self.assembler.let_go_on(partition, network)
    }

    /// Reads a partition again from these places on, as if the group had no position there: for [`Self::resume`] and [`Self::go_on`].
    pub async fn begin_again(&mut self, partition: u32, from: &[(TopicPartition, u64)]) -> Result<(), LogError> {
        for (at, offset) in from {
            self.consumer.seek(*at, *offset).await?;
        }
        self.assembler.start(partition, Start::Beginning);
        Ok(())
    }

    /// Membership of the present generation, for [`super::Transaction::offsets`].
    pub fn group(&self) -> GroupMetadata {
        self.consumer.group()
    }

    /// Stores positions outside a transaction.
    pub async fn commit(&mut self, offsets: Offsets) -> Result<(), LogError> {
        self.consumer.commit(offsets).await
    }
}

/// How often a reader looks whether partitions were added.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Events for a reader without group: all partitions, from their present end on, and those that are added later, whole.
pub struct EventReader {
    reader: Box<dyn Reader>,
    assembler: Assembler,
    topics: Vec<Topic>,
    partitions: u32,
    looked_at: Instant,
}

impl EventReader {
    /// From the present end of all partitions on. Without `children`, headers come alone.
    pub async fn from_end(log: &dyn Log, headers: Topic, children: Option<Topic>) -> Result<Self, LogError> {
        // Children first: then every later header has all its children behind the place where reading starts.
        let topics: Vec<Topic> = children.into_iter().chain([headers]).collect();
        let partitions = partitions_of_all(log, &topics).await?;
        let mut from = Vec::new();
        for topic in &topics {
            let of: Vec<_> = (0..partitions).map(|partition| TopicPartition { topic, partition }).collect();
            let ends = log.ends(&of).await?;
            from.extend(of.into_iter().zip(ends.iter().map(|ends| ends.high)));
        }
        let mut assembler = Assembler::new(headers, children);
        (0..partitions).for_each(|partition| assembler.start(partition, Start::Anywhere));
        let reader = log.reader(&from).await?;
        Ok(Self { reader, assembler, topics, partitions, looked_at: Instant::now() })
    }

    /// Takes up partitions that were added since, from their oldest records on. Asks seldom, however often it is called.
    pub async fn take_up_added(&mut self, log: &dyn Log) -> Result<(), LogError> {
        if self.looked_at.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked_at = Instant::now();
        let partitions = partitions_of_all(log, &self.topics).await?;
        if partitions <= self.partitions {
            return Ok(());
        }
        let mut of = Vec::new();
        for partition in self.partitions..partitions {
            of.extend(self.topics.iter().map(|topic| TopicPartition { topic, partition }));
        }
        let ends = log.ends(&of).await?;
        let from: Vec<_> = of.into_iter().zip(ends.iter().map(|ends| ends.low)).collect();
        self.reader.add(&from).await?;
        (self.partitions..partitions).for_each(|partition| self.assembler.start(partition, Start::Anywhere));
        tracing::info!(from = self.partitions, to = partitions, "partitions were added and are read");
        self.partitions = partitions;
        Ok(())
    }

    /// Begins again at the present end of one partition, for all its networks; the others go on as they were. To be tried again
    /// after an error.
    pub async fn begin_again(&mut self, log: &dyn Log, partition: u32) -> Result<(), LogError> {
        let mut ends = Vec::new();
        // In this order for the same reason.
        for at in self.assembler.topics(partition) {
            ends.push((at, log.watermarks(at).await?.high));
        }
        for (at, end) in &ends {
            self.reader.seek(*at, *end).await?;
        }
        self.assembler.start(partition, Start::Anywhere);
        self.reader.resume(&ends.iter().map(|(at, _)| *at).collect::<Vec<_>>())
    }

    /// As [`EventConsumer::next`]; brings only [`Batch::Events`] and [`Batch::Halted`].
    pub async fn next(&mut self, max_events: usize, max_bytes: usize, wait: Duration) -> Result<Batch, LogError> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(batch) = self.assembler.take(max_events, max_bytes) {
                apply_flow(&mut *self.reader, &mut self.assembler)?;
                return Ok(batch);
            }
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.reader.poll(poll_limits(max_bytes, wait)).await? {
                Polled::OutOfRange { at, wanted, oldest } => {
                    warn_out_of_range(at, wanted, oldest);
                    self.reader.seek(at, oldest).await?;
                    self.assembler.lost(at, oldest);
                }
                Polled::Records(records) => {
                    let nothing = records.is_empty();
                    self.assembler.feed(records);
                    apply_flow(&mut *self.reader, &mut self.assembler)?;
                    if nothing && Instant::now() >= deadline {
                        return Ok(Batch::Events(Vec::new()));
                    }
                }
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }
}

/// Pauses and resumes what the assembler holds too much or enough of.
fn apply_flow(reader: &mut dyn Reader, assembler: &mut Assembler) -> Result<(), LogError> {
    for flow in assembler.flow() {
        match flow {
            Flow::Pause(at) => reader.pause(&[at])?,
            Flow::Resume(at) => reader.resume(&[at])?,
        }
    }
    Ok(())
}

/// How many partitions all of these topics have: while counts are raised topic by topic, the last ones are not everywhere yet.
pub async fn partitions_of_all(log: &dyn Log, topics: &[Topic]) -> Result<u32, LogError> {
    let mut least = u32::MAX;
    for topic in topics {
        least = least.min(log.partitions(topic).await?);
    }
    Ok(least)
}

fn poll_limits(max_bytes: usize, wait: Duration) -> PollLimits {
    PollLimits { records: POLL_RECORDS, bytes: max_bytes.clamp(1 << 16, BUFFER_BYTES), wait }
}

fn warn_out_of_range(at: TopicPartition, wanted: u64, oldest: u64) {
    tracing::warn!(
        topic = at.topic,
        partition = at.partition,
        wanted,
        oldest,
        "retention removed records that had not been read; networks that lost some halt as overtaken"
    );
}
