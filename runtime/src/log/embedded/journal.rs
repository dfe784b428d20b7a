//! What a crash left of the engine's journals, looked at before the engine opens them.
//!
//! The engine drops everything behind the first entry that it cannot parse, and refuses to open when a checksum does not match.
//! Both are wrong for a log: the first may drop acknowledged commits without a word, the second leaves a torn last write (power
//! loss writes pages in any order) to be repaired by hand. So:
//!
//! * a **torn tail**, which is a broken batch with no whole batch after it in the newest journal, was never acknowledged; it is
//!   cut off, and the log line says how many bytes went;
//! * **anything else** that is broken refuses to open, with file, place and cure, and changes nothing.
//!
//! With `sync = "os"` a power loss may tear the newest journal anywhere; it is cut at the first break, loudly.
//!
//! Format (fjall 3, `journal/entry.rs`), little-endian: batch = start `1` items u32 seqno u64, items, end `3` xxh3 u64 `FJL\x03`;
//! item = `2` type u8 compression u8 keyspace u64 key length u16 value length u32 stored length u32 key value; clear = `4`
//! keyspace u64. The checksum covers the items. Journals are made with 64 MiB of zeros.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::{
    super::{LogError, LogErrorKind},
    Sync,
    directory::sync_directory,
    engine::CURE,
};

const MAGIC: &[u8; 4] = b"FJL\x03";

/// Why the journals are not to be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// They cannot be read or cut.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in the middle is broken: acknowledged commits follow.
    #[error("{} is broken at byte {at}, with whole commits after it", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Where.
        at: usize,
    },
}

impl JournalError {
    /// As the log's callers see it.
    pub fn into_log(self, dir: &Path) -> LogError {
        match self {
            Self::Io { path, source } => {
                LogError::new(LogErrorKind::Unavailable, format!("cannot read or repair {}: {source}", path.display()))
            }
            broken => LogError::new(
                LogErrorKind::Corrupt,
                format!("the log in {} is damaged: {broken}. {CURE}", dir.display()),
            ),
        }
    }
}

/// Checks all journals and cuts a torn tail. Returns the bytes cut.
pub fn check(engine_dir: &Path, sync: Sync) -> Result<u64, JournalError> {
    let journals = journals(engine_dir)?;
    let mut cut = 0;
    for (i, path) in journals.iter().enumerate() {
        let newest = i + 1 == journals.len();
        let raw = std::fs::read(path).map_err(|source| JournalError::Io { path: path.clone(), source })?;
        let valid = valid_prefix(&raw);
        let rest = &raw[valid..];
        let Some(last) = last_written(rest) else { continue };
        let torn = newest && (sync == Sync::Os || !has_whole_batch(&rest[..=last]));
        if !torn {
            return Err(JournalError::Broken { path: path.clone(), at: valid });
        }
        let truncate = || -> std::io::Result<()> {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(valid as u64)?;
            file.sync_all()
        };
        truncate().map_err(|source| JournalError::Io { path: path.clone(), source })?;
        cut += last as u64 + 1;
        tracing::warn!(
            journal = %path.display(), kept_bytes = valid, dropped_bytes = last + 1,
            "dropped a torn write at the end of the log; it had not been acknowledged"
        );
    }
    Ok(cut)
}

/// Writes the newest journal anew, so that what is read of it is also on disk: after a failed write or sync the page cache may
/// show what the disk does not hold. A break with whole batches behind it is refused, as in [`check`]: what follows was
/// acknowledged.
pub fn settle(engine_dir: &Path, sync: Sync) -> Result<(), JournalError> {
    if sync == Sync::Os {
        return Ok(());
    }
    let Some(path) = journals(engine_dir)?.pop() else { return Ok(()) };
    let raw = std::fs::read(&path).map_err(|source| JournalError::Io { path: path.clone(), source })?;
    let valid = valid_prefix(&raw);
    if last_written(&raw[valid..]).is_some_and(|last| has_whole_batch(&raw[valid..=valid + last])) {
        return Err(JournalError::Broken { path, at: valid });
    }
    let copy = || -> std::io::Result<()> {
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&raw[..valid])?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        sync_directory(engine_dir)
    };
    copy().map_err(|source| {
        let _ = std::fs::remove_file(path.with_extension("new")); // on a full disk it only takes room
        JournalError::Io { path: path.clone(), source }
    })
}

/// Length of the whole batches at the start of a journal.
#[cfg(test)]
pub fn valid_len(path: &Path) -> std::io::Result<usize> {
    Ok(valid_prefix(&std::fs::read(path)?))
}

/// Journal files, oldest first.
fn journals(engine_dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let io = |source| JournalError::Io { path: engine_dir.to_owned(), source };
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(engine_dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(io)?,
    };
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let number = path
            .file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.strip_suffix(".jnl"))
            .and_then(|n| n.parse::<u64>().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Where the zeros with which journals are made begin: the last byte that is none. Whole pages are compared, since there are 64 MiB.
fn last_written(rest: &[u8]) -> Option<usize> {
    const PAGE: usize = 4096;
    let page = rest.chunks(PAGE).rposition(|page| page != &[0; PAGE][..page.len()])?;
    let start = page * PAGE;
    rest[start..].iter().take(PAGE).rposition(|b| *b != 0).map(|at| start + at)
}

/// Length of the whole batches at the start.
fn valid_prefix(raw: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = batch_len(&raw[at..]) {
        at += len;
    }
    at
}

/// Whether there is a whole batch somewhere in here.
fn has_whole_batch(rest: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = rest[at..].iter().position(|b| *b == 1) {
        at += found;
        if batch_len(&rest[at..]).is_some() {
            return true;
        }
        at += 1;
    }
    false
}

/// Length of the whole batch at the start, if there is one and its checksum holds.
fn batch_len(raw: &[u8]) -> Option<usize> {
    let mut reader = Reader { raw, at: 0 };
    if reader.byte()? != 1 {
        return None;
    }
    let items = reader.u32()?;
    reader.take(8)?;
    let mut hash = Xxh3::new();
    for _ in 0..items {
        let start = reader.at;
        match reader.byte()? {
            2 => {
                let kind = reader.byte()?;
                let compression = reader.byte()?;
                reader.take(8)?;
                let key = reader.u16()?;
                let value = reader.u32()?;
                let stored = reader.u32()?;
                if kind > 4 || compression > 1 || (compression == 0 && value != stored) {
                    return None;
                }
                reader.take(key as usize)?;
                reader.take(stored as usize)?;
            }
            4 => {
                reader.take(8)?;
            }
            _ => return None,
        }
        hash.update(&raw[start..reader.at]);
    }
    if reader.byte()? != 3 || reader.take(8)? != hash.digest().to_le_bytes() || reader.take(4)? != MAGIC {
        return None;
    }
    Some(reader.at)
}

struct Reader<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let taken = self.raw.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }
    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use fjall::{CompressionType, Database, KeyspaceCreateOptions, PersistMode};

    use super::*;

    /// Three batches by the engine itself; returns the journal and where each batch ends.
    fn journal(dir: &Path) -> (PathBuf, Vec<usize>) {
        let db = Database::builder(dir).journal_compression(CompressionType::None).open().unwrap();
        let keyspace = db.keyspace("k", KeyspaceCreateOptions::default).unwrap();
        let path = journals(dir).unwrap().pop().unwrap();
        let mut ends = Vec::new();
        for i in 0..3u8 {
            let mut batch = db.batch().durability(Some(PersistMode::SyncData));
            batch.insert(&keyspace, [i, 1], vec![i; 9000]);
            batch.remove(&keyspace, [i, 0]);
            batch.insert(&keyspace, [i, 2], vec![7; 10]);
            batch.commit().unwrap();
            ends.push(valid_prefix(&std::fs::read(&path).unwrap()));
        }
        (path, ends)
    }

    fn reopened(dir: &Path) -> usize {
        let db = Database::builder(dir).journal_compression(CompressionType::None).open().unwrap();
        db.keyspace("k", KeyspaceCreateOptions::default).unwrap().len().unwrap()
    }

    #[test]
    fn whole_batches_are_found_as_the_engine_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let (path, ends) = journal(dir.path());
        assert!(ends[0] > 9000 && ends[1] - ends[0] == ends[0] && ends[2] - ends[1] == ends[0], "{ends:?}");
        assert!(std::fs::metadata(path).unwrap().len() > ends[2] as u64, "zeros follow");
        assert_eq!(check(dir.path(), Sync::Data).unwrap(), 0);
        assert_eq!(reopened(dir.path()), 6);
    }

    #[test]
    fn a_torn_last_write_is_cut_wherever_it_is_torn() {
        for (name, tear) in [
            (
                "zeroed page",
                Box::new(|raw: &mut Vec<u8>, start: usize, _| raw[start + 4096..start + 8192].fill(0))
                    as Box<dyn Fn(&mut Vec<u8>, usize, usize)>,
            ),
            ("zeroed start", Box::new(|raw, start, _| raw[start..start + 512].fill(0))),
            ("cut short", Box::new(|raw, start, _| raw.truncate(start + 5000))),
            ("zeroed end", Box::new(|raw, _, end| raw[end - 20..].fill(0))),
            ("flipped bit", Box::new(|raw, start, _| raw[start + 100] ^= 1)),
            ("garbage behind", Box::new(|raw, _, end| raw[end..end + 999].fill(0xa5))),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (path, ends) = journal(dir.path());
            let mut raw = std::fs::read(&path).unwrap();
            tear(&mut raw, ends[1], ends[2]);
            std::fs::write(&path, raw).unwrap();
            assert!(check(dir.path(), Sync::Data).unwrap() > 0, "{name}");
            assert_eq!(reopened(dir.path()), if name == "garbage behind" { 6 } else { 4 }, "{name}");
        }
    }

    #[test]
    fn a_break_with_commits_behind_it_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, ends) = journal(dir.path());
        let mut raw = std::fs::read(&path).unwrap();
        raw[ends[0] + 50] ^= 1;
        std::fs::write(&path, &raw).unwrap();
        assert!(matches!(check(dir.path(), Sync::Data), Err(JournalError::Broken { at, .. }) if at == ends[0]));
        assert_eq!(std::fs::read(&path).unwrap(), raw);
        assert!(check(dir.path(), Sync::Os).unwrap() > 0, "without syncs this is what power loss may leave");
        assert_eq!(reopened(dir.path()), 2);
    }

    #[test]
    fn settling_refuses_what_checking_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let (path, ends) = journal(dir.path());
        let whole = std::fs::read(&path).unwrap();
        let mut raw = whole.clone();
        raw[ends[0] + 50] ^= 1;
        std::fs::write(&path, &raw).unwrap();
        assert!(matches!(settle(dir.path(), Sync::Data), Err(JournalError::Broken { at, .. }) if at == ends[0]));
        assert!(std::fs::read(&path).unwrap() == raw, "nothing was cut");
        // A torn last write is what settling is for.
        let mut raw = whole;
        raw[ends[1] + 50] ^= 1;
        std::fs::write(&path, &raw).unwrap();
        settle(dir.path(), Sync::Data).unwrap();
        assert_eq!(reopened(dir.path()), 4);
    }

    #[test]
    fn settling_keeps_what_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (path, ends) = journal(dir.path());
        settle(dir.path(), Sync::Data).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().len(), ends[2] as u64);
        assert_eq!(reopened(dir.path()), 6);
    }
}
