//! What is decided for the stages (rule 34): one reader per process follows `control.config`, and gives each who asks what he wants to
//! know: what operators ask ([`Known`], [`Wishes`]), and which addresses are watched ([`Watched`]).
//!
//! ```text
//! control.config ──reader (one per process)──▶ fold ──watch (the newest counts)──▶ stages, watchers
//! ```
//!
//! Guarantee: who has waited for [`Follower::ready`] knows all that was in the topic when the following began, and who has waited for
//! [`Follower::up_to_now`] all that is in it then; what comes later is known within moments. The newest record of a key counts, its
//! tombstone removes it; where records carry a revision, one with a lower revision than was seen says nothing. Other programs' records
//! and kinds that this version does not know are passed over (rules 13 and 34). A request of ours that cannot be read holds up its own
//! network's requests and nothing else. Nothing of it ends a stage: a log that does not answer is read again, from the beginning, and
//! what was known stays until that is done.

mod fold;
mod requests;
#[cfg(test)]
mod tests;
mod told;
mod watched;

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
    time::Duration,
};

use fold::Fold;
pub use requests::{Known, Wishes};
use schemas::{Network, codec::Codec, topics};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use told::{Told, View};
pub use watched::Watched;

use crate::log::{Log, LogError, LogErrorKind, PollLimits, Polled, TopicPartition, fold_from};

const AT: TopicPartition = TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 };
/// How much one poll brings, and how long it waits.
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_millis(500) };
/// Pause before a log that did not answer is read again.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that somebody waits for what was decided before he asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// Follows what is decided until the last clone is dropped.
#[derive(Clone)]
pub struct Follower {
    told: Arc<Told>,
    view: watch::Receiver<Option<View>>,
    /// Gone where nothing is followed.
    reading: Option<(Reading, Arc<AbortOnDropHandle<()>>)>,
}

impl Follower {
    /// Begins to follow, on the present runtime.
    pub fn follow(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        let told = Arc::new(Told::new());
        let reading = Reading { log, codec, told: told.clone() };
        let task = Arc::new(AbortOnDropHandle::new(tokio::spawn(reading.clone().run())));
        Self { view: told.view.subscribe(), told, reading: Some((reading, task)) }
    }

    /// Nothing is decided, for ever.
    pub fn none() -> Self {
        let told = Arc::new(Told::new());
        told.nothing();
        Self { view: told.view.subscribe(), told, reading: None }
    }

    /// Waits until all that was decided before the following began is known.
    pub async fn ready(&mut self) {
        let _ = self.view.wait_for(Option::is_some).await;
    }

    /// Waits until all that stands in the log now is known: before a stage's first event of what it was assigned (rule 34). By a reader
    /// of its own: one that follows a cluster cannot tell that it stands at an end that came later, where the last offset is no record
    /// but the end of a transaction.
    ///
    /// # Errors
    /// What the log says; [`LogErrorKind::Unavailable`] when it cannot be read within half a minute.
    pub async fn up_to_now(&self) -> Result<(), LogError> {
        let Some((reading, _)) = &self.reading else { return Ok(()) };
        match tokio::time::timeout(PATIENCE, reading.up_to_now()).await {
            // It is made by whoever decides something first.
            Ok(Err(error)) if error.kind == LogErrorKind::NoTopic => Ok(()),
            Ok(read) => read,
            Err(_) => {
                let message = format!(
                    "{} was not read to its end within {} s: what is decided for the stages is not known, and no network is begun without it",
                    AT.topic,
                    PATIENCE.as_secs()
                );
                Err(LogError::new(LogErrorKind::Unavailable, message))
            }
        }
    }

    /// The requests that are known now.
    pub fn known(&self) -> Arc<Known> {
        self.view.borrow().as_ref().map(|view| view.known.clone()).unwrap_or_default()
    }

    /// Addresses of a network that somebody calls his own, as known now. It is the same `Arc` until that changes.
    pub fn watched(&self, network: &Network) -> Arc<Watched> {
        static NONE: LazyLock<Arc<Watched>> = LazyLock::new(Arc::default);
        self.view.borrow().as_ref().and_then(|view| view.watched.get(network)).unwrap_or(&NONE).clone()
    }

    /// What is asked of a network, from now on.
    pub fn of(&self, network: &Network) -> watch::Receiver<Wishes> {
        self.told.of(network)
    }

    /// Waits until something changes; for ever when nothing can any more.
    pub async fn changed(&mut self) {
        if self.view.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The reader's side.
#[derive(Clone)]
struct Reading {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    told: Arc<Told>,
}

impl Reading {
    async fn run(self) {
        loop {
            let error = match self.read().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            if error.kind == LogErrorKind::NoTopic {
                // It is made by whoever decides something first.
                tracing::debug!(%error, "nothing is decided yet");
                self.told.nothing();
            } else {
                tracing::warn!(%error, "what is decided for the stages cannot be read; trying again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// From the beginning on, for ever. Nothing is said before the end, as it was then, is reached: half a fold asks for what has been
    /// ended since.
    async fn read(&self) -> Result<Infallible, LogError> {
        let ends = self.log.watermarks(AT).await?;
        let mut reader = self.log.reader(&[(AT, ends.low)]).await?;
        let mut first = Some(Fold::default());
        loop {
            if reader.reached(AT) >= ends.high
                && let Some(whole) = first.take()
            {
                self.told.install(whole, ends.high);
            }
            match reader.poll(POLL).await? {
                Polled::Records(records) => match &mut first {
                    Some(fold) => {
                        for record in &records {
                            fold.take(&self.codec, record);
                        }
                    }
                    None => self.told.take(&self.codec, &records),
                },
                Polled::OutOfRange { at, oldest, .. } => {
                    // What ended a request may be among what is gone.
                    let message = format!("{} was removed below {oldest} before it was read", at.topic);
                    return Err(LogError::new(LogErrorKind::Unavailable, message));
                }
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }

    async fn up_to_now(&self) -> Result<(), LogError> {
        if let Some(next) = self.told.next() {
            let each = |record| {
                self.told.take(&self.codec, std::slice::from_ref(&record));
                Ok::<(), LogError>(())
            };
            return fold_from(&*self.log, AT, next, each).await.map(drop);
        }
        let mut whole = Fold::default();
        let each = |record| {
            whole.take(&self.codec, &record);
            Ok::<(), LogError>(())
        };
        let end = fold_from(&*self.log, AT, 0, each).await?;
        self.told.install(whole, end);
        Ok(())
    }
}
