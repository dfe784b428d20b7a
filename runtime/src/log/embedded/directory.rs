//! The log's directory: its format version, who holds it, and how much room there is.
//!
//! Guarantees: one process at a time; a directory of a newer format is refused untouched; whoever is refused is told the pid of
//! the holder.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::super::{LogError, LogErrorKind};

/// Format of this version. 1: the first.
pub const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "LOCK";
const PARTS_FILE: &str = "PARTS";
const ENGINE_DIR: &str = "engine";

/// A directory that is ours until dropped.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

fn io_error(what: &str, path: &Path, e: &std::io::Error) -> LogError {
    let kind = match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => LogErrorKind::Full,
        _ => LogErrorKind::Unavailable,
    };
    LogError::new(kind, format!("cannot {what} {}: {e}", path.display()))
}

/// Makes what is in a directory survive power loss.
pub fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a small file whole or not at all.
fn write_synced(dir: &Path, file: &Path, text: &str) -> std::io::Result<()> {
    let temporary = file.with_extension("new");
    let mut f = File::create(&temporary)?;
    f.write_all(text.as_bytes())?;
    f.sync_all()?;
    std::fs::rename(&temporary, file)?;
    sync_directory(dir)
}

impl Directory {
    /// Takes the directory, making it when it is missing.
    pub fn take(path: &Path) -> Result<Self, LogError> {
        std::fs::create_dir_all(path).map_err(|e| io_error("make the log's directory", path, &e))?;
        let lock = Self::lock(path)?;
        Self::check_format(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    fn lock(path: &Path) -> Result<File, LogError> {
        let file_path = path.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file_path)
            .map_err(|e| io_error("open the lock file", &file_path, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder =
                    holder.trim().parse::<u32>().map_or("another process".to_owned(), |pid| format!("process {pid}"));
                return Err(LogError::new(
                    LogErrorKind::InUse,
                    format!("the log in {} is in use by {holder}: stop it, or use another [data] dir", path.display()),
                ));
            }
            Err(TryLockError::Error(e)) => return Err(io_error("lock", &file_path, &e)),
        }
        let pid = std::process::id();
        let write = |f: &mut File| -> std::io::Result<()> {
            f.set_len(0)?;
            f.seek(SeekFrom::Start(0))?;
            writeln!(f, "{pid}")
        };
        // On a full disk the name of the holder is not worth refusing to start for.
        if let Err(e) = write(&mut file) {
            tracing::warn!(path = %file_path.display(), error = %e, "cannot write the pid into the lock file");
        }
        Ok(file)
    }

    fn check_format(path: &Path) -> Result<(), LogError> {
        let file = path.join(FORMAT_FILE);
        let invalid = |m: String| Err(LogError::new(LogErrorKind::Invalid, m));
        match std::fs::read_to_string(&file) {
            Ok(text) => match text.trim().parse::<u32>() {
                Ok(FORMAT) => Ok(()),
                Ok(newer) if newer > FORMAT => invalid(format!(
                    "the log in {} has format {newer}, this version knows {FORMAT}: run the newer version, or use another [data] dir",
                    path.display()
                )),
                Ok(older) => {
                    invalid(format!("the log in {} has format {older}, which never was released", path.display()))
                }
                Err(_) => Err(LogError::new(
                    LogErrorKind::Corrupt,
                    format!(
                        "{} does not hold a format number but {:?}. {}",
                        file.display(),
                        text.trim(),
                        super::engine::CURE
                    ),
                )),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                if path.join(ENGINE_DIR).exists() {
                    return Err(LogError::new(
                        LogErrorKind::Corrupt,
                        format!("{} is missing beside a log. {}", file.display(), super::engine::CURE),
                    ));
                }
                write_synced(path, &file, &format!("{FORMAT}\n")).map_err(|e| io_error("write", &file, &e))
            }
            Err(e) => Err(io_error("read", &file, &e)),
        }
    }

    /// Checks that the parts of the engine that were there when it was made still are: the engine itself would begin anew
    /// where some are missing, and what is left of the log would be gone.
    pub fn check_parts(&self) -> Result<(), LogError> {
        let Ok(list) = std::fs::read_to_string(self.path.join(PARTS_FILE)) else { return Ok(()) };
        let missing = list.lines().map(|part| self.engine().join(part)).find(|part| !part.exists());
        match missing {
            None => Ok(()),
            Some(part) => Err(LogError::new(
                LogErrorKind::Corrupt,
                format!(
                    "the log in {} is damaged: {} is missing. {}",
                    self.path.display(),
                    part.display(),
                    super::engine::CURE
                ),
            )),
        }
    }

    /// Writes down what [`Directory::check_parts`] wants to find, once the engine is made.
    pub fn note_parts(&self, keyspaces: &[u64]) -> Result<(), LogError> {
        let file = self.path.join(PARTS_FILE);
        let numbers = std::iter::once(0).chain(keyspaces.iter().copied());
        let list: String = numbers.map(|n| format!("keyspaces/{n}\n")).chain(["version\n".to_owned()]).collect();
        if std::fs::read_to_string(&file).is_ok_and(|present| present == list) {
            return Ok(());
        }
        write_synced(&self.path, &file, &list).map_err(|e| io_error("write", &file, &e))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the engine's files are.
    pub fn engine(&self) -> PathBuf {
        self.path.join(ENGINE_DIR)
    }
}

/// Bytes that unprivileged processes may still write on the file system of a directory.
pub fn free_bytes(dir: &Path) -> std::io::Result<u64> {
    let fs = rustix::fs::statvfs(dir)?;
    Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// Bytes that the files below a directory take on disk (sparse files by what is allocated).
pub fn used_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => used_bytes(&e.path()),
            Ok(m) => m.blocks() * 512,
            Err(_) => 0, // removed by compaction in between
        })
        .sum()
}
