//! A simulated node's settings.

use super::{Clock, Dataset, EndpointConfig, Fault, Origin, Schedule};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Canonical blocks kept in memory at least.
pub(crate) const WINDOW: usize = 4096;

/// A simulated node's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is replayed.
    pub data: Arc<Dataset>,
    /// Of the first endpoint. Default: a free port on 127.0.0.1.
    pub listen: SocketAddr,
    /// Another seed is another chain.
    pub seed: u64,
    /// Default: the data set's.
    pub chain_id: Option<u64>,
    /// The first height; nothing is known below it. Default 1.
    pub start_height: u64,
    /// Blocks beyond the first that exist at the origin. Default 0.
    pub history: u64,
    /// Default: one block in two seconds.
    pub clock: Clock,
    /// The chain ends after so many blocks. Default: endless.
    pub blocks: Option<u64>,
    /// Forks on a schedule. Default: none.
    pub forks: Option<Schedule>,
    /// Default: now.
    pub origin: Origin,
    /// Faults of the first endpoint from the start on. Default: none.
    pub faults: Vec<Fault>,
    /// Endpoints beside the first. Default: none.
    pub endpoints: Vec<EndpointConfig>,
    /// How far `finalized` is behind the head. Default 64.
    pub finality_depth: u64,
    /// How far `safe` is behind the head. Default 32.
    pub safe_depth: u64,
    /// Canonical blocks kept in memory, at least 4,096 (default 8,192); deeper ones are computed again when asked for.
    pub window: usize,
    /// Compress answers for clients that accept gzip. Default: no.
    pub gzip: bool,
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new(data: impl Into<Arc<Dataset>>) -> Self {
        Self {
            data: data.into(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            seed: 0,
            chain_id: None,
            start_height: 1,
            history: 0,
            clock: Clock::Rate(0.5),
            blocks: None,
            forks: None,
            origin: Origin::Now,
            faults: Vec::new(),
            endpoints: Vec::new(),
            finality_depth: 64,
            safe_depth: 32,
            window: 2 * WINDOW,
            gzip: false,
        }
    }
}
