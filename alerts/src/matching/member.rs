//! One membership of the group.

mod causes;
mod partitions;
mod windows;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use runtime::log::{
    LogError, NewRecord, Producer, TopicPartition, Transaction,
    events::{Batch, Event, EventConsumer},
    membership::deadline,
};
use schemas::{
    Op, Origin, TimeMs,
    records::{AlertMatch, EnrichedBlock},
    topics,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    GROUP,
    beside::Beside,
    history, left_out,
    look::look_through,
    monitors::Monitors,
    output::{self, Limits},
    part::Part,
    pasts::Pasts,
    ring::{Changes, Place, Ring},
    rules::Rules,
    self_test::SelfTest,
};
use crate::{Context, definitions::Definitions, metrics};
use windows::look_at_windows;

const HEADERS: &str = topics::ENRICHED_BLOCKS.name;
const CHILDREN: &str = topics::ENRICHED_TRANSACTIONS.name;
/// How much of the stream one batch brings. A match is written with the batch that it is in, so that at the head nothing waits.
const BATCH: (usize, usize) = (64, 8 << 20);
/// How long an empty poll waits.
const WAIT: Duration = Duration::from_millis(200);
/// The same while a partition stands.
const STANDS: Duration = Duration::from_millis(20);
/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Positions without anything to be written are committed this often: more is read again after a kill.
const POSITIONS: Duration = Duration::from_secs(2);
/// How often the group is heard while windows are read back.
const HOLD: Duration = Duration::from_secs(1);
/// Records of one transaction, about.
const COMMIT_RECORDS: usize = 2_000;
/// How often it is told how far behind we are.
const LOOK: Duration = Duration::from_secs(10);

/// See the module.
pub struct Member<'a> {
    context: &'a Context,
    limits: Limits,
    producer: Box<dyn Producer>,
    events: EventConsumer,
    parts: BTreeMap<u32, Part>,
    /// Events of partitions that stand until windows of their networks are read back: what one batch brought of each.
    waiting: BTreeMap<u32, VecDeque<Event>>,
    definitions: Arc<Definitions>,
    monitors: Monitors,
    rules: Rules,
    beside: Beside,
    pasts: Pasts,
    self_test: SelfTest,
    /// For windows that are read back.
    readings: Arc<Semaphore>,
    records: Vec<NewRecord>,
    positions: HashMap<TopicPartition, u64>,
    /// Whether they are not those that were written last.
    moved: bool,
    committed: Instant,
    ticked: Instant,
    looked: Option<Instant>,
}

impl<'a> Member<'a> {
    /// Joins.
    ///
    /// # Errors
    /// What the log says.
    pub async fn join(context: &'a Context) -> Result<Self, LogError> {
        // Producer first: it fences and aborts what an earlier self left open, so that what is read next is final.
        let (log, instance) = (&*context.log, &context.config.instance);
        let producer = deadline("making the producer", log.producer(&format!("{GROUP}.{instance}"))).await?;
        let consumer = deadline("joining the group", log.consumer(GROUP, instance, &[HEADERS, CHILDREN])).await?;
        let events = EventConsumer::new(consumer, HEADERS, Some(CHILDREN));
        let limits = deadline("asking for the topics' limits", Limits::of(log)).await?;
        context.definitions.up_to_now().await?;
        let definitions = context.definitions.known();
        let mut monitors = Monitors::default();
        monitors.follow(&definitions, context.config.alerts.max_unindexed);
        let rules = Rules::of(&definitions);
        let now = Instant::now();
        Ok(Self {
            context,
            limits,
            producer,
            events,
            parts: BTreeMap::new(),
            waiting: BTreeMap::new(),
            definitions,
            monitors,
            rules,
            beside: Beside::new(context.log.clone(), context.codec.clone()),
            pasts: Pasts::new(context.config.past.clone()),
            self_test: SelfTest::new(),
            readings: Arc::new(Semaphore::new(history::AT_ONCE)),
            records: Vec::new(),
            positions: HashMap::new(),
            moved: false,
            committed: now,
            ticked: now,
            looked: None,
        })
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// What the log says.
    pub async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), LogError> {
        loop {
            let wait = if self.waiting.is_empty() { WAIT } else { STANDS };
            let batch = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                batch = self.events.next(BATCH.0, BATCH.1, wait) => batch?,
            };
            match batch {
                Batch::Assigned(assigned) => self.assigned(&assigned).await?,
                Batch::Revoked(partitions) => self.revoked(&partitions),
                Batch::Halted { partition, network, why } => {
                    metrics::missed(&network);
                    tracing::warn!(%network, partition, %why, "alerts lack events of this network, and go on behind them");
                    self.events.let_go_on(partition, &network);
                }
                Batch::Events(events) => {
                    self.take_definitions();
                    self.beside.follow_baselines(&self.rules, &self.parts).await?;
                    for event in events {
                        self.waiting.entry(event.partition).or_default().push_back(event);
                    }
                    self.work_up(shutdown).await?;
                }
            }
            if self.ticked.elapsed() >= TICK {
                self.ticked = Instant::now();
                self.tick();
                self.take_all_read_back().await?;
                self.follow_pasts();
                self.name_causes().await?;
                let said = self.beside.look_at_clocks(&self.rules, &self.parts).await;
                self.say(said);
            }
            self.commit().await?;
            self.look().await;
        }
    }

    /// Works up what waits, partition by partition, as far as windows of the networks are there. A partition of which some has to wait for
    /// them stands until then: all others go on.
    async fn work_up(&mut self, shutdown: &CancellationToken) -> Result<(), LogError> {
        let partitions: Vec<u32> = self.waiting.keys().copied().collect();
        for partition in partitions {
            let Some(mut events) = self.waiting.remove(&partition) else { continue };
            self.begin_readings(&events);
            while let Some(event) = events.front().filter(|event| self.has_windows(event)) {
                // What waits for the log does not keep a process from ending.
                tokio::select! {
                    biased;
                    done = self.event(event) => done?,
                    () = shutdown.cancelled() => return Ok(()),
                }
                events.pop_front();
                if self.records.len() >= COMMIT_RECORDS {
                    self.commit().await?;
                }
                // A long batch must not starve whatever else runs on this thread.
                tokio::task::yield_now().await;
            }
            if events.is_empty() {
                self.events.go(partition)?;
            } else {
                self.events.stand(partition)?;
                self.waiting.insert(partition, events);
            }
        }
        Ok(())
    }

    /// Works with the newest definitions from now on.
    fn take_definitions(&mut self) {
        let known = self.context.definitions.known();
        if known.changes != self.definitions.changes {
            self.monitors.follow(&known, self.context.config.alerts.max_unindexed);
            self.rules = Rules::of(&known);
            self.definitions = known;
            self.give_up_readings();
        }
    }

    async fn event(&mut self, event: &Event) -> Result<(), LogError> {
        self.positions.extend(event.next.iter().copied());
        self.moved = true;
        if let Some(part) = self.parts.get_mut(&event.partition) {
            part.read = part.read.max(event.header.offset + 1);
            part.written_at = event.header.timestamp;
        }
        let (codec, network) = (&*self.context.codec, &event.meta.network);
        let value = event.header.value.as_deref().unwrap_or_default();
        let block = match codec.decode::<EnrichedBlock>(value) {
            Ok(block) => block,
            Err(error) => {
                metrics::unreadable(network, "block");
                let sequence = event.meta.sequence;
                tracing::error!(%network, sequence, %error, "alerts pass over a block that cannot be read");
                return Ok(());
            }
        };
        let envelope = &block.envelope;
        // Windows count every event, those that give them no block too.
        self.follow_windows(event, &block).await?;
        if envelope.op == Op::Apply && envelope.origin == Origin::Backfill {
            // History is nobody's alert.
            return Ok(());
        }
        let Some(part) = self.parts.get_mut(&event.partition) else { return Ok(()) };
        if envelope.is_event() {
            part.hear(network, &block);
        }
        let mut place = Place::of(envelope, TimeMs::now());
        if envelope.is_event() {
            place.reorg_goes_on = part.reorg_goes_on(network, envelope, self.context.config.alerts.settle);
        }
        let mut changes = Changes::default();
        let ring = part.rings.entry(network.clone()).or_insert_with(|| Ring::new(network.clone()));
        if envelope.is_event() && ring.is_ahead_of(place.sequence) {
            let sequence = place.sequence;
            tracing::warn!(%network, sequence, "the log is another one than before: what the former one gave is forgotten");
            ring.clear(&mut changes);
            part.late.remove(network);
        }
        if part.followed.get(network) != Some(&self.rules.changes) {
            part.followed.insert(network.clone(), self.rules.changes);
            ring.keep_rules(|rule| self.rules.has(rule), &mut changes);
        }
        match envelope.op {
            Op::Finality => ring.finality(envelope.finalized_height, &mut changes),
            Op::Revert => {
                let reverts = envelope.reverts_sequence.unwrap_or_default();
                ring.revert(&place, reverts, &mut changes);
                part.failures.entry(network.clone()).or_default().revert(reverts);
                let late = part.late.entry(network.clone()).or_default();
                late.revert(reverts);
                late.passed(place.sequence);
                if let Some(figures) = part.figures.get_mut(network) {
                    changes.rules.iter().for_each(|rule| figures.forget(rule));
                }
            }
            Op::Apply => {
                let failures = part.failures.entry(network.clone()).or_default();
                let of_failures = self.rules.failures.get(network);
                self.monitors.begin_block(self.context.config.alerts.max_steps);
                let late = part.late.entry(network.clone()).or_default();
                let hits = look_through(codec, &mut self.monitors, event, &place, (of_failures, failures), late);
                let (hits, cut) = hits.within(self.limits.ring_room());
                for of_one in cut.into_iter().chain(self.monitors.exhausted()) {
                    changes.matches.push(left_out::say(of_one, network, &place));
                }
                ring.apply(&place, hits, &mut changes);
            }
        }
        if envelope.is_event() {
            let watched = self.context.control.watched(network);
            let beside = (&self.beside, &*watched, &self.rules);
            look_at_windows(part, beside, (event.partition, network, &place), &mut changes);
            part.places.insert(network.clone(), place.clone());
        }
        // Longer windows may still be read back: with them it is looked again.
        let looked = !part.reading.contains_key(network);
        let ring = part.ring(network);
        if envelope.is_event() {
            ring.passed(&place, looked, &mut changes);
        }
        if !changes.is_empty() {
            metrics::gave(network, changes.given());
            let records = output::records(codec, self.limits, event.partition, network, ring, changes);
            self.records.extend(records);
        }
        if envelope.is_event() {
            metrics::processed(network, place.sequence);
            self.context.config.board.network(event.partition, network, |row| {
                (row.sequence, row.height, row.block_time) = (Some(place.sequence), Some(place.height), Some(place.at));
            });
        }
        self.context.config.board.consumed(event);
        Ok(())
    }

    /// What time alone brings.
    fn tick(&mut self) {
        let (now, settle) = (TimeMs::now(), self.context.config.alerts.settle);
        if !self.parts.is_empty()
            && let Some(said) = self.self_test.look(now)
        {
            self.say(vec![said]);
        }
        for (partition, part) in &mut self.parts {
            for (network, ring) in part.rings.iter_mut().filter(|(_, ring)| ring.is_unsettled()) {
                let mut changes = Changes::default();
                ring.settle_late(now, settle, &mut changes);
                if !changes.is_empty() {
                    let codec = &*self.context.codec;
                    self.records.extend(output::records(codec, self.limits, *partition, network, ring, changes));
                }
            }
        }
    }

    /// To be written with the next transaction.
    fn say(&mut self, said: Vec<AlertMatch>) {
        let record = |said| output::matched(&self.context.codec, self.limits, said);
        self.records.extend(said.into_iter().filter_map(record));
    }

    /// Writes what is to be written with the positions behind what it follows from.
    async fn commit(&mut self) -> Result<(), LogError> {
        let due = self.moved && self.committed.elapsed() >= POSITIONS;
        if self.records.is_empty() && !due {
            return Ok(());
        }
        let started = Instant::now();
        let records = std::mem::take(&mut self.records);
        let count = records.len();
        // Always, what a clock says too: so the log refuses it where the partitions have become another's meanwhile.
        let mut offsets: Vec<(TopicPartition, u64)> = self.positions.iter().map(|(at, next)| (*at, *next)).collect();
        offsets.sort_unstable();
        let offsets = (!offsets.is_empty()).then(|| (self.events.group(), offsets));
        deadline("committing", self.producer.commit(Transaction { records, offsets })).await?;
        (self.committed, self.moved) = (Instant::now(), false);
        metrics::committed(count, started.elapsed());
        Ok(())
    }

    /// Tells how far behind we are, and what is held. Not knowing it stops nobody.
    async fn look(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        metrics::unindexed(self.monitors.unindexed());
        let of: Vec<TopicPartition> =
            self.parts.keys().map(|number| TopicPartition { topic: HEADERS, partition: *number }).collect();
        let ends = timeout(Duration::from_secs(5), self.context.log.ends(&of)).await;
        let Ok(Ok(ends)) = ends else { return };
        for ((number, part), ends) in self.parts.iter().zip(ends) {
            let held = part.rings.values().map(Ring::held).sum();
            metrics::held(*number, ends.high.saturating_sub(part.read), held);
        }
    }
}
