//! `enriched.causes` → the rows of their transactions (rules 14 and 16).
//!
//! Guarantee: each cause is folded into the row of its own event once that is stored, or known to be void: its row was reverted, replaced,
//! is not kept, or could never be read. Positions move behind what is settled only ([`waiting`]), and the store says itself up to where
//! it has causes ([`super::position`]): a store that was lost, or is another one, gets them again as long as the log has them. Block events
//! never wait for causes: this is a group, a task and statements of its own, whatever becomes of it does not end the sink, and nothing of
//! it has to run in the process that writes a partition's rows, since versions alone decide ([`super::fold`]). Of a network whose rows do
//! not come only so many are held ([`limits::WAITING`]). Shown by `tests/sink/{causes,fold}.rs`.

mod waiting;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use runtime::log::{Consumer, Log, LogError, PollLimits, Polled, TopicPartition};
use schemas::{Network, TimeMs, codec::Codec, limits::causes as limits, records::EnrichedCause, topics};
use tokio::time::sleep;

use self::waiting::{Held, Place, Waiting};
use super::{
    SinkConfig,
    aside::{Failure, STAND_BY, memberships, serve},
    beat::Busy,
    error::WriteError,
    fold::{Folded, fold},
    metrics,
    patience::Patience,
    position::Positions,
};
use crate::{Store, StoreError, StoreErrorKind};

/// The consumer group.
pub const GROUP: &str = "sink.causes";
/// Its topic.
pub const TOPICS: [&str; 1] = [topics::ENRICHED_CAUSES.name];

/// Where the store says how far it has them.
const POSITIONS: &str = "cause_position_rows";
/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 2_048, bytes: 4 << 20, wait: Duration::from_millis(100) };
/// Causes beyond which nothing more is gathered before they are folded.
const BATCH: usize = 2_048;
/// Networks that the store is asked about at the same time.
const AT_ONCE: usize = 8;
/// Tries after which the store counts as refusing.
const TRIES: u32 = 3;

/// Brings causes to their rows.
pub(super) struct Causes {
    store: Store,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    instance: String,
    patience: Patience,
    age: Duration,
    refusals: Duration,
    waits: Duration,
    busy: Busy,
}

/// What one look at the store brought.
#[derive(Default)]
struct Looked {
    /// Where the store has causes up to, of partitions that are new here.
    positions: BTreeMap<u32, u64>,
    /// How far it has networks' events.
    stored: Vec<(Network, u64)>,
}

impl Causes {
    pub fn new(
        store: Store,
        log: Arc<dyn Log>,
        codec: Arc<Codec>,
        config: &SinkConfig,
        patience: Patience,
        busy: Busy,
    ) -> Self {
        let (age, refusals, waits) = (config.causes_age, config.refusals, config.causes_wait);
        Self { store, log, codec, instance: config.instance.clone(), patience, age, refusals, waits, busy }
    }

    /// Until it is dropped, or the stage is told to stop.
    pub async fn run(self) {
        memberships("causes", || self.member()).await;
    }

    /// One membership of the group.
    async fn member(&self) -> Result<(), Failure> {
        let mut consumer = self.log.consumer(GROUP, &self.instance, &TOPICS).await?;
        let (mut waiting, mut positions) = (Waiting::default(), Positions::of(POSITIONS));
        let mut looked_at = Instant::now();
        loop {
            let polled = consumer.poll(POLL).await?;
            self.follow(&mut *consumer, &mut waiting, polled).await?;
            metrics::causes_waiting(waiting.len());
            let idle = waiting.len() == 0 && waiting.passed().is_empty() && waiting.unplaced().is_empty();
            if waiting.fresh() < BATCH && (idle || looked_at.elapsed() < self.age) {
                self.commit(&mut *consumer, &mut waiting, &mut positions).await?;
                continue;
            }
            looked_at = Instant::now();

            let (unplaced, networks) = (waiting.unplaced(), waiting.networks());
            let look = self.look((!unplaced.is_empty()).then_some(&positions), networks);
            let looked = self.beside(&mut *consumer, &mut waiting, look).await?;
            let now = Instant::now();
            looked.stored.iter().for_each(|(network, sequence)| waiting.stored(network, *sequence, now));
            // What was taken away while the store was asked is not read here any more.
            let still = waiting.unplaced();
            for (at, group) in unplaced.into_iter().filter(|(at, _)| still.iter().any(|(other, _)| other == at)) {
                // The lower of what both say: what lies behind is not in the store, or may not be.
                let offset = looked.positions.get(&at.partition).copied().unwrap_or(0).min(group.unwrap_or(0));
                consumer.seek(at, offset).await?;
                waiting.place(at, offset);
            }

            let ready = waiting.ready();
            if !ready.is_empty() {
                let (settled, left) = self.beside(&mut *consumer, &mut waiting, self.fold(ready)).await?;
                waiting.settle(settled);
                waiting.give_back(left);
            }
            let oldest = TimeMs::now().0.saturating_sub(limits::GIVEN_UP.as_millis() as i64);
            metrics::causes("given_up", waiting.give_up(|cause| cause.found_at.0 < oldest));
            self.pass_over(&mut waiting);
            for (at, offset) in waiting.rewind() {
                tracing::info!(
                    partition = at.partition,
                    offset,
                    "causes are read again: the rows that they waited for have come"
                );
                consumer.seek(at, offset).await?;
            }
            self.commit(&mut *consumer, &mut waiting, &mut positions).await?;
            pauses(&mut *consumer, &mut waiting)?;
        }
    }

    /// Does something with the store; when that takes long, the group is served, and brings nothing more.
    async fn beside<T>(
        &self,
        consumer: &mut dyn Consumer,
        waiting: &mut Waiting,
        work: impl Future<Output = Result<T, WriteError>>,
    ) -> Result<T, Failure> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    consumer.resume(&waiting.running())?;
                    return Ok(done?);
                }
                () = sleep(STAND_BY) => {
                    let polled = serve(consumer, &waiting.all(), POLL).await?;
                    self.follow(consumer, waiting, polled).await?;
                }
            }
        }
    }

    async fn follow(&self, consumer: &mut dyn Consumer, waiting: &mut Waiting, polled: Polled) -> Result<(), LogError> {
        match polled {
            Polled::Records(records) => {
                for record in records {
                    let cause = record.value.as_ref().map(|value| self.codec.decode::<EnrichedCause>(value));
                    let cause = match cause {
                        Some(Ok(cause)) if limits::REVISIONS.contains(&cause.revision) => Some(cause),
                        Some(Err(error)) => {
                            tracing::warn!(%error, at = ?record.from, offset = record.offset, "a cause cannot be read");
                            None
                        }
                        _ => None,
                    };
                    metrics::causes("unreadable", usize::from(cause.is_none()));
                    waiting.read(record.from, record.offset, cause);
                }
            }
            Polled::Assigned(assigned) => {
                let new: Vec<TopicPartition> = assigned.iter().map(|(at, _)| *at).collect();
                consumer.pause(&new)?;
                assigned.into_iter().for_each(|(at, position)| waiting.assigned(at, position));
            }
            Polled::Revoked(gone) => waiting.revoked(&gone),
            Polled::OutOfRange { at, wanted, oldest } => {
                // From the beginning is asked for where the store says nothing.
                metrics::causes_overtaken(if wanted == 0 { 0 } else { oldest.saturating_sub(wanted) });
                consumer.seek(at, oldest).await?;
                waiting.place(at, oldest);
            }
        }
        Ok(())
    }

    /// Asks how far the store has what is waited for.
    async fn look(
        &self,
        positions: Option<&Positions>,
        networks: std::collections::BTreeSet<Network>,
    ) -> Result<Looked, WriteError> {
        let positions = match positions {
            Some(positions) => self.patience.again(|| positions.read(&self.store)).await?,
            None => BTreeMap::new(),
        };
        let ask = |network: Network| async move {
            let sequence = self.patience.again(|| self.store.processed_sequence(network.as_str())).await?;
            Ok::<_, WriteError>((network, sequence))
        };
        let stored = stream::iter(networks).map(ask).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(Looked { positions, stored })
    }

    /// Folds causes whose events are stored. Returns those about which nothing more is to be done, and those that are to be tried again.
    async fn fold(&self, ready: Vec<Held>) -> Result<(Vec<Place>, Vec<Held>), WriteError> {
        let mut networks: BTreeMap<Network, Vec<Held>> = BTreeMap::new();
        for held in ready {
            networks.entry(held.cause.network.clone()).or_default().push(held);
        }
        let (mut settled, mut left) = (Vec::new(), Vec::new());
        for (network, held) in networks {
            let (places, causes): (Vec<Place>, Vec<EnrichedCause>) =
                held.into_iter().map(|h| (h.place, h.cause)).unzip();
            match self.fold_of(&self.patience.until_refused(TRIES, self.refusals), &network, &causes).await {
                Ok(()) => settled.extend(places),
                Err(WriteError::Refused(error) | WriteError::Store(error)) if is_of_the_statement(&error) => {
                    tracing::warn!(%network, %error, causes = causes.len(), "the store refuses causes: they are folded one by one");
                    let (done, not) = self.apart(&network, places, causes).await?;
                    settled.extend(done);
                    left.extend(not);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((settled, left))
    }

    async fn fold_of(
        &self,
        patience: &Patience,
        network: &Network,
        causes: &[EnrichedCause],
    ) -> Result<(), WriteError> {
        let started = Instant::now();
        let outcomes = patience.again(|| fold(&self.store, network, causes)).await?;
        let count = |wanted: Folded| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        metrics::causes("folded", count(Folded::Done));
        metrics::causes("held", count(Folded::Held));
        metrics::causes("void", count(Folded::NoRow));
        metrics::folded(started.elapsed());
        let now = TimeMs::now();
        for (cause, _) in causes.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Folded::Done) {
            metrics::cause_visible_after(Duration::from_millis(now.0.saturating_sub(cause.found_at.0).max(0) as u64));
        }
        Ok(())
    }

    /// Folds causes of which the store refuses some: each for itself. Where it takes others, what it refuses is given up; where it takes
    /// none, it may be the store.
    async fn apart(
        &self,
        network: &Network,
        places: Vec<Place>,
        causes: Vec<EnrichedCause>,
    ) -> Result<(Vec<Place>, Vec<Held>), WriteError> {
        let patience = self.patience.until_refused(1, Duration::ZERO);
        let (mut settled, mut refused) = (Vec::new(), Vec::new());
        for (place, cause) in places.into_iter().zip(causes) {
            match self.fold_of(&patience, network, std::slice::from_ref(&cause)).await {
                Ok(()) => settled.push(place),
                Err(WriteError::Refused(error) | WriteError::Store(error)) if is_of_the_statement(&error) => {
                    refused.push((Held { place, cause }, error));
                }
                Err(error) => return Err(error),
            }
        }
        if settled.is_empty() {
            self.patience.pause().await?;
            return Ok((settled, refused.into_iter().map(|(held, _)| held).collect()));
        }
        metrics::causes("refused", refused.len());
        for (held, error) in refused {
            let (height, index) = (held.cause.height, held.cause.transaction_index);
            tracing::error!(%network, height, index, %error, "a cause is given up: the store takes others, and refuses it");
            settled.push(held.place);
        }
        Ok((settled, Vec::new()))
    }

    fn pass_over(&self, waiting: &mut Waiting) {
        for network in waiting.make_room(Instant::now(), self.waits) {
            tracing::warn!(%network, "its causes are passed over, since its rows do not come: they are read again when those do");
        }
        let passed: Vec<String> = waiting.passed().into_iter().map(Network::to_string).collect();
        metrics::causes_passed_over(passed.len());
        let words = (!passed.is_empty()).then(|| {
            format!(
                "causes of failures of {} wait for their blocks' rows, which do not come: see what halts them",
                passed.join(", ")
            )
        });
        self.busy.warn("causes", words);
    }

    async fn commit(
        &self,
        consumer: &mut dyn Consumer,
        waiting: &mut Waiting,
        positions: &mut Positions,
    ) -> Result<(), Failure> {
        let moved = waiting.moved();
        if !moved.is_empty() {
            positions.reached(&moved);
            consumer.commit(moved).await?;
        }
        // One of them is enough, and the next may take it along: a lower one than is true only has some read twice.
        if let Err(error) = positions.tell(&self.store, &self.instance).await {
            tracing::debug!(%error, "the store is not told now where its causes stand");
        }
        Ok(())
    }
}

fn pauses(consumer: &mut dyn Consumer, waiting: &mut Waiting) -> Result<(), LogError> {
    let (pause, resume) = waiting.pauses();
    consumer.pause(&pause)?;
    consumer.resume(&resume)
}

/// Whether it may be what is asked, rather than the store.
fn is_of_the_statement(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::Internal | StoreErrorKind::TooLarge | StoreErrorKind::BadRequest)
}
