//! What a verdict rests on, whether it is the contract, the chain or the provider: figures of some minutes, and of the day before them.

use schemas::{Network, TimeMs};

use super::{EndpointAt, Figures, Overview};
use crate::{Store, StoreError, StoreErrorKind};

/// Of whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagnosisFilter {
    /// The network.
    pub network: Network,
    /// A contract of it: `0x` and 40 lower-case hex digits on EVM. `None`: the network alone.
    pub contract: Option<String>,
    /// Whether windows of the contract may tell of it: that one exists tells that somebody watches it. Else it is read from rows alone.
    pub contract_windows: bool,
    /// The time in question: the minutes that end with it.
    pub at: TimeMs,
}

/// The minutes in question, and the day before them in steps of equal length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diagnosis {
    /// Minutes that one judges: those of [`DIAGNOSED_MS`], and the one that the time lies in.
    pub from: TimeMs,
    /// Their end.
    pub to: TimeMs,
    /// The network in them.
    pub network: Overview,
    /// The contract in them; `None` where none was asked for.
    pub contract: Option<Overview>,
    /// The network in the day before: steps of five minutes that are complete, the oldest first; at most 288.
    pub usual_network: Vec<Usual>,
    /// The contract likewise. A step in which nothing touched it has figures of zero.
    pub usual_contract: Vec<Usual>,
    /// Endpoints in these minutes, by name.
    pub endpoints: Vec<EndpointAt>,
    /// The same endpoints over the day before.
    pub usual_endpoints: Vec<EndpointAt>,
    /// The last event of the network that is in it; 0 before the first.
    pub sequence: u64,
}

/// A step of the day before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usual {
    /// Where it begins.
    pub at: TimeMs,
    /// Its figures.
    pub figures: Figures,
}

/// Length of the time that is judged, milliseconds.
pub const DIAGNOSED_MS: i64 = 5 * 60_000;

impl Store {
    /// What a verdict about these minutes rests on. From windows alone: where there are none it says so by being empty or not complete.
    ///
    /// # Errors
    /// The store is away.
    pub async fn diagnosis(&self, filter: &DiagnosisFilter) -> Result<Diagnosis, StoreError> {
        let _ = filter;
        Err(StoreError::new(StoreErrorKind::Internal, "gathering evidence", "no table of windows is made yet"))
    }
}
