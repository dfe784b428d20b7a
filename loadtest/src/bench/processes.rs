//! What the kernel counted for a process and its children: CPU by thread name, memory, from `/proc`.
//!
//! Times are in clock ticks there (utime + stime, `proc_pid_stat(5)`), 10 ms on every common kernel. Threads that ended
//! are in their process's sum only, and shown as `ended`.

use rustix::param::clock_ticks_per_second;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// CPU time by who used it: `stage` in the first process, `process: …` for children.
pub(crate) type Usage = BTreeMap<String, Duration>;

/// The highest resident memory of a process and its children, in bytes (VmHWM).
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// The first process.
    pub main: u64,
    /// Its children together: the store.
    pub children: u64,
}

/// How the children's CPU is called.
pub(super) const STORE: &str = "store (child process)";

/// How the engine's threads that merge are called.
pub(super) const MERGES: &str = "MergeMutate";

/// CPU time so far of process `pid` by thread name, and of each child as a whole.
pub(crate) fn usage(pid: u32) -> Usage {
    let mut usage = Usage::new();
    by_thread(pid, &mut usage);
    for child in children(pid) {
        *usage.entry(STORE.to_owned()).or_default() += of_stat(&format!("/proc/{child}/stat"));
    }
    usage
}

/// CPU time so far of the children of process `pid`, by thread name.
pub(super) fn of_children(pid: u32) -> Usage {
    let mut usage = Usage::new();
    children(pid).into_iter().for_each(|child| by_thread(child, &mut usage));
    usage
}

/// CPU time so far of this process's threads called `name`.
pub(super) fn own(name: &str) -> Duration {
    let mut usage = Usage::new();
    by_thread(std::process::id(), &mut usage);
    usage.get(name).copied().unwrap_or_default()
}

/// How the simulated node's CPU is called.
pub(super) const NODE: &str = "simulated node";

/// How the brokers' CPU is called.
pub(super) const BROKER: &str = "Kafka broker";

/// CPU time so far of the brokers that `scripts/services` started; `None` when it does not say who they are.
pub(super) fn brokers() -> Option<Duration> {
    let folder = std::env::var_os("HEADWATER_SERVICES")?;
    let pids = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| {
        let name = entry.file_name();
        let name = name.to_str()?;
        let broker = name.starts_with("kafka-") && name.ends_with(".pid");
        if broker { fs::read_to_string(entry.path()).ok()?.trim().parse::<u32>().ok() } else { None }
    });
    let used: Vec<Duration> = pids.map(|pid| of_stat(&format!("/proc/{pid}/stat"))).collect();
    (!used.is_empty()).then(|| used.iter().sum())
}

/// What was used between two readings, nothing left out.
pub(super) fn since(before: &Usage, after: &Usage) -> Usage {
    let used = |(name, at): (&String, &Duration)| {
        let used = at.saturating_sub(before.get(name).copied().unwrap_or_default());
        (!used.is_zero()).then(|| (name.clone(), used))
    };
    after.iter().filter_map(used).collect()
}

fn by_thread(pid: u32, usage: &mut Usage) {
    let mut threads = Duration::ZERO;
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
    for task in tasks.flatten() {
        let stat = task.path().join("stat");
        let Ok(text) = fs::read_to_string(&stat) else { continue };
        let used = ticks(&text);
        threads += used;
        *usage.entry(group(&text)).or_default() += used;
    }
    let all = of_stat(&format!("/proc/{pid}/stat"));
    *usage.entry("ended threads".to_owned()).or_default() += all.saturating_sub(threads);
}

fn of_stat(path: &str) -> Duration {
    fs::read_to_string(path).map_or(Duration::ZERO, |text| ticks(&text))
}

/// Fields 14 and 15 of a stat line. The name in field 2 may hold spaces, so count from its closing bracket.
fn ticks(stat: &str) -> Duration {
    let Some((_, rest)) = stat.rsplit_once(')') else { return Duration::ZERO };
    let sum: u64 = rest.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(sum * 1000 / clock_ticks_per_second().max(1))
}

/// A thread's name without its number: threads of one pool are one.
fn group(stat: &str) -> String {
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(name, _)| name);
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '#' | ' '));
    name.strip_suffix("-main").unwrap_or(name).to_owned()
}

/// All descendants of `pid`.
fn children(pid: u32) -> Vec<u32> {
    let parent_of = |stat: &str| {
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_ascii_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let all: Vec<(u32, u32)> = all
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, parent_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, p)| *p == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.split_off(1)
}

/// The highest resident memory so far.
pub fn memory(pid: u32) -> Memory {
    let peak = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|l| l.split_ascii_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
    };
    Memory { main: peak(pid), children: children(pid).into_iter().map(peak).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_are_read_from_a_stat_line() {
        let line = "71 (enrich-main) S 1 71 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 1 1 1";
        assert_eq!(group(line), "enrich");
        assert_eq!(ticks(line), Duration::from_millis(300_000 / clock_ticks_per_second()));
        assert_eq!(group("1 (a (b) c 12) S"), "a (b) c");
    }

    #[test]
    fn busy_threads_are_counted_under_their_name() {
        let before = own("busy-bee");
        let busy = std::thread::Builder::new().name("busy-bee-7".into()).spawn(|| {
            while own("busy-bee") < Duration::from_millis(50) {
                std::hint::black_box((0..100_000u64).map(std::hint::black_box).sum::<u64>());
            }
            own("busy-bee")
        });
        let used = busy.expect("a thread").join().expect("it ends");
        assert!(used >= before + Duration::from_millis(50));
        assert!(memory(std::process::id()).main > 1 << 20);
    }

    #[test]
    fn a_child_is_found_and_counted() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().expect("sleep");
        assert!(children(std::process::id()).contains(&child.id()));
        child.kill().expect("killed");
        child.wait().expect("gone");
        assert!(!children(std::process::id()).contains(&child.id()));
    }
}
