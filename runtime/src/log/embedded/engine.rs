//! The storage engine (fjall) and how things are keyed in it.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `blobs` | topic, partition, base offset, written at, bytes, records | blob of records ([`super::blob`]) |
//! | `compact` | `r` topic, partition, offset | blob of one record |
//! | | `k` topic, partition, key | offset of the key's newest record |
//! | | `d` topic, partition, offset | time of a tombstone |
//! | `meta` | `t` topic name | [`TopicRow`] as JSON |
//! | | `p` topic, partition | [`PartitionRow`] |
//! | | `o` group, 0, topic, partition | the group's next offset |
//! | | `n` | number of the last batch, so that after an error it is known whether the batch is there |
//!
//! Numbers are big-endian. Blob keys carry time and size, so that retention reads keys only.

use std::{
    ops::Bound,
    path::Path,
    time::{Duration, Instant},
};

use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use schemas::TimeMs;

use super::{
    super::{LogError, LogErrorKind, Record, TopicPartition},
    blob,
    state::{PartitionId, PartitionRow, TopicRow},
};

/// Memory for blocks read from disk. The tail cache serves the head, so this one stays small.
const BLOCK_CACHE_BYTES: u64 = 16 << 20;
/// Memory for blobs not yet flushed; up to four of these may wait.
const BLOBS_MEMTABLE_BYTES: u64 = 16 << 20;
/// The same for the two small keyspaces.
const SMALL_MEMTABLE_BYTES: u64 = 4 << 20;
/// Flushes that may wait before a commit waits: the engine itself stalls in steps of 100 ms from four on.
pub const WAITING_FLUSHES: usize = 3;

/// How long is waited for memory to be written out before compacting what is there.
const FLUSHED_WITHIN: Duration = Duration::from_secs(30);

/// An open engine.
pub struct Engine {
    /// The database.
    pub db: Database,
    /// Records of topics that are kept for some time.
    pub blobs: Keyspace,
    /// Records of compacted topics.
    pub compact: Keyspace,
    /// Everything else.
    pub meta: Keyspace,
}

/// Key of a partition in any keyspace.
pub fn partition_key(prefix: &[u8], at: PartitionId) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 32);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&at.topic.to_be_bytes());
    key.extend_from_slice(&at.partition.to_be_bytes());
    key
}

/// Key of a record of a compacted topic, or of its tombstone's time.
pub fn offset_key(prefix: &[u8], at: PartitionId, offset: u64) -> Vec<u8> {
    let mut key = partition_key(prefix, at);
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

/// Key of a group's position.
pub fn position_key(group: &str, at: PartitionId) -> Vec<u8> {
    let mut prefix = vec![b'o'];
    prefix.extend_from_slice(group.as_bytes());
    prefix.push(0);
    partition_key(&prefix, at)
}

/// What a blob's key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobKey {
    /// Partition.
    pub at: PartitionId,
    /// Offset of the first record.
    pub base: u64,
    /// When it was written.
    pub written_at: TimeMs,
    /// Bytes of the blob.
    pub bytes: u32,
    /// Number of records.
    pub records: u32,
}

impl BlobKey {
    /// 32 bytes, in the order of partition and offset.
    pub fn encode(self) -> Vec<u8> {
        let mut key = offset_key(b"", self.at, self.base);
        key.extend_from_slice(&self.written_at.0.to_be_bytes());
        key.extend_from_slice(&self.bytes.to_be_bytes());
        key.extend_from_slice(&self.records.to_be_bytes());
        key
    }
    /// The reverse.
    pub fn decode(raw: &[u8]) -> Option<Self> {
        let word = |i: usize| raw.get(i..i + 4)?.try_into().ok().map(u32::from_be_bytes);
        let long = |i: usize| raw.get(i..i + 8)?.try_into().ok().map(u64::from_be_bytes);
        (raw.len() == 32).then_some(())?;
        Some(Self {
            at: PartitionId { topic: word(0)?, partition: word(4)? },
            base: long(8)?,
            written_at: TimeMs(long(16)? as i64),
            bytes: word(24)?,
            records: word(28)?,
        })
    }
    /// One past its last offset.
    pub fn end(self) -> u64 {
        self.base + u64::from(self.records)
    }
}

impl Engine {
    /// Opens or makes the engine's files.
    pub fn open(dir: &Path, max_bytes: Option<u64>) -> Result<Self, fjall::Error> {
        let db = Database::builder(dir)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_cached_files(Some(256))
            .max_journaling_size(if max_bytes.is_some() { 64 << 20 } else { 128 << 20 }) // no less is possible
            .journal_compression(CompressionType::None) // blobs are compressed already
            .manual_journal_persist(true) // each batch says how
            .worker_threads(1) // with two, one spins while the other compacts
            .open()?;
        let small =
            || KeyspaceCreateOptions::default().manual_journal_persist(true).max_memtable_size(SMALL_MEMTABLE_BYTES);
        let separated = KvSeparationOptions::default().compression(CompressionType::None).file_target_size(32 << 20);
        let blobs = db.keyspace("blobs", || {
            small().max_memtable_size(BLOBS_MEMTABLE_BYTES).with_kv_separation(Some(separated))
        })?;
        Ok(Self { blobs, compact: db.keyspace("compact", small)?, meta: db.keyspace("meta", small)?, db })
    }

    /// Whether flushes lag so far behind that a commit should wait. An error when the engine has failed.
    pub fn is_congested(&self) -> Result<bool, fjall::Error> {
        self.db.persist(PersistMode::Buffer)?; // the only question that a failed engine answers
        Ok([&self.blobs, &self.compact, &self.meta].iter().any(|k| k.sealed_memtable_count() >= WAITING_FLUSHES))
    }

    /// Writes out what is in memory and compacts: journals that are no longer needed go, and what was removed is given up.
    pub fn give_back(&self) -> Result<(), fjall::Error> {
        let keyspaces = [&self.blobs, &self.compact, &self.meta];
        for keyspace in keyspaces {
            keyspace.rotate_memtable()?;
        }
        let started = Instant::now();
        while keyspaces.iter().any(|k| k.sealed_memtable_count() > 0) && started.elapsed() < FLUSHED_WITHIN {
            self.db.persist(PersistMode::Buffer)?; // the only question that a failed engine answers
            std::thread::sleep(Duration::from_millis(10));
        }
        self.compact.major_compact()?;
        // Files that one compaction finds empty are given up by the next.
        self.blobs.major_compact()?;
        self.blobs.major_compact()
    }

    /// Lets go of the files that only older views of the engine still held.
    pub fn let_go(&self) -> Result<(), fjall::Error> {
        self.meta.rotate_memtable().map(drop)
    }

    /// Number of the last batch.
    pub fn last_batch(&self) -> Result<u64, fjall::Error> {
        Ok(self.meta.get(b"n")?.and_then(|v| v.as_ref().try_into().ok().map(u64::from_be_bytes)).unwrap_or(0))
    }

    /// All topics by name.
    pub fn topics(&self) -> Result<Vec<(String, TopicRow)>, EngineReadError> {
        self.meta
            .prefix(b"t")
            .map(|guard| {
                let (key, value) = guard.into_inner()?;
                let name = String::from_utf8(key[1..].to_vec()).map_err(|_| EngineReadError::Row("topic name"))?;
                Ok((name, serde_json::from_slice(&value).map_err(|_| EngineReadError::Row("topic"))?))
            })
            .collect()
    }

    /// Ends and size of a partition.
    pub fn partition(&self, at: PartitionId) -> Result<PartitionRow, EngineReadError> {
        match self.meta.get(partition_key(b"p", at))? {
            None => Ok(PartitionRow::default()),
            Some(raw) => PartitionRow::decode(&raw).ok_or(EngineReadError::Row("partition")),
        }
    }

    /// Positions of all groups: group, partition, next offset.
    pub fn positions(&self) -> Result<Vec<(String, PartitionId, u64)>, EngineReadError> {
        let bad = || EngineReadError::Row("position");
        self.meta
            .prefix(b"o")
            .map(|guard| {
                let (key, value) = guard.into_inner()?;
                let (group, at) = key[1..].split_at_checked(key.len().saturating_sub(10)).ok_or_else(bad)?;
                let group = String::from_utf8(group.to_vec()).map_err(|_| bad())?;
                let number = |raw: Option<&[u8]>| raw.and_then(|r| r.try_into().ok()).map(u32::from_be_bytes);
                let topic = number(at.get(1..5)).ok_or_else(bad)?;
                let partition = number(at.get(5..9)).ok_or_else(bad)?;
                let offset = value.as_ref().try_into().map(u64::from_be_bytes).map_err(|_| bad())?;
                Ok((group, PartitionId { topic, partition }, offset))
            })
            .collect()
    }

    /// Keys of a partition's blobs, oldest first.
    pub fn blob_keys(&self, at: PartitionId) -> impl Iterator<Item = Result<BlobKey, EngineReadError>> + use<> {
        self.blobs
            .prefix(partition_key(b"", at))
            .map(|guard| BlobKey::decode(&guard.key()?).ok_or(EngineReadError::Row("blob key")))
    }

    /// Records of a partition from `from` up to `high`, whole blobs until `records` or `bytes` of values are reached. Offsets have
    /// no holes here, whatever was aborted: they are given out with the batch that writes them. Where one is missing, its records
    /// are, unless retention has removed them meanwhile: then the low watermark has moved above it.
    pub fn read_blobs(
        &self,
        at: PartitionId,
        from: TopicPartition,
        range: ReadRange,
    ) -> Result<Vec<Record>, EngineReadError> {
        // The blob that holds `range.from` is the last one whose base is not above it.
        let mut upper = offset_key(b"", at, range.from);
        upper.extend_from_slice(&[0xff; 16]);
        let lower = match self.blobs.range(offset_key(b"", at, 0)..=upper).next_back() {
            Some(guard) => guard.key()?.to_vec(),
            None => offset_key(b"", at, range.from),
        };
        let end = offset_key(b"", at, range.high);
        let mut out = Vec::new();
        let mut bytes = 0;
        let mut wanted = range.from;
        for guard in self.blobs.range::<Vec<u8>, _>((Bound::Included(lower), Bound::Excluded(end))) {
            let (key, value) = guard.into_inner()?;
            let key = BlobKey::decode(&key).ok_or(EngineReadError::Row("blob key"))?;
            if key.end() <= range.from {
                continue;
            }
            if key.base > wanted {
                break;
            }
            let decoded =
                blob::decode(&value, from, key.base).map_err(|source| EngineReadError::Blob { key, source })?;
            if decoded.len() as u64 != u64::from(key.records) {
                return Err(EngineReadError::Blob { key, source: blob::BlobError::Malformed });
            }
            wanted = key.end();
            range.take(decoded, &mut out, &mut bytes);
            if out.len() >= range.records || bytes >= range.bytes {
                break;
            }
        }
        // What lies before the hole is handed out first.
        if out.is_empty() && wanted < range.high {
            return Err(EngineReadError::Hole { from, offset: wanted });
        }
        Ok(out)
    }

    /// The same for a compacted topic, whose offsets have holes.
    pub fn read_compacted(
        &self,
        at: PartitionId,
        from: TopicPartition,
        range: ReadRange,
    ) -> Result<Vec<Record>, EngineReadError> {
        let mut out = Vec::new();
        let mut bytes = 0;
        for guard in self.compact.range(offset_key(b"r", at, range.from)..offset_key(b"r", at, range.high)) {
            let (key, value) = guard.into_inner()?;
            let base = key
                .get(9..17)
                .and_then(|k| k.try_into().ok())
                .map(u64::from_be_bytes)
                .ok_or(EngineReadError::Row("record key"))?;
            let key = BlobKey { at, base, written_at: TimeMs(0), bytes: value.len() as u32, records: 1 };
            let decoded = blob::decode(&value, from, base).map_err(|source| EngineReadError::Blob { key, source })?;
            range.take(decoded, &mut out, &mut bytes);
            if out.len() >= range.records || bytes >= range.bytes {
                break;
            }
        }
        Ok(out)
    }

    /// The offset below which records of a compacted topic are to go, so that at most `limit` bytes of them stay, or the newest; `None`: none are.
    pub fn beyond_limit(&self, at: PartitionId, limit: u64) -> Result<Option<u64>, EngineReadError> {
        let (mut first, mut bytes) = (None, 0u64);
        // From the newest back: what comes when the limit is reached is too much.
        for guard in self.compact.prefix(partition_key(b"r", at)).rev() {
            let (key, value) = guard.into_inner()?;
            bytes = bytes.saturating_add((key.len() + value.len()) as u64);
            let offset = key.get(9..17).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes);
            if bytes > limit {
                return Ok(first.or(offset));
            }
            first = offset.or(first);
        }
        Ok(None)
    }

    /// Offset of the newest record of a key of a compacted topic.
    pub fn newest_of_key(&self, index_key: &[u8]) -> Result<Option<u64>, EngineReadError> {
        match self.compact.get(index_key)? {
            None => Ok(None),
            Some(raw) => raw
                .as_ref()
                .try_into()
                .map(|b| Some(u64::from_be_bytes(b)))
                .map_err(|_| EngineReadError::Row("key index")),
        }
    }
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct ReadRange {
    /// First offset.
    pub from: u64,
    /// One past the last offset that may be read.
    pub high: u64,
    /// Stop once there are so many records.
    pub records: usize,
    /// Stop once there are so many bytes of values.
    pub bytes: usize,
}

impl ReadRange {
    fn take(&self, decoded: Vec<Record>, out: &mut Vec<Record>, bytes: &mut usize) {
        for record in decoded {
            if record.offset >= self.from && record.offset < self.high {
                *bytes += record.value.as_ref().map_or(0, bytes::Bytes::len);
                out.push(record);
            }
        }
    }
}

/// Why something stored cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EngineReadError {
    /// The engine says so.
    #[error("the storage engine failed: {0}")]
    Engine(#[from] fjall::Error),
    /// A row of ours does not parse.
    #[error("a stored {0} does not parse")]
    Row(&'static str),
    /// Records are missing that nothing removed.
    #[error("topic {} partition {}: the records from offset {offset} on are missing", from.topic, from.partition)]
    Hole {
        /// Where.
        from: TopicPartition,
        /// The first of them.
        offset: u64,
    },
    /// A blob does not decode.
    #[error("the records from offset {} of topic number {} partition {} on: the blob {source}", key.base, key.at.topic, key.at.partition)]
    Blob {
        /// Which.
        key: BlobKey,
        /// Why.
        source: blob::BlobError,
    },
}

impl EngineReadError {
    /// As the log's callers see it.
    pub fn into_log(self, dir: &Path) -> LogError {
        match self {
            Self::Engine(e) => engine_error(dir, &e),
            other => LogError::new(
                LogErrorKind::Corrupt,
                format!("the log in {} is damaged: {other}. {CURE}", dir.display()),
            ),
        }
    }
}

/// What to do about damage.
pub const CURE: &str = "Check the disk; then restore the directory from a copy, or move it away to start with an empty log \
                        (networks are read again from their nodes; the store halts a network whose order it knows better)";

/// Whether an error says that there is no room.
pub fn is_no_space(error: &fjall::Error) -> bool {
    let io = match error {
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => io,
        _ => return false,
    };
    matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// An engine error as the log's callers see it.
pub fn engine_error(dir: &Path, error: &fjall::Error) -> LogError {
    let dir = dir.display();
    if is_no_space(error) {
        return LogError::new(
            LogErrorKind::Full,
            format!("no space left for the log in {dir}: free some, it goes on by itself"),
        );
    }
    match error {
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => {
            LogError::new(LogErrorKind::Unavailable, format!("the log in {dir} cannot be read or written: {io}"))
        }
        fjall::Error::Poisoned => LogError::new(
            LogErrorKind::Unavailable,
            format!("the log in {dir} stopped after a failed write; it is opened anew before the next commit"),
        ),
        fjall::Error::Locked => LogError::new(LogErrorKind::Unavailable, format!("the log in {dir} is open elsewhere")),
        other => LogError::new(LogErrorKind::Corrupt, format!("the log in {dir} is damaged: {other:?}. {CURE}")),
    }
}
