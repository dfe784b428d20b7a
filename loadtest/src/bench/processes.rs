//! What the kernel counted for a process and its children: CPU by thread name, memory, from `/proc`.
//!
//! Times are in clock ticks there (utime + stime, `proc_pid_stat(5)`), 10 ms on every common kernel. Threads that ended
//! are in their process's sum only: a [`Watch`] looks now and then, so that what it saw of one counts under its name for ever;
//! the rest is shown as `ended`.

use rustix::param::clock_ticks_per_second;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often a watch looks.
const LOOK: Duration = Duration::from_millis(100);

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

/// How the CPU of threads that ended unseen is called.
pub(super) const ENDED: &str = "ended threads";

/// How the children's CPU is called.
pub(super) const STORE: &str = "store (child process)";

/// How the engine's threads that merge are called.
pub(super) const MERGES: &str = "MergeMutate";

/// CPU time so far of process `pid` by thread name, and of each child as a whole.
pub(crate) fn usage(pid: u32) -> Usage {
    let mut usage = Usage::new();
    by_thread(pid, &mut usage);
    of_store(pid, &mut usage);
    usage
}

fn of_store(pid: u32, usage: &mut Usage) {
    for child in children(pid) {
        *usage.entry(STORE.to_owned()).or_default() += of_stat(&format!("/proc/{child}/stat"));
    }
}

/// Threads of a process that were seen so far, by their id and when they started: name and CPU time.
#[derive(Debug, Default)]
struct Seen(HashMap<(u32, u64), (String, Duration)>);

impl Seen {
    fn look(&mut self, pid: u32) {
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
        for task in tasks.flatten() {
            let Some(id) = task.file_name().to_str().and_then(|id| id.parse().ok()) else { continue };
            let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
            self.0.insert((id, started(&stat)), (group(&stat), ticks(&stat)));
        }
    }

    fn usage(&self, pid: u32) -> Usage {
        let mut usage = Usage::new();
        for (name, used) in self.0.values() {
            *usage.entry(name.clone()).or_default() += *used;
        }
        let seen: Duration = usage.values().sum();
        usage.insert(ENDED.to_owned(), of_stat(&format!("/proc/{pid}/stat")).saturating_sub(seen));
        of_store(pid, &mut usage);
        usage
    }
}

/// Looks at a process's threads until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    pid: u32,
    seen: Arc<Mutex<Seen>>,
    looking: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(pid: u32) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let looked = seen.clone();
        let looking = tokio::spawn(async move {
            loop {
                looked.lock().unwrap_or_else(PoisonError::into_inner).look(pid);
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { pid, seen, looking }
    }

    /// CPU time so far by thread name, and of each child as a whole.
    pub(super) fn usage(&self) -> Usage {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.look(self.pid);
        seen.usage(self.pid)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
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
    *usage.entry(ENDED.to_owned()).or_default() += all.saturating_sub(threads);
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

/// Field 22 of a stat line: when the thread started, in ticks since the machine did.
fn started(stat: &str) -> u64 {
    let field = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19));
    field.and_then(|field| field.parse().ok()).unwrap_or(0)
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

/// A figure of `/proc/PID/status`, `proc_pid_status(5)`.
fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|l| l.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
}

/// The present resident memory of process `pid` alone, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    status(pid, "VmRSS") * 1024
}

/// The present threads of process `pid` alone.
pub(super) fn threads(pid: u32) -> usize {
    status(pid, "Threads") as usize
}

/// The highest resident memory so far.
pub fn memory(pid: u32) -> Memory {
    let peak = |pid: u32| status(pid, "VmHWM") * 1024;
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
        assert_eq!(started("71 (a b) S 1 71 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 777 1 1"), 777);
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
        let own = std::process::id();
        assert!(memory(own).main > 1 << 20 && resident(own) > 1 << 20);
        assert!((1..1_000).contains(&threads(own)), "{}", threads(own));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_thread_used_keeps_its_name_after_its_end() {
        let watch = Watch::start(std::process::id());
        let used = |usage: &Usage| usage.get("brief-bee").copied().unwrap_or_default();
        let busy = std::thread::Builder::new().name("brief-bee-1".into()).spawn(|| {
            while own("brief-bee") < Duration::from_millis(400) {
                std::hint::black_box((0..100_000u64).map(std::hint::black_box).sum::<u64>());
            }
        });
        tokio::task::spawn_blocking(move || busy.expect("a thread").join()).await.expect("joined").expect("it ends");
        // The kernel forgets it a moment after it was joined.
        while own("brief-bee") > Duration::ZERO {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(used(&watch.usage()) >= Duration::from_millis(100), "{:?}", watch.usage());
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
