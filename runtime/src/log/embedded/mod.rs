//! The embedded log: durable, partitioned, in one directory of one process, on the storage engine fjall.
//!
//! It keeps the guarantees of [`super`] like this:
//!
//! * **atomic, durable**: the records of a transaction, its positions and the ends of its partitions are one write batch of the
//!   engine, `fdatasync`ed before anyone hears of it ([`writer`]);
//! * **ordered, fenced**: one writer thread gives out offsets and judges epochs and generations in one order with the commits;
//! * **nothing jumps**: the low watermark moves before records go ([`retention`]), and readers check it after each read; what a
//!   stage's group has still to read does not go at all ([`hold`]): new work waits until there is room ([`room`]);
//! * **bounded**: queue, batch, cache and engine buffers have limits; `max_bytes` and a reserve of free space are checked before
//!   each commit, and a disk that is full all the same is waited out: the engine is opened anew, nothing acknowledged is lost.
//!
//! Memory: tail cache (32 MiB by default), block cache 16 MiB, write buffers up to 64 + 16 MiB, one batch in flight.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use schemas::topics::{ReadingGroup, TopicSpec};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{Consumer, Lag, Log, LogError, LogErrorKind, Producer, Reader, Topic, TopicPartition, Watermarks};

mod blob;
mod cache;
mod chores;
mod consumer;
mod directory;
mod engine;
mod fetch;
mod groups;
mod hold;
mod job;
mod journal;
mod membership;
mod pack;
mod producer;
mod retention;
mod room;
mod stage;
mod state;
mod writer;

use directory::Directory;
use engine::{Engine, EngineReadError};
use job::{Job, Reply};
use state::{Partition, PartitionId, TopicState, Topics};
use writer::Writer;

/// When a commit is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// When it is on disk (`fdatasync`): survives power loss.
    #[default]
    Data,
    /// When the operating system has it: survives `kill -9`, but a power loss may take the last seconds.
    Os,
}

/// How to open an embedded log.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// The directory, made when missing.
    pub dir: PathBuf,
    /// When a commit is acknowledged.
    pub sync: Sync,
    /// How often retention is applied; `None`: never, for a process that only looks on.
    pub retention_check: Option<Duration>,
    /// Groups whose unread records retention leaves alone: those of the stages that run in this process.
    pub readers: Vec<ReadingGroup>,
    /// Memory for the newest records, bytes over all partitions.
    pub tail_cache_bytes: usize,
    /// What the directory may take on disk, bytes. Before it is reached, what the readers have read goes, the oldest first; when
    /// none of that is left, commits fail with [`LogErrorKind::Full`] until they have read on.
    pub max_bytes: Option<u64>,
    /// Free space on the file system that commits leave alone, bytes; who works off, and what makes room, may use half of it.
    pub min_free_bytes: u64,
}

impl EmbeddedConfig {
    /// The defaults: synced, retention every 30 s, no reader, 32 MiB of cache, no limit of its own, 512 MiB of free space left
    /// alone.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            sync: Sync::Data,
            retention_check: Some(Duration::from_secs(30)),
            readers: Vec::new(),
            tail_cache_bytes: 32 << 20,
            max_bytes: None,
            min_free_bytes: 512 << 20,
        }
    }
}

/// What producers, consumers, readers and the writer share.
pub(crate) struct Shared {
    dir: PathBuf,
    /// `None` while a failed engine could not be opened anew, and after closing.
    engine: RwLock<Option<Engine>>,
    topics: Topics,
    cache: Mutex<cache::TailCache>,
    groups: Mutex<groups::Coordinator>,
    positions: Mutex<HashMap<String, HashMap<PartitionId, u64>>>,
    holds: hold::Holds,
    limits: room::Limits,
    /// Told when room is short.
    short: Arc<Notify>,
    jobs: mpsc::Sender<Job>,
    /// Set when the last handle is gone.
    closing: AtomicBool,
    /// Raised by every commit and every change of a group.
    wake: watch::Sender<u64>,
}

impl Shared {
    fn wake(&self) {
        self.wake.send_modify(|n| *n = n.wrapping_add(1));
    }

    fn closed_error(&self) -> LogError {
        let dir = self.dir.display();
        if self.jobs.is_closed() {
            LogError::new(LogErrorKind::Closed, format!("the log in {dir} is closed"))
        } else {
            self.undecided_error()
        }
    }

    /// The answer while a failed engine is not yet opened anew: what was written last may be there or not.
    fn undecided_error(&self) -> LogError {
        let dir = self.dir.display();
        LogError::new(LogErrorKind::Unavailable, format!("the log in {dir} is being opened anew after a failed write"))
    }

    /// Queues a job, waiting while the queue is full, and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        let closed = || LogError::new(LogErrorKind::Closed, format!("the log in {} is closed", self.dir.display()));
        self.jobs.send(job(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn topic(&self, name: &str) -> Result<Arc<TopicState>, LogError> {
        self.topics.get(name).ok_or_else(|| {
            LogError::new(
                LogErrorKind::NoTopic,
                format!("there is no topic {name} in the log in {}", self.dir.display()),
            )
        })
    }

    fn partition(&self, at: TopicPartition) -> Result<(Arc<TopicState>, PartitionId), LogError> {
        let topic = self.topic(at.topic)?;
        if at.partition as usize >= topic.partitions.len() {
            return Err(LogError::new(
                LogErrorKind::NoTopic,
                format!("topic {} has {} partitions, no number {}", at.topic, topic.partitions.len(), at.partition),
            ));
        }
        let id = PartitionId { topic: topic.id, partition: at.partition };
        Ok((topic, id))
    }

    fn positions_of(&self, group: &str, at: &[PartitionId]) -> Vec<Option<u64>> {
        let positions = self.positions.lock().unwrap_or_else(|e| e.into_inner());
        let group = positions.get(group);
        at.iter().map(|p| group.and_then(|g| g.get(p)).copied()).collect()
    }

    fn partition_count(&self) -> impl Fn(Topic) -> u32 {
        |name| self.topics.get(name).map_or(0, |t| t.partitions.len() as u32)
    }

    /// Takes over topics, ends and positions from disk.
    fn load(&self, engine: &Engine) -> Result<(), EngineReadError> {
        for (name, row) in engine.topics()? {
            let ids = (0..row.partitions).map(|partition| PartitionId { topic: row.id, partition });
            let rows = ids.map(|id| engine.partition(id)).collect::<Result<Vec<_>, _>>()?;
            match self.topics.get(&name) {
                Some(topic) => topic.partitions.iter().zip(rows).for_each(|(p, row)| p.publish(row)),
                None => self.topics.insert(TopicState::new(&name, row, rows.into_iter().map(Partition::new).collect())),
            }
        }
        let mut positions = self.positions.lock().unwrap_or_else(|e| e.into_inner());
        positions.clear();
        for (group, at, offset) in engine.positions()? {
            positions.entry(group).or_default().insert(at, offset);
        }
        Ok(())
    }
}

fn open_engine(directory: &Directory, sync: Sync, max_bytes: Option<u64>) -> Result<Engine, LogError> {
    let path = directory.path();
    directory.check_parts()?;
    journal::check(&directory.engine(), sync).map_err(|e| e.into_log(path))?;
    // The engine asserts where it could report; damage must not take the process down.
    let engine = std::panic::catch_unwind(AssertUnwindSafe(|| Engine::open(&directory.engine(), max_bytes)))
        .unwrap_or(Err(fjall::Error::Unrecoverable))
        .map_err(|e| engine::engine_error(path, &e))?;
    directory.note_parts(&[engine.blobs.id(), engine.compact.id(), engine.meta.id()])?;
    Ok(engine)
}

/// A log in a directory. Cheap to share; closed by [`EmbeddedLog::close`], or when the last handle is gone.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    _retention: Option<AbortOnDropHandle<()>>,
}

impl EmbeddedLog {
    /// Opens the log, making it when missing. A torn last write of a crash is dropped with a line in the log; any other damage, a
    /// newer format, or another process that holds the directory is an error that names directory and cure.
    pub async fn open(config: EmbeddedConfig) -> Result<Arc<Self>, LogError> {
        let (jobs, queue) = mpsc::channel(writer::QUEUE);
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(config, jobs, queue));
        let (shared, every) =
            opened.await.map_err(|_| LogError::new(LogErrorKind::Closed, "the runtime is shutting down"))??;
        let retention = every.map(|every| {
            let running = retention::run(Arc::downgrade(&shared), every, shared.short.clone());
            AbortOnDropHandle::new(tokio::spawn(running))
        });
        Ok(Arc::new(Self { shared, _retention: retention }))
    }

    fn open_blocking(
        config: EmbeddedConfig,
        jobs: mpsc::Sender<Job>,
        queue: mpsc::Receiver<Job>,
    ) -> Result<(Arc<Shared>, Option<Duration>), LogError> {
        let started = std::time::Instant::now();
        let directory = Directory::take(&config.dir)?;
        let dir = directory.path().to_owned();
        let engine = open_engine(&directory, config.sync, config.max_bytes)?;
        let batch = engine.last_batch().map_err(|e| engine::engine_error(&dir, &e))?;
        let shared = Shared {
            dir: dir.clone(),
            engine: RwLock::new(None),
            topics: Topics::default(),
            cache: Mutex::new(cache::TailCache::new(config.tail_cache_bytes)),
            groups: Mutex::default(),
            positions: Mutex::default(),
            holds: hold::Holds::new(config.readers.clone()),
            limits: room::Limits { max_bytes: config.max_bytes, min_free: config.min_free_bytes },
            short: Arc::default(),
            jobs,
            closing: AtomicBool::new(false),
            wake: watch::Sender::new(0),
        };
        shared.load(&engine).map_err(|e| e.into_log(&dir))?;
        *shared.engine.write().unwrap_or_else(|e| e.into_inner()) = Some(engine);
        let shared = Arc::new(shared);
        if config.sync == Sync::Os {
            tracing::warn!(dir = %dir.display(), "the log does not sync its commits (sync = \"os\"): a power loss may take the last seconds");
        }
        tracing::info!(dir = %dir.display(), batch, elapsed_ms = started.elapsed().as_millis() as u64, "log opened");
        let writer = Writer::new(shared.clone(), directory, &config, batch);
        std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || writer.run(queue))
            .map_err(|e| LogError::new(LogErrorKind::Unavailable, format!("cannot start the log's writer: {e}")))?;
        Ok((shared, config.retention_check))
    }

    /// Commits what is queued, syncs, and gives the directory free. Everything fails with [`LogErrorKind::Closed`] afterwards.
    pub async fn close(&self) -> Result<(), LogError> {
        match self.shared.ask(Job::Close).await {
            Err(e) if e.kind == LogErrorKind::Closed => Ok(()),
            other => other,
        }
    }

    /// Applies retention now instead of at the next turn.
    pub async fn apply_retention(&self) -> Result<(), LogError> {
        retention::apply(&self.shared).await
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        // When the queue is full the writer is at work, and looks at the flag after it.
        self.shared.closing.store(true, Ordering::Release);
        let (reply, _) = oneshot::channel();
        let _ = self.shared.jobs.try_send(Job::Close(reply));
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn ensure_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError> {
        self.shared.ask(|reply| Job::EnsureTopics(topics.to_vec(), chain_partitions, reply)).await
    }

    async fn partitions(&self, topic: Topic) -> Result<u32, LogError> {
        Ok(self.shared.topic(topic)?.partitions.len() as u32)
    }

    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError> {
        self.shared.topic(topic)?;
        Ok(schemas::limits::RECORD_VALUE_BYTES)
    }

    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError> {
        let (topic, id) = self.shared.partition(at)?;
        Ok(topic.partitions[id.partition as usize].ends())
    }

    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(producer::EmbeddedProducer::new(self.shared.clone(), transactional_id).await?))
    }

    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(consumer::EmbeddedConsumer::join(self.shared.clone(), group, instance, topics)?))
    }

    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(consumer::EmbeddedReader::new(self.shared.clone(), from)?))
    }

    fn removes_unread(&self) -> bool {
        false
    }

    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        let mut out = Vec::new();
        for name in topics {
            let topic = self.shared.topic(name)?;
            let ids: Vec<_> = (0..topic.partitions.len() as u32)
                .map(|partition| PartitionId { topic: topic.id, partition })
                .collect();
            let positions = self.shared.positions_of(group, &ids);
            out.extend(topic.partitions.iter().zip(ids).zip(positions).map(|((partition, id), position)| Lag {
                at: TopicPartition { topic: name, partition: id.partition },
                position,
                ends: partition.ends(),
            }));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
