//! Power loss, with a disk that keeps only what was synced.
//!
//! The test binary's own `fsync` and `fdatasync` stand in the place of the C library's. For the files of a directory that is
//! watched they note, after the real call, what the file holds: that, and nothing else, is on the [`Disk`]. Whatever was written
//! and not synced is not there when the power goes. Names are taken as they are at that moment: a file that was never synced is
//! there, and empty.

#![allow(unsafe_code)] // the names of the C library's two functions

use std::{
    collections::HashMap,
    os::{
        fd::BorrowedFd,
        unix::fs::{FileExt, MetadataExt},
    },
    sync::LazyLock,
};

use super::{
    super::*,
    ledger::{Ledger, verify},
};

/// Length of a file, and what it holds from where on. Journals have holes of up to 64 MiB, which are left out.
type Content = (u64, Vec<(u64, Vec<u8>)>);
/// By inode: the content at the last sync.
type Contents = HashMap<u64, Content>;

/// Watched directories, and what is on the disk of each.
static DISKS: LazyLock<Mutex<HashMap<PathBuf, Contents>>> = LazyLock::new(Mutex::default);

#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: i32) -> i32 {
    // SAFETY: whoever syncs a file holds it open until the call returns.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    synced(fd, rustix::fs::fdatasync(fd))
}

#[unsafe(no_mangle)]
extern "C" fn fsync(fd: i32) -> i32 {
    // SAFETY: as above.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    synced(fd, rustix::fs::fsync(fd))
}

fn synced(fd: BorrowedFd<'_>, outcome: rustix::io::Result<()>) -> i32 {
    if outcome.is_err() {
        return -1; // why is not told: the direct call sets no `errno`
    }
    let mut disks = DISKS.lock().unwrap_or_else(|e| e.into_inner());
    if disks.is_empty() {
        return 0;
    }
    let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd))) else {
        return 0;
    };
    for (dir, contents) in disks.iter_mut().filter(|(dir, _)| path.starts_with(dir)) {
        if let Some((inode, content)) = std::fs::File::open(&path).ok().and_then(|file| read(&file)) {
            tracing::trace!(dir = %dir.display(), inode, "synced");
            contents.insert(inode, content);
        }
    }
    0
}

/// What a file holds, in pages that are not empty.
fn read(file: &std::fs::File) -> Option<(u64, Content)> {
    let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut parts = Vec::new();
    let mut at = 0;
    while let Ok(start) = rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        let end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start)).ok()?;
        let mut bytes = vec![0; (end - start) as usize];
        file.read_exact_at(&mut bytes, start).ok()?;
        parts.push((start, bytes));
        at = end;
    }
    Some((meta.ino(), (meta.len(), parts)))
}

/// A directory whose syncs are noted.
struct Disk(PathBuf);

impl Disk {
    fn watch(dir: &Path) -> Self {
        let dir = dir.canonicalize().unwrap();
        DISKS.lock().unwrap().insert(dir.clone(), HashMap::new());
        Self(dir)
    }

    /// The power goes: what is left, in another directory.
    fn without_power(&self, to: &Path) {
        let disks = DISKS.lock().unwrap();
        restore(&self.0, to, &disks[&self.0]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        DISKS.lock().unwrap_or_else(|e| e.into_inner()).remove(&self.0);
    }
}

fn restore(from: &Path, to: &Path, contents: &Contents) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        // Gone again in between: compaction removes files.
        let Ok(meta) = entry.metadata() else { continue };
        let to = to.join(entry.file_name());
        if meta.is_dir() {
            restore(&entry.path(), &to, contents);
            continue;
        }
        let file = std::fs::File::create(&to).unwrap();
        if let Some((len, parts)) = contents.get(&meta.ino()) {
            file.set_len(*len).unwrap();
            parts.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
        }
    }
}

fn config(dir: &Path, sync: Sync) -> EmbeddedConfig {
    EmbeddedConfig { sync, min_free_bytes: 1 << 20, retention_check: None, ..EmbeddedConfig::new(dir) }
}

/// At any moment, while commits and the engine's own work go on, the disk holds everything that was acknowledged before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::watch(dir.path());
    let mut ledger = Ledger::open(config(dir.path(), Sync::Data)).await.unwrap();
    for round in 0..8u64 {
        // The first rounds write little, the last ones so much that memory is written out in the background.
        ledger.filling = if round < 5 { 100 } else { 8000 };
        for _ in 0..if round < 5 { 7 } else { 60 } {
            ledger.write().await.unwrap();
        }
        let acknowledged = ledger.last;
        let left = tempfile::tempdir().unwrap();
        disk.without_power(left.path());
        let log =
            EmbeddedLog::open(config(left.path(), Sync::Data)).await.unwrap_or_else(|e| panic!("round {round}: {e}"));
        assert_eq!(verify(&log).await, acknowledged, "round {round}");
        log.close().await.unwrap();
    }
    ledger.close().await;
}

/// The disk of these tests is one that forgets: without syncs it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_syncs_the_last_commits_are_lost() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::watch(dir.path());
    let mut ledger = Ledger::open(config(dir.path(), Sync::Os)).await.unwrap();
    for _ in 0..20 {
        ledger.write().await.unwrap();
    }
    let left = tempfile::tempdir().unwrap();
    disk.without_power(left.path());
    let log = EmbeddedLog::open(config(left.path(), Sync::Os)).await.unwrap();
    let topics = [schemas::topics::TopicSpec {
        name: "ledger.headers",
        cleanup: schemas::topics::Cleanup::Delete,
        retention: None,
        retention_bytes: None,
        per_network: false,
    }];
    log.ensure_topics(&topics, 1).await.unwrap();
    let at = TopicPartition { topic: "ledger.headers", partition: 0 };
    assert!(log.watermarks(at).await.unwrap().high < ledger.last);
    log.close().await.unwrap();
    ledger.close().await;
}
