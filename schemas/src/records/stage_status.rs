//! `stage.status`, compacted: what every stage says of itself, again and again whatever happens (rule 27).
//!
//! Two kinds of records: of a process (key `STAGE/instance/INSTANCE`), and of a network that this process has in its hands at that
//! stage (key `STAGE/network/SLUG`). A process that stops in an orderly way takes its own record away; those of its networks
//! stay, and grow old unless another process takes them over.
//!
//! Stages and states are words, not enums: a newer version may say one that this one does not know, and is heard all the same.

use std::time::Duration;

use crate::primitives::{Family, Network, TimeMs};

/// How often a stage repeats what it says.
pub const EVERY: Duration = Duration::from_secs(5);
/// Who has said nothing for so many of its own periods is silent.
pub const SILENT_AFTER: u32 = 3;

/// Names of stages, in the order of the data.
pub mod stage {
    /// Chain nodes to `raw.*`.
    pub const INGEST: &str = "ingest";
    /// `raw.*` to `enriched.*`.
    pub const ENRICH: &str = "enrich";
    /// Facts about contracts, beside the stream.
    pub const CAUSES: &str = "causes";
    /// `enriched.blocks` to `metrics.windows`, beside the stream.
    pub const AGGREGATE: &str = "aggregate";
    /// Rules and monitors of tenants, beside the stream.
    pub const ALERTS: &str = "alerts";
    /// `enriched.*` to the store.
    pub const SINK: &str = "sink";
    /// REST, WebSocket, dashboard.
    pub const API: &str = "api";
    /// Those that a block passes on its way to a visible row.
    pub const CHAIN: [&str; 3] = [INGEST, ENRICH, SINK];
}

/// Words for states beside those of [`NetworkState`](super::NetworkState) and [`EnrichState`](super::EnrichState).
pub mod state {
    /// It works.
    pub const RUNNING: &str = "running";
    /// It has not begun yet.
    pub const STARTING: &str = "starting";
    /// It waits for what it cannot do without (the log, the store, a node), and tries again.
    pub const STALLED: &str = "stalled";
    /// It does its work, but for a part of it that no block waits for, and says which.
    pub const PARTLY: &str = "partly";
    /// It brings the store of a former version into its own layout, and does its work when that is done.
    pub const UPGRADING: &str = "upgrading";
    /// The process has the network's partition, and its configuration does not name the network: nobody follows it.
    pub const UNCONFIGURED: &str = "unconfigured";
}

/// A record of `stage.status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageStatus {
    /// Which stage: one of [`stage`], or a newer one.
    pub stage: String,
    /// `[runtime] instance` of the process that speaks.
    pub instance: String,
    /// The network; `None` in the record of a process.
    pub network: Option<Network>,
    /// The network's partition.
    pub partition: Option<u32>,
    /// What it is doing: one of [`state`], of the words of `NetworkState` or `EnrichState`, or a newer one.
    pub state: String,
    /// Since when, by the clock of who speaks.
    pub since: TimeMs,
    /// When the state is not a good one: what is wrong and what to do.
    pub detail: Option<String>,
    /// How often it speaks, in milliseconds.
    pub every_ms: u64,
    /// When it spoke, by its clock.
    pub at: TimeMs,
    /// The network's family, where it is known.
    pub family: Option<Family>,
    /// The chain id by which this process works the network up, from its configuration.
    pub chain_id: Option<u64>,
    /// Ingest: the endpoint in use.
    pub endpoint: Option<String>,
    /// Ingest: the node's tip as last seen.
    pub tip_height: Option<u64>,
    /// Last event that this stage has passed on (ingest: published; sink: visible in the store).
    pub sequence: Option<u64>,
    /// Height of the canonical tip as this stage has passed it on.
    pub height: Option<u64>,
    /// That block's time stamp.
    pub block_time: Option<TimeMs>,
    /// How much of what the log keeps of the stage's input it has not read yet, in per cent; at 100 retention removes what is
    /// still to be read.
    pub unread_percent: Option<u32>,
    /// In the record of a process: networks of its configuration.
    pub networks: Vec<ConfiguredNetwork>,
}

/// A network as a process has it in its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredNetwork {
    /// Its slug.
    pub slug: String,
    /// Its chain id; `None` where the stage has no use for it.
    pub chain_id: Option<u64>,
}

impl StageStatus {
    /// Of a process, at this time and since then, with nothing said that only some stages say.
    pub fn new(stage: &str, instance: &str, state: &str, every: Duration, at: TimeMs) -> Self {
        Self {
            stage: stage.to_owned(),
            instance: instance.to_owned(),
            network: None,
            partition: None,
            state: state.to_owned(),
            since: at,
            detail: None,
            every_ms: every.as_millis() as u64,
            at,
            family: None,
            chain_id: None,
            endpoint: None,
            tip_height: None,
            sequence: None,
            height: None,
            block_time: None,
            unread_percent: None,
            networks: Vec::new(),
        }
    }

    /// The key of a record.
    pub fn key_of(stage: &str, instance: &str, network: Option<&Network>) -> String {
        match network {
            Some(network) => format!("{stage}/network/{network}"),
            None => format!("{stage}/instance/{instance}"),
        }
    }

    /// The network that a key names.
    pub fn network_of(key: &str) -> Option<&str> {
        key.split_once('/')?.1.strip_prefix("network/")
    }

    /// Silence after which whoever wrote this counts as silent.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.every_ms.max(1).saturating_mul(u64::from(SILENT_AFTER)))
    }
}
