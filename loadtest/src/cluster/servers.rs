//! The real servers beside the stages, as `scripts/services` starts them: brokers, a schema registry, a fault proxy.

use super::proxy::Proxy;
use crate::failure::Failure;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long they may take to start or to stop, fetching included.
const DEADLINE: Duration = Duration::from_secs(600);

/// Servers that run; stopped when dropped.
pub struct Servers {
    script: PathBuf,
    folder: tempfile::TempDir,
    /// How many brokers there are.
    pub brokers: u64,
    /// Bootstrap servers, `host:port` separated by commas; with a proxy, behind it.
    pub kafka: String,
    /// The same, whether there is a proxy or not without it.
    pub direct: String,
    /// The registry's URL.
    pub registry: String,
    /// Between stages and brokers, when asked for.
    pub proxy: Option<Proxy>,
}

impl Servers {
    /// Starts so many brokers and a registry, and a fault proxy before the brokers when wanted. `script`: `scripts/services` of
    /// the project.
    ///
    /// # Errors
    /// When the script fails: it says why on standard error.
    pub async fn start(script: &Path, brokers: u64, proxied: bool) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("headwater-servers-").tempdir()?;
        let mut servers = Self {
            script: script.to_owned(),
            folder,
            brokers,
            kafka: String::new(),
            direct: String::new(),
            registry: String::new(),
            proxy: None,
        };
        let environment = servers.run(&["up"], &[("HEADWATER_PROXY", if proxied { "1" } else { "" })]).await?;
        let value = |key: &str| {
            environment
                .lines()
                .find_map(|line| line.strip_prefix("export ")?.strip_prefix(key)?.strip_prefix('='))
                .map(str::to_owned)
                .ok_or_else(|| format!("{} up did not tell {key}", script.display()))
        };
        servers.registry = value("HEADWATER_TEST_REGISTRY")?;
        servers.direct = value("HEADWATER_TEST_KAFKA")?;
        servers.kafka = value(if proxied { "HEADWATER_TEST_KAFKA_PROXIED" } else { "HEADWATER_TEST_KAFKA" })?;
        if proxied {
            servers.proxy = Some(Proxy::new(value("HEADWATER_TEST_PROXY")?)?);
        }
        Ok(servers)
    }

    /// `kill -9` of a broker, from 1.
    ///
    /// # Errors
    /// When the script fails.
    pub async fn kill(&self, broker: u64) -> Result<(), Failure> {
        self.run(&["broker", "kill", &broker.to_string()], &[]).await.map(drop)
    }

    /// Starts a killed broker again and waits until it serves.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&self, broker: u64) -> Result<(), Failure> {
        self.run(&["broker", "start", &broker.to_string()], &[]).await.map(drop)
    }

    async fn run(&self, args: &[&str], environment: &[(&str, &str)]) -> Result<String, Failure> {
        let running = self.command(args).envs(environment.iter().copied()).kill_on_drop(true).output();
        let output = tokio::time::timeout(DEADLINE, running)
            .await
            .map_err(|_| format!("{} {args:?} did not end in {DEADLINE:?}", self.script.display()))??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} {}: {}\n{said}", self.script.display(), args.join(" "), output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command
            .args(args)
            .env("HEADWATER_SERVICES", self.folder.path())
            .env("HEADWATER_BROKERS", self.brokers.to_string())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let mut down = self.command(&["down"]).into_std();
        if let Err(e) = down.stdout(Stdio::null()).stderr(Stdio::null()).status() {
            tracing::warn!(error = %e, "the servers could not be stopped");
        }
    }
}
