//! What groups that read aside of block events have in common: samples, causes, windows, alerts. Each is a task of its own; whatever becomes of it
//! does not end the sink.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use runtime::log::{Consumer, LogError, LogErrorKind, PollLimits, Polled, TopicPartition};
use tokio::time::sleep;

use super::{beat::Busy, error::WriteError};

/// How long the store may take before the group is served without reading ([`serve`]).
pub(super) const STAND_BY: Duration = Duration::from_secs(2);
/// One look at the group then.
const LOOK: Duration = Duration::from_millis(100);
/// Pause before a log or a store that failed is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// Why a membership ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the log failed: {0}")]
    Log(#[from] LogError),
    #[error("the store refuses: {0}")]
    Write(#[from] WriteError),
}

/// One membership after the other, until the stage is told to stop. `what` is read.
pub(super) async fn memberships<M>(what: &'static str, member: impl Fn() -> M)
where
    M: Future<Output = Result<(), Failure>>,
{
    loop {
        match member().await {
            Ok(()) | Err(Failure::Write(WriteError::Stopped)) => return,
            // A cluster whose topics an operator makes may not have it yet.
            Err(Failure::Log(error)) if error.is_transient() && error.kind != LogErrorKind::Denied => {
                tracing::debug!(%error, "{what} cannot be read; trying again");
            }
            Err(failure) => tracing::warn!(%failure, "{what} do not get into the store; trying again"),
        }
        sleep(PAUSE).await;
    }
}

/// While the store takes long, the group is served, and brings nothing more of these, which are all that are ours. They stay paused.
pub(super) async fn serve(
    consumer: &mut dyn Consumer,
    all: &[TopicPartition],
    poll: PollLimits,
) -> Result<Polled, LogError> {
    consumer.pause(all)?;
    consumer.poll(PollLimits { wait: LOOK, ..poll }).await
}

/// Partitions that are ours, of a group that begins where the store says ([`super::position`]).
#[derive(Default)]
pub(super) struct Held {
    /// That are read.
    pub placed: BTreeSet<TopicPartition>,
    /// That wait for the store's word on where, with the group's.
    pub unplaced: BTreeMap<TopicPartition, Option<u64>>,
}

impl Held {
    /// Those that are read.
    pub fn placed(&self) -> Vec<TopicPartition> {
        self.placed.iter().copied().collect()
    }

    /// All of them.
    pub fn all(&self) -> Vec<TopicPartition> {
        self.placed.iter().chain(self.unplaced.keys()).copied().collect()
    }

    /// These are ours from now on. Nothing of them is read before it is known from where.
    pub fn assigned(
        &mut self,
        consumer: &mut dyn Consumer,
        assigned: Vec<(TopicPartition, Option<u64>)>,
    ) -> Result<(), LogError> {
        let new: Vec<TopicPartition> = assigned.iter().map(|(at, _)| *at).collect();
        consumer.pause(&new)?;
        self.unplaced.extend(assigned);
        Ok(())
    }

    /// These are not any more.
    pub fn revoked(&mut self, gone: &[TopicPartition]) {
        self.placed.retain(|at| !gone.contains(at));
        self.unplaced.retain(|at, _| !gone.contains(at));
    }

    /// Goes to where both the group and the store, which said this, have everything before: what lies behind is not in the store, or may
    /// not be.
    pub async fn place(
        &mut self,
        consumer: &mut dyn Consumer,
        told: &BTreeMap<TopicPartition, u64>,
    ) -> Result<(), LogError> {
        for (at, group) in std::mem::take(&mut self.unplaced) {
            let offset = told.get(&at).copied().unwrap_or(0).min(group.unwrap_or(0));
            consumer.seek(at, offset).await?;
            consumer.resume(&[at])?;
            self.placed.insert(at);
        }
        Ok(())
    }
}

/// Whether a group works. That it does not is said once it has not for a while, and taken back when it does again.
pub(super) struct Health {
    what: &'static str,
    busy: Busy,
    /// How long it may fail before that is said, and since when it does.
    grace: Duration,
    failing: Mutex<Option<Instant>>,
}

impl Health {
    /// Of the group that reads `what`; nothing failed yet.
    pub fn new(what: &'static str, busy: Busy, grace: Duration) -> Self {
        Self { what, busy, grace, failing: Mutex::default() }
    }

    /// It did not work: whether it has not for long enough that this is to be said.
    pub fn fails_for_long(&self) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.get_or_insert_with(Instant::now).elapsed() >= self.grace
    }

    /// Says that it does not work, and why.
    pub fn say(&self, words: String) {
        self.busy.fails(self.what, Some(words));
    }

    /// It works.
    pub fn works(&self) {
        if self.failing.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            self.busy.fails(self.what, None);
        }
    }

    /// It reads since then, and there is nothing to be written: it works, once that has lasted.
    pub fn idle(&self, since: Instant) {
        if since.elapsed() >= self.grace {
            self.works();
        }
    }
}
