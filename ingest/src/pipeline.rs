//! The wiring, in the order of the data:
//!
//! ```text
//! node ──fetch tasks (≤ fetch_parallelism; of all networks limits::INGEST_FETCHES and one each)──▶ watcher (one per network)
//!      ──queue (limits::INGEST_QUEUE_EVENTS, _KIB; of all partitions INGEST_SHARED_KIB and OWN each)──▶ publisher (one per
//!        partition) ──transactions──▶ log
//! fleets ──queue (limits::SAMPLES_QUEUE)──▶ samples (one per process) ──▶ log, and back to the fleets
//! ```
//!
//! Guarantee: a partition's publisher begins only when this process gets the partition in group `ingest`, with a new producer (which
//! fences the former) and the state as the log has it (rules 9 and 10). It goes on through a rebalance that gives the partition back,
//! and ends when another process gets it: that one's producer has fenced it by then.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use backon::BackoffBuilder;
use runtime::{
    beat::Beat,
    control::Follower,
    log::{Log, LogError, LogErrorKind, PollLimits, Polled},
};
use schemas::{codec::Codec, limits, records::stage_status::state as word, topics};
use tokio::{
    sync::Semaphore,
    task::{AbortHandle, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    chains::{FillPlaces, Places},
    config::Config,
    crew::Crew,
    error::Error,
    metrics,
    networks::{Following, Networks},
    publisher::Publisher,
    records::{Limits, Scribe},
    samples, state, status,
    unit::{Memory, Outlet},
};

/// Consumer group whose members share the partitions.
pub const GROUP: &str = "ingest";
/// Topics that ingest writes.
const OUTPUTS: [topics::TopicSpec; 7] = [
    topics::RAW_BLOCKS,
    topics::RAW_TRANSACTIONS,
    topics::INGEST_CHECKPOINTS,
    topics::STAGE_STATUS,
    topics::CONTROL_CONFIG,
    topics::DEAD_LETTERS,
    topics::PROVIDERS_SAMPLES,
];

/// What all partitions share.
pub struct Shared {
    pub(crate) config: Config,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) codec: Arc<Codec>,
    networks: Networks,
    memory: Memory,
    pub(crate) places: Places,
    pub(crate) fill_places: FillPlaces,
    pub(crate) reading: Semaphore,
    pub(crate) requests: Follower,
}

/// Runs the stage over these networks, as they come and go, until shut down.
pub async fn run(
    config: Config,
    networks: Networks,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    networks.tell(&config.board);
    let beat = Beat::start(&config.board, &config.instance, log.clone(), codec.clone(), None);
    let outcome = watch_all(config, networks, log, codec, shutdown).await;
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}

async fn watch_all(
    config: Config,
    networks: Networks,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    log.ensure_topics(&OUTPUTS, config.partitions).await?;
    networks.place(&*log, &codec).await?;
    let _samples = samples::start(log.clone(), codec.clone(), &config.instance, networks.places());
    let (memory, places, reading) = (Memory::default(), Places::default(), Semaphore::new(limits::STATE_READERS));
    let fill_places = FillPlaces::default();
    let requests = Follower::follow(log.clone(), codec.clone());
    let shared = Arc::new(Shared { config, log, codec, networks, memory, places, fill_places, reading, requests });
    tokio::select! {
        outcome = follow_assignment(shared.clone(), shutdown) => outcome,
        never = shared.networks.keep_placed(&shared.config.board, &*shared.log, &shared.codec) => match never {},
    }
}

/// Pause before a group that refused our membership is joined anew.
const REJOIN: Duration = Duration::from_secs(1);

/// Follows the group's assignment. A membership that the group no longer knows (a broker that came back with an older state of
/// the group, or another process of the same instance name) is begun anew.
async fn follow_assignment(shared: Arc<Shared>, shutdown: CancellationToken) -> Result<(), Error> {
    loop {
        match membership(&shared, &shutdown).await {
            Err(Error::Log(e)) if e.kind == LogErrorKind::Fenced => {
                let instance = &shared.config.instance;
                tracing::warn!(error = %e, instance, "joining anew; does another process run under this instance name?");
            }
            Err(Error::Log(e)) if e.kind == LogErrorKind::NoTopic => {
                metrics::topic_missing();
                tracing::error!(error = %e, "ingest waits for the topic; nothing is lost, the nodes keep their blocks");
                shared.config.board.process(word::STALLED, Some(format!("ingest waits: {e}")));
            }
            outcome => return outcome,
        }
        shared.config.board.released_all();
        tokio::select! {
            () = tokio::time::sleep(REJOIN) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// How long a partition that the group took away is worked on, should it come back: every rebalance takes all away and gives most
/// back. Whoever gets it instead fences its producer, so that nothing is written twice meanwhile.
const COMES_BACK: Duration = Duration::from_secs(10);

/// A partition that is worked on.
struct Held {
    cancel: CancellationToken,
    /// Whether the group took it away and has not said yet to whom it goes.
    revoked: Arc<AtomicBool>,
    task: AbortHandle,
}

/// How the work on a partition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// There was none, or it was told to.
    Done,
    /// The group took it away, and it could not be gone on with.
    TakenOver,
}

/// All partitions of a membership.
struct Partitions<'a> {
    shared: &'a Arc<Shared>,
    shutdown: &'a CancellationToken,
    tasks: JoinSet<(u32, Result<Ended, Error>)>,
    held: HashMap<u32, Held>,
    revoked_at: Option<Instant>,
}

impl Partitions<'_> {
    fn start(&mut self, partition: u32) {
        let (cancel, revoked) = (self.shutdown.child_token(), Arc::<AtomicBool>::default());
        let (shared, token, taken) = (self.shared.clone(), cancel.clone(), revoked.clone());
        let task = self.tasks.spawn(async move { (partition, hold(shared, partition, token, taken).await) });
        self.held.insert(partition, Held { cancel, revoked, task });
    }

    fn assigned(&mut self, partitions: impl Iterator<Item = u32>) {
        for partition in partitions {
            self.shared.config.board.held([partition]);
            match self.held.get(&partition) {
                Some(held) if !held.task.is_finished() => held.revoked.store(false, Ordering::Release),
                _ => self.start(partition),
            }
        }
        self.let_go();
    }

    fn revoked(&mut self, partitions: impl Iterator<Item = u32>) {
        for partition in partitions {
            if let Some(held) = self.held.get(&partition) {
                held.revoked.store(true, Ordering::Release);
            }
        }
        self.revoked_at = Some(Instant::now());
    }

    /// Ends the work on what went to others, who speak for its networks from now on.
    fn let_go(&mut self) {
        self.revoked_at = None;
        let mut released = Vec::new();
        self.held.retain(|partition, held| {
            let gone = held.revoked.load(Ordering::Acquire);
            if gone {
                held.cancel.cancel();
                released.push(*partition);
            }
            !gone
        });
        self.shared.config.board.released(&released);
    }

    /// A task has ended. One that took its partition for another's is begun anew where the group has given it back meanwhile.
    fn ended(&mut self, ended: Result<(u32, Result<Ended, Error>), JoinError>) -> Result<(), Error> {
        let Some((partition, ended)) = ended_well(ended)? else { return Ok(()) };
        let held = self.held.get(&partition).filter(|held| held.task.is_finished());
        let ours = held.is_some_and(|held| !held.revoked.load(Ordering::Acquire));
        if ended == Ended::TakenOver && ours {
            self.start(partition);
        }
        Ok(())
    }
}

/// One membership: starts and stops partitions as the group assigns them.
async fn membership(shared: &Arc<Shared>, shutdown: &CancellationToken) -> Result<(), Error> {
    const TOPIC: &str = topics::INGEST_CHECKPOINTS.name;
    let board = &shared.config.board;
    let mut consumer = shared.log.consumer(GROUP, &shared.config.instance, &[TOPIC]).await?;
    board.process(word::RUNNING, None);
    let (tasks, held) = Default::default();
    let mut partitions = Partitions { shared, shutdown, tasks, held, revoked_at: None };
    let poll = PollLimits { records: 1, bytes: 1 << 20, wait: Duration::from_millis(500) };
    let outcome = loop {
        let polled = tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            Some(ended) = partitions.tasks.join_next() => match partitions.ended(ended) {
                Ok(()) => continue,
                Err(e) => break Err(e),
            },
            polled = consumer.poll(poll) => polled,
        };
        match polled {
            Ok(Polled::Assigned(assigned)) => {
                let at: Vec<_> = assigned.iter().map(|(at, _)| *at).collect();
                // The group is for the assignment only; state is read without it.
                consumer.pause(&at)?;
                partitions.assigned(at.iter().map(|at| at.partition));
            }
            Ok(Polled::Revoked(revoked)) => partitions.revoked(revoked.iter().map(|at| at.partition)),
            Ok(Polled::Records(_) | Polled::OutOfRange { .. }) => board.process(word::RUNNING, None),
            // A client learns late that a topic is back; a new one sees it at once.
            Err(e) if e.is_transient() && e.kind != LogErrorKind::NoTopic => {
                tracing::warn!(error = %e, "the log does not answer");
                board.process(word::STALLED, Some(format!("the log does not answer: {e}")));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(e) => break Err(e.into()),
        }
        if partitions.revoked_at.is_some_and(|at| at.elapsed() > COMES_BACK) {
            partitions.let_go();
        }
    };
    partitions.held.values().for_each(|held| held.cancel.cancel());
    while let Some(ended) = partitions.tasks.join_next().await {
        ended_well(ended)?;
    }
    outcome
}

fn ended_well(ended: Result<(u32, Result<Ended, Error>), JoinError>) -> Result<Option<(u32, Ended)>, Error> {
    match ended {
        Ok((partition, outcome)) => Ok(Some((partition, outcome?))),
        Err(e) if e.is_panic() => Err(Error::Task(0, format!("{e}"))),
        Err(_) => Ok(None),
    }
}

/// Between two attempts to hold a partition. A partition that waits stands still, and asking costs little.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Holds a partition: from the beginning again after every failure, until it is lost.
async fn hold(
    shared: Arc<Shared>,
    partition: u32,
    cancel: CancellationToken,
    revoked: Arc<AtomicBool>,
) -> Result<Ended, Error> {
    let mut changes = shared.networks.subscribe();
    let new_waits = || {
        backon::ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(LONGEST_WAIT)
            .without_max_times()
            .with_jitter()
            .build()
    };
    let mut waits = new_waits();
    let mut failures = 0u32;
    loop {
        // Beginning fences whoever has it: only who holds it may.
        if revoked.load(Ordering::Acquire) {
            return Ok(Ended::TakenOver);
        }
        let followed = changes.borrow_and_update().clone();
        let mine = followed.of(partition);
        status::only(&shared.config.board, partition, &mine, &followed);
        if partition == 0 {
            // Nobody knows who holds them: the holder of the first partition says so.
            for (network, problem) in &followed.partitions.unreadable {
                if let Some(following) = followed.get(network) {
                    status::stalled(&shared.config.board, partition, &following.source, problem);
                }
            }
        }
        if mine.is_empty() {
            tokio::select! {
                _ = changes.changed() => continue,
                () = cancel.cancelled() => return Ok(Ended::Done),
            }
        }
        let started = tokio::time::Instant::now();
        let error = match publish(&shared, partition, mine.clone(), &cancel).await {
            Ok(()) => return Ok(Ended::Done),
            Err(Error::Log(e)) if revoked.load(Ordering::Acquire) => {
                tracing::info!(partition, error = %e, "the work on a partition that the group took away has ended");
                return Ok(Ended::TakenOver);
            }
            Err(Error::Log(e)) if e.kind == LogErrorKind::Fenced => {
                // Whoever fenced us holds the partition, and the group will say so. If it does not, we still hold it.
                tracing::warn!(partition, error = %e, "another producer took the partition over");
                tokio::select! {
                    () = tokio::time::sleep(shared.config.fenced_wait) => e,
                    () = cancel.cancelled() => return Ok(Ended::Done),
                }
            }
            Err(Error::Log(e)) if e.is_transient() || retriable(&e) => e,
            Err(e) => return Err(e),
        };
        if cancel.is_cancelled() {
            return Ok(Ended::Done);
        }
        if started.elapsed() > Duration::from_secs(60) {
            waits = new_waits();
            failures = 0;
        }
        failures += 1;
        let wait = waits.next().unwrap_or(LONGEST_WAIT);
        // One that passes at once is not worth a word.
        if failures > 1 || matches!(error.kind, LogErrorKind::NoTopic | LogErrorKind::TooLarge | LogErrorKind::Denied) {
            status::blocked(&shared.config.board, partition, &mine, &error);
        }
        tracing::warn!(partition, error = %error, ?wait, "reading the state again");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = cancel.cancelled() => return Ok(Ended::Done),
        }
    }
}

/// A record that a topic no longer takes becomes a placeholder the next time, when the limits are read again. A partition that one
/// of the topics does not have yet is there once partitions have been added to it too.
fn retriable(e: &LogError) -> bool {
    matches!(e.kind, LogErrorKind::TooLarge | LogErrorKind::Invalid)
}

/// One life of a partition: producer, state, watchers, publisher.
async fn publish(
    shared: &Arc<Shared>,
    partition: u32,
    mine: Vec<Following>,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let changes = shared.networks.subscribe();
    let producer = shared.log.producer(&format!("ingest.{partition}")).await?;
    let stored = {
        // Many partitions that are taken over at once are read a few at a time.
        let _turn = shared.reading.acquire().await;
        state::read(&*shared.log, &shared.codec, partition).await?
    };
    shared.requests.up_to_now().await?;
    let limits = Limits::of(&*shared.log).await?;
    let scribe = Scribe::new(shared.codec.clone(), partition, limits);
    let life = cancel.child_token();
    let _ends_with_us = life.clone().drop_guard();
    let (outlet, units) = Outlet::channel(&shared.memory);
    let board = &shared.config.board;
    board.blocked(partition, None);
    let mut crew = Crew::new(shared.clone(), partition, scribe.clone(), outlet, life.clone());
    crew.begin(mine, stored);
    let mut publisher =
        Publisher { partition, producer, scribe, units, board: board.clone(), limits: shared.config.batch };
    let outcome = tokio::select! {
        outcome = publisher.run(cancel) => outcome,
        never = crew.follow(changes) => match never {},
    };
    // Nobody may go on from counters that were not committed.
    life.cancel();
    drop(publisher);
    crew.ended().await?;
    Ok(outcome?)
}
