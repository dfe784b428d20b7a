//! A `headwater up` of its own: configuration and data in a temporary folder, ports of its own, ended by its process id.

use super::processes::{Usage, Watch};
use super::{NETWORK, Node, child};
use crate::cluster::free_ports;
use crate::failure::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Client;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long it may take until the API answers.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// How often it is asked what is visible.
const POLL: Duration = Duration::from_millis(50);
/// How long it may take to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// One request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(60);

/// The configuration's file.
const CONFIG: &str = "headwater.toml";

/// How it is set up.
pub(crate) struct Setting<'a> {
    /// Lines for the configuration's end.
    pub extra: &'a str,
    /// Keep its folder, and say where.
    pub keep: bool,
    /// Networks, all on the same node; the first is measured.
    pub networks: usize,
    /// Further lines of `[api]`.
    pub api: &'a str,
}

impl<'a> Setting<'a> {
    /// Of one network, and nothing is kept.
    pub(crate) fn of(extra: &'a str) -> Self {
        Self { extra, keep: false, networks: 1, api: "" }
    }
}

pub(crate) struct Instance {
    child: Child,
    pid: u32,
    watch: Watch,
    folder: tempfile::TempDir,
    keep: bool,
    client: Client,
    api: SocketAddr,
    admin: SocketAddr,
    store: SocketAddr,
}

impl Instance {
    /// Starts the binary and waits until its API answers.
    pub(crate) async fn start(binary: &Path, node: &Node, setting: &Setting<'_>) -> Result<Self, Failure> {
        let mut text = String::new();
        for n in 1..=setting.networks {
            let slug = if n == 1 { NETWORK.to_owned() } else { format!("{NETWORK}-{n}") };
            // Writing into memory cannot fail.
            let _ = write!(
                text,
                "[[network]]\nslug = \"{slug}\"\nfamily = \"evm\"\nchain_id = {}\nstart = 1\n",
                node.simulator.chain_id()
            );
            endpoints(node, &mut text);
        }
        Self::launch(binary, &text, setting).await
    }

    /// The same with these lines of its networks.
    pub(super) async fn launch(binary: &Path, networks: &str, setting: &Setting<'_>) -> Result<Self, Failure> {
        let Setting { extra, keep, api: of_api, .. } = *setting;
        let folder = tempfile::Builder::new().prefix("headwater-bench-").disable_cleanup(keep).tempdir()?;
        let [api, admin, store] = free_ports()?;
        let config = folder.path().join(CONFIG);
        let data = folder.path().join("data");
        let text = format!(
            "[data]\ndir = {data:?}\n[api]\nlisten = \"{api}\"\n{of_api}\n[admin]\nlisten = \"{admin}\"\n[store]\nlisten = \"{store}\"\n\
             {networks}{extra}\n"
        );
        fs::write(&config, text)?;
        let child = child::spawn(Command::new(binary).args(["up", "--config"]).arg(&config), folder.path())
            .map_err(|e| format!("{e}; build it, or name it with --release-binary"))?;
        let pid = child.id().ok_or("it ended at once")?;
        let client = Client::builder().timeout(REQUEST_DEADLINE).build()?;
        let watch = Watch::start(pid);
        let mut instance = Self { child, pid, watch, folder, keep, client, api, admin, store };
        let until = Instant::now() + START_DEADLINE;
        while let Err(error) = instance.health().await {
            if let Some(status) = instance.child.try_wait()? {
                return Err(instance.explain(format!("it ended with {status}").into()));
            }
            if Instant::now() > until {
                return Err(instance.explain(error));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(instance)
    }

    /// CPU time so far by thread name, and of its children.
    pub(super) fn usage(&self) -> Usage {
        self.watch.usage()
    }

    /// The same of the threads of this name alone, those that ended too.
    pub(crate) fn spent(&self, name: &str) -> Duration {
        self.usage().get(name).copied().unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Where its API listens.
    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    pub(super) fn socket_url(&self) -> String {
        format!("ws://{}/api/v1/ws", self.api)
    }

    async fn health(&self) -> Result<Value, Failure> {
        let answer = self.client.get(format!("http://{}/api/v1/health", self.api)).send().await?;
        Ok(answer.json().await?)
    }

    /// The highest height that is visible in the store; 0: none.
    pub(super) async fn processed(&self) -> Result<u64, Failure> {
        let health = self.health().await?;
        let network = health["networks"].as_array().and_then(|all| all.iter().find(|n| n["network"] == NETWORK));
        Ok(network.and_then(|n| n["processed_height"].as_u64()).unwrap_or(0))
    }

    /// How many networks are visible up to `height`.
    pub(super) async fn all_at(&self, height: u64) -> Result<usize, Failure> {
        let health = self.health().await?;
        let networks = health["networks"].as_array().into_iter().flatten();
        Ok(networks.filter(|n| n["processed_height"].as_u64().is_some_and(|at| at >= height)).count())
    }

    /// Its metrics, in the Prometheus text format.
    pub(crate) async fn metrics(&self) -> Result<String, Failure> {
        Ok(self.client.get(format!("http://{}/metrics", self.admin)).send().await?.error_for_status()?.text().await?)
    }

    /// Waits until `height` is visible. `patience`: how long nothing may change.
    pub(crate) async fn reach(&mut self, height: u64, patience: Duration) -> Result<(), Failure> {
        let (mut seen, mut changed) = (0, Instant::now());
        // Shown on a terminal only.
        let bar = ProgressBar::new(height)
            .with_style(ProgressStyle::with_template("{wide_bar} height {pos} of {len}, {eta} left")?);
        loop {
            let now = self.processed().await?;
            bar.set_position(now);
            if now >= height {
                bar.finish_and_clear();
                return Ok(());
            }
            if now != seen {
                (seen, changed) = (now, Instant::now());
            }
            if changed.elapsed() > patience {
                return Err(format!("height {height} was awaited; for {patience:?} it stays at {now}").into());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// One row of numbers, asked for with the analyst's password.
    pub(super) async fn row(&self, sql: &str) -> Result<Vec<u128>, Failure> {
        let file = self.data().join("store/credentials.toml");
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let password = text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "analyst_password").then(|| value.trim().trim_matches('"').to_owned())
        });
        let answer = self
            .client
            .post(format!("http://{}/?database=headwater", self.store))
            .basic_auth("analyst", password)
            .body(format!("{sql} FORMAT TSV"))
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{sql}: {status}: {text}").into());
        }
        let number = |field: &str| field.trim().parse::<u128>().map_err(|e| format!("{sql}: {field:?}: {e}").into());
        text.trim_end().split('\t').map(number).collect()
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the store keeps its parts.
    pub(super) fn store_folder(&self) -> PathBuf {
        self.data().join("store")
    }

    /// Bytes on disk of each entry of the data directory.
    pub(super) fn sizes(&self) -> Result<Vec<(String, u64)>, Failure> {
        let mut sizes = Vec::new();
        for entry in fs::read_dir(self.data())? {
            let entry = entry?;
            sizes.push((entry.file_name().to_string_lossy().into_owned(), allocated(&entry.path())));
        }
        sizes.sort();
        Ok(sizes)
    }

    /// Asks it to stop, waits, and kills it when it takes too long.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        match child::stop(&mut self.child, STOP_DEADLINE).await? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.explain(format!("it ended with {status}").into())),
            None => Err(format!("it did not stop within {STOP_DEADLINE:?} and was killed").into()),
        }
    }

    /// An error with the last messages of the binary.
    pub(crate) fn explain(&self, error: Failure) -> Failure {
        let explained = child::explain(error, self.folder.path());
        let kept = if self.keep { format!("\nkept in {}", self.folder.path().display()) } else { String::new() };
        format!("{explained}{kept}").into()
    }
}

/// The simulated node, or, where it has endpoints beside the first, each of them as an operator's of its own.
fn endpoints(node: &Node, text: &mut String) {
    let (main, beside) = match node.simulator.endpoints() {
        [main, beside @ ..] => (main, beside),
        [] => return,
    };
    // Writing into memory cannot fail.
    if beside.is_empty() {
        let (url, ws) = (main.url(), main.ws_url());
        let _ = write!(text, "[[network.endpoint]]\nname = \"simulated\"\nurl = \"{url}\"\nws = \"{ws}\"\n");
    }
    for (n, endpoint) in beside.iter().enumerate() {
        let (name, url, ws, priority) = (endpoint.name(), endpoint.url(), endpoint.ws_url(), n + 1);
        let _ = write!(
            text,
            "[[network.endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nws = \"{ws}\"\n\
             operator = \"operator-{priority}\"\npriority = {priority}\n"
        );
    }
}

/// Bytes that a file or folder takes on disk; what vanishes meanwhile counts nothing.
fn allocated(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    fs::read_dir(path).map_or(0, |all| all.flatten().map(|entry| allocated(&entry.path())).sum())
}
