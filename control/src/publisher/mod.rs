//! The one publisher of what changed in the control store (rule 34): outbox → `control.config` and `control.tenants`.
//!
//! ```text
//! change ─┐ (one transaction)
//!         ▼
//!      outbox ──keys──▶ publisher ──present row and revision──▶ log ──▶ marked in the outbox
//!         (lease, fence, take over)
//! ```
//!
//! Guarantee: what the log has of a thing is never older than what it had: one process publishes at a time ([`lease`]), whoever took
//! over fences the one before by the transactional id and only then reads the rows that it writes ([`rows`]), and compares the topics
//! with the store first ([`take_over`]). Nothing is lost: a thing is marked as published only when its row is in the log, and a change
//! that came meanwhile raised the revision, so that it is published again. Killed anywhere, the worst is that a row is written twice,
//! with one revision. A change that this process makes is published at once, one of others within [`Pace::look`]. The database or the
//! log away: it waits, says so ([`Standing`]), and tries again.

mod error;
mod lease;
mod metrics;
mod records;
mod rows;
mod since;
mod take_over;

use std::{convert::Infallible, sync::Arc, time::Duration};

use error::PublishError;
use lease::Lease;
use records::Limits;
use rows::{KINDS, Place, Unpublished};
use runtime::log::{Log, Producer, Transaction};
use schemas::codec::Codec;
use since::Since;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{open::Control, sql::SystemSql};

/// Whoever writes under it fences the former one.
pub const TRANSACTIONAL_ID: &str = "control.publisher";
/// Bytes of values in one transaction of the log, about.
const TRANSACTION_BYTES: usize = 4 << 20;
/// Failures in a row after which another process may try.
const FAILURES: u32 = 3;
/// Pauses after a failure: the first, doubled each time, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));
/// The longest that the end of the process waits for the lease to be let go of.
const FAREWELL: Duration = Duration::from_secs(1);

pub(crate) fn statements() -> impl Iterator<Item = (&'static str, SystemSql)> {
    rows::STATEMENTS.iter().chain(take_over::STATEMENTS).copied()
}

/// How often things are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often the outbox is looked at for what other processes changed.
    pub look: Duration,
    /// How often the holder of the lease says that it lives.
    pub beat: Duration,
    /// After how long without that another takes over. Several times [`Self::beat`].
    pub lease: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_millis(400), beat: Duration::from_secs(2), lease: Duration::from_secs(8) }
    }
}

/// What the publisher of this process is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Whether this is the process that publishes.
    pub publishes: bool,
    /// What keeps changes from the stages, and what to do; `None`: nothing.
    pub trouble: Option<String>,
}

/// This process's part in publishing.
pub struct Publisher {
    control: Arc<Control>,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    instance: String,
    pace: Pace,
    standing: watch::Sender<Standing>,
}

/// How it ended that this process published.
enum Ended {
    /// Another has the lease, or the log.
    Lost,
    /// It did not work.
    Failed(PublishError),
}

impl Publisher {
    /// Of a process that is called `instance`: two that run at the same time have two names.
    pub fn new(control: Arc<Control>, log: Arc<dyn Log>, codec: Arc<Codec>, instance: &str) -> Self {
        metrics::describe();
        let standing = watch::Sender::default();
        Self { control, log, codec, instance: instance.to_owned(), pace: Pace::default(), standing }
    }

    /// At another pace.
    #[must_use]
    pub fn at(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// What it is doing.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Publishes, or stands by, until told to end.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut lease = Lease::new(self.control.db.clone(), &self.instance, self.pace.lease);
        tokio::select! {
            never = self.take_turns(&mut lease) => match never {},
            () = shutdown.cancelled() => {}
        }
        metrics::publishes(false);
        if !matches!(timeout(FAREWELL, lease.release()).await, Ok(Ok(()))) {
            tracing::debug!("the lease of the publisher was not let go of; another process waits for its end");
        }
    }

    async fn take_turns(&self, lease: &mut Lease) -> Infallible {
        let mut failures = 0u32;
        loop {
            match lease.turn().await {
                Ok(true) => {}
                Ok(false) => {
                    failures = 0;
                    self.say(false, None);
                    tracing::debug!(holder = lease.holder(), "another process publishes");
                    sleep(jittered(self.pace.beat)).await;
                    continue;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.say(false, Some(PublishError::Store(error).to_string()));
                    sleep(pause(failures)).await;
                    continue;
                }
            }
            let begun = Instant::now();
            let error = match self.publish(lease).await {
                Ended::Lost => {
                    tracing::warn!("another process publishes what changes in the control store from now on");
                    self.say(false, None);
                    sleep(jittered(RETRY.0)).await;
                    continue;
                }
                Ended::Failed(error) => error,
            };
            failures = if begun.elapsed() > self.pace.lease { 1 } else { failures.saturating_add(1) };
            // One that passes at once is not worth a word.
            if failures > 1 {
                tracing::warn!(%error, failures, "trying again");
                self.say(false, Some(error.to_string()));
            }
            sleep(pause(failures)).await;
            if failures >= FAILURES && error.is_of_the_log() {
                // Another may reach it.
                let _ = lease.release().await;
                sleep(jittered(self.pace.beat)).await;
            }
        }
    }

    /// Publishes until that fails, or another takes over.
    async fn publish(&self, lease: &mut Lease) -> Ended {
        let producer = match self.log.producer(TRANSACTIONAL_ID).await {
            Ok(producer) => producer,
            Err(error) => return Ended::Failed(error.into()),
        };
        // The producer fences whoever published before. Is that what the lease says? A process that was held up for long before it had
        // its producer has fenced the right one, which will fence it in turn.
        match lease.turn().await {
            Ok(true) => {}
            Ok(false) => return Ended::Lost,
            Err(error) => return Ended::Failed(error.into()),
        }
        let error = tokio::select! {
            outcome = self.publish_all(producer) => match outcome {
                Ok(never) => match never {},
                Err(error) => error,
            },
            () = self.lose(lease) => return Ended::Lost,
        };
        metrics::publishes(false);
        if error.is_fenced() { Ended::Lost } else { Ended::Failed(error) }
    }

    /// Beats until another has the lease. A store that is away says nothing about that: whoever gets it there fences this one.
    async fn lose(&self, lease: &mut Lease) {
        loop {
            sleep(self.pace.beat).await;
            match lease.turn().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::debug!(%error, "the lease of the publisher was not renewed"),
            }
        }
    }

    /// Compares the log with the store, then publishes what is unpublished, for ever.
    async fn publish_all(&self, mut producer: Box<dyn Producer>) -> Result<Infallible, PublishError> {
        let limits = Limits::of(&*self.log).await?;
        let mut since = Since::default();
        let public = self.control.is_public();
        let found = take_over::take_over(&self.control.db, &*self.log, &self.codec, public, &mut since).await?;
        tracing::info!(
            instance = self.instance,
            differ = found,
            "this process publishes what changes in the control store"
        );
        metrics::publishes(true);
        let mut waiting_since: Option<Instant> = None;
        loop {
            let looked = Instant::now();
            let refused = self.look(&mut *producer, &limits, &mut since, &mut waiting_since).await?;
            self.say(true, refused);
            tokio::select! {
                () = self.control.db.changed() => {}
                () = sleep(self.pace.look.saturating_sub(looked.elapsed())) => {}
            }
        }
    }

    /// Publishes all that is unpublished now. In words what could not be written, if there is such a thing: it stays unpublished, and the
    /// rest does not wait for it.
    async fn look(
        &self,
        producer: &mut dyn Producer,
        limits: &Limits,
        since: &mut Since,
        waiting_since: &mut Option<Instant>,
    ) -> Result<Option<String>, PublishError> {
        let mut refused: Option<PublishError> = None;
        let mut found = 0;
        for kind in KINDS {
            let mut after = Place::default();
            loop {
                let (mut page, more) =
                    rows::unpublished(&self.control.db, kind, &after, self.control.is_public()).await?;
                let Some(last) = page.last() else { break };
                after = last.place.clone();
                found += page.len();
                let waits = *waiting_since.get_or_insert_with(Instant::now);
                metrics::waiting(found, waits.elapsed().as_secs_f64());
                page.iter_mut().for_each(|thing| since.say(thing));
                let mut batch = Batch::default();
                for thing in &page {
                    match records::record(&self.codec, limits, thing) {
                        Ok(record) => {
                            batch.add(thing, record);
                            if batch.bytes >= TRANSACTION_BYTES {
                                self.write(producer, std::mem::take(&mut batch)).await?;
                            }
                        }
                        Err(error) => {
                            let key = kind.key(&thing.place);
                            tracing::error!(key, %error, "a change cannot be told to the stages");
                            refused = Some(error);
                        }
                    }
                }
                self.write(producer, batch).await?;
                if !more {
                    break;
                }
            }
        }
        if refused.is_none() {
            *waiting_since = None;
            metrics::waiting(0, 0.0);
        }
        Ok(refused.map(|error| error.to_string()))
    }

    /// Into the log, and then into the store that it is there.
    async fn write(&self, producer: &mut dyn Producer, batch: Batch<'_>) -> Result<(), PublishError> {
        let Batch { things, records, .. } = batch;
        let Some(first) = things.first() else { return Ok(()) };
        let (topic, number) = (records::place(first.kind).topic, records.len() as u64);
        producer.commit(Transaction { records, offsets: None }).await?;
        metrics::published(topic, number);
        rows::mark(&self.control.db, things.into_iter()).await?;
        Ok(())
    }

    fn say(&self, publishes: bool, trouble: Option<String>) {
        let now = Standing { publishes, trouble };
        self.standing.send_if_modified(|standing| {
            let news = *standing != now;
            *standing = now;
            news
        });
    }
}

/// What goes into one transaction of the log.
#[derive(Default)]
struct Batch<'a> {
    things: Vec<&'a Unpublished>,
    records: Vec<runtime::log::NewRecord>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn add(&mut self, thing: &'a Unpublished, record: runtime::log::NewRecord) {
        self.bytes += record.value.as_ref().map_or(0, bytes::Bytes::len);
        self.things.push(thing);
        self.records.push(record);
    }
}

/// A pause that two processes do not make alike: half of it to all of it.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn pause(failures: u32) -> Duration {
    jittered(RETRY.0.saturating_mul(1 << failures.clamp(1, 10)).min(RETRY.1))
}
