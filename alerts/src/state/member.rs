//! One membership of the group.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use runtime::log::{
    Consumer, LogError, PollLimits, Polled, Producer, Record, Topic, TopicPartition, Transaction, membership::deadline,
};
use schemas::{TimeMs, topics};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    GROUP,
    level::Level,
    output::Gathered,
    part::{Heard, Part},
};
use crate::{Context, life::Output, metrics};

const INPUT: [Topic; 2] = [topics::ALERTS_MATCHES.name, topics::ALERTS_COMMANDS.name];
/// How much one poll brings, and how long an empty one waits: timers are as late as that.
const POLL: PollLimits = PollLimits { records: 512, bytes: 4 << 20, wait: Duration::from_millis(100) };
/// Bytes of values after which a transaction is written.
const COMMIT_BYTES: usize = 4 << 20;
/// Positions without anything to be written are committed this often: more is read again after a kill.
const POSITIONS: Duration = Duration::from_secs(2);

/// See the module.
pub struct Member<'a> {
    context: &'a Context,
    producer: Box<dyn Producer>,
    consumer: Box<dyn Consumer>,
    parts: BTreeMap<u32, Part>,
    level: Level,
    gathered: Gathered,
    positions: HashMap<TopicPartition, u64>,
    /// Whether the positions are not those that were written last.
    moved: bool,
    committed: Instant,
}

impl<'a> Member<'a> {
    /// Joins.
    ///
    /// # Errors
    /// What the log says.
    pub async fn join(context: &'a Context) -> Result<Self, LogError> {
        // Producer first: it fences and aborts what an earlier self left open, so that what is read next is final.
        let (log, instance) = (&context.log, &context.config.instance);
        let producer = deadline("making the producer", log.producer(&format!("{GROUP}.{instance}"))).await?;
        let consumer = deadline("joining the group", log.consumer(GROUP, instance, &INPUT)).await?;
        context.definitions.up_to_now().await?;
        Ok(Self {
            context,
            producer,
            consumer,
            parts: BTreeMap::new(),
            level: Level::default(),
            gathered: Gathered::default(),
            positions: HashMap::new(),
            moved: false,
            committed: Instant::now(),
        })
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// What the log says.
    pub async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), LogError> {
        let mut drained = false;
        loop {
            // Without an alert that is not over no timer asks whether something still holds.
            let asked = self.parts.values().any(|part| part.open() > 0);
            self.level.look(&*self.context.log, asked, drained).await;
            let polled = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                polled = self.consumer.poll(POLL) => polled?,
            };
            match polled {
                Polled::Assigned(assigned) => self.assigned(&assigned).await?,
                Polled::Revoked(revoked) => self.revoked(&revoked),
                Polled::OutOfRange { at, wanted, oldest } => {
                    metrics::lost_input(oldest.saturating_sub(wanted));
                    tracing::error!(
                        topic = at.topic,
                        wanted,
                        oldest,
                        "retention removed what was to become of alerts: what they say may be old until it is found again"
                    );
                    self.consumer.seek(at, oldest).await?;
                    self.positions.insert(at, oldest);
                }
                Polled::Records(records) => {
                    drained = records.len() < POLL.records;
                    self.records(records).await?;
                    // Whoever is far behind has no lasting news.
                    self.tick(drained)?;
                }
            }
            self.commit().await?;
        }
    }

    /// Takes what was read.
    async fn records(&mut self, records: Vec<Record>) -> Result<(), LogError> {
        self.define()?;
        let codec = &*self.context.codec;
        let heard: Vec<_> = records.iter().map(|record| (record, Heard::read(codec, record))).collect();
        let lacks = |(record, heard): &(&Record, Option<Heard>)| {
            let part = self.parts.get(&record.from.partition);
            part.zip(heard.as_ref()).is_some_and(|(part, heard)| part.lacks(heard))
        };
        if heard.iter().any(lacks) {
            // Whoever wrote them knew more of what is defined than is known here.
            self.context.definitions.up_to_now().await?;
            self.define()?;
        }
        for (record, heard) in heard {
            let partition = record.from.partition;
            if let Some(part) = self.parts.get_mut(&partition) {
                let mut out = Output::default();
                if let Some(heard) = heard {
                    part.take(record.offset, heard, &mut out);
                }
                self.gathered.output(codec, partition, out)?;
                self.positions.insert(record.from, record.offset + 1);
                self.moved = true;
            }
            if self.gathered.bytes >= COMMIT_BYTES {
                self.commit().await?;
            }
        }
        Ok(())
    }

    /// What tenants have changed.
    fn define(&mut self) -> Result<(), LogError> {
        let definitions = self.context.definitions.known();
        for (number, part) in &mut self.parts {
            let mut out = Output::default();
            part.set(TimeMs::now(), false, BTreeMap::new());
            part.define(&definitions, &mut out);
            self.gathered.output(&self.context.codec, *number, out)?;
        }
        Ok(())
    }

    /// What the clock leads to. `drained`: nothing was left to read just now.
    fn tick(&mut self, drained: bool) -> Result<(), LogError> {
        let networks = match drained {
            true => self.context.config.board.networks(),
            false => Vec::new(),
        };
        let networks: BTreeMap<_, _> =
            networks.into_iter().map(|(network, partition)| (network, self.level.of(partition))).collect();
        for (number, part) in &mut self.parts {
            let mut out = Output::default();
            part.set(TimeMs::now(), drained && self.level.all(), networks.clone());
            self.moved |= part.retry(&mut out);
            part.tick(&mut out);
            self.gathered.output(&self.context.codec, *number, out)?;
        }
        Ok(())
    }

    async fn assigned(&mut self, assigned: &[(TopicPartition, Option<u64>)]) -> Result<(), LogError> {
        // What was decided while others held them (rule 34).
        self.context.definitions.up_to_now().await?;
        for (at, position) in assigned {
            tracing::info!(topic = at.topic, partition = at.partition, ?position, "assigned");
            let from = match position {
                Some(position) => *position,
                None => self.context.log.watermarks(*at).await?.low,
            };
            self.positions.insert(*at, from);
            if !self.parts.contains_key(&at.partition) {
                let part = Part::restore(&*self.context.log, &self.context.codec, at.partition).await?;
                self.parts.insert(at.partition, part);
            }
        }
        self.define()
    }

    fn revoked(&mut self, revoked: &[TopicPartition]) {
        for at in revoked {
            tracing::info!(topic = at.topic, partition = at.partition, "revoked");
            self.parts.remove(&at.partition);
            self.positions.remove(at);
            self.gathered.records.retain(|record| record.to.partition != at.partition);
        }
    }

    /// Writes what was gathered, with the positions that it rests on: always, so that the log refuses it where the partitions have become
    /// another's meanwhile, what a timer says too.
    async fn commit(&mut self) -> Result<(), LogError> {
        for (number, part) in &mut self.parts {
            self.gathered.states(&self.context.codec, *number, part.changes())?;
        }
        let Gathered { records, .. } = &self.gathered;
        if records.is_empty() && (!self.moved || self.committed.elapsed() < POSITIONS) {
            return Ok(());
        }
        let started = Instant::now();
        let Gathered { records, .. } = std::mem::take(&mut self.gathered);
        let count = records.len();
        let position = |(at, next): (&TopicPartition, &u64)| {
            let part = self.parts.get(&at.partition).filter(|_| at.topic == topics::ALERTS_COMMANDS.name);
            (*at, part.and_then(Part::waits_from).map_or(*next, |from| from.min(*next)))
        };
        let offsets = Some((self.consumer.group(), self.positions.iter().map(position).collect()));
        deadline("committing", self.producer.commit(Transaction { records, offsets })).await?;
        (self.committed, self.moved) = (Instant::now(), false);
        metrics::state_committed(count, started.elapsed());
        metrics::open_alerts(self.parts.values().map(Part::open).sum());
        Ok(())
    }
}
