//! The sink's wiring: reader → (one batch) → writer → (its offsets) → commit.
//!
//! The writer works on one batch while the reader fills the next, so batches grow by themselves when the store is slow and
//! stay small when it is not. A batch goes when the writer is free and there is nothing more to read just now, or when it is
//! full or old enough.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runtime::{
    beat::{Beat, Board},
    log::{
        Log, LogError, LogErrorKind, TopicPartition, Transaction,
        events::{self, EventConsumer, Halt},
        letters,
    },
};
use schemas::{Network, Op, TimeMs, codec::Codec, records::DeadLetter, topics};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Error, SinkConfig, SinkStatus, State,
    batch::Event,
    beat,
    completeness::Auditor,
    metrics,
    patience::Patience,
    reader::{Batch, Reader},
    write::{WriteError, Writer},
};
use crate::Store;

/// The sink's consumer group.
pub const GROUP: &str = "sink";
/// Its topics.
pub const TOPICS: [&str; 2] = [topics::ENRICHED_BLOCKS.name, topics::ENRICHED_TRANSACTIONS.name];

/// Events and bytes that are asked for at once.
const READ: (usize, usize) = (64, 4 << 20);
/// How long to wait for events when there is nothing else to do.
const IDLE: Duration = Duration::from_secs(1);
/// How long the writer may be behind before the group is served without reading.
const STAND_BY: Duration = Duration::from_secs(2);
/// One look at the group then.
const LOOK: Duration = Duration::from_millis(100);
/// How long a store may take to start before that is told.
const STORE_STARTS: Duration = Duration::from_secs(10);
/// Pause before a log that did not answer is asked again.
const LOG_PAUSE: Duration = Duration::from_millis(500);

/// Runs the sink until `shutdown`. Makes and migrates the database first, waiting for the store as long as it takes.
pub async fn run(
    config: SinkConfig,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let store = Store::connect(config.store.clone())?;
    let input = [topics::ENRICHED_BLOCKS, topics::ENRICHED_TRANSACTIONS];
    let beat = Beat::start(&config.board, &config.instance, log.clone(), codec.clone(), Some((GROUP, input)));
    let outcome = tokio::select! {
        outcome = work(config.clone(), store.clone(), log, codec, shutdown) => outcome,
        () = beat::follow(config.board, store) => Ok(()), // never: it follows for ever
    };
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}

async fn work(
    config: SinkConfig,
    store: Store,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let patience = Patience::new(shutdown.clone());
    // A store that starts beside us takes a moment; only after that is its absence worth a line each time.
    tokio::select! { _ = store.wait_ready(STORE_STARTS) => {}, () = shutdown.cancelled() => return Ok(()) }
    match patience.again(|| store.migrate()).await {
        Ok(()) => {}
        Err(WriteError::Stopped) => return Ok(()),
        Err(WriteError::Store(e)) => return Err(e.into()),
    }

    let (to_writer, batches) = mpsc::channel::<Batch>(1);
    let (written, from_writer) = mpsc::channel::<Offsets>(1);
    let writer = Writer::new(store.clone(), patience.clone());
    let graveyard = Graveyard {
        log: log.clone(),
        codec: codec.clone(),
        transactional_id: format!("sink.dead-letters.{}", config.instance),
        stop: shutdown.clone(),
    };
    let told = (config.status.clone(), config.board.clone());
    let writing = tokio::spawn(write_batches(writer, graveyard, told, batches, written));

    let reader = Reader::new(config.clone(), store, codec, patience);
    let mut reading = Reading { config, log, reader, to_writer, from_writer, in_flight: false, shutdown };
    let read = reading.run().await;
    drop(reading);
    let wrote = writing.await.map_err(|_| Error::Ended("writer"))?;
    // The writer's error is the cause when both ended.
    match wrote {
        Err(e) => Err(e),
        Ok(()) => read,
    }
}

type Offsets = BTreeMap<TopicPartition, u64>;

/// The writing half. Sends a batch's offsets back when everything of it is on disk.
async fn write_batches(
    mut writer: Writer,
    graveyard: Graveyard,
    (status, board): (SinkStatus, Board),
    mut batches: mpsc::Receiver<Batch>,
    written: mpsc::Sender<Offsets>,
) -> Result<(), Error> {
    let mut auditor = Auditor::new(writer.store().clone(), status.clone());
    while let Some(batch) = batches.recv().await {
        let started = Instant::now();
        if batch.fresh {
            writer.forget();
        }
        let all = async {
            writer.write(&batch.events).await?;
            writer.write_statuses(&batch.statuses).await
        };
        match all.await {
            Ok(()) => {}
            Err(WriteError::Stopped) => return Ok(()),
            Err(WriteError::Store(e)) => return Err(e.into()),
        }
        bury(&graveyard, batch.dead).await?;
        tell(&status, &batch.events);
        beat::visible(&board, &batch.events);
        metrics::batch(batch.events.len(), batch.rows, started.elapsed());
        if written.send(batch.offsets).await.is_err() {
            return Ok(());
        }
        auditor.after(&batch.events).await;
    }
    Ok(())
}

/// Says what became visible.
fn tell(status: &SinkStatus, events: &[Event]) {
    let now = TimeMs::now();
    let mut newest: BTreeMap<&Network, (u64, u64)> = BTreeMap::new();
    for event in events {
        let e = &event.block.envelope;
        newest.insert(&e.network, (e.height, e.sequence));
        if e.op == Op::Apply {
            metrics::visible_after(Duration::from_millis(now.0.saturating_sub(e.observed_at.0).max(0) as u64));
        }
    }
    for (network, (height, sequence)) in newest {
        metrics::processed(network.as_str(), height, sequence);
        status.visible(network, sequence);
    }
}

/// Puts what could not be read to the dead letters, before the position moves past it.
async fn bury(graveyard: &Graveyard, dead: Vec<DeadLetter>) -> Result<(), Error> {
    if dead.is_empty() {
        return Ok(());
    }
    let dead: Arc<[DeadLetter]> = dead.into();
    loop {
        match graveyard.take(dead.clone()).await {
            Ok(()) => {
                dead.iter().for_each(metrics::dead_letter);
                return Ok(());
            }
            Err(e) if e.is_transient() || e.kind == LogErrorKind::TooLarge => {
                tracing::warn!(error = %e, "dead letters were not stored, trying again");
            }
            Err(e) => return Err(e.into()),
        }
        tokio::select! { () = sleep(LOG_PAUSE) => {}, () = graveyard.stop.cancelled() => return Ok(()) }
    }
}

/// Where dead letters go.
struct Graveyard {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    transactional_id: String,
    stop: CancellationToken,
}

impl Graveyard {
    async fn take(&self, dead: Arc<[DeadLetter]>) -> Result<(), LogError> {
        let limit = self.log.value_limit(topics::DEAD_LETTERS.name).await?;
        let of = |letter: &DeadLetter| letters::records(&self.codec, letter.clone(), limit, &Vec::new());
        let records = dead.iter().flat_map(of).collect();
        let mut producer = self.log.producer(&self.transactional_id).await?;
        producer.commit(Transaction { records, offsets: None }).await
    }
}

/// The reading half.
struct Reading {
    config: SinkConfig,
    log: Arc<dyn Log>,
    reader: Reader,
    to_writer: mpsc::Sender<Batch>,
    from_writer: mpsc::Receiver<Offsets>,
    in_flight: bool,
    shutdown: CancellationToken,
}

/// How a membership of the group ended.
enum Left {
    /// The stage was told to stop.
    Stopped,
    /// Join again: the log was away, or a partition is to be read from its beginning.
    Again,
}

impl Reading {
    async fn run(&mut self) -> Result<(), Error> {
        while !self.shutdown.is_cancelled() {
            let joined = self.log.consumer(GROUP, &self.config.instance, &TOPICS).await;
            let left = match joined {
                Ok(consumer) => self.member(EventConsumer::new(consumer, TOPICS[0], Some(TOPICS[1]))).await,
                Err(e) => Err(e.into()),
            };
            match left {
                Ok(Left::Stopped) => break,
                Ok(Left::Again) => {}
                Err(Error::Log(e)) if e.is_transient() || e.kind == LogErrorKind::Fenced => {
                    if e.kind == LogErrorKind::NoTopic {
                        metrics::topic_missing();
                    }
                    tracing::warn!(error = %e, "the log is away, joining again");
                    tokio::select! { () = sleep(LOG_PAUSE) => {}, () = self.shutdown.cancelled() => break }
                }
                Err(e) => return Err(e),
            }
            self.config.board.released_all();
            self.settle().await?;
            self.reader.forget_all();
        }
        Ok(())
    }

    /// Waits until nothing is on its way to the store; its offsets are not committed.
    async fn settle(&mut self) -> Result<(), Error> {
        if self.in_flight {
            self.from_writer.recv().await.ok_or(Error::Ended("writer"))?;
            self.in_flight = false;
        }
        Ok(())
    }

    /// One membership of the group.
    async fn member(&mut self, mut consumer: EventConsumer) -> Result<Left, Error> {
        let mut drained = false;
        loop {
            let waiting = !self.reader.batch.is_empty();
            if waiting && !self.in_flight && (drained || self.reader.batch.is_due(&self.config)) {
                let batch = std::mem::take(&mut self.reader.batch);
                if self.to_writer.send(batch).await.is_err() {
                    return Err(Error::Ended("writer"));
                }
                self.in_flight = true;
                drained = false;
                continue;
            }
            // Two batches are all that is held: while one is on its way and the next is full, nothing more is read.
            let full = self.reader.batch.is_full(&self.config);
            let wait = if waiting && !self.in_flight { Duration::ZERO } else { IDLE };
            let came = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    if self.in_flight && let Some(offsets) = self.from_writer.recv().await {
                        self.in_flight = false;
                        commit(&mut consumer, offsets).await?;
                    }
                    return Ok(Left::Stopped);
                }
                offsets = self.from_writer.recv(), if self.in_flight => {
                    self.in_flight = false;
                    commit(&mut consumer, offsets.ok_or(Error::Ended("writer"))?).await?;
                    continue;
                }
                came = come(&mut consumer, full, wait) => match came? {
                    Some(came) => came,
                    None => continue,
                },
            };
            match came {
                events::Batch::Events(events) => {
                    drained = events.is_empty();
                    events.iter().for_each(|event| self.config.board.consumed(event));
                    match self.reader.take(events).await {
                        Ok(None) => {}
                        Ok(Some(partition)) => {
                            self.settle().await?;
                            self.rewind(&mut consumer, partition).await?;
                            return Ok(Left::Again);
                        }
                        Err(WriteError::Stopped) => return Ok(Left::Stopped),
                        Err(WriteError::Store(e)) => return Err(e.into()),
                    }
                }
                events::Batch::Assigned(partitions) => {
                    self.config.board.held(partitions.iter().map(|p| p.partition));
                }
                events::Batch::Revoked(partitions) => {
                    self.config.board.released(&partitions);
                    self.reader.forget(&partitions);
                    for partition in partitions {
                        self.reader.rewound.remove(&partition);
                    }
                }
                events::Batch::Halted { partition, network, why } => {
                    let state = state_of(why);
                    self.reader.halt(&network, partition, state, format!("{why}. {}", state.advice()));
                    drained = true;
                }
            }
        }
    }

    /// Puts the group's position of a partition back to its beginning, where it still begins with the first record: only there
    /// do both topics begin with the same event.
    async fn rewind(&mut self, consumer: &mut EventConsumer, partition: u32) -> Result<(), Error> {
        self.reader.rewound.insert(partition);
        let mut offsets = Offsets::new();
        for topic in TOPICS {
            let at = TopicPartition { topic, partition };
            if self.log.watermarks(at).await?.low == 0 {
                offsets.insert(at, 0);
            }
        }
        if offsets.len() == TOPICS.len() {
            tracing::warn!(
                partition,
                "the store lacks events before the group's position: reading the partition again"
            );
            commit(consumer, offsets).await?;
        }
        Ok(())
    }
}

/// What comes next; nothing more while as much is held as may be. When the store is slow or away for longer, the group is not
/// left waiting all the same.
async fn come(consumer: &mut EventConsumer, full: bool, wait: Duration) -> Result<Option<events::Batch>, LogError> {
    if !full {
        return consumer.next(READ.0, READ.1, wait).await.map(Some);
    }
    sleep(STAND_BY).await;
    consumer.hold(LOOK).await
}

/// Commits positions. One that fails costs nothing but a replay: the next one carries more.
async fn commit(consumer: &mut EventConsumer, offsets: Offsets) -> Result<(), Error> {
    if offsets.is_empty() {
        return Ok(());
    }
    match consumer.commit(offsets.into_iter().collect()).await {
        Ok(()) => Ok(()),
        Err(e) if e.kind == LogErrorKind::Full => {
            tracing::warn!(error = %e, "the position was not stored");
            Ok(())
        }
        Err(e) => Err(e.into()),
    }
}

/// What a break in the log means for the network.
fn state_of(why: Halt) -> State {
    match why {
        Halt::Overtaken { .. } | Halt::Gap { .. } => State::Overtaken,
        Halt::Again { .. } => State::LogReplaced,
        Halt::FewerChildren { .. } | Halt::MoreChildren { .. } | Halt::BadHeaders { .. } => State::Unreadable,
    }
}
