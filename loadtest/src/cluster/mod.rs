//! Headwater's stages as processes of their own, over a real Kafka, a real schema registry and one embedded store: what the
//! chaos run and the end-to-end tests work on.
//!
//! Guarantee: every process started here is ended with the cluster; each has a folder, ports and topics of its own, so that
//! several clusters may run beside each other.

mod outside;
mod processes;
mod proxy;
mod servers;

pub(crate) use outside::password;
pub use outside::{Outside, number};
pub use processes::Processes;
pub use proxy::{Proxy, Way};
pub use servers::Servers;

use crate::failure::Failure;
use crate::node::bitcoin;
use crate::node::evm::Simulator;
use rustix::process::Signal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long the store may take to start.
const START: Duration = Duration::from_secs(120);
/// The store's configuration.
const STORE_FILE: &str = "store.toml";
/// How often it is asked what is visible.
const POLL: Duration = Duration::from_millis(50);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `headwater` binary.
    pub binary: PathBuf,
    /// Networks by slug, each with its node.
    pub networks: Vec<(String, Endpoint)>,
    /// Lines of `[log]`: `kafka`, `schema_registry` and what else is wanted, without `prefix`; and further sections behind them.
    pub log: String,
}

/// A simulated chain, as the configuration names it: its lines behind the slug.
#[derive(Clone, Debug)]
pub struct Endpoint(String);

impl From<&Simulator> for Endpoint {
    fn from(node: &Simulator) -> Self {
        Self(format!(
            "family = \"evm\"\nchain_id = {}\nstart = 1\n[[network.endpoint]]\nname = \"node\"\nurl = \"{}\"\nws = \"{}\"\n",
            node.chain_id(),
            node.url(),
            node.ws_url()
        ))
    }
}

impl From<&bitcoin::Simulator> for Endpoint {
    /// All its endpoints, each of an operator of its own.
    fn from(node: &bitcoin::Simulator) -> Self {
        Self(node.section(""))
    }
}

impl Endpoint {
    /// The network of this name, as the configuration has it.
    pub(crate) fn network(&self, slug: &str) -> String {
        format!("[[network]]\nslug = \"{slug}\"\n{}", self.0)
    }
}

/// A store, and stages over Kafka, each a process.
pub struct Cluster {
    binary: PathBuf,
    // Before the folder in which they write: what is dropped first ends first.
    processes: Processes,
    folder: tempfile::TempDir,
    config: PathBuf,
    /// How it is asked.
    pub outside: Outside,
    /// Prefix of its topics, groups and transactional ids.
    pub prefix: String,
}

impl Cluster {
    /// Starts the store, waits for its passwords and writes the stages' configuration. No stage runs yet.
    ///
    /// # Errors
    /// When the store does not start, with what it said.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("headwater-cluster-").tempdir()?;
        let [api, admin, sql] = free_ports()?;
        let data = folder.path().join("data");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
        let prefix = format!("test-{now:x}.");
        let mut common = format!("[data]\ndir = {data:?}\n[api]\nlisten = \"{api}\"\n[admin]\nlisten = \"{admin}\"\n");
        for (slug, node) in &settings.networks {
            common += &node.network(slug);
        }
        std::fs::write(folder.path().join(STORE_FILE), format!("{common}[store]\nlisten = \"{sql}\"\n"))?;
        let config = folder.path().join("stages.toml");
        let credentials = data.join("store/credentials.toml");
        let outside = Outside::new(format!("http://{api}"), format!("http://{sql}"), credentials)?;
        let processes = Processes::new(folder.path());
        let mut cluster = Self { binary: settings.binary, processes, folder, config, outside, prefix };
        cluster.store()?;
        let end = Instant::now() + START;
        while cluster.outside.query("SELECT 1").await.is_err() {
            cluster.all_run()?;
            if Instant::now() > end {
                return Err(format!("the store does not answer: {}", cluster.said("store")).into());
            }
            tokio::time::sleep(POLL).await;
        }
        let password = cluster.outside.password("stages_password").ok_or("the store has no password")?;
        let text = format!(
            "{common}[store]\nurl = \"http://{sql}\"\npassword = \"{password}\"\n[log]\nprefix = \"{}\"\n{}\n",
            cluster.prefix, settings.log
        );
        std::fs::write(&cluster.config, text)?;
        Ok(cluster)
    }

    /// The stages' configuration.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Starts a process of the binary under a name; what it says on standard error is [`Self::said`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, name: &str, args: &[&str]) -> Result<(), Failure> {
        self.processes.spawn(name, Command::new(&self.binary).args(args))
    }

    /// Starts the store, under the name `store`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn store(&mut self) -> Result<(), Failure> {
        let config = self.folder.path().join(STORE_FILE).to_string_lossy().into_owned();
        self.spawn("store", &["store", "--config", &config])
    }

    /// Starts a stage under a name such as `sink-2`, which is its instance too; `up-1`: all of them in one process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn stage(&mut self, name: &str) -> Result<(), Failure> {
        if of_instance(name) == "up" {
            let config = self.config.to_string_lossy().into_owned();
            return self.spawn(name, &["up", "--config", &config]);
        }
        self.processes.spawn(name, &mut stage(&self.binary, &self.config, name))
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self, name: &str) -> Result<(), Failure> {
        self.processes.kill(name)
    }

    /// Sends a process a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<(), Failure> {
        self.processes.signal(name, signal)
    }

    /// The process id of a process that runs.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.processes.pid(name)
    }

    /// How often the processes took up partitions that their group gave them.
    #[must_use]
    pub fn assignments(&self) -> u64 {
        let of = |name: &str| self.said(name).matches("partitions of the group taken up").count() as u64;
        self.processes.names().map(of).sum()
    }

    /// The most memory that a process had resident since it started, bytes; `None` when it does not run.
    #[must_use]
    pub fn peak_memory(&self, name: &str) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid(name)?)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    }

    /// What a process said on standard error, in all its lives.
    #[must_use]
    pub fn said(&self, name: &str) -> String {
        self.processes.said(name)
    }

    /// Runs a command of the binary with the stages' configuration, to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(&self, args: &[&str]) -> Result<Output, Failure> {
        run(&self.binary, &self.config, args, START).await
    }

    /// Fails, with their last words, when processes have ended by themselves.
    ///
    /// # Errors
    /// When one has.
    pub fn all_run(&mut self) -> Result<(), Failure> {
        self.processes.all_run()
    }

    /// The last lines of every process.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.processes.last_words()
    }

    /// Waits until the block with this hash is visible in SQL.
    ///
    /// # Errors
    /// When a process ends meanwhile, or time is up.
    pub async fn until_visible(&mut self, slug: &str, hash: &str, patience: Duration) -> Result<(), Failure> {
        let sql = format!("SELECT count() AS n FROM blocks WHERE network = '{slug}' AND hash = '{hash}'");
        let end = Instant::now() + patience;
        loop {
            let rows = self.outside.query(&sql).await;
            if rows.as_ref().is_ok_and(|rows| rows.first().is_some_and(|row| number(row, "n").is_ok_and(|n| n == 1))) {
                return Ok(());
            }
            self.all_run()?;
            if Instant::now() > end {
                let words = self.last_words();
                return Err(format!("{slug} {hash} did not get visible in {patience:?}: {rows:?}\n{words}").into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Keeps the folder when the cluster ends; where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }
}

/// The `headwater` binary that was named, or the one beside this program.
pub(crate) fn binary(named: Option<&Path>) -> Result<PathBuf, Failure> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => Ok(std::env::current_exe()?.with_file_name("headwater")),
    }
}

/// What an instance such as `sink-2` runs.
fn of_instance(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

/// A stage in a process of its own, under a name such as `sink-2`, which is its instance too.
pub(crate) fn stage(binary: &Path, config: &Path, name: &str) -> Command {
    let mut command = Command::new(binary);
    command.arg(of_instance(name)).arg("--config").arg(config);
    command.args(["--instance", name, "--admin-listen", "127.0.0.1:0"]);
    command
}

/// Runs a command of the binary with a configuration, to its end, for which it has so long.
///
/// # Errors
/// It cannot be started, or takes longer.
pub(crate) async fn run(binary: &Path, config: &Path, args: &[&str], patience: Duration) -> Result<Output, Failure> {
    let mut command = tokio::process::Command::new(binary);
    command.args(args).arg("--config").arg(config).kill_on_drop(true);
    Ok(tokio::time::timeout(patience, command.output()).await??)
}

/// Ports of servers, below those that the system gives to outgoing connections, and above those of `scripts/services`: a process
/// may start long after its port was chosen.
const PORTS: std::ops::Range<u16> = 26_000..32_000;

/// A loopback port that was free just now.
///
/// # Errors
/// When none is found.
pub fn free_port() -> Result<u16, Failure> {
    (0..1_000)
        .map(|_| fastrand::u16(PORTS))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| "no free port".into())
}

/// Three of them on loopback.
pub(crate) fn free_ports() -> Result<[SocketAddr; 3], Failure> {
    let address = || Ok::<_, Failure>(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
    Ok([address()?, address()?, address()?])
}
