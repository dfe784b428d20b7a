//! When the store has merged what there was to merge, seen from outside, so that it is the same for any version of the binary.
//!
//! A merge writes into a folder `tmp_merge_…` beside the parts, and its CPU is that of the threads called `MergeMutate`. It has all
//! ended when for a while there was no such folder and those threads did nothing.

use super::instance::Instance;
use super::{Failure, processes};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(2);
/// How long it must have been calm: longer than the engine waits between two tries.
const CALM: Duration = Duration::from_secs(12);
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How a merge's folder begins.
const FOLDER: &str = "tmp_merge_";

/// What merges took after the last row was visible.
pub(super) struct Merged {
    /// Until the last of them had ended.
    pub after: Duration,
    /// Their CPU.
    pub used: Duration,
}

fn used(pid: u32) -> Duration {
    processes::of_children(pid).get(processes::MERGES).copied().unwrap_or_default()
}

/// Waits until merges have ended.
pub(super) async fn end(instance: &Instance) -> Result<Merged, Failure> {
    let (begun, before) = (Instant::now(), used(instance.pid()));
    let (mut last, mut busy_until) = (before, begun);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = used(instance.pid());
        if now != last || under_way(&instance.store_folder()) {
            (last, busy_until) = (now, Instant::now());
        }
        if busy_until.elapsed() >= CALM {
            return Ok(Merged { after: busy_until - begun, used: last.saturating_sub(before) });
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("merges were still under way after {PATIENCE:?}").into());
        }
    }
}

/// Whether there is a folder of a merge; what vanishes meanwhile counts nothing.
fn under_way(folder: &Path) -> bool {
    let Ok(all) = fs::read_dir(folder) else { return false };
    all.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).any(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with(FOLDER)) || under_way(&entry.path())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merges_folder_is_seen_at_any_depth() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = folder.path().join("store/abc/table");
        fs::create_dir_all(table.join("0_1_1_0")).expect("made");
        fs::write(table.join("tmp_merge_of_a_file"), "").expect("written");
        assert!(!under_way(folder.path()));
        fs::create_dir(table.join("tmp_merge_0_1_2_1")).expect("made");
        assert!(under_way(folder.path()));
    }
}
