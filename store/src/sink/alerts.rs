//! `alerts.events`, `alerts.deliveries`, `alerts.matches` → the tables of tenants (rule 29).
//!
//! Guarantee: every transition, attempt and match that the topics keep is in the store, each once: keys follow from the records, so that a
//! replay changes nothing. Positions move only behind what is on disk, and the store says itself up to where it has each topic
//! ([`super::position`]): one that was lost, or is another one, gets its records again as long as the log has them. Block events never wait
//! for it: it is a group, a batch and a task of its own, and whatever becomes of it, a server that grants nothing on that database included,
//! does not end the sink; that it fails is said ([`Busy::fails`]). Shown by `tests/sink/alerts.rs`.
//!
//! A record that is not ours, of a version that this one does not know, or without a time in its id, is passed over and counted.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use runtime::log::{Consumer, Log, LogError, LogErrorKind, Offsets, PollLimits, Polled, Record, TopicPartition};
use schemas::{
    TimeMs,
    codec::Codec,
    limits,
    records::{Alert, AlertDelivery, AlertEvent, AlertMatch, Found, MatchOp},
    topics::{ALERTS_DELIVERIES, ALERTS_EVENTS, ALERTS_MATCHES},
};
use tokio::time::sleep;

use super::{
    SinkConfig,
    aside::{Failure, Health, Held, STAND_BY, memberships, serve},
    beat::Busy,
    error::WriteError,
    insert::{insert_alert_deliveries, insert_alert_events, insert_alert_matches, insert_alerts, insert_left_out},
    metrics,
    patience::Patience,
    position::Positions,
};
use crate::{
    Store,
    rows::{LeftOutSaid, Said},
    ulid,
};

/// The consumer group.
pub const GROUP: &str = "sink.alerts";
/// Its topics.
pub const TOPICS: [&str; 3] = [ALERTS_EVENTS.name, ALERTS_DELIVERIES.name, ALERTS_MATCHES.name];

/// Where the store says how far it has each of them.
const POSITIONS: [&str; 3] = ["alert_event_position_rows", "alert_delivery_position_rows", "alert_match_position_rows"];
/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 4_096, bytes: 8 << 20, wait: Duration::from_millis(100) };
/// Records of one batch, at most, and bytes of them; a poll's more.
const BATCH: (usize, usize) = (20_000, 16 << 20);
/// Pause before a store that refuses to make the database is asked again.
const REFUSED: Duration = Duration::from_secs(60);

/// A transition with the alert after it and the time in its id; an attempt with the time in its id; a match with what was found.
type SaidEvent = Said<AlertEvent, (Alert, TimeMs)>;
type SaidDelivery = Said<AlertDelivery, TimeMs>;
type SaidMatch = Said<AlertMatch, Found>;

/// What a record of `alerts.matches` is.
enum OfMatches {
    Match(SaidMatch),
    LeftOut(LeftOutSaid),
}

/// Brings what becomes of alerts to the store.
pub(super) struct Alerts {
    chains: Store,
    store: Store,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    instance: String,
    patience: Patience,
    age: Duration,
    health: Health,
}

/// What is written at once, with its positions.
#[derive(Default)]
struct Batch {
    events: Vec<SaidEvent>,
    deliveries: Vec<SaidDelivery>,
    matches: Vec<SaidMatch>,
    left_out: Vec<LeftOutSaid>,
    bytes: usize,
    offsets: BTreeMap<TopicPartition, u64>,
    since: Option<Instant>,
}

/// What becomes of a record that is no row.
enum PassedOver {
    /// It says nothing that has a row: of a rule's figure, or that a reorg is over.
    NoRow,
    /// It cannot be read.
    Unreadable(String),
}

impl Batch {
    fn is_due(&self, age: Duration) -> bool {
        let records = self.events.len() + self.deliveries.len() + self.matches.len() + self.left_out.len();
        records >= BATCH.0 || self.bytes >= BATCH.1 || self.since.is_some_and(|since| since.elapsed() >= age)
    }

    fn take(&mut self, codec: &Codec, records: &[Record]) {
        for record in records {
            self.since.get_or_insert_with(Instant::now);
            self.offsets.insert(record.from, record.offset + 1);
            let Some(value) = &record.value else { continue };
            let topic = record.from.topic;
            let taken = if topic == ALERTS_EVENTS.name {
                event(codec, value, record.offset).map(|said| self.events.push(said))
            } else if topic == ALERTS_DELIVERIES.name {
                delivery(codec, value, record.offset).map(|said| self.deliveries.push(said))
            } else {
                matched(codec, value, record.offset).map(|said| match said {
                    OfMatches::Match(said) => self.matches.push(said),
                    OfMatches::LeftOut(said) => self.left_out.push(said),
                })
            };
            match taken {
                Ok(()) => self.bytes += value.len(),
                Err(PassedOver::NoRow) => {}
                Err(PassedOver::Unreadable(error)) => {
                    tracing::warn!(%error, at = ?record.from, offset = record.offset, "a record of alerts cannot be read");
                    metrics::alerts(topic, "unreadable", 1);
                }
            }
        }
    }

    /// Of each alert what its last transition here left. In the order of the key, so that a second try writes the same bytes.
    fn last(&self) -> Vec<&SaidEvent> {
        let mut last: BTreeMap<(&str, &str), &SaidEvent> = BTreeMap::new();
        for said in &self.events {
            let held = last.entry((&said.record.tenant, &said.record.alert_id)).or_insert(said);
            if held.record.revision <= said.record.revision {
                *held = said;
            }
        }
        last.into_values().collect()
    }
}

fn unreadable(error: impl std::fmt::Display) -> PassedOver {
    PassedOver::Unreadable(error.to_string())
}

/// Times as those of blocks.
fn within(at: TimeMs) -> Result<(), PassedOver> {
    match (0..limits::BLOCK_TIME_END_MS).contains(&at.0) {
        true => Ok(()),
        false => Err(unreadable(format!("{} ms is no time of an alert", at.0))),
    }
}

/// The time in an id.
fn made_at(id: &str) -> Result<TimeMs, PassedOver> {
    let made_at = ulid::time(id).ok_or_else(|| unreadable(format!("`{}` is no ULID", id.escape_debug())))?;
    within(made_at).map(|()| made_at)
}

fn event(codec: &Codec, value: &[u8], place: u64) -> Result<SaidEvent, PassedOver> {
    let record: AlertEvent = codec.decode(value).map_err(unreadable)?;
    let made_at = made_at(&record.alert_id)?;
    within(record.at)?;
    let alert: Alert = serde_json::from_str(&record.alert).map_err(unreadable)?;
    Ok(Said { record, more: (alert, made_at), place })
}

fn delivery(codec: &Codec, value: &[u8], place: u64) -> Result<SaidDelivery, PassedOver> {
    let record: AlertDelivery = codec.decode(value).map_err(unreadable)?;
    let more = made_at(&record.id)?;
    within(record.at)?;
    Ok(Said { record, more, place })
}

fn matched(codec: &Codec, value: &[u8], place: u64) -> Result<OfMatches, PassedOver> {
    let record: AlertMatch = codec.decode(value).map_err(unreadable)?;
    if let Some(more) = record.left_out() {
        within(record.at)?;
        return Ok(OfMatches::LeftOut(Said { record, more, place }));
    }
    let of_a_match = matches!(record.op, MatchOp::Match | MatchOp::Retract | MatchOp::IncludedAgain);
    let Some(more) = record.found.clone().filter(|_| of_a_match) else { return Err(PassedOver::NoRow) };
    within(record.at)?;
    Ok(OfMatches::Match(Said { record, more, place }))
}

impl Alerts {
    pub fn new(
        store: Store,
        log: Arc<dyn Log>,
        codec: Arc<Codec>,
        config: &SinkConfig,
        patience: Patience,
        busy: Busy,
    ) -> Self {
        let (tenants, age, instance) = (store.tenants(), config.alerts_age, config.instance.clone());
        let health = Health::new("alerts", busy, config.windows_patience);
        Self { chains: store, store: tenants, log, codec, instance, patience, age, health }
    }

    /// Says that there is no history, where there is anything to be in it: who has no alerts misses none.
    async fn has_no_history(&self, words: String) {
        match self.has_alerts().await {
            Ok(true) => self.health.say(words),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "whether anybody has alerts is not known now"),
        }
    }

    /// Whether anything ever came of any alert.
    async fn has_alerts(&self) -> Result<bool, LogError> {
        let mut all = Vec::new();
        for topic in TOPICS {
            let partitions = self.log.partitions(topic).await?;
            all.extend((0..partitions).map(|partition| TopicPartition { topic, partition }));
        }
        Ok(self.log.ends(&all).await?.iter().any(|ends| ends.high > 0))
    }

    /// Until it is dropped, or the stage is told to stop.
    pub async fn run(self) {
        let this = &self;
        let member = move || async move {
            this.made().await?;
            let ended = this.member().await;
            let why = match &ended {
                Ok(()) | Err(Failure::Write(WriteError::Stopped)) => None,
                // Where nobody runs alerts there is nothing to be had.
                Err(Failure::Log(error)) if error.kind == LogErrorKind::NoTopic => None,
                Err(failure) => Some(failure.to_string()),
            };
            if let Some(why) = why
                && this.health.fails_for_long()
            {
                let words = format!(
                    "what becomes of alerts does not get into the store: {why}. They fire and are sent all the same"
                );
                this.has_no_history(words).await;
            }
            ended
        };
        memberships("alerts", member).await;
    }

    /// The database of tenants is there, of this version.
    async fn made(&self) -> Result<(), Failure> {
        let Err(error) = self.patience.again(|| self.chains.migrate_tenants()).await else { return Ok(()) };
        if !matches!(error, WriteError::Stopped) {
            let words = format!(
                "alerts have no history: the store does not let us make the database {} ({error}); give the store's user the rights of \
                 docs/clients.md",
                self.store.database()
            );
            tracing::warn!("{words}");
            // It is said at once, since waiting does not help, and taken back when something is written.
            self.health.fails_for_long();
            self.has_no_history(words).await;
            sleep(REFUSED).await;
        }
        Err(error.into())
    }

    /// One membership of the group.
    async fn member(&self) -> Result<(), Failure> {
        let mut consumer = self.log.consumer(GROUP, &self.instance, &TOPICS).await?;
        let mut held = Held::default();
        let mut positions = POSITIONS.map(Positions::of);
        let mut batch = Batch::default();
        let joined = Instant::now();
        loop {
            let polled = consumer.poll(POLL).await?;
            self.follow(&mut *consumer, &mut held, &mut batch, polled).await?;
            if !held.unplaced.is_empty() {
                self.place(&mut *consumer, &mut held, &positions).await?;
            }
            if !batch.is_due(self.age) {
                if batch.since.is_none() {
                    self.health.idle(joined);
                }
                // What was told too soon after the last time is told now.
                self.tell(&mut positions).await;
                continue;
            }
            let mut next = Batch::default();
            {
                let write = self.write(&batch);
                tokio::pin!(write);
                loop {
                    tokio::select! {
                        biased;
                        written = &mut write => break written?,
                        () = sleep(STAND_BY) => {
                            if self.health.fails_for_long() {
                                self.health.say("the store has not taken what became of alerts yet".to_owned());
                            }
                            let polled = serve(&mut *consumer, &held.all(), POLL).await?;
                            self.follow(&mut *consumer, &mut held, &mut next, polled).await?;
                        }
                    }
                }
            }
            self.health.works();
            consumer.resume(&held.placed())?;
            // Positions of what went to others meanwhile are theirs to move.
            let ours: Offsets = batch.offsets.into_iter().filter(|(at, _)| held.placed.contains(at)).collect();
            if !ours.is_empty() {
                for (positions, topic) in positions.iter_mut().zip(TOPICS) {
                    let of_topic: Offsets = ours.iter().copied().filter(|(at, _)| at.topic == topic).collect();
                    positions.reached(&of_topic);
                }
                consumer.commit(ours).await?;
            }
            self.tell(&mut positions).await;
            batch = next;
        }
    }

    async fn follow(
        &self,
        consumer: &mut dyn Consumer,
        held: &mut Held,
        batch: &mut Batch,
        polled: Polled,
    ) -> Result<(), LogError> {
        match polled {
            Polled::Records(records) => batch.take(&self.codec, &records),
            Polled::Assigned(assigned) => held.assigned(consumer, assigned)?,
            Polled::Revoked(gone) => {
                held.revoked(&gone);
                batch.offsets.retain(|at, _| !gone.contains(at));
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                // From the beginning is asked for where the store says nothing.
                metrics::alerts(at.topic, "overtaken", if wanted == 0 { 0 } else { oldest.saturating_sub(wanted) });
                consumer.seek(at, oldest).await?;
            }
        }
        Ok(())
    }

    /// Begins with those that wait for the store's word.
    async fn place(
        &self,
        consumer: &mut dyn Consumer,
        held: &mut Held,
        positions: &[Positions; 3],
    ) -> Result<(), Failure> {
        let mut told = BTreeMap::new();
        for (positions, topic) in positions.iter().zip(TOPICS) {
            for (partition, offset) in self.patience.again(|| positions.read(&self.store)).await? {
                told.insert(TopicPartition { topic, partition }, offset);
            }
        }
        Ok(held.place(consumer, &told).await?)
    }

    /// Rows of a batch, again until they are on disk: a transition before what it left, so that nobody sees an alert without its story.
    async fn write(&self, batch: &Batch) -> Result<(), WriteError> {
        let last = batch.last();
        self.patience.again(|| insert_alert_events(&self.store, &batch.events)).await?;
        self.patience.again(|| insert_alerts(&self.store, &last)).await?;
        self.patience.again(|| insert_alert_deliveries(&self.store, &batch.deliveries)).await?;
        self.patience.again(|| insert_alert_matches(&self.store, &batch.matches)).await?;
        self.patience.again(|| insert_left_out(&self.store, &batch.left_out)).await?;
        metrics::alerts(ALERTS_EVENTS.name, "written", batch.events.len() as u64);
        metrics::alerts(ALERTS_DELIVERIES.name, "written", batch.deliveries.len() as u64);
        metrics::alerts(ALERTS_MATCHES.name, "written", (batch.matches.len() + batch.left_out.len()) as u64);
        Ok(())
    }

    async fn tell(&self, positions: &mut [Positions; 3]) {
        for positions in positions {
            // One of them is enough, and the next may take it along: a lower one than is true only has some read twice.
            if let Err(error) = positions.tell(&self.store, &self.instance).await {
                tracing::debug!(%error, "the store is not told now where its alerts stand");
            }
        }
    }
}
