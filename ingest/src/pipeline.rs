//! The wiring, in the order of the data:
//!
//! ```text
//! node ──fetch tasks (≤ fetch_parallelism; of all networks limits::INGEST_FETCHES and one each)──▶ watcher (one per network)
//!      ──queue (limits::INGEST_QUEUE_EVENTS, _KIB; of all partitions INGEST_SHARED_KIB and OWN each)──▶ publisher (one per
//!        partition) ──transactions──▶ log
//! ```
//!
//! Guarantee: a partition's publisher runs only while this process holds the partition in group `ingest`, and every start of
//! it begins with a new producer (which fences the former) and the state as the log has it (rules 9 and 10).

use std::{collections::HashMap, sync::Arc, time::Duration};

use backon::BackoffBuilder;
use runtime::{
    beat::Beat,
    log::{Log, LogError, LogErrorKind, PollLimits, Polled},
};
use schemas::{Network, codec::Codec, limits, records::stage_status::state as word, topics};
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    assign,
    chains::{
        Places,
        evm::{Watcher, status_of},
    },
    config::Config,
    error::Error,
    metrics,
    publisher::Publisher,
    records::{Limits, Scribe},
    source::Source,
    state, status,
    unit::{Memory, Outlet},
};

/// Consumer group whose members share the partitions.
pub const GROUP: &str = "ingest";
/// Topics that ingest writes.
const OUTPUTS: [topics::TopicSpec; 6] = [
    topics::RAW_BLOCKS,
    topics::RAW_TRANSACTIONS,
    topics::INGEST_CHECKPOINTS,
    topics::STAGE_STATUS,
    topics::CONTROL_CONFIG,
    topics::DEAD_LETTERS,
];

/// What all partitions share.
struct Shared {
    config: Config,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    sources: HashMap<Network, Source>,
    partitions: HashMap<Network, u32>,
    memory: Memory,
    places: Places,
    reading: Semaphore,
}

/// Runs the stage over these sources until shut down.
pub async fn run(
    config: Config,
    sources: Vec<Source>,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let named = sources.iter().map(|s| (s.network.slug.clone(), Some(s.network.chain_id)));
    config.board.configure(named, Some(status::UNNAMED));
    let beat = Beat::start(&config.board, &config.instance, log.clone(), codec.clone(), None);
    let outcome = watch_all(config, sources, log, codec, shutdown).await;
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}

async fn watch_all(
    config: Config,
    sources: Vec<Source>,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    log.ensure_topics(&OUTPUTS, config.partitions).await?;
    let slugs: Vec<Network> = sources.iter().map(|s| s.network.slug.clone()).collect();
    let partitions = assign::partitions(&*log, &codec, &slugs).await?;
    let sources = sources.into_iter().map(|s| (s.network.slug.clone(), s)).collect();
    let (memory, places, reading) = (Memory::default(), Places::default(), Semaphore::new(limits::STATE_READERS));
    let shared = Arc::new(Shared { config, log, codec, sources, partitions, memory, places, reading });
    follow_assignment(shared, shutdown).await
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

/// One membership: starts and stops partitions as the group assigns them.
async fn membership(shared: &Arc<Shared>, shutdown: &CancellationToken) -> Result<(), Error> {
    const TOPIC: &str = topics::INGEST_CHECKPOINTS.name;
    let board = &shared.config.board;
    let mut consumer = shared.log.consumer(GROUP, &shared.config.instance, &[TOPIC]).await?;
    board.process(word::RUNNING, None);
    let mut tasks: JoinSet<(u32, Result<(), Error>)> = JoinSet::new();
    let mut running: HashMap<u32, CancellationToken> = HashMap::new();
    let poll = PollLimits { records: 1, bytes: 1 << 20, wait: Duration::from_millis(500) };
    let outcome = loop {
        let polled = tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            Some(ended) = tasks.join_next() => match ended_well(ended) {
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
                board.held(at.iter().map(|at| at.partition));
                for at in at {
                    let cancel = shutdown.child_token();
                    running.insert(at.partition, cancel.clone());
                    let (shared, n) = (shared.clone(), at.partition);
                    tasks.spawn(async move { (n, hold(shared, n, cancel).await) });
                }
            }
            Ok(Polled::Revoked(revoked)) => {
                revoked.iter().filter_map(|at| running.remove(&at.partition)).for_each(|cancel| cancel.cancel());
                board.released(&revoked.iter().map(|at| at.partition).collect::<Vec<_>>());
            }
            Ok(Polled::Records(_) | Polled::OutOfRange { .. }) => board.process(word::RUNNING, None),
            // A client learns late that a topic is back; a new one sees it at once.
            Err(e) if e.is_transient() && e.kind != LogErrorKind::NoTopic => {
                tracing::warn!(error = %e, "the log does not answer");
                board.process(word::STALLED, Some(format!("the log does not answer: {e}")));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(e) => break Err(e.into()),
        }
    };
    running.values().for_each(CancellationToken::cancel);
    while let Some(ended) = tasks.join_next().await {
        ended_well(ended)?;
    }
    outcome
}

fn ended_well(ended: Result<(u32, Result<(), Error>), JoinError>) -> Result<(), Error> {
    match ended {
        Ok((_, outcome)) => outcome,
        Err(e) if e.is_panic() => Err(Error::Task(0, format!("{e}"))),
        Err(_) => Ok(()),
    }
}

/// Between two attempts to hold a partition. A partition that waits stands still, and asking costs little.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Holds a partition: from the beginning again after every failure, until it is lost.
async fn hold(shared: Arc<Shared>, partition: u32, cancel: CancellationToken) -> Result<(), Error> {
    let mine: Vec<&Source> = shared
        .partitions
        .iter()
        .filter(|(_, n)| **n == partition)
        .filter_map(|(network, _)| shared.sources.get(network))
        .collect();
    if mine.is_empty() {
        return Ok(());
    }
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
        let started = tokio::time::Instant::now();
        let error = match publish(&shared, partition, &mine, &cancel).await {
            Ok(()) => return Ok(()),
            Err(Error::Log(e)) if e.kind == LogErrorKind::Fenced => {
                // Whoever fenced us holds the partition, and the group will say so. If it does not, we still hold it.
                tracing::warn!(partition, error = %e, "another producer took the partition over");
                tokio::select! {
                    () = tokio::time::sleep(shared.config.fenced_wait) => e,
                    () = cancel.cancelled() => return Ok(()),
                }
            }
            Err(Error::Log(e)) if e.is_transient() || retriable(&e) => e,
            Err(e) => return Err(e),
        };
        if cancel.is_cancelled() {
            return Ok(());
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
            () = cancel.cancelled() => return Ok(()),
        }
    }
}

/// A record that a topic no longer takes becomes a placeholder the next time, when the limits are read again.
fn retriable(e: &LogError) -> bool {
    e.kind == LogErrorKind::TooLarge
}

/// One life of a partition: producer, state, watchers, publisher.
async fn publish(shared: &Shared, partition: u32, mine: &[&Source], cancel: &CancellationToken) -> Result<(), Error> {
    let producer = shared.log.producer(&format!("ingest.{partition}")).await?;
    let mut stored = {
        // Many partitions that are taken over at once are read a few at a time.
        let _turn = shared.reading.acquire().await;
        state::read(&*shared.log, &shared.codec, partition).await?
    };
    let limits = Limits::of(&*shared.log).await?;
    let scribe = Scribe::new(shared.codec.clone(), partition, limits);
    let life = cancel.child_token();
    let _ends_with_us = life.clone().drop_guard();
    let (outlet, units) = Outlet::channel(&shared.memory);
    let board = &shared.config.board;
    board.blocked(partition, None);
    let mut watchers = JoinSet::new();
    // They end with the watchers that they listen to.
    let mut tellers = JoinSet::new();
    for source in mine {
        let network = &source.network.slug;
        let (said, feed) = tokio::sync::watch::channel(status_of(source));
        tellers.spawn(status::tell(board.clone(), partition, feed));
        let stored = stored.remove(network).unwrap_or_default();
        if let Some(held) = &stored.checkpoint {
            let tip = |e: &&schemas::records::RingEntry| Some(e.height) == held.tip_height;
            let block_time = stored.ring.iter().find(tip).map(|e| e.block_time);
            let at = status::Published { sequence: held.sequence, height: held.tip_height, block_time };
            status::published(board, partition, network, at);
        }
        let watcher = Watcher::new(
            (*source).clone(),
            &shared.config,
            stored,
            scribe.clone(),
            outlet.clone(),
            shared.places.clone(),
            said,
        );
        watchers.spawn(watcher.run(life.child_token()));
    }
    drop(outlet);
    let mut publisher =
        Publisher { partition, producer, scribe, units, board: board.clone(), limits: shared.config.batch };
    let outcome = publisher.run(cancel).await;
    // Nobody may go on from counters that were not committed.
    life.cancel();
    drop(publisher);
    while let Some(ended) = watchers.join_next().await {
        if let Err(e) = ended
            && e.is_panic()
        {
            return Err(Error::Task(partition, e.to_string()));
        }
    }
    Ok(outcome?)
}
