//! The reading half: a member of the sink's group, from one membership to the next.
//!
//! Guarantee: positions are committed only for what the writing half has told to be on disk, and only of partitions that are still
//! ours. The group is served whatever the store
//! does: while it is away, slow, or asked about a network that is new here, the member polls, so that a rebalance never waits for it.
//! Two batches are all that is held: one on its way, one filling.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use runtime::log::{
    Log, LogError, LogErrorKind, TopicPartition,
    events::{self, EventConsumer, Halt},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Error, SinkConfig, State,
    behind::{Found, SecondReading},
    error::WriteError,
    group::{GROUP, LOG_PAUSE, READ, TOPICS},
    metrics,
    reader::{Batch, Reader, Source},
    write::Refused,
};

/// How long to wait for events when there is nothing else to do.
const IDLE: Duration = Duration::from_secs(1);
/// How long the store may be behind before the group is served without reading.
const STAND_BY: Duration = Duration::from_secs(2);
/// A batch of this part of what it may hold is a large one.
const LARGE: usize = 10;
/// One look at the group then.
const LOOK: Duration = Duration::from_millis(100);

/// Positions of the group.
pub(super) type Offsets = BTreeMap<TopicPartition, u64>;

/// What became of a batch.
pub(super) struct Written {
    /// Positions behind it.
    pub offsets: Offsets,
    /// What of it the store did not take.
    pub refused: Vec<Refused>,
}

/// The reading half.
pub(super) struct Reading {
    pub config: SinkConfig,
    pub log: Arc<dyn Log>,
    pub reader: Reader,
    pub to_writer: mpsc::Sender<Batch>,
    pub from_writer: mpsc::Receiver<Written>,
    pub shutdown: CancellationToken,
    in_flight: bool,
    /// Partitions that were taken away since the batch that is in flight was sent: their positions are another member's by now.
    taken_away: HashSet<u32>,
    second: Option<SecondReading>,
    /// Whether the second reading is served next: they take turns.
    seconds_turn: bool,
    /// When the last batch went.
    sent: Option<Instant>,
}

impl Reading {
    pub fn new(
        config: SinkConfig,
        log: Arc<dyn Log>,
        reader: Reader,
        (to_writer, from_writer): (mpsc::Sender<Batch>, mpsc::Receiver<Written>),
        shutdown: CancellationToken,
    ) -> Self {
        let (in_flight, taken_away, second, seconds_turn) = (false, HashSet::new(), None, false);
        let sent = None;
        Self {
            config,
            log,
            reader,
            to_writer,
            from_writer,
            shutdown,
            in_flight,
            taken_away,
            second,
            seconds_turn,
            sent,
        }
    }

    /// Reads until the stage is told to stop.
    pub async fn run(&mut self) -> Result<(), Error> {
        while !self.shutdown.is_cancelled() {
            let joined = self.log.consumer(GROUP, &self.config.instance, &TOPICS).await;
            let left = match joined {
                Ok(consumer) => self.member(EventConsumer::new(consumer, TOPICS[0], Some(TOPICS[1]))).await,
                Err(e) => Err(e.into()),
            };
            match left {
                Ok(()) => break,
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
            self.second = None;
            self.reader.forget_all();
        }
        Ok(())
    }

    /// How long the batch rests before it goes though it is neither full nor old: so that many networks, or a chain that is
    /// being caught up with, share an insert. A block that comes after a pause does not wait.
    fn rest(&self) -> Duration {
        let rest = match self.reader.batch.rows >= self.config.batch_rows / LARGE {
            true => self.config.batch_rests.1,
            false => self.config.batch_rests.0,
        };
        self.sent.map_or(Duration::ZERO, |sent| rest.saturating_sub(sent.elapsed()))
    }

    /// Waits until nothing is on its way to the store; its offsets are not committed.
    async fn settle(&mut self) -> Result<(), Error> {
        if self.in_flight {
            match self.from_writer.recv().await {
                Some(written) => written.refused.into_iter().for_each(|refused| self.reader.refuse(refused)),
                // It was told to stop before the store took it, as we are.
                None if self.shutdown.is_cancelled() => {}
                None => return Err(Error::Ended("writer")),
            }
            self.in_flight = false;
        }
        Ok(())
    }

    /// One membership of the group, until the stage is told to stop.
    async fn member(&mut self, mut consumer: EventConsumer) -> Result<(), Error> {
        let mut drained = false;
        loop {
            self.go_on(&mut consumer).await;
            self.follow_behind();
            let waiting = !self.reader.batch.is_empty();
            let rest = self.rest();
            if waiting && !self.in_flight && (drained && rest.is_zero() || self.reader.batch.is_due(&self.config)) {
                let batch = std::mem::take(&mut self.reader.batch);
                self.sent = Some(Instant::now());
                if self.to_writer.send(batch).await.is_err() {
                    return Err(Error::Ended("writer"));
                }
                self.in_flight = true;
                self.taken_away.clear();
                drained = false;
                continue;
            }
            // Two batches are all that is held: while one is on its way and the next is full, nothing more is read.
            let full = self.reader.batch.is_full(&self.config);
            let second_may = self.second.is_some() && !full;
            self.seconds_turn = second_may && !self.seconds_turn;
            let seconds_turn = self.seconds_turn;
            let wait = match (second_may && !seconds_turn, waiting && !self.in_flight) {
                (true, _) => Duration::ZERO,
                (false, true) if drained => rest,
                (false, true) => Duration::ZERO,
                (false, false) => IDLE,
            };
            let came = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    // Nothing comes when the writer stopped before all of it was on disk: then the position stays.
                    if self.in_flight && let Some(written) = self.from_writer.recv().await {
                        self.in_flight = false;
                        let offsets = self.still_ours(written.offsets);
                        commit(&mut consumer, offsets).await?;
                    }
                    return Ok(());
                }
                written = self.from_writer.recv(), if self.in_flight => {
                    self.in_flight = false;
                    self.written(&mut consumer, written.ok_or(Error::Ended("writer"))?).await?;
                    continue;
                }
                found = found(&mut self.second), if seconds_turn => {
                    drained = false;
                    match found {
                        Found::Events(events) => match self.take(&mut consumer, events, Source::Second).await {
                            Err(Error::Stopped) => return Ok(()),
                            taken => taken?,
                        },
                        Found::Halted(why) => self.not_in_the_log(why),
                        Found::Failed(e) => return Err(e.into()),
                    }
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
                    match self.take(&mut consumer, events, Source::Group).await {
                        Err(Error::Stopped) => return Ok(()),
                        taken => taken?,
                    }
                }
                moved => {
                    if matches!(moved, events::Batch::Assigned(_)) {
                        // What was decided while others held them (rule 34).
                        self.reader.requests.up_to_now().await?;
                    }
                    drained |= self.moved(&mut consumer, moved);
                }
            }
        }
    }

    /// Follows what the group says besides events. `true` when a network was halted, which is to be told at once.
    fn moved(&mut self, consumer: &mut EventConsumer, moved: events::Batch) -> bool {
        match moved {
            events::Batch::Events(_) => false,
            events::Batch::Assigned(partitions) => {
                self.config.board.held(partitions.iter().map(|p| p.partition));
                false
            }
            events::Batch::Revoked(partitions) => {
                self.config.board.released(&partitions);
                self.taken_away.extend(&partitions);
                self.reader.forget(&partitions);
                false
            }
            events::Batch::Halted { partition, network, why } => {
                let gone = State::of(why) == State::Overtaken && !self.reader.behind.has(&network);
                let given_up = gone && self.reader.is_given_up(&network);
                if given_up {
                    let passed = consumer.let_go_on(partition, &network);
                    return self.reader.go_on(&network, partition, passed);
                }
                self.reader.break_off(&network, partition, why)
            }
        }
    }

    /// Takes events in. The store may be away meanwhile: the group is served all the same.
    async fn take(
        &mut self,
        consumer: &mut EventConsumer,
        events: Vec<events::Event>,
        source: Source,
    ) -> Result<(), Error> {
        let mut moved = Vec::new();
        let taken = {
            let take = self.reader.take(events, source);
            tokio::pin!(take);
            loop {
                tokio::select! {
                    biased;
                    taken = &mut take => break taken,
                    came = come(consumer, true, IDLE) => moved.extend(came?),
                }
            }
        };
        for each in moved {
            self.moved(consumer, each);
        }
        match taken {
            Ok(()) => Ok(()),
            Err(WriteError::Stopped) => Err(Error::Stopped),
            Err(WriteError::Refused(e) | WriteError::Store(e)) => Err(e.into()),
        }
    }

    /// A batch is on disk, but for what the store refused.
    async fn written(&mut self, consumer: &mut EventConsumer, written: Written) -> Result<(), Error> {
        written.refused.into_iter().for_each(|refused| self.reader.refuse(refused));
        self.reader.confirm();
        let offsets = self.still_ours(written.offsets);
        commit(consumer, offsets).await
    }

    /// The positions of the batch that was in flight, without those of partitions that were taken away meanwhile.
    fn still_ours(&self, mut offsets: Offsets) -> Offsets {
        offsets.retain(|at, _| !self.taken_away.contains(&at.partition));
        offsets
    }

    /// Lets networks go on of which operators have given up what is gone (rule 12).
    async fn go_on(&mut self, consumer: &mut EventConsumer) {
        for (network, partition) in self.reader.overtaken() {
            if self.reader.wants(&network).is_none() {
                let asked = self.reader.requests.known().of(&network).next().is_some();
                if asked && let Err(error) = self.reader.look_up(&network, partition).await {
                    tracing::debug!(%network, %error, "where the network stands cannot be read now");
                }
            }
            if self.reader.is_given_up(&network) {
                let passed = consumer.let_go_on(partition, &network);
                self.reader.go_on(&network, partition, passed);
            }
        }
    }

    /// Begins and ends second readings, as networks fall behind and catch up.
    fn follow_behind(&mut self) {
        if self.second.as_ref().is_some_and(|s| !self.reader.behind.has(&s.wanted.network)) {
            self.second = None;
        }
        if self.second.is_none() {
            let first = self.reader.behind.first().cloned();
            self.second = first.map(|wanted| SecondReading::begin(self.log.clone(), wanted));
        }
    }

    /// The second reading did not find what it was to find. Where operators have given that up already, it begins again behind it: the
    /// network is behind as before, and its partition's position stays where it is.
    fn not_in_the_log(&mut self, why: Halt) {
        let Some(second) = self.second.take() else { return };
        let wanted = second.wanted;
        let state = State::of(why);
        if state == State::Overtaken && self.reader.goes_on_behind(&wanted.network, wanted.partition) {
            return;
        }
        let message = format!(
            "sequence {} is wanted next, and from its oldest record on the log does not have it: {why}. Nothing was skipped. {}",
            wanted.from,
            state.advice(&wanted.network)
        );
        self.reader.halt(&wanted.network, wanted.partition, state, message);
    }
}

/// What the second reading brings; waits for ever without one.
async fn found(second: &mut Option<SecondReading>) -> Found {
    match second {
        Some(second) => second.next().await,
        None => std::future::pending().await,
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
