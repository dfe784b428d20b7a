//! The store's folder on disk: its format, its lock, its layout.
//!
//! Guarantee: one process at a time works in it, and never on a format that it does not know. The lock is the kernel's
//! (`flock`), so that it ends with its holder however that ends.
//!
//! ```text
//!   <data dir>/store/FORMAT             version of this layout, decimal
//!                    LOCK               who holds it: process id and command line
//!                    credentials.toml   generated passwords, mode 0600
//!                    config/            what the engine is told at start, written at every start
//!                    engine/            the engine's own data: the only folder that the sandbox lets it write
//! ```

use super::Error;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The format that this release writes. Raise it with a migration from every older one.
const FORMAT: u32 = 1;

/// An opened, locked store folder. The lock lasts as long as this value.
#[derive(Debug)]
pub(super) struct Directory {
    /// `<data dir>/store`.
    pub root: PathBuf,
    _lock: File,
}

impl Directory {
    /// Opens (or makes) and locks the folder.
    pub fn open(data_dir: &Path) -> Result<Self, Error> {
        let root = data_dir.join("store");
        std::fs::create_dir_all(root.join("engine")).map_err(Error::io(format!("creating {}", root.display())))?;
        let root = root.canonicalize().map_err(Error::io(format!("opening {}", root.display())))?;
        let lock = lock(&root)?;
        if !has_format(&root)? {
            write_durably(&root.join("FORMAT"), &format!("{FORMAT}\n"))?;
        }
        std::fs::create_dir_all(root.join("config")).map_err(Error::io(format!("creating {}", root.display())))?;
        Ok(Self { root, _lock: lock })
    }

    /// Where the engine keeps its tables and temporary files.
    pub fn engine(&self) -> PathBuf {
        self.root.join("engine")
    }

    /// Where the engine's configuration is written.
    pub fn config(&self) -> PathBuf {
        self.root.join("config")
    }
}

fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("LOCK");
    let during = || format!("locking {}", path.display());
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io(during()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = (&mut file).take(4096).read_to_string(&mut holder); // the message is the better for it, no more
            let (pid, name) = holder.trim().split_once(' ').unwrap_or(("0", "unknown"));
            return Err(Error::InUse { dir: root.to_path_buf(), pid: pid.parse().unwrap_or(0), name: name.to_owned() });
        }
        Err(e) => return Err(Error::io(during())(e.into())),
    }
    let name = std::fs::read("/proc/self/cmdline").map_or_else(
        |_| "headwater".to_owned(),
        |line| String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " "),
    );
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{} {name}", std::process::id()))
        .map_err(Error::io(during()))?;
    Ok(file)
}

/// Whether this release knows the format of the store below a data directory; where there is none yet, it does. Makes and locks
/// nothing, so that who would fill it can ask before anything is touched.
///
/// # Errors
/// [`Error::NewerFormat`], [`Error::Malformed`], or what the file system says.
pub fn check_format(data_dir: &Path) -> Result<(), Error> {
    has_format(&data_dir.join("store")).map(drop)
}

/// Whether the folder has a format, which then is known; `false`: nothing is kept there yet.
fn has_format(root: &Path) -> Result<bool, Error> {
    let path = root.join("FORMAT");
    let malformed = |reason: &str| Error::Malformed { path: path.clone(), reason: reason.to_owned() };
    match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(FORMAT) => Ok(true),
            Ok(found) if found > FORMAT => Err(Error::NewerFormat { dir: root.to_path_buf(), found, known: FORMAT }),
            Ok(_) => Err(malformed("formats below 1 were never released")),
            Err(_) => Err(malformed("it should hold a version number")),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let held = std::fs::read_dir(root.join("engine")).is_ok_and(|mut entries| entries.next().is_some());
            if held { Err(malformed("it is missing beside data")) } else { Ok(false) }
        }
        Err(e) => Err(Error::io(format!("reading {}", path.display()))(e)),
    }
}

/// Replaces a file so that a reader, or a start after power loss, sees the old or the new one, whole.
pub(super) fn write_durably(path: &Path, text: &str) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(Error::io(format!("writing {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().expect("temp dir");
        let held = Directory::open(dir.path()).expect("first");
        match Directory::open(dir.path()).expect_err("second") {
            Error::InUse { pid, name, .. } => {
                assert_eq!(pid, std::process::id());
                assert!(name.contains("store"), "{name}");
            }
            other => panic!("{other}"),
        }
        drop(held);
        Directory::open(dir.path()).expect("free again");
    }

    #[test]
    fn newer_and_unreadable_formats_are_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        check_format(dir.path()).expect("nothing is there");
        drop(Directory::open(dir.path()).expect("made"));
        check_format(dir.path()).expect("of this release");
        let format = dir.path().join("store/FORMAT");
        std::fs::write(&format, "2\n").expect("write");
        assert!(matches!(Directory::open(dir.path()), Err(Error::NewerFormat { found: 2, known: 1, .. })));
        assert!(matches!(check_format(dir.path()), Err(Error::NewerFormat { found: 2, known: 1, .. })));
        std::fs::write(&format, "one\n").expect("write");
        assert!(matches!(Directory::open(dir.path()), Err(Error::Malformed { .. })));
        std::fs::remove_file(&format).expect("remove");
        std::fs::create_dir(dir.path().join("store/engine/data")).expect("data");
        assert!(matches!(Directory::open(dir.path()), Err(Error::Malformed { .. })));
    }
}
