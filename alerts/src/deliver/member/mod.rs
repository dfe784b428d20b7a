//! One membership of the group.
//!
//! Guarantee: what is in the outbox is tried until it is taken or given up, at least once, always under its id; what became of an attempt is
//! written before the next one of that message begins. What one transaction says (the message's newest word, the attempt, and the
//! position in `alerts.commands`) stands together or not at all. Whoever takes over reads the outbox from its beginning to its end before he
//! sends anything, so that nothing that is done is sent again, except what was on its way when a process died.
//!
//! Records of the outbox that we wrote come back to us by the group's subscription. They are counted ([`Part::echoes`]) and passed over, since what we
//! hold is newer; only a record that we did not write is news.
//!
//! * [`flights`]: attempts begin and end; [`telling`]: what is written of them; [`replays`]: what is sent once more.

mod flights;
mod replays;
mod telling;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use runtime::log::{
    Consumer, Log, LogError, NewRecord, Offsets, PollLimits, Polled, Producer, Record, TopicPartition, Transaction,
    compacted::{Found, judge, key as key_of},
    fold_from,
    membership::{deadline, decided},
};
use schemas::{Codec, TimeMs, limits::alerts as limits, records::AlertOutbox, topics};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    GROUP, Settings,
    attempt::{Attempted, Sender},
    directory::Directory,
    lanes::{Credential, Lanes},
    message::Digests,
    metrics,
    opened::OpenedAll,
    output,
    queue::{Done, Key, Queue},
};

const OUTBOX: &str = topics::ALERTS_OUTBOX.name;
const COMMANDS: &str = topics::ALERTS_COMMANDS.name;
/// How much one poll brings, and how long it waits while nothing goes on …
const POLL: PollLimits = PollLimits { records: 512, bytes: 4 << 20, wait: Duration::from_millis(100) };
/// … and while attempts are on their way, whose ends are looked at between polls.
const POLL_FLYING: Duration = Duration::from_millis(10);
/// Positions without news are committed this often.
const POSITIONS: Duration = Duration::from_secs(5);
/// How often what is old is looked for, and how much of it is forgotten at a time.
const FORGET: (Duration, usize) = (Duration::from_secs(30), 1_000);
/// How long attempts that are on their way may take when we are told to stop.
const FAREWELL: Duration = Duration::from_secs(5);
/// Attempts of one tenant at the same time: no tenant takes all of them.
const OF_TENANT: usize = limits::ATTEMPTS_AT_ONCE.0 / 4;
/// When a message is looked at again that had no room.
const NO_ROOM: Duration = Duration::from_millis(200);
/// How often lanes are looked for in which somebody waits and nothing goes on.
const STUCK: Duration = Duration::from_secs(1);

/// An attempt that has ended.
struct Ended {
    key: Key,
    credential: Credential,
    attempted: Attempted,
}

/// Everything about the partition that is ours.
struct Part {
    partition: u32,
    queue: Queue,
    lanes: Lanes,
    flying: JoinSet<Ended>,
    of_tenant: HashMap<String, usize>,
    /// Our own records of the outbox that have not come back yet, by key.
    echoes: HashMap<Key, u32>,
    /// Channels that a final answer has disabled: the version that it held for, and why.
    disabled: HashMap<(String, String), (u64, String)>,
    /// Messages that had to wait before their first attempt, of which that was told.
    waits_told: HashSet<Key>,
    opened: OpenedAll,
    /// Warnings of channels that cannot be reached, of late.
    warned: HashSet<Key>,
    /// When those who wait for nobody were last woken.
    woken: Instant,
}

/// See the module.
pub struct Member<'a> {
    settings: &'a Settings,
    directory: &'a dyn Directory,
    codec: &'a Codec,
    log: &'a dyn Log,
    producer: Box<dyn Producer>,
    consumer: Box<dyn Consumer>,
    sender: Sender,
    digests: Digests,
    part: Option<Part>,
    out: Vec<NewRecord>,
    positions: BTreeMap<TopicPartition, u64>,
    moved: bool,
    committed: Instant,
    forgot: Instant,
}

impl<'a> Member<'a> {
    /// Joins.
    ///
    /// # Errors
    /// What the log says.
    pub async fn join(
        settings: &'a Settings,
        directory: &'a dyn Directory,
        sender: Sender,
        digests: Digests,
        log: &'a dyn Log,
        codec: &'a Codec,
    ) -> Result<Self, LogError> {
        // Producer first: it fences and aborts what an earlier self left open, so that what is read next is final.
        let instance = &settings.instance;
        let producer = deadline("making the producer", log.producer(&format!("{GROUP}.{instance}"))).await?;
        let consumer = deadline("joining the group", log.consumer(GROUP, instance, &[OUTBOX, COMMANDS])).await?;
        let now = Instant::now();
        Ok(Self {
            settings,
            directory,
            codec,
            log,
            producer,
            consumer,
            sender,
            digests,
            part: None,
            out: Vec::new(),
            positions: BTreeMap::new(),
            moved: false,
            committed: now,
            forgot: now,
        })
    }

    /// Works until it is told to stop; then what is on its way may still end.
    ///
    /// # Errors
    /// What the log says.
    pub async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), LogError> {
        while !shutdown.is_cancelled() {
            let flying = self.part.as_ref().is_some_and(|part| !part.flying.is_empty());
            let limits = if flying { PollLimits { wait: POLL_FLYING, ..POLL } } else { POLL };
            let polled = self.consumer.poll(limits).await?;
            self.polled(polled).await?;
            self.landed()?;
            self.forget();
            self.write().await?;
            self.depart();
            // What could not even be tried is told at once.
            self.write().await?;
        }
        let until = Instant::now() + FAREWELL;
        while self.part.as_ref().is_some_and(|part| !part.flying.is_empty()) && Instant::now() < until {
            tokio::time::sleep(POLL_FLYING).await;
            self.landed()?;
        }
        self.write().await
    }

    async fn polled(&mut self, polled: Polled) -> Result<(), LogError> {
        match polled {
            Polled::Assigned(assigned) => {
                for (at, position) in assigned {
                    if at.topic == OUTBOX {
                        self.assigned(at).await?;
                    } else {
                        let ends = self.log.watermarks(at).await?;
                        self.positions.insert(at, position.unwrap_or(ends.low));
                    }
                }
            }
            Polled::Revoked(revoked) => {
                tracing::info!(partitions = ?revoked.iter().map(|at| at.partition).collect::<Vec<_>>(), "revoked");
                self.positions.retain(|at, _| !revoked.contains(at));
                if revoked.iter().any(|at| self.part.as_ref().is_some_and(|part| part.partition == at.partition)) {
                    self.part = None;
                    self.out.clear();
                }
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                tracing::warn!(topic = at.topic, wanted, oldest, "retention removed what was still to be read");
                self.consumer.seek(at, oldest).await?;
            }
            Polled::Records(records) => {
                for record in &records {
                    self.positions.insert(record.from, record.offset + 1);
                    self.moved = true;
                    match record.from.topic {
                        OUTBOX => self.outbox(record)?,
                        _ => self.command(record).await?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the outbox to its end.
    async fn assigned(&mut self, at: TopicPartition) -> Result<(), LogError> {
        decided(self.log, at).await?;
        // Only a message's newest word counts: what was given up or done since is neither told nor written again.
        let (mut newest, codec) = (HashMap::new(), self.codec);
        let end = fold_from(self.log, at, 0, |record: Record| {
            let Some(key) = key_of(&record).and_then(|key| key.split_once('/')) else { return Ok(()) };
            let key = Key::of(key.0, key.1);
            match judge::<AlertOutbox>(codec, &record) {
                Found::Ours(mut found) => {
                    if found.done_at.is_some() {
                        found.body = String::new();
                    }
                    newest.insert(key, (record.offset, found));
                }
                Found::Removed => drop(newest.remove(&key)),
                Found::Unreadable(why) => tracing::error!(key = key.as_str(), why, "a message cannot be read"),
                Found::Foreign => {}
            }
            Ok::<(), LogError>(())
        })
        .await?;
        let mut newest: Vec<(u64, AlertOutbox)> = newest.into_values().collect();
        newest.sort_unstable_by_key(|(offset, _)| *offset);
        let (mut queue, mut gone) = (Queue::default(), Vec::new());
        for (offset, message) in newest {
            gone.extend(queue.take(message, offset));
        }
        self.consumer.seek(at, end).await?;
        self.positions.insert(at, end);
        let (waiting, _, done) = queue.held();
        tracing::info!(partition = at.partition, waiting, done, end, "assigned");
        self.part = Some(Part {
            partition: at.partition,
            queue,
            lanes: Lanes::new(self.settings.breaker),
            flying: JoinSet::new(),
            of_tenant: HashMap::new(),
            echoes: HashMap::new(),
            disabled: HashMap::new(),
            waits_told: HashSet::new(),
            warned: HashSet::new(),
            opened: OpenedAll::default(),
            woken: Instant::now(),
        });
        self.given_up(gone)
    }

    fn outbox(&mut self, record: &Record) -> Result<(), LogError> {
        let Some(part) = self.part.as_mut().filter(|part| part.partition == record.from.partition) else {
            return Ok(());
        };
        let Some((tenant, id)) = key_of(record).and_then(|key| key.split_once('/')) else { return Ok(()) };
        let key = Key::of(tenant, id);
        let found = judge::<AlertOutbox>(self.codec, record);
        if let Some(count) = part.echoes.get_mut(&key) {
            *count -= 1;
            // A tombstone was our last word on it: what compaction has taken meanwhile does not come back.
            if *count == 0 || matches!(found, Found::Removed) {
                part.echoes.remove(&key);
            }
            // Where it stands is only known now.
            if let Found::Ours(AlertOutbox { channel_id, created_at, done_at: Some(done_at), .. }) = found
                && part.queue.record(&key).is_none()
            {
                part.queue.put_done(key, Done { channel_id, created_at, done_at, offset: record.offset });
            }
            return Ok(());
        }
        match found {
            Found::Ours(found) => {
                metrics::taken(&found.kind);
                let gone = part.queue.take(found, record.offset);
                self.given_up(gone)?;
            }
            Found::Removed => part.queue.forget(&key),
            Found::Unreadable(why) => tracing::error!(key = key.as_str(), why, "a message cannot be read"),
            Found::Foreign => {}
        }
        Ok(())
    }

    /// What is old is forgotten.
    fn forget(&mut self) {
        let Some(part) = &mut self.part else { return };
        if self.forgot.elapsed() < FORGET.0 && !part.queue.is_over() {
            return;
        }
        self.forgot = Instant::now();
        let keep = i64::try_from(limits::REPLAY_WITHIN.as_millis()).unwrap_or(i64::MAX);
        for key in part.queue.done_before(TimeMs(TimeMs::now().0.saturating_sub(keep)), FORGET.1) {
            self.out.push(output::forgotten(part.partition, &key));
            *part.echoes.entry(key).or_default() += 1;
        }
        let (waiting, bytes, done) = part.queue.held();
        metrics::held(waiting, bytes, done, part.lanes.open());
    }

    /// Writes what is to be said, with the positions.
    async fn write(&mut self) -> Result<(), LogError> {
        if self.out.is_empty() && (!self.moved || self.committed.elapsed() < POSITIONS) {
            return Ok(());
        }
        let offsets: Offsets = self.positions.iter().map(|(at, offset)| (*at, *offset)).collect();
        let records = std::mem::take(&mut self.out);
        let offsets = (!offsets.is_empty()).then(|| (self.consumer.group(), offsets));
        deadline("committing", self.producer.commit(Transaction { records, offsets })).await?;
        (self.moved, self.committed) = (false, Instant::now());
        Ok(())
    }
}
