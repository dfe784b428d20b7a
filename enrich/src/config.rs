//! What the stage is told at start-up.

use std::{collections::HashMap, time::Duration};

use runtime::beat::Board;
use schemas::{
    Network,
    profiles::Profile,
    records::stage_status::{stage, state},
};

/// The stage's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names this process to the consumer group, and is the end of its transactional id (`[runtime] instance`).
    pub instance: String,
    /// Chain profile per network; [`schemas::profiles::TOLERANT`] for those that are not here.
    pub profiles: HashMap<Network, Profile>,
    /// Chain id of each network of the configuration, for others to compare.
    pub chain_ids: HashMap<Network, u64>,
    /// How long a transaction of the log gathers events after its first. Adds to the latency of a block at the tip.
    pub linger: Duration,
    /// The same while catching up, that is, when `catch_up_bytes` came within `linger`: fewer, larger transactions.
    pub catch_up_linger: Duration,
    /// Bytes of input values within `linger` from which on the stage is catching up.
    pub catch_up_bytes: usize,
    /// Bytes of input values after which a transaction of the log is closed. One event may exceed it.
    pub batch_bytes: usize,
    /// Events after which a transaction of the log is closed.
    pub batch_events: usize,
    /// What the stage says of itself.
    pub board: Board,
}

impl Config {
    /// Defaults: 50 ms, 250 ms from 512 KiB on, 8 MiB, 256 events.
    pub fn new(instance: impl Into<String>, chain_ids: HashMap<Network, u64>) -> Self {
        Self {
            instance: instance.into(),
            profiles: chain_ids.iter().map(|(network, id)| (network.clone(), Profile::of(*id))).collect(),
            chain_ids,
            linger: Duration::from_millis(50),
            catch_up_linger: Duration::from_millis(250),
            catch_up_bytes: 512 << 10,
            batch_bytes: schemas::limits::ENRICH_BATCH_BYTES,
            batch_events: 256,
            board: Board::new(stage::ENRICH, state::RUNNING),
        }
    }

    /// The profile of a network.
    pub fn profile(&self, network: &Network) -> Profile {
        self.profiles.get(network).copied().unwrap_or_default()
    }
}
