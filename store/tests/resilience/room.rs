//! A place on a disk that can be filled: a small file system in memory, where one may be mounted.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub struct Room {
    place: TempDir,
    /// Whether it is a file system of its own, which may be filled.
    pub own: bool,
}

impl Room {
    /// Of this size, MiB. Says so aloud when it cannot be mounted, which only a developer's machine may; then nothing is filled.
    pub fn new(megabytes: u32) -> Self {
        let place = tempfile::tempdir().expect("temp dir");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "headwater-test"])
            .arg(place.path())
            .output();
        let own = mounted.as_ref().is_ok_and(|output| output.status.success());
        if !own {
            let why =
                mounted.map_or_else(|e| e.to_string(), |output| String::from_utf8_lossy(&output.stderr).into_owned());
            assert!(std::env::var_os("CI").is_none(), "a small file system cannot be mounted here: {}", why.trim());
            eprintln!("SKIPPED: a full disk (a small file system cannot be mounted here: {})", why.trim());
        }
        Self { place, own }
    }

    /// A folder in it for one store.
    pub fn folder(&self) -> TempDir {
        TempDir::new_in(self.place.path()).expect("temp dir")
    }

    fn filler(&self) -> PathBuf {
        self.place.path().join("filler")
    }

    /// Leaves no byte.
    pub fn fill(&self) {
        assert!(self.own, "never the machine's own disk");
        let mut file = std::fs::File::create(self.filler()).expect("filler");
        for size in [1 << 20, 4096, 1] {
            let piece = vec![1u8; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    /// Leaves so many MiB.
    pub fn fill_but(&self, megabytes: u64) {
        assert!(self.own, "never the machine's own disk");
        let stat = rustix::fs::statvfs(self.place.path()).expect("its size");
        let take = (stat.f_bavail * stat.f_frsize).saturating_sub(megabytes << 20);
        let file = std::fs::File::create(self.filler()).expect("filler");
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, take).expect("room for the filler");
    }

    pub fn empty(&self) {
        std::fs::remove_file(self.filler()).expect("filler");
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.own {
            let place: &Path = self.place.path();
            let _ = Command::new("umount").arg("--lazy").arg(place).status();
        }
    }
}
