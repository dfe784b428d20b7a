//! The stage's wiring: events → enriched records → one transaction of the log with the positions behind them.
//!
//! At most one batch is held; the next is read when it is committed, so a slow log slows the reading down. An error of the log
//! that may pass drops everything that is not committed, joins the group anew and goes on from the committed positions: nothing
//! is kept over from before, so nothing is written twice (rule 10), and no network stands still for what was not committed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use runtime::{
    beat::{Beat, Unnamed},
    control::Follower,
    log::{
        Log, LogError, LogErrorKind, Producer, Transaction,
        events::{Batch, Event, EventConsumer, offsets_after},
        membership::{Pauses, deadline},
    },
};
use schemas::{
    Codec, Network,
    records::{
        EnrichState,
        stage_status::state::{RUNNING, STALLED, UNCONFIGURED},
    },
    topics::{self, TopicSpec},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error,
    facts::Facts,
    halts::{Halting, Halts, Passed, next_of, state_of},
    metrics,
    output::{Limits, Worked, foreign, network, read_header, said, work_up},
    place::{self, Floors, GROUP, Looking, Outputs},
    watched::Contracts,
};

/// Headers, and their children.
const INPUT: [TopicSpec; 2] = [topics::RAW_BLOCKS, topics::RAW_TRANSACTIONS];
/// A network that the configuration lacks: what its records say follows from less than it should, and differs by process.
const UNNAMED: Unnamed = Unnamed {
    state: UNCONFIGURED,
    detail: "this process works the network up, and its configuration does not name it: fees are reckoned without the chain's fee \
             model, so that another process would write other records. Give every enrich process the same [[network]] sections",
};
/// How long an empty poll waits.
const POLL_WAIT: Duration = Duration::from_secs(1);

/// Runs until told to stop, or until the log refuses for good.
pub async fn run(
    config: Config,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut requests = Follower::follow(log.clone(), codec.clone());
    let facts = Facts::follow(log.clone(), codec.clone());
    config.tell(UNNAMED);
    let beat = Beat::start(&config.board, &config.instance, log.clone(), codec.clone(), Some((GROUP, INPUT)));
    // Before the first event, all that was asked is known (rule 34).
    tokio::select! { () = requests.ready() => {}, () = shutdown.cancelled() => {} }
    let outcome = tokio::select! {
        outcome = memberships(&config, &*log, &codec, (&requests, &facts), &shutdown) => outcome,
        never = config.keep_telling(UNNAMED) => match never {},
    };
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}

/// How a membership ended, when it did not fail.
enum Ended {
    /// It was told to.
    Stopped,
    /// Networks go on over gaps that operators have given up: their partitions are begun again.
    GoesOn,
}

async fn memberships(
    config: &Config,
    log: &dyn Log,
    codec: &Codec,
    told: (&Follower, &Facts),
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let mut pauses = Pauses::default();
    let mut outputs = Outputs::default();
    let mut overtaken = HashMap::new();
    loop {
        let started = Instant::now();
        let ended = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            ended = Member::join(config, log, codec, told, &mut outputs, &mut overtaken) => match ended {
                Ok(mut member) => {
                    config.board.process(RUNNING, None);
                    member.work(shutdown).await
                }
                Err(error) => Err(error),
            },
        };
        config.board.released_all();
        told.1.release_all();
        let error = match ended {
            Ok(Ended::Stopped) => return Ok(()),
            Ok(Ended::GoesOn) => continue,
            Err(error) => error,
        };
        let kind = error.kind;
        let tell = |why: String| {
            if kind == LogErrorKind::NoTopic {
                metrics::topic_missing();
            }
            metrics::rejoined(kind_name(kind));
            config.board.process(STALLED, Some(why));
        };
        if !pauses.rejoin((GROUP, started), error, shutdown, tell).await.map_err(Error::Log)? {
            return Ok(());
        }
    }
}

/// One membership of the group.
struct Member<'a> {
    config: &'a Config,
    codec: &'a Codec,
    log: &'a dyn Log,
    limits: Limits,
    producer: Box<dyn Producer>,
    events: EventConsumer,
    halts: Halts,
    outputs: &'a mut Outputs,
    floors: Floors,
    requests: &'a Follower,
    facts: &'a Facts,
    contracts: Contracts,
    overtaken: &'a mut HashMap<Network, (u32, u64)>,
}

impl<'a> Member<'a> {
    async fn join(
        config: &'a Config,
        log: &'a dyn Log,
        codec: &'a Codec,
        (requests, facts): (&'a Follower, &'a Facts),
        outputs: &'a mut Outputs,
        overtaken: &'a mut HashMap<Network, (u32, u64)>,
    ) -> Result<Self, LogError> {
        // Producer first: it fences and aborts what an earlier self left open, so that the positions read next are final.
        let id = format!("{GROUP}.{}", config.instance);
        let producer = deadline("making the producer", log.producer(&id)).await?;
        let input = INPUT.map(|topic| topic.name);
        let consumer = deadline("joining the group", log.consumer(GROUP, &config.instance, &input)).await?;
        let events = EventConsumer::new(consumer, input[0], Some(input[1]));
        let limits = deadline("asking for the topics' limits", Limits::of(log)).await?;
        let halts = Halts::new(config.board.clone());
        let floors = Floors::default();
        let contracts = Contracts::default();
        Ok(Self {
            config,
            codec,
            log,
            limits,
            producer,
            events,
            halts,
            outputs,
            floors,
            requests,
            facts,
            contracts,
            overtaken,
        })
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Result<Ended, LogError> {
        loop {
            if self.goes_on() {
                return Ok(Ended::GoesOn);
            }
            let batch = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(Ended::Stopped),
                batch = self.gather() => batch?,
            };
            // What is begun is finished: a commit takes as long as it takes.
            if !batch.is_empty() {
                self.commit(&batch).await?;
            }
        }
    }

    /// Whether operators have given up what a network stands before. Its partition is begun again then, by a new membership, whose
    /// producer sees all that this one has written.
    fn goes_on(&mut self) -> bool {
        let known = self.requests.known();
        let given_up = |(_, network, next): &(u32, &Network, u64)| known.behind_gap(network, *next).is_some();
        let goes_on: Vec<_> =
            self.halts.overtaken().filter(given_up).map(|(p, n, next)| (n.clone(), (p, next))).collect();
        let any = !goes_on.is_empty();
        self.overtaken.extend(goes_on);
        any
    }

    /// Events until the batch is full or `linger` has passed since the first; more of them while catching up.
    async fn gather(&mut self) -> Result<Vec<Event>, LogError> {
        let mut gathered: Vec<Event> = Vec::new();
        let mut bytes = 0;
        let mut first: Option<Instant> = None;
        loop {
            let catching_up = bytes >= self.config.catch_up_bytes;
            let linger = if catching_up { self.config.catch_up_linger } else { self.config.linger };
            let until = first.map(|first| first + linger);
            let full = bytes >= self.config.batch_bytes || gathered.len() >= self.config.batch_events;
            if full || until.is_some_and(|t| Instant::now() >= t) {
                return Ok(gathered);
            }
            let wait = until.map_or(POLL_WAIT, |t| t.saturating_duration_since(Instant::now()));
            let room = self.config.batch_bytes.saturating_sub(bytes).max(1);
            let events = self.config.batch_events.saturating_sub(gathered.len()).max(1);
            match self.events.next(events, room, wait).await? {
                Batch::Events(events) if events.is_empty() => {}
                Batch::Events(events) => {
                    first.get_or_insert_with(Instant::now);
                    bytes += events.iter().map(Event::bytes).sum::<usize>();
                    gathered.extend(events);
                }
                Batch::Assigned(partitions) => {
                    tracing::info!(partitions = ?partitions.iter().map(|p| p.partition).collect::<Vec<_>>(), "assigned");
                    self.config.board.held(partitions.iter().map(|p| p.partition));
                    // What was decided while others held them (rule 34).
                    self.requests.up_to_now().await?;
                    let held: Vec<u32> = partitions.iter().map(|p| p.partition).collect();
                    self.facts.hold(&held).await?;
                    let known = self.requests.known();
                    let Self { log, codec, events, halts, outputs, floors, overtaken, .. } = self;
                    let looking =
                        Looking { log: *log, codec, events, halts, outputs, floors, overtaken, known: &known };
                    place::find(looking, &partitions).await?;
                }
                Batch::Revoked(partitions) => {
                    tracing::info!(?partitions, "revoked");
                    gathered.retain(|event| !partitions.contains(&event.partition));
                    self.halts.forget(&partitions);
                    self.floors.forget(&partitions);
                    self.facts.release(&partitions);
                    self.config.board.released(&partitions);
                }
                Batch::Halted { partition, network, why } => {
                    let next = match next_of(&why) {
                        None if state_of(&why) == EnrichState::Overtaken => {
                            let output = self.outputs.of(self.log, self.codec, partition).await?;
                            Some(output.get(&network).map_or(1, |done| done.sequence + 1))
                        }
                        next => next,
                    };
                    self.halts.halt(partition, &network, state_of(&why), &why.to_string(), next);
                }
            }
            if first.is_none() {
                return Ok(gathered);
            }
        }
    }

    async fn commit(&mut self, batch: &[Event]) -> Result<(), LogError> {
        let started = Instant::now();
        let mut records = Vec::new();
        let mut transactions = 0;
        let mut passed_on: Vec<(&Event, Passed)> = Vec::new();
        let mut halting: Vec<Halting> = Vec::new();
        for event in batch {
            records.extend(foreign(self.codec, self.limits, event));
            if self.halts.contains(network(event)) || halting.iter().any(|h| h.network == *network(event)) {
                continue;
            }
            let halts = |state, why| Halting {
                partition: event.partition,
                network: network(event).clone(),
                state,
                why,
                sequence: event.meta.sequence,
            };
            let watched = self.contracts.of(self.requests, network(event));
            let block = read_header(self.codec, event);
            match block.as_ref().map_or(Ok(false), |block| self.halts.is_done(event, block)) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(why) => {
                    halting.push(halts(EnrichState::LogReplaced, why));
                    continue;
                }
            }
            // As they are now: what comes while the block is worked up is another one's.
            let known = self.facts.of(event.partition, network(event));
            match work_up(self.config, self.codec, self.limits, event, block, (watched, &known)) {
                Worked::Done { records: new, transactions: n, passed } => {
                    records.extend(new);
                    transactions += n;
                    passed_on.push((event, passed));
                }
                Worked::Unreadable { letter, error } => {
                    let why = format!("the header record of sequence {} cannot be read: {error}", event.meta.sequence);
                    records.extend(letter);
                    halting.push(halts(EnrichState::Unreadable, why));
                }
            }
            // A long batch must not starve whatever else runs on this thread.
            tokio::task::yield_now().await;
        }
        let (offsets, caught_up) = self.floors.lift(offsets_after(batch));
        let events = passed_on.iter().map(|(event, _)| *event);
        let told = self.halts.tell(&self.config.instance, events, &halting, &caught_up);
        records.extend(told.iter().filter_map(|status| said(self.codec, status)));
        let offsets = Some((self.events.group(), offsets));
        let committing = Instant::now();
        deadline("committing", self.producer.commit(Transaction { records, offsets })).await?;
        metrics::committed(passed_on.len(), transactions, committing.elapsed());
        metrics::worked_up(started.elapsed());
        batch.iter().for_each(|event| self.config.board.consumed(event));
        passed_on.iter().for_each(|(event, passed)| self.halts.passed_on(event, passed));
        self.halts.committed(halting);
        self.floors.forget(&caught_up);
        Ok(())
    }
}

fn kind_name(kind: LogErrorKind) -> &'static str {
    match kind {
        LogErrorKind::Fenced => "fenced",
        LogErrorKind::Aborted => "aborted",
        LogErrorKind::Indefinite => "indefinite",
        LogErrorKind::Unavailable => "unavailable",
        LogErrorKind::Denied => "denied",
        LogErrorKind::Full => "full",
        LogErrorKind::TooLarge => "too_large",
        LogErrorKind::NoTopic => "no_topic",
        _ => "other",
    }
}
