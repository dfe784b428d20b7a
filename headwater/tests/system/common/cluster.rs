//! A store, and stages over Kafka, each a process of its own.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use loadtest::{
    cluster::Processes,
    node::evm::{Clock, Config, Dataset, Simulator, spawn},
};
use rustix::process::Signal;

use super::{Headwater, Net, PATIENCE, binary, number, recorded, visible};

/// How many brokers there are.
pub fn brokers() -> u64 {
    std::env::var("HEADWATER_BROKERS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// The servers; `None`, said loudly, where there are none. CI always has them.
#[allow(clippy::print_stderr)]
pub fn servers(test: &str) -> Option<(String, String)> {
    let found = std::env::var("HEADWATER_TEST_KAFKA").ok().zip(std::env::var("HEADWATER_TEST_REGISTRY").ok());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
        eprintln!("SKIPPED {test}: no Kafka; run it with `scripts/services run cargo test …`");
    }
    found
}

/// A store, and stages over Kafka, each a process.
pub struct Cluster {
    pub headwater: Headwater,
    pub config: PathBuf,
    pub prefix: String,
    processes: Processes,
}

impl Cluster {
    /// Starts the store and waits for it; writes the stages' configuration.
    pub async fn new(nets: &[Net], servers: &(String, String)) -> Self {
        let headwater = Headwater::new(nets);
        let config = headwater.dir.path().join("stages.toml");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
        let prefix = format!("test-{now:x}.");
        let processes = Processes::new(headwater.dir.path());
        let mut cluster = Self { headwater, config, prefix: prefix.clone(), processes };
        let store = ["store".to_owned(), "--config".into(), cluster.headwater.config.to_string_lossy().into_owned()];
        cluster.spawn("store", &store);
        let password = cluster.headwater.stages_password(|| cluster.said("store")).await;
        let (kafka, registry) = servers;
        let text = std::fs::read_to_string(&cluster.headwater.config).expect("read");
        let listen = cluster.headwater.sql.trim_start_matches("http://").to_owned();
        let text = text
            .replace(&format!("[store]\nlisten = \"{listen}\"\n"), &format!("[store]\nurl = \"http://{listen}\"\npassword = \"{password}\"\n"))
            .replace(
                "[log]\nmin_free_bytes = 1048576\n",
                &format!("[log]\nkafka = \"{kafka}\"\nschema_registry = \"{registry}\"\nprefix = \"{prefix}\"\nreplication = {}\n", brokers()),
            );
        std::fs::write(&cluster.config, text).expect("write");
        cluster
    }

    pub fn spawn(&mut self, name: &str, args: &[String]) {
        self.processes.spawn(name, Command::new(binary()).args(args)).expect("start headwater");
    }

    /// Starts a stage under a name, such as `sink-2`.
    pub fn stage(&mut self, name: &str) {
        self.stage_at(name, "127.0.0.1:0");
    }

    /// The same with its health and metrics at an address.
    pub fn stage_at(&mut self, name: &str, admin: &str) {
        let stage = name.split('-').next().expect("a stage").to_owned();
        let config = self.config.to_string_lossy().into_owned();
        let args = ["--config", &config, "--instance", name, "--admin-listen", admin].map(str::to_owned);
        self.spawn(name, &[&[stage][..], &args].concat());
    }

    pub fn kill(&mut self, name: &str) {
        self.processes.kill(name).expect("kill");
    }

    /// Waits until a process that was told to stop has ended.
    pub fn ends(&mut self, name: &str) {
        self.processes.ends(name).expect("ends");
    }

    pub fn signal(&self, name: &str, signal: Signal) {
        self.processes.signal(name, signal).expect("signal");
    }

    pub fn said(&self, name: &str) -> String {
        self.processes.said(name)
    }

    pub fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output =
            Command::new(binary()).args(args).arg("--config").arg(&self.config).output().expect("run headwater");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// The ends of what all processes said.
    pub fn tails(&self) -> String {
        self.processes.last_words()
    }

    /// Fails when a process has ended by itself.
    pub fn assert_running(&mut self) {
        self.processes.all_run().unwrap_or_else(|e| panic!("{e}"));
    }

    /// Waits until the block is visible; stages that ended by themselves are told.
    pub async fn until_visible(&mut self, slug: &str, node: &Simulator) {
        let head = node.canonical(node.head()..=node.head()).remove(0);
        let sql = visible(slug, &head.hash.to_string());
        let end = Instant::now() + PATIENCE;
        loop {
            let rows = self.headwater.query(&sql).await;
            if rows.as_ref().is_ok_and(|r| number(&r[0], "n") == 1) {
                return;
            }
            self.assert_running();
            assert!(Instant::now() < end, "{slug} {} is not visible, {rows:?}\n{}", head.height, self.tails());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A chain of recorded blocks that advances when it is told to.
pub async fn recorded_chain(name: &str, settings: impl FnOnce(Config) -> Config) -> Simulator {
    let data = Dataset::from_dir(recorded().join(name)).expect("recorded blocks");
    spawn(settings(Config { clock: Clock::Manual, ..Config::new(data) })).await.expect("simulator")
}
