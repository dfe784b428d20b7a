//! The configuration of a running process, read again.
//!
//! Guarantee: all or nothing. A file with one mistake, or an endpoint of which no client can be made, changes nothing. One reload at a
//! time. Stages learn of a network before ingest sends them its first block.

use std::path::Path;

use ingest::Networks;
use nodes::fleet::Limits;
use runtime::config::Live;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::Report;
use crate::{
    exit::Failure,
    origin::Origin,
    parts,
    stage::{ALL, Stage},
};

/// See the module.
pub struct Reloader {
    origin: Origin,
    stages: Vec<Stage>,
    /// What ingest follows, and the limits of all endpoints of this process.
    ingest: Option<(Networks, Limits)>,
    live: Mutex<Live>,
}

impl Reloader {
    /// Of a process that runs these stages.
    pub fn new(origin: Origin, stages: &[Stage], ingest: Option<(Networks, Limits)>, live: Live) -> Self {
        Self { origin, stages: stages.to_vec(), ingest, live: Mutex::new(live) }
    }

    /// The file that this process was started with.
    pub fn file(&self) -> &Path {
        &self.origin.file
    }

    /// Reads the file again, and takes over what can be.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn reload(&self) -> Result<Report, Failure> {
        let mut live = self.live.lock().await;
        let file = self.origin.load()?;
        let (changes, in_force) = live.compare(&file);
        let ready = match &self.ingest {
            Some((networks, limits)) => {
                let followed = parts::ingest_networks(&in_force, limits);
                let unusable = |error| Failure::config(format!("{}: {error}", self.file().display()));
                Some(networks.prepare(&followed).map_err(unusable)?)
            }
            None => None,
        };
        let elsewhere = self.elsewhere(file.log.kafka.is_some());
        live.put(in_force);
        if let Some(ready) = ready {
            ready.take_over();
        }
        Ok(Report {
            file: self.file().display().to_string(),
            stages: self.stages.iter().map(ToString::to_string).collect(),
            taken: changes.taken,
            restart: changes.restart,
            elsewhere,
        })
    }

    /// Who else may have to be told.
    fn elsewhere(&self, kafka: bool) -> Option<String> {
        let here = |stage: &&Stage| self.stages.contains(stage);
        let names = |stages: Vec<&Stage>| stages.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let others: Vec<&Stage> = ALL.iter().filter(|stage| !here(stage)).collect();
        if others.is_empty() {
            let words = "Other processes of the same cluster, if there are any, read their files by themselves: reload each of them";
            return kafka.then(|| words.to_owned());
        }
        Some(format!(
            "This process runs {}. Every other one reads its file by itself: reload those of {} too, and further ones of {}; where a \
             network is new, enrich and api before ingest",
            names(self.stages.iter().collect()),
            names(others),
            names(self.stages.iter().collect()),
        ))
    }

    /// Reloads at every SIGHUP and says so in the log, until told to stop.
    pub async fn follow(
        &self,
        mut hangups: mpsc::Receiver<()>,
        stop: CancellationToken,
    ) -> Result<(), std::convert::Infallible> {
        loop {
            let hangup = tokio::select! {
                hangup = hangups.recv() => hangup,
                () = stop.cancelled() => return Ok(()),
            };
            if hangup.is_none() {
                stop.cancelled().await;
                return Ok(());
            }
            self.reload_and_log().await;
        }
    }

    async fn reload_and_log(&self) {
        match self.reload().await {
            Ok(report) => report.lines().iter().for_each(|line| tracing::info!("reload: {line}")),
            Err(failure) => tracing::error!("reload: nothing was changed: {}", failure.error),
        }
    }
}
