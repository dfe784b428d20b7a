//! A `headwater up` with a folder of its own over the embedded log, which is killed and started again on what it left.

use crate::cluster::{Outside, Processes, free_ports, number};
use crate::failure::Failure;
use crate::node::evm::Simulator;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The network.
pub const NETWORK: &str = "filled";
/// The process.
const UP: &str = "up";
/// How long it may take to answer, and a command to end.
const START: Duration = Duration::from_secs(120);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);

/// The process and its folder.
pub struct Process {
    binary: PathBuf,
    // Before the folder in which it writes: what is dropped first ends first.
    processes: Processes,
    folder: tempfile::TempDir,
    config: PathBuf,
    /// How it is asked.
    pub outside: Outside,
}

impl Process {
    /// A folder with a configuration: one network that begins at the node's head. Nothing runs yet.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(binary: &Path, node: &Simulator, keep: bool) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("headwater-backfill-").disable_cleanup(keep).tempdir()?;
        let [api, admin, sql] = free_ports()?;
        let data = folder.path().join("data");
        let text = format!(
            "[data]\ndir = {data:?}\n[api]\nlisten = \"{api}\"\n[admin]\nlisten = \"{admin}\"\n[store]\nlisten = \"{sql}\"\n\
             [log]\nmin_free_bytes = 1048576\n\
             [[network]]\nslug = \"{NETWORK}\"\nfamily = \"evm\"\nchain_id = {}\nstart = \"latest\"\n\
             [[network.endpoint]]\nname = \"node\"\nurl = \"{}\"\nws = \"{}\"\n",
            node.chain_id(),
            node.url(),
            node.ws_url()
        );
        let config = folder.path().join("headwater.toml");
        std::fs::write(&config, text)?;
        let credentials = data.join("store/credentials.toml");
        let outside = Outside::new(format!("http://{api}"), format!("http://{sql}"), credentials)?;
        let processes = Processes::new(folder.path());
        Ok(Self { binary: binary.to_owned(), processes, folder, config, outside })
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self) -> Result<(), Failure> {
        self.processes.spawn(UP, Command::new(&self.binary).args(["up", "--config"]).arg(&self.config))
    }

    /// Waits until its store answers.
    ///
    /// # Errors
    /// When it ends, or takes too long.
    pub async fn answers(&mut self) -> Result<(), Failure> {
        let end = Instant::now() + START;
        while let Err(error) = self.outside.query("SELECT 1").await {
            self.processes.all_run()?;
            if Instant::now() > end {
                return Err(format!("its store does not answer within {START:?}: {error}").into());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub fn kill(&mut self) -> Result<(), Failure> {
        self.processes.all_run()?;
        self.processes.kill(UP)
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        self.processes.all_run()?;
        self.processes.signal(UP, Signal::TERM)?;
        tokio::task::block_in_place(|| self.processes.ends(UP))
    }

    /// Fails when it has ended by itself.
    ///
    /// # Errors
    /// Its last words.
    pub fn runs(&mut self) -> Result<(), Failure> {
        self.processes.all_run()
    }

    /// Runs another command of the binary with its configuration, to a successful end. What it prints.
    ///
    /// # Errors
    /// What it says when it fails.
    pub async fn command(&self, args: &[&str]) -> Result<String, Failure> {
        let mut command = tokio::process::Command::new(&self.binary);
        command.args(args).arg("--config").arg(&self.config).kill_on_drop(true);
        let output: Output = tokio::time::timeout(START, command.output()).await??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            return Err(format!("{args:?}: {}: {}", output.status, text(&output.stderr)).into());
        }
        Ok(text(&output.stdout))
    }

    /// Heights that were filled and are visible.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn filled(&self) -> Result<u64, Failure> {
        let sql = format!("SELECT count() AS n FROM block_events WHERE network = '{NETWORK}' AND origin = 'backfill'");
        let rows = self.outside.query(&sql).await?;
        number(rows.first().ok_or("no row")?, "n")
    }

    /// The folder of its embedded log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("data/log")
    }

    /// An error with its last words.
    #[must_use]
    pub fn explain(&self, error: Failure) -> Failure {
        format!("{error}\n{}", self.processes.said(UP).lines().rev().take(20).collect::<Vec<_>>().join("\n")).into()
    }

    /// Where it all is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
