//! What goes wrong in a round, and what is left of it.

use crate::door::Door;
use crate::harness::{Running, alive, resident};
use crate::room::Room;
use crate::{POLYGONS, within};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The process is killed while rows are written.
    Killed,
    /// Killed, and files that are none of the engine's lie in its folder when it starts.
    Junk,
    /// Killed while its disk is full, which it stays for a while.
    Disk,
    /// Four statements that want all the memory that they may have.
    Memory,
    /// Four statements that hear of no limit of memory.
    Polygons,
}

/// Resident memory of the store that no test waits any longer for, bytes.
const FAR_TOO_MUCH: u64 = 5 << 30;

impl Trouble {
    /// Each once, then any.
    pub fn of_round(round: u64, rng: &mut fastrand::Rng, room: &Room) -> Self {
        let die = rng.u8(..50);
        match [0, 20, 40, 45, 48].get(usize::try_from(round).unwrap_or(usize::MAX)).copied().unwrap_or(die) {
            0..18 => Self::Killed,
            18..38 => Self::Junk,
            38..43 if room.own => Self::Disk,
            43..48 => Self::Memory,
            48..50 => Self::Polygons,
            _ => Self::Killed,
        }
    }

    /// Makes it; answers what is wrong already, and the files to take away should the store not come back by itself.
    pub fn happen(self, rng: &mut fastrand::Rng, store: &Running, room: &Room) -> (Vec<String>, Vec<PathBuf>) {
        let analyst = Door::analyst(store);
        match self {
            Self::Killed => {
                std::thread::sleep(Duration::from_millis(rng.u64(..300)));
                kill(store);
                (Vec::new(), Vec::new())
            }
            Self::Junk => {
                let engine = store.dir.path().join("store/engine");
                let junk: Vec<PathBuf> = (0..rng.usize(1..5)).filter_map(|_| litter(rng, &engine)).collect();
                kill(store);
                (Vec::new(), junk)
            }
            Self::Disk => {
                room.fill();
                let stages = Door::stages(store);
                let insert = stages.ask(
                    "/",
                    b"INSERT INTO kept SELECT 1000000, number FROM numbers(100000)",
                    Duration::from_secs(30),
                );
                kill(store);
                std::thread::sleep(Duration::from_millis(rng.u64(500..3000)));
                room.empty();
                let wrong = match insert {
                    Ok(answer) if answer.code() != 0 => Vec::new(),
                    other => vec![format!("an insert without a disk was answered {other:?}")],
                };
                (wrong, Vec::new())
            }
            Self::Memory => {
                let sql = "SELECT length(groupArray(toString(number) || repeat('x', 200))) FROM numbers(100000000)";
                (four(store, &analyst, sql), Vec::new())
            }
            Self::Polygons => (four(store, &analyst, POLYGONS), Vec::new()),
        }
    }
}

pub fn kill(store: &Running) {
    let pid = store.pid();
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    assert!(within(Duration::from_secs(10), || !alive(pid)), "it is dead");
}

/// Four at once; refused ones are asked by the stages. What grows without end is killed, and said.
fn four(store: &Running, analyst: &Door, sql: &str) -> Vec<String> {
    let refused = analyst.ask("/?max_execution_time=1", sql.as_bytes(), Duration::from_millis(1500));
    let door = if refused.is_ok_and(|answer| answer.code() == 497) { Door::stages(store) } else { analyst.clone() };
    let pid = store.holder();
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| door.ask("/?max_execution_time=5", sql.as_bytes(), Duration::from_secs(40))))
            .collect();
        let mut worst = 0;
        let ended = within(Duration::from_secs(45), || {
            let now = pid.filter(|pid| alive(*pid)).map_or(0, resident_or_none);
            worst = worst.max(now);
            if now > FAR_TOO_MUCH {
                kill(store);
            }
            asked.iter().all(std::thread::ScopedJoinHandle::is_finished)
        });
        if !ended {
            wrong.push("four heavy statements have not ended after 45 s".to_owned());
        }
        if worst > FAR_TOO_MUCH {
            wrong.push(format!("four statements took {} MB and were ended by the test", worst >> 20));
        }
    });
    wrong
}

fn resident_or_none(pid: i32) -> u64 {
    std::panic::catch_unwind(|| resident(pid).0).unwrap_or(0)
}

/// A file that does not belong there, as a mistake, a copy or an attack leaves it.
fn litter(rng: &mut fastrand::Rng, engine: &Path) -> Option<PathBuf> {
    let name = format!("junk{:08x}", rng.u32(..));
    let sql = format!("{name}.sql");
    let bytes: Vec<u8> = (0..rng.usize(1..4000)).map(|_| rng.u8(..)).collect();
    let table = b"ATTACH TABLE _ UUID '00000000-0000-0000-0000-0000000000".to_vec();
    let database = b"ATTACH DATABASE _ UUID '11111111-1111".to_vec();
    let (path, content) = match rng.u8(..14) {
        0 => ("metadata/evil.sql".into(), Vec::new()),
        1 => (format!("metadata/{sql}"), Vec::new()),
        2 => (format!("metadata/{sql}"), bytes),
        3 => (format!("metadata/{sql}"), database),
        4 => (format!("metadata/{name}"), bytes),
        5 => (format!("metadata/{sql}.tmp"), database),
        6 => (format!("metadata/headwater/{sql}"), Vec::new()),
        7 => (format!("metadata/headwater/{sql}"), table),
        8 => (format!("metadata/headwater/{name}"), bytes),
        9 => (format!("data/{name}"), bytes),
        10 => (format!("data/{name}.sql"), Vec::new()),
        11 => (format!("store/{name}"), bytes),
        12 => (format!("store/abc/{name}"), bytes),
        _ => (name, bytes),
    };
    let path = engine.join(path);
    std::fs::create_dir_all(path.parent()?).ok()?;
    std::fs::write(&path, content).ok()?;
    Some(path)
}
