//! What happened in a time, as one set of figures.

use schemas::{Network, TimeMs};

use super::{Figures, Source};
use crate::{Store, StoreError, StoreErrorKind};

/// Of whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverviewFilter {
    /// The network.
    pub network: Network,
    /// A contract of it: `0x` and 40 lower-case hex digits on EVM. `None`: the whole network.
    pub contract: Option<String>,
    /// Whether windows of the contract may tell of it: that one exists tells that somebody watches it. Else it is read from rows alone.
    pub contract_windows: bool,
    /// From this time on; cut down to a whole minute.
    pub from: TimeMs,
    /// Before this time; rounded up to a whole minute.
    pub to: TimeMs,
}

/// What happened in a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// The first minute that is in it.
    pub from: TimeMs,
    /// The end of the last.
    pub to: TimeMs,
    /// The figures.
    pub figures: Figures,
    /// Whether all minutes that are over are in it, whole. The one at the network's head is still open, and counts with what it has.
    pub complete: bool,
    /// What is missing, in words, where it is not complete.
    pub reason: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// The last event of the network that is in it; 0 before the first.
    pub sequence: u64,
}

impl Store {
    /// What happened at a network or a contract in a time.
    ///
    /// # Errors
    /// The time is empty or too long, or the store is away.
    pub async fn overview(&self, filter: &OverviewFilter) -> Result<Overview, StoreError> {
        let _ = filter;
        Err(StoreError::new(StoreErrorKind::Internal, "adding up windows", "no table of windows is made yet"))
    }
}
