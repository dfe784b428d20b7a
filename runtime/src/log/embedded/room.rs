//! Whether there is room for a commit, asked before it is written.
//!
//! Guarantee: whoever brings new work leaves a reserve to those who work it off, and these leave one to positions and removals:
//! so a log that is full gets empty again by itself, however far its readers were behind. For a log without readers
//! ([`super::EmbeddedConfig::readers`]) all records are alike.

use super::{
    Shared,
    directory::{free_bytes, used_bytes},
};
use crate::log::{LogError, LogErrorKind};

/// Room that positions and removals may use when records may not: they are what makes room.
const SMALL_RESERVE_BYTES: u64 = 8 << 20;
/// What new work leaves of `max_bytes` to those who work it off: this part of it …
const WORKING_PART: u64 = 4;
/// … and at most so much.
const WORKING_RESERVE_BYTES: u64 = 256 << 20;
/// Room beyond the reserve that is made before it is needed.
const AHEAD_BYTES: u64 = 32 << 20;

/// What the log may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes that the directory may take.
    pub max_bytes: Option<u64>,
    /// Bytes to be left free on the file system.
    pub min_free: u64,
}

/// What a commit wants room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Records that somebody has to work off.
    NewWork,
    /// Records of somebody who works off, or that replace others.
    WorkingOff,
    /// Positions and removals.
    Small,
}

/// Room at the start of a batch.
pub struct Room {
    /// What the directory may take.
    pub limits: Limits,
    /// Bytes free on the file system, where that is known.
    pub free: Option<u64>,
    /// Bytes that the directory takes, or will, where it has a limit.
    pub used: Option<u64>,
    /// Why nothing can be written at all.
    pub failed: Option<LogError>,
}

impl Limits {
    /// What is free now, and what the directory takes: what is in memory only as if it were written out already. `used`: what
    /// it takes, where that is known.
    pub fn measure(self, shared: &Shared, used: Option<u64>) -> Room {
        let in_memory = || {
            let guard = shared.engine.read().unwrap_or_else(|e| e.into_inner());
            guard.as_ref().map_or(0, |engine| engine.db.write_buffer_size())
        };
        let used = self.max_bytes.map(|_| used.unwrap_or_else(|| used_bytes(&shared.dir) + in_memory()));
        Room { limits: self, free: free_bytes(&shared.dir).ok(), used, failed: None }
    }

    /// What is to be left free on the file system.
    fn left_free(self, need: Need) -> u64 {
        match need {
            Need::NewWork => self.min_free,
            Need::WorkingOff => self.min_free / 2,
            Need::Small => SMALL_RESERVE_BYTES.min(self.min_free / 4),
        }
    }

    /// What is to be left of the directory's own limit. Positions and removals are never refused for it.
    fn left_of_limit(max: u64, need: Need) -> u64 {
        if need == Need::NewWork { (max / WORKING_PART).min(WORKING_RESERVE_BYTES) } else { 0 }
    }
}

impl Room {
    /// Whether so many bytes may join a batch that adds `staged` already.
    pub fn check(&self, shared: &Shared, need: Need, bytes: u64, staged: u64) -> Result<(), LogError> {
        if let Some(e) = &self.failed {
            return Err(e.clone());
        }
        let dir = shared.dir.display();
        let mib = |b: u64| b >> 20;
        let full = |why: String| {
            let words = match shared.waits_for().filter(|_| need != Need::Small) {
                Some(waits) => format!("{waits}; {why}"),
                None => why,
            };
            Err(LogError::new(LogErrorKind::Full, words))
        };
        // Twice: once in the engine's journal, once in its tables.
        let wanted = 2 * (bytes + staged);
        if let Some(free) = self.free
            && free < self.limits.left_free(need).saturating_add(wanted)
        {
            return full(format!(
                "{} MiB are free where {dir} is, and {} MiB are kept in reserve: free some space, the log goes on by itself",
                mib(free),
                mib(self.limits.min_free)
            ));
        }
        let need = if shared.holds.is_empty() { Need::WorkingOff } else { need };
        match self.used.zip(self.limits.max_bytes) {
            Some((used, max)) if bytes > 0 && used.saturating_add(wanted + Limits::left_of_limit(max, need)) > max => {
                full(format!(
                    "the log in {dir} takes {} MiB of the {} MiB that it may (`[log] max_bytes`)",
                    mib(used),
                    mib(max)
                ))
            }
            _ => Ok(()),
        }
    }

    /// Bytes that have to go before there is room for new work without a thought; 0 when there is.
    pub fn lacks(&self) -> u64 {
        let free =
            self.free.map_or(0, |free| (self.limits.left_free(Need::NewWork) + AHEAD_BYTES).saturating_sub(free));
        let used = self.used.zip(self.limits.max_bytes).map_or(0, |(used, max)| {
            (used + Limits::left_of_limit(max, Need::NewWork) + AHEAD_BYTES).saturating_sub(max)
        });
        free.max(used)
    }
}
