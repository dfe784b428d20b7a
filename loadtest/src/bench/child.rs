//! A measured process: its messages in a file of its folder, ended by its id.

use crate::failure::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// The file of its messages.
const MESSAGES: &str = "messages.log";

/// Starts it; it is killed when dropped.
pub(crate) fn spawn(command: &mut Command, folder: &Path) -> Result<Child, Failure> {
    let said = fs::File::create(folder.join(MESSAGES))?;
    let child = command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).kill_on_drop(true).spawn();
    child.map_err(|e| format!("{}: {e}", command.as_std().get_program().display()).into())
}

/// What it said.
pub(crate) fn messages(folder: &Path) -> String {
    fs::read(folder.join(MESSAGES)).map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said).into_owned())
}

/// An error with the last messages.
pub(crate) fn explain(error: Failure, folder: &Path) -> Failure {
    let text = messages(folder);
    let lines: Vec<&str> = text.lines().collect();
    format!("{error}\nits last messages:\n{}", lines[lines.len().saturating_sub(15)..].join("\n")).into()
}

/// Asks it to stop and waits; `None`: it took longer than `patience` and was killed.
pub(crate) async fn stop(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>, Failure> {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
        && child.try_wait()?.is_none()
    {
        kill_process(pid, Signal::TERM)?;
    }
    match tokio::time::timeout(patience, child.wait()).await {
        Ok(status) => Ok(Some(status?)),
        Err(_) => {
            child.kill().await?;
            Ok(None)
        }
    }
}
