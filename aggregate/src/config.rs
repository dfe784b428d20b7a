//! What the stage is told at start-up.

use std::{collections::HashMap, time::Duration};

use runtime::beat::Board;
use schemas::{
    Family, Network,
    limits::windows as limits,
    records::stage_status::{stage, state},
};
use tokio::sync::watch;

use crate::windows::Clock;

/// The stage's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names this process to the consumer group, and is the end of its transactional id (`[runtime] instance`).
    pub instance: String,
    /// The family of each network of the configuration, as that changes: by what its time passes follows from it.
    pub(crate) families: watch::Receiver<HashMap<Network, Family>>,
    /// The least between two records of a network's minute that is still open.
    pub open_every: Duration,
    /// The same of its contracts.
    pub contracts_open_every: Duration,
    /// What the stage says of itself.
    pub board: Board,
}

impl Config {
    /// Of these networks.
    pub fn new(instance: impl Into<String>, families: HashMap<Network, Family>) -> Self {
        Self::following(instance, watch::Sender::new(families).subscribe())
    }

    /// The same, of networks that come and go.
    pub fn following(instance: impl Into<String>, families: watch::Receiver<HashMap<Network, Family>>) -> Self {
        Self {
            instance: instance.into(),
            families,
            open_every: limits::OPEN_EVERY,
            contracts_open_every: limits::CONTRACTS_OPEN_EVERY,
            board: Board::new(stage::AGGREGATE, state::RUNNING),
        }
    }

    /// By what a network's time passes, until a block of its says so itself; by its blocks' where the configuration does not name it.
    pub(crate) fn clock(&self, network: &Network) -> Clock {
        match self.families.borrow().get(network) {
            Some(Family::Bitcoin) => Clock::MedianTimePast,
            _ => Clock::BlockTime,
        }
    }
}
