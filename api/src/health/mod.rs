//! How the service is doing, judged from what its stages say of themselves (rule 27). Pure: no clock, no store, no log.
//!
//! Guarantee: a stage that every network passes (ingest, enrich, sink) is named when it is silent, halted, or does not get on, with
//! the time since when and what to do, and so are aggregate and alerts where a process of theirs is there, or ended without being told to;
//! nothing is `ok` that was not heard of within three of its own periods. What was not followed on purpose (a network that no process has in
//! its configuration) makes nothing degraded, and of a network only that is an error for which its blocks wait.

mod judge;
mod progress;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

use schemas::{TimeMs, records::StageStatus};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

pub use judge::{Case, Judged, judge, network_stage};
pub use progress::Progress;

/// What was said, and when it was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What was said.
    pub status: StageStatus,
    /// When it was heard.
    pub at: Instant,
}

impl Heard {
    /// Whether whoever spoke has been silent for too long.
    pub fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) > self.status.patience()
    }
}

/// Two clocks at one moment: what is measured by the one is shown by the other.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The monotonic one.
    pub at: Instant,
    /// The wall's.
    pub wall: TimeMs,
}

impl Now {
    /// The wall's time of an earlier moment.
    pub fn wall_of(&self, at: Instant) -> TimeMs {
        TimeMs(self.wall.0 - self.at.saturating_duration_since(at).as_millis() as i64)
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthProblem {
    /// The stage that it is about: `ingest`, `enrich`, `aggregate`, `alerts`, `sink`, `api`, or `log` when the log itself does not answer.
    pub stage: String,
    /// The network that it is about; null when it is about all of them.
    pub network: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
}

/// How a stage is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageHealth {
    /// `ingest`, `enrich`, `sink` or `api`.
    pub stage: String,
    /// `running`, `starting` (never heard of, and this process is young), `stalled` (it waits for something and says for what), `partly` (what
    /// no block waits for is not done, and it says what), or `silent`: no process of it has been heard for three of its periods.
    pub state: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// Its processes, those that are silent and were not stopped in an orderly way included.
    pub instances: Vec<InstanceHealth>,
}

/// How a process of a stage is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InstanceHealth {
    /// `[runtime] instance`.
    pub instance: String,
    /// What it says that it is doing, or `silent`.
    pub state: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
    /// When it was last heard.
    #[schema(format = DateTime)]
    pub heard_at: String,
    /// What is wrong with it and what to do.
    pub detail: Option<String>,
}

/// How a network is doing at one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NetworkStage {
    /// `ingest`, `enrich` or `sink`.
    pub stage: String,
    /// What the stage says that it is doing with the network, `silent`, or `starting` before it was ever heard.
    pub state: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// When it was last heard.
    #[schema(format = DateTime)]
    pub heard_at: Option<String>,
    /// The process that has the network.
    pub instance: Option<String>,
    /// Last event that the stage passed on.
    pub sequence: Option<u64>,
    /// What is wrong and what to do.
    pub error: Option<String>,
}
