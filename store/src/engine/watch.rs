//! The bounds on the memory of the store's process and on analysts' temporary files.
//!
//! Guarantee: the process never holds more than its limit by far. The engine counts what its own code allocates and refuses a
//! statement that passes its share; some of its libraries take memory uncounted. So resident memory is looked at ten times a
//! second: beyond the limit, readers' statements are ended; far beyond it, the process ends, named, and its supervisor starts it
//! again. Behind this stands a bound of the kernel's on what the process may ask for at all (`RLIMIT_DATA`), so that one
//! allocation cannot take the machine's memory between two looks.

use super::http::Front;
use super::process;
use super::room::Room;
use rustix::process::{Resource, Rlimit, setrlimit};
use schemas::limits::store as limits;
use std::sync::Arc;
use std::time::Instant;

/// Starts the watch for the process's life. `memory` is what the engine may use, bytes.
pub(super) fn start(memory: u64, room: Room, front: Arc<Front>) -> std::io::Result<()> {
    let most = memory + limits::MEMORY_ADDRESSES;
    if let Err(error) = setrlimit(Resource::Data, Rlimit { current: Some(most), maximum: Some(most) }) {
        tracing::warn!(%error, "the kernel sets no bound on the store's memory; the watch alone keeps it");
    }
    std::thread::Builder::new().name("memory-watch".to_owned()).spawn(move || {
        let (mut told, mut looked) = (None::<Instant>, Instant::now());
        loop {
            std::thread::sleep(limits::MEMORY_LOOK);
            if looked.elapsed() >= limits::DISK_LOOK {
                looked = Instant::now();
                if room.is_short() {
                    tracing::warn!(
                        "the disk is short of room: analysts' statements are ended, for their temporary files"
                    );
                    front.end_analysts();
                }
            }
            let Some(resident) = resident() else {
                process::end("its memory cannot be watched: /proc/self/status does not say it")
            };
            if resident > memory + limits::MEMORY_FAR_BEYOND {
                process::end(&format!(
                    "it holds {} MiB, far beyond its limit of {} MiB, for something that the engine does not count",
                    resident >> 20,
                    memory >> 20
                ));
            }
            if resident <= memory + limits::MEMORY_BEYOND {
                told = None;
            } else if told.is_none_or(|at| at.elapsed() >= limits::MEMORY_ENDS) {
                // Again while it stays beyond: others came meanwhile.
                told = Some(Instant::now());
                tracing::warn!(
                    resident_mib = resident >> 20,
                    "memory is beyond its limit: readers' statements are ended"
                );
                front.end_readers();
            }
        }
    })?;
    Ok(())
}

/// Resident memory of this process, bytes; proc_pid_status(5), which the sandbox leaves open.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))?;
    Some(kib.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    #[test]
    fn resident_memory_is_read() {
        let held = vec![1u8; 64 << 20];
        assert!(super::resident().is_some_and(|bytes| bytes > 64 << 20), "{}", held.len());
    }
}
