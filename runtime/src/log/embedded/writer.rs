//! The writer: one thread through which everything that changes the log goes.
//!
//! Guarantees: what waits in the queue becomes one atomic batch and one `fdatasync` (group commit); nobody hears "done" before
//! that; fencing and generations are judged here, in one order with the commits; a failed batch leaves neither offsets nor
//! records behind, and whether it is on disk is found out before anyone is answered.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use fjall::PersistMode;
use schemas::TimeMs;
use tokio::sync::mpsc;

use super::{
    Shared, Sync,
    chores::Chores,
    directory::Directory,
    engine::{self, is_no_space},
    job::{Commit, Job, Reply},
    journal,
    room::{Need, Room},
    stage::Stage,
    state::{Partition, TopicState},
};
use crate::log::{LogError, LogErrorKind};

/// Jobs that may wait; then callers wait.
pub const QUEUE: usize = 256;
/// Bytes of blobs after which no further commit joins a batch.
const BATCH_BYTES: u64 = 16 << 20;
/// How often the directory's size is taken.
const SIZE_EVERY: Duration = Duration::from_secs(1);
/// How long to wait between attempts to open a failed engine anew.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// An answer that is given once the batch is decided, or that it is not.
type Answer = Box<dyn FnOnce(&Shared, Result<(), LogError>)>;

/// The thread's state.
pub struct Writer {
    shared: Arc<Shared>,
    directory: Directory,
    sync: Sync,
    batch: u64,
    epochs: HashMap<Arc<str>, u64>,
    used: Option<(Instant, u64)>,
    reopened: Option<Instant>,
}

impl Writer {
    /// The writer of an open log.
    pub fn new(shared: Arc<Shared>, directory: Directory, config: &super::EmbeddedConfig, batch: u64) -> Self {
        Self { shared, directory, sync: config.sync, batch, epochs: HashMap::new(), used: None, reopened: None }
    }

    /// Works until closed, or until nobody can send any more.
    pub fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut closing = Vec::new();
        while closing.is_empty() && !self.shared.closing.load(Ordering::Acquire) {
            let Some(first) = jobs.blocking_recv() else { break };
            let mut taken = vec![first];
            let mut bytes = taken[0].size();
            while taken.len() < QUEUE && bytes < BATCH_BYTES {
                let Ok(job) = jobs.try_recv() else { break };
                bytes += job.size();
                taken.push(job);
            }
            closing = self.process(taken);
        }
        jobs.close();
        // The engine syncs what `sync = "os"` left open.
        let engine = self.shared.engine.write().unwrap_or_else(|e| e.into_inner()).take();
        let closed = match engine.map(|e| e.db.persist(PersistMode::SyncAll)) {
            Some(Err(e)) => Err(engine::engine_error(self.directory.path(), &e)),
            _ => Ok(()),
        };
        self.shared.wake();
        drop(self.directory);
        for reply in closing {
            let _ = reply.send(closed.clone());
        }
    }

    /// Does jobs in their order, as one batch. Returns who wants to hear that the log is closed.
    fn process(&mut self, jobs: Vec<Job>) -> Vec<Reply<()>> {
        let mut stage = Stage::default();
        let mut waiting: Vec<Reply<()>> = Vec::new();
        let mut later: Vec<Answer> = Vec::new();
        let mut closing = Vec::new();
        let room = self.room();
        if room.lacks() > 0 {
            self.shared.short.notify_one();
        }
        let shared = self.shared.clone();
        let chores = Chores { shared: &shared };
        for job in jobs {
            let result = match job {
                Job::Commit(commit, reply) => Some((self.stage_commit(commit, &mut stage, &room), reply)),
                Job::EnsureTopics(specs, partitions, reply) => {
                    Some((chores.topics(&specs, partitions, &mut stage), reply))
                }
                Job::RemoveBlobs(topic, keys, reply) => {
                    chores.removal(&topic, &keys, &mut stage);
                    Some((Ok(()), reply))
                }
                Job::RemoveTombstones(topic, partition, before, reply) => {
                    Some((chores.tombstones(&topic, partition, before, &mut stage), reply))
                }
                Job::RemoveAged(topic, partition, older, reply) => {
                    match chores.aged(&topic, partition, older, &mut stage) {
                        Ok(more) => {
                            later.push(Box::new(move |_, decided| drop(reply.send(decided.map(|()| more)))));
                        }
                        Err(e) => drop(reply.send(Err(e))),
                    }
                    None
                }
                Job::Mark(reply) => {
                    stage.mark = true;
                    Some((Ok(()), reply))
                }
                Job::Fence(id, reply) => {
                    let epoch = self.epochs.entry(id).or_insert(0);
                    *epoch += 1;
                    let epoch = *epoch;
                    later.push(Box::new(move |_, decided| drop(reply.send(decided.map(|()| epoch)))));
                    None
                }
                Job::Positions(group, at, reply) => {
                    later.push(Box::new(move |shared, decided| {
                        drop(reply.send(decided.map(|()| shared.positions_of(&group, &at))));
                    }));
                    None
                }
                Job::Close(reply) => {
                    closing.push(reply);
                    None
                }
            };
            match result {
                Some((Ok(()), reply)) => waiting.push(reply),
                Some((Err(e), reply)) => drop(reply.send(Err(e))),
                None => {}
            }
        }
        let outcome = self.write(stage);
        for reply in waiting {
            let _ = reply.send(outcome.clone());
        }
        // A commit whose outcome nobody knows may still come to light when the engine is opened: until then nothing is decided.
        let open = self.shared.engine.read().unwrap_or_else(|e| e.into_inner()).is_some();
        for answer in later {
            answer(&self.shared, if open { Ok(()) } else { Err(self.shared.undecided_error()) });
        }
        closing
    }

    fn stage_commit(&mut self, commit: Commit, stage: &mut Stage, room: &Room) -> Result<(), LogError> {
        if let Some((id, epoch)) = &commit.producer
            && self.epochs.get(id) != Some(epoch)
        {
            return Err(LogError::new(
                LogErrorKind::Fenced,
                format!("the transactional id {id} has been taken over by a newer producer"),
            ));
        }
        if let Some(offsets) = &commit.offsets {
            let groups = self.shared.groups.lock().unwrap_or_else(|e| e.into_inner());
            if groups.generation(&offsets.group, offsets.member) != Some(offsets.generation) {
                return Err(LogError::new(
                    LogErrorKind::Fenced,
                    format!(
                        "generation {} of group {} is over: what it worked up belongs to others now",
                        offsets.generation, offsets.group
                    ),
                ));
            }
            for (at, ..) in &offsets.offsets {
                if !groups.holds(&offsets.group, offsets.member, offsets.generation, *at) {
                    return Err(LogError::new(
                        LogErrorKind::Invalid,
                        format!(
                            "position on {} [{}], which this member of group {} does not hold",
                            at.topic, at.partition, offsets.group
                        ),
                    ));
                }
            }
        }
        let bytes: u64 = commit.parts.iter().map(|p| p.blob.len() as u64).sum();
        room.check(&self.shared, self.need(&commit), bytes, stage.bytes)?;
        let now = TimeMs::now();
        if !commit.parts.is_empty() {
            let guard = self.shared.engine.read().unwrap_or_else(|e| e.into_inner());
            let engine = guard.as_ref().ok_or_else(|| self.shared.closed_error())?;
            for part in commit.parts {
                // An index row that cannot be read would leave half a transaction staged: nothing of the batch is written then.
                if let Err(e) = stage.add(part, now, engine) {
                    let e = e.into_log(self.directory.path());
                    stage.failed = Some(e.clone());
                    return Err(e);
                }
            }
        }
        if let Some(offsets) = commit.offsets {
            for (_, at, offset) in offsets.offsets {
                stage.position(&offsets.group, at, offset);
            }
        }
        Ok(())
    }

    /// Who brings new work has to wait earlier than who works it off.
    fn need(&self, commit: &Commit) -> Need {
        let holds = &self.shared.holds;
        let works_off = commit.offsets.as_ref().is_some_and(|o| holds.is_reader(&o.group));
        match () {
            () if commit.parts.is_empty() => Need::Small,
            () if works_off || !(holds.is_empty() || commit.parts.iter().any(|p| holds.is_read(&p.topic.name))) => {
                Need::WorkingOff
            }
            () => Need::NewWork,
        }
    }

    /// Writes the batch and makes it visible.
    fn write(&mut self, mut stage: Stage) -> Result<(), LogError> {
        if let Some(error) = stage.failed.take() {
            return Err(error);
        }
        if stage.is_empty() {
            return Ok(());
        }
        let number = self.batch + 1;
        if let Err(error) = self.write_to_engine(&mut stage, number) {
            tracing::error!(dir = %self.directory.path().display(), error = %error, "a write to the log failed; opening it anew");
            match self.reopen(is_no_space(&error)) {
                // The batch may be there all the same: the number tells.
                Ok(last) if last == number => {}
                Ok(_) => {
                    let e = engine::engine_error(self.directory.path(), &error);
                    return Err(match e.kind {
                        LogErrorKind::Full => e,
                        _ => LogError::new(LogErrorKind::Aborted, e.message),
                    });
                }
                Err(e) => return Err(LogError::new(LogErrorKind::Indefinite, e.message)),
            }
        }
        self.batch = number;
        if let Some((_, used)) = &mut self.used {
            *used += 2 * stage.bytes; // in the journal, and in the tables once they are written out
        }
        self.publish(stage);
        Ok(())
    }

    fn write_to_engine(&mut self, stage: &mut Stage, number: u64) -> Result<(), fjall::Error> {
        let guard = self.shared.engine.read().unwrap_or_else(|e| e.into_inner());
        let Some(engine) = guard.as_ref() else { return Err(fjall::Error::Poisoned) };
        while engine.is_congested()? {
            std::thread::sleep(Duration::from_millis(2));
        }
        let mode = match self.sync {
            Sync::Data => PersistMode::SyncData,
            Sync::Os => PersistMode::Buffer,
        };
        let mut batch = fjall::OwnedWriteBatch::with_capacity(engine.db.clone(), 64).durability(Some(mode));
        stage.fill(engine, &mut batch, number);
        batch.commit()
    }

    fn publish(&self, stage: Stage) {
        for (name, row) in &stage.topics {
            match self.shared.topics.get(name) {
                Some(topic) => topic.set_row(row.clone()),
                None => {
                    let partitions = (0..row.partitions).map(|_| Partition::default()).collect();
                    self.shared.topics.insert(TopicState::new(name, row.clone(), partitions));
                }
            }
        }
        if !stage.cached.is_empty() {
            let mut cache = self.shared.cache.lock().unwrap_or_else(|e| e.into_inner());
            for (at, batch) in stage.cached {
                cache.push(at, batch);
            }
        }
        if !stage.positions.is_empty() {
            let mut positions = self.shared.positions.lock().unwrap_or_else(|e| e.into_inner());
            for (group, at, offset) in stage.positions {
                positions.entry(group).or_default().insert(at, offset);
            }
        }
        for (at, (topic, row)) in stage.ends {
            if let Some(partition) = topic.partitions.get(at.partition as usize) {
                partition.publish(row);
            }
        }
        self.shared.wake();
    }

    /// Opens a failed engine anew. Returns the number of the last batch that is on disk.
    fn reopen(&mut self, no_space: bool) -> Result<u64, LogError> {
        if let Some(wait) = self.reopened.and_then(|t| REOPEN_EVERY.checked_sub(t.elapsed())) {
            std::thread::sleep(wait);
        }
        self.reopened = Some(Instant::now());
        let path = self.directory.path().to_owned();
        let mut guard = self.shared.engine.write().unwrap_or_else(|e| e.into_inner());
        drop(guard.take());
        self.shared.cache.lock().unwrap_or_else(|e| e.into_inner()).clear();
        let opened = journal::settle(&self.directory.engine(), self.sync)
            .map_err(|e| e.into_log(&path))
            .and_then(|()| super::open_engine(&self.directory, self.sync, self.shared.limits.max_bytes));
        match opened {
            Ok(engine) => {
                let last = engine.last_batch().map_err(|e| engine::engine_error(&path, &e))?;
                // A batch whose outcome nobody knew may have come to light.
                if last != self.batch {
                    self.shared.load(&engine).map_err(|e| e.into_log(&path))?;
                }
                *guard = Some(engine);
                Ok(last)
            }
            Err(e) if no_space && e.kind != LogErrorKind::Corrupt => Err(LogError::new(LogErrorKind::Full, e.message)),
            Err(e) => Err(e),
        }
    }

    /// What room there is at the start of a batch. Opens a failed engine first.
    fn room(&mut self) -> Room {
        let missing = self.shared.engine.read().unwrap_or_else(|e| e.into_inner()).is_none();
        let failed = if missing {
            match self.reopen(true) {
                Ok(last) => {
                    self.batch = last;
                    None
                }
                Err(e) => Some(e),
            }
        } else {
            None
        };
        let known = self.used.filter(|(at, _)| at.elapsed() < SIZE_EVERY);
        let room = self.shared.limits.measure(&self.shared, known.map(|(_, used)| used));
        if known.is_none() {
            self.used = room.used.map(|used| (Instant::now(), used));
        }
        Room { failed, ..room }
    }
}
