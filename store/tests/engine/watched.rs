//! A store with things in it that no analyst may ever see, and a look at what else an analyst has changed.
//!
//! The canaries: the value and the name of a table in another database, a file inside and one outside of the engine's
//! folder, the text of a statement that the stages run all the while, the stages' password, the host's name, the folder.

use crate::door::{Answer, Door};
use crate::harness::{PROGRAM, Running};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use store::engine::{ChildCommand, RestartPolicy};
use tempfile::TempDir;

/// The engine's own folders below its root, whose contents are its business.
const OF_THE_ENGINE: &[&str] = &["data", "store", "tmp"];
/// What the engine makes at its root when it first needs it.
const MADE_LATER: &[&str] = &["status", "uuid", "flags", "preprocessed_configs"];

/// A table that no analyst may read. Its name is no secret: it stands in statements, which their user sees running.
pub const FOREIGN: &str = "other.known";

struct Canary {
    what: &'static str,
    word: String,
}

pub struct Watched {
    pub store: Running,
    pub analyst: Door,
    pub stages: Door,
    canaries: Vec<Canary>,
    /// Holds the file that no engine has to do with, and is the child's folder for temporary files.
    around: TempDir,
    names: BTreeSet<String>,
    ending: Arc<AtomicBool>,
    beside: Option<JoinHandle<()>>,
}

fn word() -> String {
    format!("canary{:016x}", fastrand::u64(..))
}

impl Watched {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let around = tempfile::tempdir().expect("temp dir");
        let mut command = ChildCommand::new(PROGRAM, [dir.path()]);
        command.environment.push(("TMPDIR".into(), around.path().into()));
        let policy = RestartPolicy {
            first_delay: Duration::from_millis(50),
            longest_delay: Duration::from_secs(1),
            ..RestartPolicy::default()
        };
        let store = Running::start_in(dir, command, policy).await;
        let (analyst, stages) = (Door::analyst(&store), Door::stages(&store));
        let (row, name, inside, outside, statement) = (word(), word(), word(), word(), word());
        for sql in [
            "CREATE TABLE t (a UInt64, s String, d Date DEFAULT '2026-01-01', INDEX i s TYPE bloom_filter) \
             ENGINE = ReplacingMergeTree ORDER BY (a, cityHash64(a)) SAMPLE BY cityHash64(a)"
                .to_owned(),
            "INSERT INTO t (a, s) SELECT number, toString(number) FROM numbers(1000)".to_owned(),
            "CREATE VIEW v AS SELECT a AS b, s AS c FROM t".to_owned(),
            "CREATE DATABASE other".to_owned(),
            format!("CREATE TABLE {FOREIGN} (word String) ENGINE = MergeTree ORDER BY word"),
            format!("INSERT INTO {FOREIGN} VALUES ('{row}')"),
            format!("CREATE TABLE other.{name} (word String) ENGINE = MergeTree ORDER BY word"),
        ] {
            let answer = stages.say(&sql);
            assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        }
        let files = store.dir.path().join("store/engine/user_files");
        std::fs::create_dir_all(&files).expect("user_files");
        std::fs::write(files.join("inside.txt"), format!("{inside}\n")).expect("a file inside");
        std::fs::write(around.path().join("outside.txt"), format!("{outside}\n")).expect("a file outside");
        let ending = Arc::new(AtomicBool::new(false));
        let beside = {
            let (stages, ending) = (stages.clone(), Arc::clone(&ending));
            let sql = format!("SELECT sleepEachRow(1), '{statement}' FROM numbers(3)");
            std::thread::spawn(move || {
                while !ending.load(Ordering::Relaxed) {
                    if stages.ask("/", sql.as_bytes(), Duration::from_secs(10)).is_err() {
                        std::thread::sleep(Duration::from_millis(100));
                    }
                }
            })
        };
        let mut canaries = vec![
            Canary { what: "a row of another database", word: row },
            Canary { what: "a table's name of another database", word: name },
            Canary { what: "a file inside of the engine's folder", word: inside },
            Canary { what: "a file outside of the engine's folder", word: outside },
            Canary { what: "the statement of another user", word: statement },
            Canary { what: "the stages' password", word: store.credentials.stages.expose().to_owned() },
            Canary { what: "the folder's path", word: store.dir.path().display().to_string() },
        ];
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        if host.len() >= 8 && host != "localhost" {
            canaries.push(Canary { what: "the host's name", word: host });
        }
        let mut watched =
            Self { store, analyst, stages, canaries, around, names: BTreeSet::new(), ending, beside: Some(beside) };
        watched.names = watched.look();
        watched
    }

    /// Puts the places of this store into a statement: `{OUTSIDE}`, `{INSIDE}`, `{CREDENTIALS}`, `{ENGINE}`, `{FOREIGN}`.
    pub fn fill(&self, sql: &str) -> String {
        let store = self.store.dir.path().join("store");
        let path = |path: &Path| path.display().to_string();
        sql.replace("{OUTSIDE}", &path(&self.around.path().join("outside.txt")))
            .replace("{INSIDE}", "inside.txt")
            .replace("{CREDENTIALS}", &path(&store.join("credentials.toml")))
            .replace("{ENGINE}", &path(&store.join("engine")))
            .replace("{FOREIGN}", FOREIGN)
    }

    /// What an answer tells that was not in the statement itself.
    pub fn leak(&self, statement: &[u8], answer: &Answer) -> Option<&'static str> {
        let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let (said, asked) = (lower(&answer.body) + &lower(answer.head.as_bytes()), lower(statement));
        self.canaries
            .iter()
            .find(|canary| {
                let word = canary.word.to_ascii_lowercase();
                let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
                (said.contains(&word) && !asked.contains(&word)) || said.contains(&hex)
            })
            .map(|canary| canary.what)
    }

    /// Files and folders that were not there at the start.
    pub fn appeared(&self) -> Vec<String> {
        let later = |name: &String| {
            let engine = self.store.dir.path().join("store/engine");
            let inside = Path::new(name).strip_prefix(&engine).ok();
            inside.is_some_and(|inside| OF_THE_ENGINE.iter().chain(MADE_LATER).any(|own| inside == Path::new(own)))
        };
        self.look().difference(&self.names).filter(|name| !later(name)).cloned().collect()
    }

    fn look(&self) -> BTreeSet<String> {
        let store = self.store.dir.path().join("store");
        let engine = store.join("engine");
        let mut names = BTreeSet::new();
        for flat in [self.store.dir.path(), &store, &engine, Path::new(".")] {
            list(flat, 0, &mut names);
        }
        list(self.around.path(), 8, &mut names);
        for entry in std::fs::read_dir(&engine).into_iter().flatten().flatten() {
            if !OF_THE_ENGINE.iter().any(|own| entry.file_name() == *own) {
                list(&entry.path(), 8, &mut names);
            }
        }
        list(&store.join("config"), 8, &mut names);
        names
    }

    pub async fn stop(mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(beside) = self.beside.take() {
            beside.join().expect("the statement beside");
        }
        self.store.stop().await;
    }
}

fn list(folder: &Path, depth: u32, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        names.insert(entry.path().display().to_string());
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), depth - 1, names);
        }
    }
}
