//! The log: partitioned topics with transactions and consumer groups. One small contract, two back ends, one conformance
//! suite that both pass. Kafka is the reference: the embedded log promises nothing that Kafka cannot keep.
//!
//! What a back end guarantees:
//!
//! 1. **Atomic.** [`Producer::commit`] makes all records of a [`Transaction`], in all their topics, and its group offsets
//!    visible together or not at all, also under `kill -9` and power loss. Readers are read_committed. Records may appear a
//!    moment after `commit` returns (Kafka answers before it has marked all partitions), and not in all partitions at once; who
//!    must see all that was decided makes a producer first ([`Log::producer`]).
//! 2. **Ordered.** Within a partition, records appear in the order of the transaction and transactions in commit order.
//!    Offsets rise but may have holes.
//! 3. **Durable.** When `commit` returns, the transaction is on disk (embedded: `fdatasync`; Kafka: acks=all).
//! 4. **Fenced.** A new [`Log::producer`] with the same transactional id ends the former one: its later commits fail with
//!    [`LogErrorKind::Fenced`] and write nothing. Offsets sent under an old generation of a group are refused likewise.
//! 5. **Assigned together.** A group's subscription gives partition n of all its topics to one member (`range`, rule 9).
//! 6. **Nothing jumps.** A reader whose position has been removed by retention is told ([`Polled::OutOfRange`]); it never
//!    continues elsewhere by itself. (The embedded log removes nothing that a stage has still to read; a cluster does.)
//! 7. **Bounded.** A poll returns at most what was asked for; a commit waits when the disk is slow and fails with
//!    [`LogErrorKind::Full`] when there is no room, without harm to what is there.

mod children;
pub mod compacted;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
pub mod events;
pub mod followed;
mod foreign;
pub mod kafka;
mod last;
pub mod letters;
pub mod membership;
mod whole;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
pub use children::{Children, header_name};
pub use foreign::pass_over;
pub use last::last;
use schemas::{TimeMs, topics::TopicSpec};
pub use whole::{fold, fold_between, fold_from, pick};

/// A topic's name as callers know it: without the configured prefix, which back ends add.
pub type Topic = &'static str;

/// One partition of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Topic without prefix.
    pub topic: Topic,
    /// Partition from 0.
    pub partition: u32,
}

/// Header names and values of a record.
pub type Headers = Vec<(Arc<str>, Bytes)>;

/// A record to be written. The producer names the partition; no client hash does (rule 8).
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Where to.
    pub to: TopicPartition,
    /// Key, UTF-8.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone and allowed on compacted topics only.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
}

/// A record as read.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where from.
    pub from: TopicPartition,
    /// Its offset.
    pub offset: u64,
    /// When it was written.
    pub timestamp: TimeMs,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
}

impl Record {
    /// The value of the first header with this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| &**n == name).map(|(_, v)| v.as_ref())
    }
}

/// Positions of a group: the next offset to be read, per partition.
pub type Offsets = Vec<(TopicPartition, u64)>;

/// Proof of membership in a group's present generation, for offsets inside a transaction (KIP-447). Opaque.
#[derive(Clone)]
pub struct GroupMetadata(pub(crate) Arc<dyn std::any::Any + Send + Sync>);

/// What is written at once.
#[derive(Default)]
pub struct Transaction {
    /// Records, in order.
    pub records: Vec<NewRecord>,
    /// Positions of the group whose input was worked up into `records`.
    pub offsets: Option<(GroupMetadata, Offsets)>,
}

/// What a group's poll brings.
#[derive(Debug)]
pub enum Polled {
    /// Partitions that are ours from now on, each with all the group's topics, and the group's position on each:
    /// `None` where it has none (then reading starts at the oldest record).
    Assigned(Vec<(TopicPartition, Option<u64>)>),
    /// Partitions that are no longer ours: drop all state of them. Their records never come again in this generation.
    Revoked(Vec<TopicPartition>),
    /// Records, in offset order per partition. Empty when nothing came in time.
    Records(Vec<Record>),
    /// The position was removed by retention. The partition stays paused until [`Consumer::seek`] moves it.
    OutOfRange {
        /// Which partition.
        at: TopicPartition,
        /// The offset that was to be read.
        wanted: u64,
        /// The oldest offset there is.
        oldest: u64,
    },
}

/// How much a poll may bring.
#[derive(Debug, Clone, Copy)]
pub struct PollLimits {
    /// Records at most.
    pub records: usize,
    /// Bytes of values at most (one record may exceed it).
    pub bytes: usize,
    /// How long to wait when there is nothing.
    pub wait: Duration,
}

/// Oldest and next offset of a partition, as a read_committed reader sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// Oldest offset still there.
    pub low: u64,
    /// One past the newest committed record (the last stable offset).
    pub high: u64,
}

/// Where a group stands behind the end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Which partition.
    pub at: TopicPartition,
    /// The group's position; `None` when it has none.
    pub position: Option<u64>,
    /// The partition's ends.
    pub ends: Watermarks,
}

impl Lag {
    /// Offsets between the group's position and the end.
    pub fn offsets(&self) -> u64 {
        self.ends.high.saturating_sub(self.position.unwrap_or(self.ends.low).max(self.ends.low))
    }
}

/// A log.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Makes the topics that are missing. `chain_partitions` goes for `per_network` topics, others have one partition.
    /// An existing topic with another partition count keeps it.
    async fn ensure_topics(&self, topics: &[TopicSpec], chain_partitions: u32) -> Result<(), LogError>;

    /// Number of partitions of a topic.
    async fn partitions(&self, topic: Topic) -> Result<u32, LogError>;

    /// Bytes that the value of one record may have in a topic: [`schemas::limits::RECORD_VALUE_BYTES`], or less where the topic
    /// takes less. A larger one fails with [`LogErrorKind::TooLarge`].
    async fn value_limit(&self, topic: Topic) -> Result<usize, LogError>;

    /// Oldest and next offset.
    async fn watermarks(&self, at: TopicPartition) -> Result<Watermarks, LogError>;

    /// The same of many partitions, in their order.
    async fn ends(&self, of: &[TopicPartition]) -> Result<Vec<Watermarks>, LogError> {
        let mut ends = Vec::with_capacity(of.len());
        for at in of {
            ends.push(self.watermarks(*at).await?);
        }
        Ok(ends)
    }

    /// The offset from which on a partition is not decided, since somebody's transaction is open there; `None`: all of it is. Readers
    /// see nothing behind it. Asked after [`Self::producer`], which decides what its own id left open.
    async fn undecided(&self, _at: TopicPartition) -> Result<Option<u64>, LogError> {
        Ok(None)
    }

    /// The producer with this transactional id. Fences and aborts the former holder of the id; when this returns, everything
    /// that the id wrote is decided.
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError>;

    /// A member of a group. `instance` makes it a static member (rule 9).
    async fn consumer(&self, group: &str, instance: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError>;

    /// A reader without group over chosen partitions and offsets; it commits nothing.
    async fn reader(&self, from: &[(TopicPartition, u64)]) -> Result<Box<dyn Reader>, LogError>;

    /// Whether retention goes on over what a group of ours has still to read.
    fn removes_unread(&self) -> bool {
        true
    }

    /// How far a group is behind on these topics.
    async fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError>;
}

/// A transactional producer.
#[async_trait]
pub trait Producer: Send {
    /// Writes a transaction. After an error other than [`LogErrorKind::Fenced`] nothing is known of its outcome unless
    /// [`LogError::nothing_written`]: make a new producer and read the state again (rule 10).
    async fn commit(&mut self, transaction: Transaction) -> Result<(), LogError>;
}

/// A member of a consumer group. Dropping it leaves the group: at once in the embedded log; Kafka gives a static member's
/// partitions to others when its session times out, or back to the instance when it returns before.
#[async_trait]
pub trait Consumer: Send {
    /// The next thing that happened. Must be called often enough (Kafka: `max.poll.interval.ms`); never block the loop.
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError>;

    /// Membership of the present generation, for [`Transaction::offsets`].
    fn group(&self) -> GroupMetadata;

    /// Stops delivering from these partitions, without losing the place.
    fn pause(&mut self, at: &[TopicPartition]) -> Result<(), LogError>;

    /// Undoes `pause`.
    fn resume(&mut self, at: &[TopicPartition]) -> Result<(), LogError>;

    /// Moves the place of an assigned partition.
    async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError>;

    /// Says that nothing from `from` up to `to` will be worked up in this membership: it was passed over, since the network that
    /// it belongs to is halted. The position does not move; a log that keeps what its stages have not read need not keep this.
    fn passed_over(&mut self, _at: TopicPartition, _from: u64, _to: u64) {}

    /// Stores positions outside a transaction, for stages whose output is not the log. On disk when it returns.
    async fn commit(&mut self, offsets: Offsets) -> Result<(), LogError>;
}

/// A reader without a group.
#[async_trait]
pub trait Reader: Send {
    /// Records or [`Polled::OutOfRange`]; never assignments.
    async fn poll(&mut self, limits: PollLimits) -> Result<Polled, LogError>;

    /// Stops delivering from these partitions, without losing the place.
    fn pause(&mut self, at: &[TopicPartition]) -> Result<(), LogError>;

    /// Undoes `pause`.
    fn resume(&mut self, at: &[TopicPartition]) -> Result<(), LogError>;

    /// Moves the place of a partition.
    async fn seek(&mut self, at: TopicPartition, offset: u64) -> Result<(), LogError>;

    /// Reads further partitions, from these offsets on. What is read already goes on as it was.
    async fn add(&mut self, more: &[(TopicPartition, u64)]) -> Result<(), LogError>;

    /// How far a partition has been read: everything below was handed out, or is a hole. Offsets have holes (transactions'
    /// ends, compaction), so the last record's offset does not tell whether the end was reached.
    fn reached(&self, at: TopicPartition) -> u64;
}

/// What went wrong, classified once: whose fault, and whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogErrorKind {
    /// Another holder of the transactional id or a newer generation of the group took over. Stop, do not retry.
    Fenced,
    /// The transaction was aborted; nothing of it was written. Read the state again and retry.
    Aborted,
    /// No word on the outcome. Make the producer anew, read the state again (rule 10).
    Indefinite,
    /// The log cannot be reached or did not answer in time. Retry with back-off.
    Unavailable,
    /// The log refuses who we are or what we may do. An operator must grant it; nothing was written. Retry with back-off.
    Denied,
    /// A record is larger than the log takes. The caller dead-letters it; retrying cannot help.
    TooLarge,
    /// No room on the disk, or the configured limit is reached. Nothing was written; wait and retry.
    Full,
    /// What is stored cannot be read. An operator must look.
    Corrupt,
    /// A topic, or a partition of it, is not there: it was never made, or was deleted, or counts are being raised topic by topic.
    /// Wait for an operator to make it (again), and join anew.
    NoTopic,
    /// A call of the log's client never came back, long after every deadline of its own, and its thread with it. Only a new
    /// process helps: the stage ends.
    Stuck,
    /// The call makes no sense (tombstone on a topic that is not compacted, …).
    Invalid,
    /// Another process holds the log's directory (embedded). Ask that process, or stop it.
    InUse,
    /// The log is shutting down.
    Closed,
}

/// An error of the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct LogError {
    /// Its class.
    pub kind: LogErrorKind,
    /// What happened, where, and what to do.
    pub message: String,
}

impl LogError {
    /// An error of a class.
    pub fn new(kind: LogErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Whether it is certain that nothing of the transaction was written.
    pub fn nothing_written(&self) -> bool {
        use LogErrorKind::*;
        matches!(self.kind, Fenced | Aborted | TooLarge | Full | NoTopic | Denied | Invalid)
    }

    /// Whether a member of a group goes on by joining it anew, from the committed positions: limits, topics and rights are looked at again.
    pub fn is_mended_by_joining(&self) -> bool {
        use LogErrorKind::*;
        matches!(self.kind, Fenced | Aborted | Indefinite | Unavailable | Denied | Full | TooLarge | NoTopic)
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        use LogErrorKind::*;
        matches!(self.kind, Aborted | Indefinite | Unavailable | Full | NoTopic | Denied)
    }
}
