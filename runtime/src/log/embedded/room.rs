//! Whether there is room for a commit, asked before it is written.
//!
//! Guarantee: records leave the reserve of free space and the directory's own limit alone; positions and removals, which let
//! readers pass and make room, may use most of the reserve.

use super::directory::Directory;
use crate::log::{LogError, LogErrorKind};

/// Room that positions and removals may use when records may not: they are what makes room.
const SMALL_RESERVE_BYTES: u64 = 8 << 20;

/// Room at the start of a batch.
pub struct Room {
    /// Bytes free on the file system, where that is known.
    pub free: Option<u64>,
    /// Bytes to be left free.
    pub min_free: u64,
    /// Bytes that the directory takes and may take, where it has a limit.
    pub used: Option<(u64, u64)>,
    /// Why nothing can be written at all.
    pub failed: Option<LogError>,
}

impl Room {
    /// Whether so many bytes may join a batch that adds `staged` already.
    pub fn check(&self, directory: &Directory, bytes: u64, staged: u64) -> Result<(), LogError> {
        if let Some(e) = &self.failed {
            return Err(e.clone());
        }
        let dir = directory.path().display();
        let mib = |b: u64| b >> 20;
        // Twice: once in the engine's journal, once in its tables.
        let wanted = 2 * (bytes + staged);
        let min_free = if bytes == 0 { SMALL_RESERVE_BYTES.min(self.min_free / 2) } else { self.min_free };
        if let Some(free) = self.free
            && free < min_free.saturating_add(wanted)
        {
            return Err(LogError::new(
                LogErrorKind::Full,
                format!(
                    "{} MiB are free where {dir} is, and {} MiB are kept in reserve: free some space, the log goes on by itself",
                    mib(free),
                    mib(self.min_free)
                ),
            ));
        }
        match self.used {
            Some((used, max)) if bytes > 0 && used.saturating_add(bytes + staged) > max => Err(LogError::new(
                LogErrorKind::Full,
                format!(
                    "the log in {dir} takes {} MiB of the {} MiB that it may: raise the limit, or lower the retention of its topics",
                    mib(used),
                    mib(max)
                ),
            )),
            _ => Ok(()),
        }
    }
}
