//! Processes of one run, by name.
//!
//! Guarantee: all are ended when it is dropped; what each said, in all its lives, stays in the run's folder.

use crate::failure::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lines of a process that are told when something went wrong.
const LAST_LINES: usize = 12;

/// Processes that run.
pub struct Processes {
    folder: PathBuf,
    children: BTreeMap<String, Child>,
}

impl Processes {
    /// None yet. `folder`: where NAME.log says what each said.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), children: BTreeMap::new() }
    }

    /// Starts one, without input and output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, name: &str, command: &mut Command) -> Result<(), Failure> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_of(name))?;
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        self.children.insert(name.to_owned(), child);
        Ok(())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self, name: &str) -> Result<(), Failure> {
        let mut child = self.children.remove(name).ok_or_else(|| format!("{name} does not run"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Waits until a process has ended.
    ///
    /// # Errors
    /// When it does not run.
    pub fn ends(&mut self, name: &str) -> Result<(), Failure> {
        let mut child = self.children.remove(name).ok_or_else(|| format!("{name} does not run"))?;
        child.wait()?;
        Ok(())
    }

    /// Whether a process that was told to stop has ended: then it is forgotten. Does not wait.
    ///
    /// # Errors
    /// When its state cannot be asked for.
    pub fn has_ended(&mut self, name: &str) -> Result<bool, Failure> {
        let Some(child) = self.children.get_mut(name) else { return Ok(true) };
        if child.try_wait()?.is_none() {
            return Ok(false);
        }
        self.children.remove(name);
        Ok(true)
    }

    /// Sends a process a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<(), Failure> {
        let child = self.children.get(name).ok_or_else(|| format!("{name} does not run"))?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// The process id of a process that runs.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.children.get(name).map(Child::id)
    }

    /// What a process said on standard error, in all its lives.
    #[must_use]
    pub fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_of(name)).unwrap_or_default()
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// The names of those that run.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.children.keys().map(String::as_str)
    }

    /// Fails, with their last words, when processes have ended by themselves.
    ///
    /// # Errors
    /// When one has.
    pub fn all_run(&mut self) -> Result<(), Failure> {
        let mut ended = Vec::new();
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                ended.push(format!("{name} ended by itself: {status}"));
            }
        }
        if ended.is_empty() { Ok(()) } else { Err(format!("{}\n{}", ended.join("\n"), self.last_words()).into()) }
    }

    /// The last lines of every process.
    #[must_use]
    pub fn last_words(&self) -> String {
        let mut all = String::new();
        for name in self.names() {
            let said = self.said(name);
            let lines: Vec<&str> = said.lines().collect();
            all += &format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"));
        }
        all
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
