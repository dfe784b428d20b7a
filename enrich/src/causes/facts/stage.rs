//! The stage's wiring.
//!
//! ```text
//! raw.transactions ─▶ evidence ─▶ ledger ─▶ contract.facts, with the position in one transaction
//!                        │          ▲ ▲ ▲
//!        contracts that  ▼          │ │ └── control.config: the operator's contracts
//!        were seen: finder ─────────┘ │
//!                     └▶ sources ─────┘
//! ```
//!
//! At most one poll of the stream is held, and so many findings as the queues have places. An error of the log that may pass drops what
//! is not committed, joins the group anew and reads its own topic again (rule 10).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use runtime::{
    beat::Doing,
    log::{
        Consumer, Log, LogError, Offsets, PollLimits, Polled, Producer, Record, TopicPartition, Transaction,
        followed::Followed, membership::deadline,
    },
};
use schemas::{Network, codec::Codec, topics};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    config::Config,
    finder::{Finder, Found},
    metrics,
    operators::Operators,
    part::Part,
    rejoin::Rejoin,
    sources::{self, Answered, Queue},
    topic,
};
use crate::Error;

/// The consumer group, and the beginning of the transactional id.
pub const GROUP: &str = "causes";

const INPUT: &str = topics::RAW_TRANSACTIONS.name;
/// How much of the stream one poll brings. It waits so long, while what was found waits for it.
const POLL: PollLimits = PollLimits { records: 2_000, bytes: 4 << 20, wait: Duration::from_millis(200) };
/// Positions of a stream that says nothing are committed this often: more of it is read again after a kill.
const POSITIONS: Duration = Duration::from_secs(2);
/// Records a second that are read for the contracts that they touch; of more only some are, which is enough to see who is seen often.
const SEEN_A_SECOND: u32 = 300;
/// Findings that wait for the stage.
const FOUND: usize = 256;

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
    let operators = Followed::<Operators>::new(log.clone(), codec.clone(), topics::CONTROL_CONFIG.name);
    let (answers, answered) = mpsc::channel(FOUND);
    let (sources, _asking) = match config.sources.is_empty() {
        true => (Queue::none(), None),
        false => {
            let (to, wanted) = mpsc::channel(schemas::limits::facts::WAITING_FOR_ABI);
            let asking = sources::run(config.sources.clone(), config.cache.clone(), wanted, answers);
            (Queue::to(to), Some(AbortOnDropHandle::new(tokio::spawn(asking))))
        }
    };
    let mut stage = Stage { config, log: &*log, codec: &codec, operators, sources, answered };
    stage.memberships(Rejoin::new(GROUP, doing), shutdown).await
}

struct Stage<'a> {
    config: &'a Config,
    log: &'a dyn Log,
    codec: &'a Codec,
    operators: Followed<Operators>,
    sources: Queue,
    answered: mpsc::Receiver<Answered>,
}

impl Stage<'_> {
    async fn memberships(&mut self, mut rejoin: Rejoin, shutdown: &CancellationToken) -> Result<(), Error> {
        loop {
            let started = Instant::now();
            let ended = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                joined = Member::join(self) => match joined {
                    Ok(mut member) => {
                        rejoin.joined();
                        member.work(shutdown).await
                    }
                    Err(error) => Err(error),
                },
            };
            self.config.board.released_all();
            let Err(error) = ended else { return Ok(()) };
            if !rejoin.after(error, started, shutdown).await? {
                return Ok(());
            }
        }
    }
}

/// One membership of the group.
struct Member<'s, 'a> {
    stage: &'s mut Stage<'a>,
    producer: Box<dyn Producer>,
    consumer: Box<dyn Consumer>,
    value_limit: usize,
    parts: BTreeMap<u32, Part>,
    finders: HashMap<Network, AbortOnDropHandle<()>>,
    find: mpsc::Sender<Found>,
    found: mpsc::Receiver<Found>,
    /// How far the operator's contracts were taken in.
    operators_at: Option<u64>,
    committed: Instant,
    seen: (Instant, u32),
}

impl<'s, 'a> Member<'s, 'a> {
    async fn join(stage: &'s mut Stage<'a>) -> Result<Self, LogError> {
        // Producer first: it fences and aborts what an earlier self left open, so that what is read next is final.
        let (log, instance) = (stage.log, &stage.config.instance);
        let producer = deadline("making the producer", log.producer(&format!("{GROUP}.{instance}"))).await?;
        let consumer = deadline("joining the group", log.consumer(GROUP, instance, &[INPUT])).await?;
        let value_limit = deadline("asking for the topic's limit", log.value_limit(topic::FACTS)).await?;
        let (find, found) = mpsc::channel(FOUND);
        let now = Instant::now();
        Ok(Self {
            stage,
            producer,
            consumer,
            value_limit,
            parts: BTreeMap::new(),
            finders: HashMap::new(),
            find,
            found,
            operators_at: None,
            committed: now,
            seen: (now, 0),
        })
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), LogError> {
        while !shutdown.is_cancelled() {
            let polled = self.consumer.poll(POLL).await?;
            let entries: usize = self.parts.values().map(|part| part.ledger.entries()).sum();
            for part in self.parts.values_mut() {
                part.ledger.entries_elsewhere = entries - part.ledger.entries();
            }
            self.polled(polled).await?;
            self.take_findings();
            self.take_operators();
            self.start_finders();
            let changed = self.parts.values().any(|part| part.ledger.has_changed());
            let read_on = self.parts.values().any(|part| part.read_on);
            if changed || read_on && self.committed.elapsed() >= POSITIONS {
                self.commit().await?;
            }
        }
        if self.parts.values().any(|part| part.read_on) { self.commit().await } else { Ok(()) }
    }

    async fn polled(&mut self, polled: Polled) -> Result<(), LogError> {
        match polled {
            Polled::Assigned(assigned) => {
                let partitions: Vec<u32> = assigned.iter().map(|(at, _)| at.partition).collect();
                tracing::info!(?partitions, "assigned");
                self.stage.config.board.held(partitions);
                // Before the first record, all that operators said is known (rule 34).
                self.stage.operators.hold(&[0]).await?;
                self.operators_at = None;
                for (at, position) in assigned {
                    let part = topic::take_over(self.stage.log, self.stage.codec, at, position).await?;
                    self.parts.insert(at.partition, part);
                }
            }
            Polled::Revoked(revoked) => {
                let partitions: Vec<u32> = revoked.iter().map(|at| at.partition).collect();
                tracing::info!(?partitions, "revoked");
                for partition in &partitions {
                    if let Some(part) = self.parts.remove(partition) {
                        part.networks.keys().for_each(|network| drop(self.finders.remove(network)));
                    }
                }
                self.stage.config.board.released(&partitions);
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                metrics::missed(oldest.saturating_sub(wanted));
                tracing::warn!(
                    partition = at.partition,
                    wanted,
                    oldest,
                    "retention removed transactions before they were looked at for facts: upgrades among them are not known, proxies \
                     are asked again when they are seen"
                );
                self.consumer.seek(at, oldest).await?;
                if let Some(part) = self.parts.get_mut(&at.partition) {
                    part.missed();
                }
            }
            Polled::Records(records) => {
                for record in &records {
                    self.take(record);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, record: &Record) {
        let Some(part) = self.parts.get_mut(&record.from.partition) else { return };
        let asks = self.stage.config.calls;
        let (since, seen) = &mut self.seen;
        part.take(self.stage.codec, record, || {
            if since.elapsed() >= Duration::from_secs(1) {
                (*since, *seen) = (Instant::now(), 0);
            }
            *seen += 1;
            asks && *seen <= SEEN_A_SECOND
        });
    }

    fn take_findings(&mut self) {
        while let Ok(found) = self.found.try_recv() {
            if let Some(part) = self.part_of(&found.network) {
                part.found(found);
            }
        }
        while let Ok(answered) = self.stage.answered.try_recv() {
            if let Some(part) = self.part_of(&answered.network) {
                part.answered(answered);
            }
        }
    }

    fn part_of(&mut self, network: &Network) -> Option<&mut Part> {
        self.parts.values_mut().find(|part| part.networks.contains_key(network))
    }

    fn take_operators(&mut self) {
        let Some(operators) = self.stage.operators.of(0) else { return };
        if self.operators_at == Some(operators.next) {
            return;
        }
        self.operators_at = Some(operators.next);
        for (partition, part) in &mut self.parts {
            part.operators(*partition, &operators.fold);
        }
    }

    /// One for each network that is held and has nodes.
    fn start_finders(&mut self) {
        if !self.stage.config.calls {
            return;
        }
        for (network, of) in self.parts.values().flat_map(|part| &part.networks) {
            if self.finders.contains_key(network) || self.stage.config.nodes.of(network).is_none() {
                continue;
            }
            let finder = Finder {
                network: network.clone(),
                nodes: self.stage.config.nodes.clone(),
                budget: self.stage.config.budgets.of(network),
                shared: of.shared.clone(),
                sources: self.stage.sources.clone(),
                found: self.find.clone(),
            };
            self.finders.insert(network.clone(), AbortOnDropHandle::new(tokio::spawn(finder.run())));
        }
    }

    /// Writes what changed, with the positions that it follows from, under the group's generation.
    async fn commit(&mut self) -> Result<(), LogError> {
        let mut records = Vec::new();
        let mut refused = 0;
        for (partition, part) in &mut self.parts {
            for facts in part.ledger.take_changes() {
                metrics::written(&facts.network, facts.is_nothing());
                records.push(topic::record(self.stage.codec, *partition, facts, self.value_limit));
            }
            refused += std::mem::take(&mut part.ledger.refused);
        }
        if refused > 0 {
            metrics::refused(refused);
            tracing::warn!(
                refused,
                "facts about contracts were found and have no room; see the limits in docs/facts.md"
            );
        }
        let at = |of: fn(&Part) -> u64| -> Offsets {
            let input = |partition| TopicPartition { topic: INPUT, partition };
            self.parts.iter().map(|(partition, part)| (input(*partition), of(part))).collect()
        };
        for (records, offsets) in topic::transactions(records, &at(|part| part.committed), &at(|part| part.next)) {
            let offsets = Some((self.consumer.group(), offsets));
            deadline("committing", self.producer.commit(Transaction { records, offsets })).await?;
        }
        self.committed = Instant::now();
        self.parts.values_mut().for_each(Part::is_committed);
        let sizes = self.parts.values().map(|part| part.ledger.size());
        let (contracts, abi_bytes) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        metrics::known(contracts, abi_bytes);
        Ok(())
    }
}
