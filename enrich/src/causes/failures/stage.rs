//! The consumer's wiring.
//!
//! ```text
//! raw.transactions ─▶ part ─▶ queue ─▶ seeker ─▶ nodes
//!     dead.letters ─▶  │  ▲              │
//!                      │  └── outcomes ──┴── names: contract.facts
//!                      └─▶ enriched.causes, with the position in one transaction
//! ```
//!
//! At most one poll of the stream is held, and so many outcomes as the queue has places; what waits is bounded by
//! [`limits::FAILURES_WAITING`] and [`limits::FAILURES_WAITING_BYTES`] over all partitions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use runtime::{
    beat::Doing,
    log::{
        Consumer, Log, LogError, LogErrorKind, NewRecord, Offsets, PollLimits, Polled, Producer, TopicPartition,
        Transaction, membership::deadline,
    },
};
use schemas::{Network, codec::Codec, limits::causes as limits, records::stage_status::state, topics};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    abis::Facts,
    before::read_back,
    letters::{Letters, told},
    part::Part,
    record,
    seeker::{Outcome, Seeker},
};
use crate::{
    Error,
    causes::{config::Config, metrics, rejoin::Rejoin},
};

/// The consumer group, and the beginning of the transactional id.
pub const GROUP: &str = "causes-failures";

const INPUT: &str = topics::RAW_TRANSACTIONS.name;
/// How much of the stream one poll brings. It waits so long, while what was found waits for it.
const POLL: PollLimits = PollLimits { records: 2_000, bytes: 4 << 20, wait: Duration::from_millis(100) };
/// Positions of a stream that says nothing are committed this often: more of it is read again after a kill.
const POSITIONS: Duration = Duration::from_secs(2);
/// How often it is looked who waited too long, and how far behind we are.
const LOOK: Duration = Duration::from_secs(1);
const LAG: Duration = Duration::from_secs(10);
/// Outcomes that wait for the stage.
const OUTCOMES: usize = 256;
/// Bytes of records in one transaction, about.
const COMMIT_BYTES: usize = 4 << 20;
/// How long nodes may be silent before it is said.
const SILENT: Duration = Duration::from_secs(60);

/// Runs until told to stop, or until the log refuses for good.
///
/// # Errors
/// What the log says and does not pass.
pub async fn run(
    config: &Config,
    doing: Doing,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let facts = Facts::follow(log.clone(), codec.clone());
    let stage = Stage { config, log: &*log, codec: &codec, facts };
    let mut rejoin = Rejoin::new(GROUP, doing);
    loop {
        let started = Instant::now();
        let ended = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            joined = Member::join(&stage) => match joined {
                Ok(mut member) => {
                    rejoin.joined();
                    member.work(shutdown).await
                }
                Err(error) => Err(error),
            },
        };
        stage.facts.release_all();
        let Err(error) = ended else { return Ok(()) };
        if !rejoin.after(error, started, shutdown).await? {
            return Ok(());
        }
    }
}

struct Stage<'a> {
    config: &'a Config,
    log: &'a dyn Log,
    codec: &'a Codec,
    facts: Facts,
}

/// One membership of the group.
struct Member<'a> {
    stage: &'a Stage<'a>,
    producer: Box<dyn Producer>,
    consumer: Box<dyn Consumer>,
    value_limit: usize,
    parts: BTreeMap<u32, Part>,
    letters: Letters,
    seekers: HashMap<Network, Vec<AbortOnDropHandle<()>>>,
    tell: mpsc::Sender<Outcome>,
    told: mpsc::Receiver<Outcome>,
    committed: Instant,
    looked: Instant,
    lag_looked: Option<Instant>,
}

impl<'a> Member<'a> {
    async fn join(stage: &'a Stage<'a>) -> Result<Self, LogError> {
        // Producer first: it fences and aborts what an earlier self left open, so that what is read next is final.
        let (log, instance) = (stage.log, &stage.config.instance);
        let producer = deadline("making the producer", log.producer(&format!("{GROUP}.{instance}"))).await?;
        let consumer = deadline("joining the group", log.consumer(GROUP, instance, &[INPUT])).await?;
        let limit = log.value_limit(topics::ENRICHED_CAUSES.name);
        let value_limit = deadline("asking for the topic's limit", limit).await?;
        let (tell, told) = mpsc::channel(OUTCOMES);
        let now = Instant::now();
        Ok(Self {
            stage,
            producer,
            consumer,
            value_limit,
            parts: BTreeMap::new(),
            letters: Letters::default(),
            seekers: HashMap::new(),
            tell,
            told,
            committed: now,
            looked: now,
            lag_looked: None,
        })
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), LogError> {
        while !shutdown.is_cancelled() {
            let polled = self.consumer.poll(POLL).await?;
            self.polled(polled).await?;
            self.take_letters().await?;
            while let Ok(Outcome { partition, offset, ended }) = self.told.try_recv() {
                if let Some(part) = self.parts.get_mut(&partition) {
                    part.ended(offset, ended);
                }
            }
            self.make_room();
            self.start_seekers();
            if self.looked.elapsed() >= LOOK {
                self.look();
            }
            self.look_at_lag().await;
            let read_on = self.parts.values().any(|part| part.position() > part.committed);
            if self.parts.values().any(Part::has_news) || read_on && self.committed.elapsed() >= POSITIONS {
                self.commit().await?;
            }
        }
        if self.parts.is_empty() { Ok(()) } else { self.commit().await }
    }

    async fn polled(&mut self, polled: Polled) -> Result<(), LogError> {
        match polled {
            Polled::Assigned(assigned) => {
                let partitions: Vec<u32> = assigned.iter().map(|(at, _)| at.partition).collect();
                tracing::info!(?partitions, "failures: assigned");
                self.letters.begin_again();
                // Before the first record, all is known that stands in the facts (rule 34).
                self.stage.facts.hold(&partitions).await?;
                for (at, position) in assigned {
                    let next = match position {
                        Some(position) => position,
                        None => self.stage.log.watermarks(at).await?.low,
                    };
                    let before = read_back(self.stage.log, at.partition, next).await?;
                    let table = self.stage.config.failures.table.clone();
                    self.parts.insert(at.partition, Part::from(at.partition, table, next, before));
                }
            }
            Polled::Revoked(revoked) => {
                let partitions: Vec<u32> = revoked.iter().map(|at| at.partition).collect();
                tracing::info!(?partitions, "failures: revoked");
                for partition in &partitions {
                    if let Some(part) = self.parts.remove(partition) {
                        part.queues.keys().for_each(|network| drop(self.seekers.remove(network)));
                    }
                }
                self.stage.facts.release(&partitions);
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                metrics::missed_failures(oldest.saturating_sub(wanted));
                tracing::warn!(
                    partition = at.partition,
                    wanted,
                    oldest,
                    "retention removed transactions before their causes were found: the failed ones among them stay as their receipts tell"
                );
                self.consumer.seek(at, oldest).await?;
                if let Some(part) = self.parts.get_mut(&at.partition) {
                    part.next = part.next.max(oldest);
                }
            }
            Polled::Records(records) => {
                let (config, codec) = (self.stage.config, self.stage.codec);
                let asks = |network: &Network| config.failures.traces && config.nodes.of(network).is_some();
                for record in &records {
                    if let Some(part) = self.parts.get_mut(&record.from.partition) {
                        part.take(codec, record, asks);
                    }
                }
                self.parts.values().for_each(Part::tell);
            }
        }
        Ok(())
    }

    /// Takes failed transactions that dead letters hold, of the partitions that are here.
    async fn take_letters(&mut self) -> Result<(), LogError> {
        if self.parts.is_empty() {
            return Ok(());
        }
        let Stage { config, log, codec, .. } = self.stage;
        for (partition, letters) in self.letters.next(*log, codec).await? {
            let Some(part) = self.parts.get_mut(&partition) else { continue };
            // What the stream has too may have been told from there since it was last looked.
            if !part.knows_letters() || letters.iter().any(|letter| letter.is_streamed) {
                part.know_letters(told(*log, partition, &letters).await?);
            }
            for letter in letters {
                let network = &letter.envelope.network;
                let asks = config.failures.traces && config.nodes.of(network).is_some();
                part.take_letter(letter, asks);
            }
            part.tell();
        }
        Ok(())
    }

    /// What does not fit is decided by what there is, that which waits longest first.
    fn make_room(&mut self) {
        loop {
            let (waiting, bytes) =
                self.parts.values().map(Part::size).fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
            if waiting <= limits::FAILURES_WAITING && bytes <= limits::FAILURES_WAITING_BYTES {
                return;
            }
            let oldest =
                self.parts.values_mut().filter(|part| part.oldest().is_some()).min_by_key(|part| part.oldest());
            if !oldest.is_some_and(Part::give_up_oldest) {
                return;
            }
        }
    }

    /// Some for each network of which failures wait.
    fn start_seekers(&mut self) {
        let config = self.stage.config;
        for (network, queue) in self.parts.values().flat_map(|part| &part.queues) {
            if self.seekers.contains_key(network) {
                continue;
            }
            let seekers = (0..limits::BLOCKS_AT_ONCE).map(|_| {
                let seeker = Seeker {
                    network: network.clone(),
                    nodes: config.nodes.clone(),
                    budget: config.budgets.of(network),
                    give_up_after: config.failures.give_up_after,
                    queue: queue.clone(),
                    facts: self.stage.facts.clone(),
                    table: config.failures.table.clone(),
                    ended: self.tell.clone(),
                };
                AbortOnDropHandle::new(tokio::spawn(seeker.run()))
            });
            self.seekers.insert(network.clone(), seekers.collect());
        }
    }

    /// Gives up those that waited too long, and says how it goes.
    fn look(&mut self) {
        self.looked = Instant::now();
        if let Some(before) = self.looked.checked_sub(self.stage.config.failures.give_up_after) {
            self.parts.values_mut().for_each(|part| part.give_up(before));
        }
        let board = &self.stage.config.board;
        for (number, part) in &self.parts {
            for (network, waiting) in part.waiting() {
                metrics::failures_waiting(network, waiting);
                let away = part.queues.get(network).and_then(|queue| queue.is_away());
                let away = away.filter(|(since, _)| since.elapsed() >= SILENT);
                let detail = away.map(|(since, why)| {
                    format!(
                        "no endpoint of {network} has answered questions about failed transactions for {} s, and {waiting} wait: {why}; \
                         after {} s each is told by its receipt alone",
                        since.elapsed().as_secs(),
                        self.stage.config.failures.give_up_after.as_secs()
                    )
                });
                board.network(*number, network, |row| {
                    row.state = if detail.is_some() { state::STALLED.to_owned() } else { String::new() };
                    row.detail = detail;
                });
            }
        }
        let sizes = self.parts.values().map(|part| (part.size().1, part.groups()));
        let (bytes, groups) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        let oldest = self.parts.values().filter_map(Part::oldest).min().map(|oldest| oldest.elapsed());
        metrics::failures_held(bytes, groups, oldest.unwrap_or_default());
    }

    /// How far the position is behind the stream. Not knowing it stops nobody.
    async fn look_at_lag(&mut self) {
        if self.lag_looked.is_some_and(|looked| looked.elapsed() < LAG) {
            return;
        }
        self.lag_looked = Some(Instant::now());
        let input = |partition: &u32| TopicPartition { topic: INPUT, partition: *partition };
        let of: Vec<TopicPartition> = self.parts.keys().map(input).collect();
        if let Ok(Ok(ends)) = tokio::time::timeout(Duration::from_secs(5), self.stage.log.ends(&of)).await {
            for (part, ends) in self.parts.values().zip(ends) {
                metrics::failures_lag(part.number(), ends.high.saturating_sub(part.position()));
            }
        }
    }

    /// Writes what was decided, with the positions below which all is, under the group's generation.
    async fn commit(&mut self) -> Result<(), LogError> {
        let mut records: Vec<NewRecord> = Vec::new();
        for (partition, part) in &mut self.parts {
            let (causes, read) = part.take_out();
            for (letter, cause) in causes {
                metrics::decided(&cause);
                let record = record::encode(self.stage.codec, *partition, cause, read, letter, self.value_limit);
                records.push(record.map_err(|error| {
                    LogError::new(LogErrorKind::TooLarge, format!("a cause cannot be written: {error}"))
                })?);
            }
        }
        let at = |of: fn(&Part) -> u64| -> Offsets {
            let input = |partition| TopicPartition { topic: INPUT, partition };
            self.parts.iter().map(|(partition, part)| (input(*partition), of(part))).collect()
        };
        // Positions come with the last of several transactions; those before it carry them as they were, so that the log judges the
        // group's generation of each.
        for (records, is_last) in in_transactions(records) {
            let offsets = if is_last { at(Part::position) } else { at(|part| part.committed) };
            let offsets = Some((self.consumer.group(), offsets));
            deadline("committing", self.producer.commit(Transaction { records, offsets })).await?;
        }
        self.committed = Instant::now();
        self.parts.values_mut().for_each(|part| part.committed = part.position());
        Ok(())
    }
}

/// Records in the transactions that they are written in, and which is the last.
fn in_transactions(records: Vec<NewRecord>) -> Vec<(Vec<NewRecord>, bool)> {
    let (mut all, mut some, mut bytes) = (Vec::new(), Vec::new(), 0);
    for record in records {
        let size = record.value.as_ref().map_or(0, bytes::Bytes::len) + 300;
        if bytes > 0 && bytes + size > COMMIT_BYTES {
            all.push((std::mem::take(&mut some), false));
            bytes = 0;
        }
        bytes += size;
        some.push(record);
    }
    all.push((some, true));
    all
}
