//! Runs the real binary over a temporary data directory, and asks it from outside as people do.

pub mod acls;
pub mod cluster;
pub mod expected;
pub mod former;
pub mod secure;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use loadtest::cluster::Outside;
use serde_json::Value;

/// How long anything may take before a test gives up: generous, since two cores compile and run beside it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// So many of what is tried by a sample: with `HEADWATER_TEST_LONG` (`make test-long`) all of it.
pub fn of_many<T>(sample: T, all: T) -> T {
    if std::env::var_os("HEADWATER_TEST_LONG").is_some() { all } else { sample }
}

/// A network of a configuration.
pub struct Net {
    pub slug: &'static str,
    pub chain_id: u64,
    pub start: String,
    pub url: String,
    pub ws: Option<String>,
}

impl Net {
    pub fn of(slug: &'static str, node: &loadtest::node::evm::Simulator) -> Self {
        Self { slug, chain_id: node.chain_id(), start: "1".into(), url: node.url(), ws: Some(node.ws_url()) }
    }
}

/// A data directory with its configuration, and the process when it runs.
pub struct Headwater {
    pub dir: tempfile::TempDir,
    pub config: PathBuf,
    pub api: String,
    pub admin: String,
    pub sql: String,
    child: Option<Child>,
    outside: Outside,
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_headwater")
}

impl Headwater {
    /// Writes a configuration for these networks.
    pub fn new(networks: &[Net]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [api, admin, sql] =
            std::array::from_fn(|_| format!("127.0.0.1:{}", loadtest::cluster::free_port().expect("a port")));
        let mut text = format!(
            "[data]\ndir = \"data\"\n[api]\nlisten = \"{api}\"\n[admin]\nlisten = \"{admin}\"\n[store]\nlisten = \"{sql}\"\n[log]\nmin_free_bytes = 1048576\n"
        );
        for n in networks {
            let start = if n.start == "latest" { "\"latest\"".to_owned() } else { n.start.clone() };
            let ws = n.ws.as_ref().map(|w| format!("ws = \"{w}\"\n")).unwrap_or_default();
            text += &format!(
                "[[network]]\nslug = \"{}\"\nfamily = \"evm\"\nchain_id = {}\nstart = {start}\n[[network.endpoint]]\nname = \"node\"\nurl = \"{}\"\n{ws}",
                n.slug, n.chain_id, n.url
            );
        }
        let config = dir.path().join("headwater.toml");
        std::fs::write(&config, text).expect("write the configuration");
        let [api, admin, sql] = [api, admin, sql].map(|address| format!("http://{address}"));
        let credentials = dir.path().join("data/store/credentials.toml");
        let outside = Outside::new(api.clone(), sql.clone(), credentials).expect("a client");
        Self { dir, config, api, admin, sql, child: None, outside }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts `up`; standard error goes to `log` in the folder.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "runs already");
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).expect("log file");
        let child = Command::new(binary())
            .args(["up", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start headwater");
        self.child = Some(child);
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What it said on standard error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("runs").id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("runs");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// SIGTERM; the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("runs");
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("pid")).expect("pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signal");
        child.wait().expect("wait").code()
    }

    /// Whether the process has ended by itself, with its exit code.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        let ended = self.child.as_mut()?.try_wait().expect("wait")?;
        self.child = None;
        Some(ended.code())
    }

    /// Waits until the process has ended by itself; its exit code.
    pub async fn until_ended(&mut self, what: &str) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(code) = self.ended() {
                return code;
            }
            assert!(Instant::now() < end, "{what} did not come in {PATIENCE:?}:\n{}", tail(&self.said()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The password of the user `analyst`.
    pub fn analyst_password(&self) -> Option<String> {
        self.outside.password("analyst_password")
    }

    /// The stages' password, once a store that was started beside has made it; `said`: what that store says.
    pub async fn stages_password(&self, said: impl Fn() -> String) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(password) = self.outside.password("stages_password") {
                return password;
            }
            assert!(Instant::now() < end, "no credentials: {}", said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How it is asked.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Adds lines to the end of the configuration.
    pub fn configure(&self, lines: &str) {
        let text = std::fs::read_to_string(&self.config).expect("the configuration");
        std::fs::write(&self.config, text + lines).expect("written");
    }

    /// Rows of a query as the analyst, each an object.
    pub async fn query(&self, sql: &str) -> Result<Vec<Value>, String> {
        self.outside.query(sql).await.map_err(|e| e.to_string())
    }

    /// JSON of an API path below `/api/v1`.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.outside.get(path).await.map_err(|e| e.to_string())
    }

    /// The state of a network in `/health`.
    pub async fn network(&self, slug: &str) -> Option<Value> {
        let health = self.get("/health").await.ok()?;
        health["networks"].as_array()?.iter().find(|n| n["network"] == slug).cloned()
    }

    /// Waits until a condition gives something.
    pub async fn until<T>(&mut self, what: &str, condition: impl AsyncFn(&Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = condition(self).await {
                return found;
            }
            if let Some(code) = self.ended() {
                panic!("headwater ended with {code:?} while waiting for {what}:\n{}", self.said());
            }
            assert!(Instant::now() < end, "{what} did not come in {PATIENCE:?}:\n{}", tail(&self.said()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the block with this hash is visible in SQL, and its event, which is written last.
    pub async fn until_visible(&mut self, slug: &str, hash: &str) {
        let sql = visible(slug, hash);
        let end = Instant::now() + PATIENCE;
        loop {
            let rows = self.query(&sql).await;
            if rows.as_ref().is_ok_and(|r| number(&r[0], "n") == 1) {
                return;
            }
            if let Some(code) = self.ended() {
                panic!("headwater ended with {code:?}:\n{}", self.said());
            }
            assert!(Instant::now() < end, "{slug} {hash} is not visible, {rows:?}:\n{}", tail(&self.said()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Counts the block with this hash where it is visible, and its event, which is written last.
pub fn visible(slug: &str, hash: &str) -> String {
    format!(
        "SELECT count() AS n FROM blocks WHERE network = '{slug}' AND hash = '{hash}' \
         AND sequence IN (SELECT sequence FROM block_events WHERE network = '{slug}' AND block_hash = '{hash}')"
    )
}

pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// A number of a row: ClickHouse prints 64-bit numbers as numbers or in quotes, by settings.
pub fn number(row: &Value, column: &str) -> u64 {
    match &row[column] {
        Value::Number(n) => n.as_u64().unwrap_or_else(|| panic!("{column} in {row}")),
        Value::String(s) => s.parse().unwrap_or_else(|_| panic!("{column} in {row}")),
        _ => panic!("{column} in {row}"),
    }
}

/// A whole number of any size, as text.
pub fn text(row: &Value, column: &str) -> String {
    match &row[column] {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

impl Drop for Headwater {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Random numbers of a test, which says how they can be had again.
#[allow(clippy::print_stderr)]
pub fn seeded(test: &str) -> fastrand::Rng {
    let seed = std::env::var("HEADWATER_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let long = of_many("", " HEADWATER_TEST_LONG=1");
    eprintln!("{test}: HEADWATER_SEED={seed}{long} replays it");
    fastrand::Rng::with_seed(seed)
}

/// How long a process lives that is killed: mostly the first seconds, where recovery happens; now and then a while of steady work.
pub fn life(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(if random.u64(..5) == 0 { 3000 + random.u64(..3000) } else { 300 + random.u64(..2700) })
}

/// The recorded blocks of the project.
pub fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/evm")
}
