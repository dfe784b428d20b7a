//! The room on the disk that analysts' temporary files may take.
//!
//! Guarantee: an analyst's statement never takes the room that the log or the store need to go on writing. What one may write
//! is its share of what lies free beyond the reserve when it begins; the engine asks again before each piece, and refuses (243);
//! and when others fill the disk meanwhile, statements that hold temporary files are ended ([`super::watch`]), which removes them.

use schemas::limits::store as limits;
use std::path::PathBuf;

/// The disk under the engine's folder.
#[derive(Clone, Debug)]
pub(super) struct Room {
    engine: PathBuf,
    reserve: u64,
}

impl Room {
    /// Of the engine's folder. `reserve`: what others than the store keep free there, bytes.
    pub fn new(engine: PathBuf, reserve: u64) -> Self {
        Self { engine, reserve: reserve.max(limits::FREE_DISK_BYTES) }
    }

    /// Free room below which nothing temporary is written, bytes.
    pub fn floor(&self) -> u64 {
        self.reserve.saturating_add(limits::TEMPORARY_MARGIN_BYTES)
    }

    /// What each of so many statements may write, bytes; at least one, since none is no limit to the engine.
    pub fn share(&self, statements: usize) -> u64 {
        let spare = self.free().map_or(0, |free| free.saturating_sub(self.floor()));
        (spare / statements.max(1) as u64).clamp(1, limits::ANALYST_TEMPORARY_BYTES)
    }

    /// Whether temporary files have to go: half of the margin is taken, and there are some.
    pub fn is_short(&self) -> bool {
        let least = self.reserve.saturating_add(limits::TEMPORARY_MARGIN_BYTES / 2);
        self.free().is_some_and(|free| free < least) && self.temporary() > 0
    }

    fn free(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.engine).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn temporary(&self) -> u64 {
        let entries = std::fs::read_dir(self.engine.join("tmp")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).filter(|file| file.is_file()).map(|file| file.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_the_reserve_is_shared() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(dir.path().join("tmp")).expect("folder");
        let (none, all) = (Room::new(dir.path().into(), 0), Room::new(dir.path().into(), u64::MAX / 2));
        assert!((1..=limits::ANALYST_TEMPORARY_BYTES).contains(&none.share(4)));
        assert_eq!(all.share(4), 1, "no room, and not: no limit");
        assert!(!all.is_short(), "nothing temporary is there");
        std::fs::write(dir.path().join("tmp/tmpa"), "x").expect("a file");
        assert!(all.is_short() && all.floor() > all.reserve);
        let gone = Room::new(dir.path().join("gone"), 0);
        assert_eq!((gone.share(1), gone.is_short()), (1, false), "what cannot be asked is no room");
    }
}
